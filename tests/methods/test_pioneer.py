"""Pioneer: codes on the sphere, and its formulas."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from tests.conftest import seeded
from tests.methods.steps import steps, vectors
from zspace.methods.pioneer import Pioneer
from zspace.samplers.sphere import Sphere


def test_pioneers_codes_lie_on_the_sphere() -> None:
    model = Pioneer(nn.Linear(5, 3), nn.Linear(3, 5), Sphere(3), 3)
    torch.testing.assert_close(model.encode(torch.randn(9, 5)).norm(dim=1), torch.ones(9))
    z = Sphere(3).sample(20_000, generator=seeded())
    torch.testing.assert_close(z.norm(dim=1), torch.ones(20_000))
    # uniform: no direction is preferred, and so E z z^T = I / D
    torch.testing.assert_close(z.T @ z / 20_000, torch.eye(3) / 3, atol=0.01, rtol=0)
    x = torch.randn(3, 3)
    torch.testing.assert_close(model.decode(x), model.decode(5 * x))


def test_pioneer_by_its_formula() -> None:
    torch.manual_seed(0)
    encoder, decoder = nn.Linear(5, 3), nn.Linear(3, 5)

    def e(x: Tensor) -> Tensor:
        return encoder(x) / encoder(x).norm(dim=1, keepdim=True)

    def divergence(z: Tensor) -> Tensor:
        z = z * 3**0.5
        q = Normal(z.mean(0), z.std(0, unbiased=False))
        return kl_divergence(q, Normal(torch.zeros(3), torch.ones(3))).mean()

    x = next(vectors())[0]
    torch.manual_seed(5)
    zs = [Sphere(3).sample(16) for _ in range(3)]
    apart = divergence(e(x)) - divergence(e(decoder(zs[0])))
    for margin in (9.0, 0.0):
        model = Pioneer(encoder, decoder, Sphere(3), 3, weights=(2.0, 7.0), margin=margin)
        torch.manual_seed(5)
        (name, first), *twice = steps(model, vectors())
        assert name == "encoder"
        torch.testing.assert_close(first["apart"], apart.clamp(min=-margin))
        error = (x - decoder(e(x))).abs().mean()
        torch.testing.assert_close(first["reconstruction"], 2 * error)
        for z, (player, terms) in zip(zs[1:], twice, strict=True):
            back = e(decoder(z))
            assert player == "generator"
            torch.testing.assert_close(terms["fake"], divergence(back))
            torch.testing.assert_close(terms["codes"], 7 * (1 - (back * z).sum(1)).mean())

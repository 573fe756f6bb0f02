"""MaskAAE: the mask scales and closes dimensions, and the formulas."""

from __future__ import annotations

import torch
from torch import nn

from tests.conftest import seeded
from tests.methods.steps import steps, vectors
from zspace.core import Batches
from zspace.methods.maskaae import MaskAAE, Masked
from zspace.nets.mlp import mlp
from zspace.training import fit


def test_the_mask_scales_codes_and_prior_alike() -> None:
    torch.manual_seed(0)
    prior = Masked(3)
    prior.mask.data = torch.tensor([20.0, 0.0, -20.0])
    encoder = nn.Linear(5, 3)
    model = MaskAAE(encoder, nn.Linear(3, 5), prior, mlp(3, [8], 1), 3)
    x = torch.randn(7, 5, generator=seeded())
    torch.testing.assert_close(model.encode(x), encoder(x) * torch.tensor([1.0, 0.5, 0.0]))
    with torch.no_grad():
        deviations = prior.sample(20_000, generator=seeded()).std(0)
    torch.testing.assert_close(deviations, torch.tensor([1.0, 0.5, 0.0]), atol=0.02, rtol=0)


def test_the_mask_closes_dimensions_that_the_data_have_not() -> None:
    """Data on a plane in five dimensions, codes of four."""
    torch.manual_seed(0)
    plane = torch.randn(2, 5, generator=seeded(3))
    data = Batches(torch.randn(2000, 2, generator=seeded()) @ plane, size=100)
    model = MaskAAE(
        mlp(5, [32], 4),
        mlp(4, [32], 5),
        Masked(4),
        mlp(4, [64, 64], 1),
        4,
        rate=1e-3,
        mask_rate=5e-3,
    )
    fit(model, data, 1500)
    m = model.prior.scales().detach().sort().values
    assert float(m[0].detach()) < 0.5 < float(m[-1].detach())


def test_mask_aae_by_its_formula() -> None:
    torch.manual_seed(0)
    encoder, decoder, critic, prior = nn.Linear(5, 2), nn.Linear(2, 5), mlp(2, [8], 1), Masked(2)
    model = MaskAAE(encoder, decoder, prior, critic, 2, weights=(3.0, 5.0, 7.0))
    drawn = vectors()
    x = next(drawn)[0]
    m = prior.mask.sigmoid()
    torch.manual_seed(5)
    z, first, second = m * encoder(x), prior.draw(16), m * drawn.normal(2)
    torch.manual_seed(5)
    found = dict(steps(model, vectors()))
    s_z, s_p, s_m = (critic(codes).sigmoid() for codes in (z, first, second))
    error, on_codes = ((decoder(z) - x) ** 2).sum(1).mean(), (1 - s_z).log().mean()
    torch.testing.assert_close(found["ae"]["reconstruction"], error)
    torch.testing.assert_close(found["discriminator"]["prior"], -s_p.log().mean())
    torch.testing.assert_close(found["discriminator"]["codes"], -on_codes)
    torch.testing.assert_close(found["encoder"]["fooling"], -s_z.log().mean())
    mask = found["mask"]
    torch.testing.assert_close(mask["reconstruction"], 3 * error)
    torch.testing.assert_close(mask["divergence"], 5 * (s_m.log().mean() + on_codes))
    torch.testing.assert_close(mask["open"], 7 * (m * (1 - m)).sum())

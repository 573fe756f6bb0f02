"""FlexAE against a plain transcription of Algorithm 1."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adam

from zspace.core import Batches
from zspace.methods.flexae import FlexAE
from zspace.recipes import RECIPES, Facts
from zspace.training import fit


class DoubleBatches(Batches):
    """The same draws in float64, in which two ways to compute the same thing agree closely."""

    def __next__(self) -> tuple[Tensor, Tensor | None]:
        x, y = super().__next__()
        return x.double(), y

    def normal(self, *shape: int) -> Tensor:
        return super().normal(*shape).double()

    def uniform(self, *shape: int) -> Tensor:
        return super().uniform(*shape).double()


def draws(shape: tuple[int, ...]) -> DoubleBatches:
    x = torch.randint(0, 256, (40, *shape), generator=torch.Generator().manual_seed(0))
    return DoubleBatches(x.to(torch.uint8), size=6, seed=1, replacement=True)


def transcribe(model: FlexAE, batches: Batches, iterations: int) -> None:
    """Algorithm 1, line by line: PyTorch's plain Adam, `zero_grad`, `backward`, nothing reused."""
    e, d, g, c_z, c_x = (
        model.encoder,
        model.decoder,
        model.prior.generator,
        model.latent_critic,
        model.image_critic,
    )
    autoencoder = [*e.parameters(), *d.parameters()]

    def plain(parameters: object, rate: float, betas: tuple[float, float]) -> Adam:
        return Adam(list(parameters), lr=rate, betas=betas, fused=False, foreach=False)  # type: ignore[call-overload]

    ae_opt = plain(autoencoder, 0.0002, (0.9, 0.999))
    critic_opt = plain(c_z.parameters(), 0.0001, (0.0, 0.9))
    gen_opt = plain(g.parameters(), 0.0001, (0.0, 0.9))
    enc_opt = plain(e.parameters(), 0.00001, (0.0, 0.9))
    if c_x is not None:
        reg_opt = plain(c_x.parameters(), 0.0002, (0.5, 0.9))
        ae_reg_opt = plain(autoencoder, 0.0002, (0.5, 0.9))

    def minimise(optimizer: Adam, loss: Tensor) -> None:
        model.zero_grad()
        loss.backward()
        optimizer.step()

    def critic_loss(critic: nn.Module, real: Tensor, fake: Tensor, a: Tensor) -> Tensor:
        a = a.view(-1, *[1] * (real.ndim - 1))
        u = (a * real + (1 - a) * fake).detach().requires_grad_()
        slope = torch.autograd.grad(critic(u).sum(), u, create_graph=True)[0]
        norms = torch.stack([s.norm() for s in slope])
        wasserstein = critic(fake.detach()).mean() - critic(real.detach()).mean()
        return wasserstein + 10 * ((norms - 1) ** 2).mean()

    for _ in range(iterations):
        x = next(batches)[0]
        minimise(ae_opt, ((x - d(e(x))) ** 2).sum() / len(x))
        for _ in range(5):
            x = next(batches)[0]
            n = batches.normal(model.latent_dim)
            if c_x is not None:
                w = next(batches)[0]
                gamma = batches.uniform(1)
            minimise(critic_opt, critic_loss(c_z, e(x), g(n), batches.uniform(1)))
            if c_x is not None:
                x_inp = d(gamma * e(x) + (1 - gamma) * e(w))
                minimise(reg_opt, critic_loss(c_x, x, x_inp, batches.uniform(1)))
        if c_x is not None:
            minimise(ae_reg_opt, -c_x(d(gamma * e(x) + (1 - gamma) * e(w))).mean())
        minimise(gen_opt, -c_z(g(n)).mean())
        minimise(enc_opt, c_z(e(x)).mean())


@pytest.mark.parametrize("name", ["flexae", "flexae-sr"])
def test_weights_follow_algorithm_1(name: str) -> None:
    torch.manual_seed(0)
    options = {"width": 3, "hidden": 12, "latent_dim": 4, "batch_size": 6}
    ours = RECIPES[name](Facts((2, 8, 12)), **options).model.double()  # type: ignore[call-arg]
    assert isinstance(ours, FlexAE)
    start = copy.deepcopy(ours.state_dict())
    theirs = copy.deepcopy(ours).train()
    ours.to(memory_format=torch.channels_last)
    fit(ours, draws((2, 8, 12)), 3)
    transcribe(theirs, draws((2, 8, 12)), 3)
    a, b = dict(ours.named_parameters()), dict(theirs.named_parameters())
    for key, value in a.items():
        if key.endswith("bias") and (value - b[key]).abs().max() > 1e-8:
            # a shift that batch norm takes out again has no gradient but rounding's, which Adam
            # scales up: such a bias must at least stay within its steps
            assert key in cancelled(ours), key
            continue
        torch.testing.assert_close(value, b[key], rtol=0, atol=1e-8, msg=key)
        if key not in ("latent_critic.8.bias", "image_critic.7.bias"):  # without a gradient
            assert not torch.equal(value, start[key]), f"{key} never moved"


def cancelled(model: FlexAE) -> set[str]:
    """The biases that a batch norm behind them takes out: those just before one, and E's last,
    behind which D begins with a linear layer and a batch norm."""
    found = set()
    for name, net in (("encoder", model.encoder), ("decoder", model.decoder)):
        assert isinstance(net, nn.Sequential)
        for i, (layer, after) in enumerate(zip(net, [*net][1:], strict=False)):
            if isinstance(after, nn.BatchNorm1d | nn.BatchNorm2d) and hasattr(layer, "bias"):
                found.add(f"{name}.{i}.bias")
    return found | {f"encoder.{len(model.encoder) - 1}.bias"}  # type: ignore[arg-type]

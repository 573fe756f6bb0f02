"""VQ-VAE: quantisation, its gradients, the codebook."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

import zspace
from tests.conftest import seeded, small
from tests.methods.steps import steps
from zspace.core import Batches
from zspace.methods.vqvae import VQVAE
from zspace.samplers.autoregressive import Autoregressive


def test_quantisation_and_its_gradients_by_the_formula() -> None:
    torch.manual_seed(0)
    prior = Autoregressive(6, 2, (2, 3), width=4, blocks=1)
    prior.codebook.data.normal_()
    encoder, decoder = nn.Conv2d(1, 2, 1), nn.Conv2d(2, 1, 1)
    model = VQVAE(encoder, decoder, prior, 12, commitment=0.25)
    x = torch.rand(8, 1, 2, 3, generator=seeded())
    batches = Batches((x * 255).byte(), size=8)
    batches.step = 1  # the codebook stays as it is
    (_, terms), (_, likelihood) = steps(model, batches)
    x = next(Batches((x * 255).byte(), size=8))[0]
    grid = encoder(x)
    flat = grid.movedim(1, -1).reshape(-1, 2)
    nearest = torch.stack([(row - prior.codebook).norm(dim=1).argmin() for row in flat])
    e = prior.codebook[nearest].view(8, 2, 3, 2).movedim(-1, 1)
    torch.testing.assert_close(terms["codebook"], ((e - grid) ** 2).flatten(1).sum(1).mean())
    torch.testing.assert_close(terms["commitment"], terms["codebook"] / 4)
    rebuilt = ((decoder(e) - x) ** 2).flatten(1).sum(1).mean()
    torch.testing.assert_close(terms["reconstruction"], rebuilt)
    assert likelihood["likelihood"] > 0
    # the decoder's gradient is handed on to the encoder as if e were its output
    held = grid.detach().requires_grad_()
    through = ((decoder(held + (e - held).detach()) - x) ** 2).flatten(1).sum(1).mean()
    (expected,) = torch.autograd.grad(through, held)
    (found,) = torch.autograd.grad(terms["reconstruction"], encoder.bias, retain_graph=True)
    torch.testing.assert_close(found, expected.sum((0, 2, 3)))
    # nothing of it reaches the codebook
    parts = torch.autograd.grad(terms["reconstruction"], prior.codebook, allow_unused=True)
    assert parts == (None,)
    torch.testing.assert_close(model.encode(x), e.flatten(1))


def test_a_codebook_of_another_run_stays(tmp_path: Path) -> None:
    given: dict[str, Any] = {"device": "cpu", **small("vq-vae")}
    first = zspace.train("vq-vae", "digits", out=tmp_path / "a", iterations=20, **given)
    assert isinstance(first, VQVAE)
    start = str(tmp_path / "a")
    rates = {"learning_rate": 1e-12}
    again = zspace.train("vq-vae", "digits", iterations=1, init_from=start, **rates, **given)
    assert isinstance(again, VQVAE)
    torch.testing.assert_close(again.prior.codebook, first.prior.codebook, rtol=0, atol=1e-6)


def test_the_codebook_begins_as_codes_and_is_used() -> None:
    model = zspace.train("vq-vae", "digits", iterations=60, device="cpu", **small("vq-vae"))
    assert isinstance(model, VQVAE)
    x = torch.rand(50, 1, 8, 8, generator=seeded())
    with torch.no_grad():
        assert len(model.quantise(model.encoder(x)).unique()) > 1

"""LSR-GAN: its objectives against the paper's, and the frozen encoder."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy

import zspace
from tests.conftest import seeded, small
from zspace.core import Batches, Frozen
from zspace.methods.lsrgan import LSRGAN
from zspace.methods.vae import VAE
from zspace.nets.resnet import LSRGANNets
from zspace.samplers import Normal
from zspace.storage.files import read_tensors
from zspace.storage.run import Run


def vae(dim: int = 3) -> VAE:
    nets = LSRGANNets((1, 8, 8), dim, 4)
    return VAE(nets.encoder(2 * dim), nets.decoder(), Normal(dim), dim, likelihood="log-mse")


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_objectives_are_equations_3_and_4(reduction: Any) -> None:
    torch.manual_seed(0)
    of = vae()
    for _ in range(20):
        of.encoder(torch.rand(8, 1, 8, 8))  # statistics that differ from a batch's
    nets = LSRGANNets((1, 8, 8), 3, 4)
    model = LSRGAN(of, nets.decoder(), nets.discriminator(), weight=0.7, reduction=reduction)
    model.train()
    stored = torch.randint(0, 256, (40, 1, 8, 8), dtype=torch.uint8)
    random = torch.get_rng_state()
    terms = dict(model.objectives(Batches(stored, size=16, seed=3)))
    torch.set_rng_state(random)
    x, _ = next(Batches(stored, size=16, seed=3))
    z = torch.randn(16, 3)
    fake = model.decoder(z)
    on_real, on_fake = (model.discriminator(v).sigmoid() for v in (x, fake))
    ones, zeros = torch.ones_like(on_real), torch.zeros_like(on_real)
    torch.testing.assert_close(
        terms["discriminator"],
        {"real": binary_cross_entropy(on_real, ones), "fake": binary_cross_entropy(on_fake, zeros)},
    )
    mean, log_variance = of.encoder.eval()(fake).chunk(2, 1)
    log_q = -0.5 * ((z - mean).square() / log_variance.exp() + log_variance + math.log(2 * math.pi))
    latent = -0.7 * (log_q.mean() if reduction == "mean" else log_q.sum(1).mean())
    torch.testing.assert_close(
        terms["renderer"], {"fooling": binary_cross_entropy(on_fake, ones), "latent": latent}
    )


def test_the_discriminators_gradient_stops_at_the_image() -> None:
    torch.manual_seed(0)
    nets = LSRGANNets((1, 8, 8), 3, 4)
    model = LSRGAN(vae(), None, nets.discriminator())
    model.decoder.requires_grad_(True)
    stored = torch.randint(0, 256, (40, 1, 8, 8), dtype=torch.uint8)
    name, terms = next(model.objectives(Batches(stored, size=16)))
    assert name == "discriminator"
    loss = terms["real"] + terms["fake"]
    gradients = torch.autograd.grad(
        loss, list(model.decoder.parameters()), allow_unused=True, retain_graph=True
    )
    assert all(g is None for g in gradients)


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def test_the_encoders_bytes_stay(rendered_runs: Path) -> None:
    before, _ = read_tensors(rendered_runs / "vae" / "model.safetensors", dict)
    after, _ = read_tensors(rendered_runs / "lsrgan" / "model.safetensors", dict)
    kept = part(after, "encoder.module.")
    assert kept.keys() == before.keys()
    for name, value in before.items():  # batch norm's statistics among them
        assert torch.equal(value, kept[name]), name
    renderer, decoder = part(after, "decoder."), part(before, "decoder.")
    assert renderer.keys() == decoder.keys()
    assert any(not torch.equal(renderer[k], decoder[k]) for k in decoder)


def test_its_own_vae_is_left_as_its_stage_left_it(tmp_path: Path) -> None:
    options = {"width": 4, "latent_dim": 3, "vae_iterations": 6, "checkpoint_every": 1, "keep": 0}
    zspace.train("lsrgan", "digits", out=tmp_path / "r", iterations=14, device="cpu", **options)
    run = Run(tmp_path / "r")
    of = {i: run.weights(path) for i, path in run.checkpoints().items()}
    frozen = "encoder.module."
    for name, value in part(of[6], frozen).items():
        assert torch.equal(value, of[14][frozen + name]), name
    assert any(not torch.equal(v, of[6][frozen + k]) for k, v in part(of[5], frozen).items())
    # the renderer's first update is of the decoder that the first stage has trained
    moved = [
        float((of[7][f"decoder.{k}"] - v).abs().max())
        for k, v in part(of[6], f"{frozen}decoder.").items()
        if "running" not in k and "tracked" not in k
    ]
    assert 0 < max(moved) < 3 * 2e-4


@pytest.mark.parametrize("renderer", ["copy", "resnet"])
@pytest.mark.parametrize("recipe", ["vae", "vae-mlp", "lsrgan"])
def test_any_run_with_a_posterior_is_rendered(recipe: str, renderer: str, tmp_path: Path) -> None:
    zspace.train(recipe, "digits", out=tmp_path / "e", iterations=4, device="cpu", **small(recipe))
    model = zspace.train(
        "lsrgan",
        "digits",
        out=tmp_path / "r",
        encoder=str(tmp_path / "e"),
        renderer=renderer,
        width=4,
        iterations=3,
        device="cpu",
    )
    assert isinstance(model, LSRGAN)
    theirs: Any = zspace.load(tmp_path / "e")
    theirs = theirs.vae if recipe == "lsrgan" else theirs
    x = torch.rand(4, 1, 8, 8)
    assert torch.equal(model.encode(x), theirs.encode(x))
    assert torch.equal(model.decoders()["vae"].reconstruct(x), theirs.reconstruct(x))
    same = type(model.decoder) is type(theirs.decoder) and (
        len(list(model.decoder.parameters())) == len(list(theirs.decoder.parameters()))
    )
    assert same == (renderer == "copy" or recipe == "lsrgan")
    # the encoder's run may go: what it was is noted
    shutil.rmtree(tmp_path / "e")
    again = zspace.load(tmp_path / "r")
    assert torch.equal(again.reconstruct(x), model.reconstruct(x))


def test_a_decoder_that_is_frozen_is_copied_without_its_ice(tmp_path: Path) -> None:
    quick = {"iterations": 4, "device": "cpu"}
    zspace.train("two-stage-vae", "digits", out=tmp_path / "e", **quick, **small("two-stage-vae"))
    more = {"encoder": str(tmp_path / "e"), "batch_size": 8, "renderer": "copy"}
    model = zspace.train("lsrgan", "digits", **more, **quick).train()
    assert not isinstance(model.decoder, Frozen)
    assert all(m.training for m in model.decoder.modules())
    theirs = zspace.load(tmp_path / "e").decoder
    assert isinstance(theirs, Frozen)
    pairs = zip(model.decoder.parameters(), theirs.parameters(), strict=True)
    assert not any(torch.equal(ours, before) for ours, before in pairs)  # they were trained


@pytest.mark.parametrize("recipe", ["vampprior", "vae-flow", "vae-iop", "two-stage-vae"])
def test_lsrgan_renders_every_variational_encoder(recipe: str, tmp_path: Path) -> None:
    quick = {"iterations": 4, "device": "cpu"}
    zspace.train(recipe, "digits", out=tmp_path / "e", **quick, **small(recipe))
    model = zspace.train(
        "lsrgan",
        "digits",
        out=tmp_path / "r",
        encoder=str(tmp_path / "e"),
        width=4,
        batch_size=8,
        **quick,
    )
    x = torch.rand(3, 1, 8, 8, generator=seeded())
    torch.testing.assert_close(model.encode(x), zspace.load(tmp_path / "e").encode(x))
    assert (tmp_path / "r" / "interpolation.png").exists()
    assert model.sample(2).shape == (2, 1, 8, 8)

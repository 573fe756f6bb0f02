"""LSR-GAN: networks, losses, stages, the frozen encoder, commands, experiments."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy

import zspace
from tests.conftest import SMALL, Cli, random_images, small
from zspace import api, papers
from zspace.api import run_options
from zspace.core import Batches, Variational
from zspace.errors import InputError
from zspace.evaluation.measurement import measure_run
from zspace.functional import as_float, log_squared_error
from zspace.methods.lsrgan import LSRGAN
from zspace.methods.vae import VAE
from zspace.nets.resnet import LSRGANNets, ResidualBlock
from zspace.options import checked
from zspace.papers.base import Lab
from zspace.papers.lsrgan.trained import Trained, measured_row, rendered, variance_of
from zspace.recipes import Facts, find
from zspace.samplers import Normal
from zspace.storage.files import read_tensors
from zspace.storage.run import Run

# the likelihood of Appendix A


def test_gradient_of_the_log_error_is_the_gaussians_at_its_likeliest_variance() -> None:
    generator = torch.Generator().manual_seed(0)
    y = torch.rand(5, 3, 4, 4, generator=generator, dtype=torch.float64)
    x = torch.rand(5, 3, 4, 4, generator=generator, dtype=torch.float64).requires_grad_()
    (gradient,) = torch.autograd.grad(log_squared_error(x, y), x)
    variance = (x.detach() - y).square().mean()  # maximises the likelihood of all pixels together
    gaussian = torch.distributions.Normal(x, variance.sqrt())
    loss = -gaussian.log_prob(y).sum() / len(y)
    (expected,) = torch.autograd.grad(loss, x)
    torch.testing.assert_close(gradient, expected)
    # and the value, up to the constant of the paper's derivation
    constant = y[0].numel() / 2 * (1 + math.log(2 * math.pi))
    x, least = x.detach(), float(loss.detach())
    assert float(log_squared_error(x, y)) + constant == pytest.approx(least)
    # which no other variance has
    for factor in (0.9, 1.1):
        worse = torch.distributions.Normal(x, (factor * variance).sqrt())
        assert float(-worse.log_prob(y).sum() / len(y)) > least


def test_another_range_of_pixels_adds_a_constant() -> None:
    x, y = torch.rand(2, 4, 1, 8, 8, dtype=torch.float64)
    more = log_squared_error(2 * x - 1, 2 * y - 1) - log_squared_error(x, y)
    assert float(more) == pytest.approx(64 * math.log(2))
    assert math.isfinite(float(log_squared_error(x, x)))


# the networks


def convolutions(net: nn.Module) -> list[tuple[int, int, int]]:
    return [
        (layer.in_channels, layer.out_channels, layer.kernel_size[0])
        for layer in net.modules()
        if isinstance(layer, nn.Conv2d)
    ]


def linears(net: nn.Module) -> list[tuple[int, int]]:
    return [(m.in_features, m.out_features) for m in net.modules() if isinstance(m, nn.Linear)]


def blocks(net: nn.Module) -> list[tuple[int, int]]:
    return [
        (m.shortcut[0].in_channels, m.shortcut[0].out_channels)  # type: ignore[union-attr]
        for m in net.modules()
        if isinstance(m, ResidualBlock)
    ]


def test_networks_are_table_3() -> None:
    nets = LSRGANNets((3, 32, 32))
    encoder, decoder, judge = nets.encoder(256), nets.decoder(), nets.discriminator()
    assert blocks(encoder) == [(3, 64), (64, 128), (128, 32)]
    assert linears(encoder) == [(512, 128), (128, 256)]
    assert blocks(decoder) == [(32, 128), (128, 64), (64, 32)]
    assert linears(decoder) == [(128, 512)]
    assert convolutions(decoder)[-1] == (32, 3, 1)
    assert convolutions(judge) == [(3, 32, 4), (32, 64, 4), (64, 128, 4), (128, 3, 4)]
    assert [m.num_features for m in judge.modules() if isinstance(m, nn.BatchNorm2d)] == [64, 128]
    assert judge(torch.rand(2, 3, 32, 32)).shape == (2, 3, 2, 2)
    weights = torch.cat([m.weight.flatten() for m in judge if isinstance(m, nn.Conv2d)])
    assert float(weights.detach().std()) == pytest.approx(0.02, rel=0.02)
    # a residual block has two 3 by 3 convolutions and a shortcut of 1 by 1
    assert convolutions(encoder[1]) == [(3, 64, 3), (64, 64, 3), (3, 64, 1)]


@pytest.mark.parametrize(
    "shape, down, up",
    [
        ((1, 8, 8), [32], [32]),
        ((1, 16, 16), [64, 32], [64, 32]),
        ((1, 28, 28), [64, 128, 32], [128, 64, 32]),
        ((3, 64, 64), [64, 128, 128, 32], [128, 128, 64, 32]),
    ],
)
def test_blocks_follow_from_the_size(
    shape: tuple[int, ...], down: list[int], up: list[int]
) -> None:
    nets = LSRGANNets(shape)
    assert [out for _, out in blocks(nets.encoder())] == down
    assert [out for _, out in blocks(nets.decoder())] == up
    assert nets.base[1:] == (4, 4)
    x = torch.rand(2, *shape)
    assert nets.decoder()(nets.encoder()(x)).shape == x.shape
    assert nets.discriminator()(x).shape == (2, 3, 2, 2)


def test_images_of_28_pixels_are_padded_to_32() -> None:
    nets = LSRGANNets((1, 28, 28))
    assert nets.border == (2, 2, 2, 2)
    x = torch.rand(3, 1, 28, 28)
    padded = nets.encoder()[0](x)
    assert padded.shape == (3, 1, 32, 32)
    torch.testing.assert_close(padded[:, :, 2:-2, 2:-2], 2 * x - 1)
    assert bool((padded[:, :, :2] == -1).all())
    crop = nets.decoder()[-1]
    inner = crop(torch.atanh(0.999 * padded))
    torch.testing.assert_close(inner, (0.999 * (2 * x - 1) + 1) / 2, rtol=0, atol=1e-5)
    with pytest.raises(InputError, match="images, not vectors"):
        LSRGANNets((12,))
    with pytest.raises(InputError, match="--width 5: the residual networks need an even one"):
        LSRGANNets((1, 8, 8), width=5)


# the second stage


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


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VAE of the digits with residual networks, and an LSR-GAN of it. Not to be changed."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("lsrgan")
    zspace.train(
        "vae",
        "digits",
        out=root / "vae",
        arch="resnet",
        likelihood="log-mse",
        width=4,
        latent_dim=3,
        iterations=20,
        device="cpu",
    )
    zspace.train(
        "lsrgan",
        "digits",
        out=root / "lsrgan",
        encoder=str(root / "vae"),
        width=4,
        iterations=15,
        device="cpu",
    )
    return root


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def test_the_encoders_bytes_stay(first: Path) -> None:
    before, _ = read_tensors(first / "vae" / "model.safetensors")
    after, _ = read_tensors(first / "lsrgan" / "model.safetensors")
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


def test_what_can_not_be_rendered(
    first: Path, runs: dict[str, Path], refused: Callable[..., str], tmp_path: Path
) -> None:
    def train(*options: str) -> str:
        return refused("train", "lsrgan", "--out", tmp_path / "x", "--quiet", *options)

    encoder = f"--encoder={first / 'vae'}"
    for name in ("ae", "gen", "flexae-sr"):
        message = train(f"--encoder={runs[name]}")
        assert (
            "has no posterior q(z | x): lsrgan renders the encoder of a run such as vae" in message
        )
    assert "--latent-dim 7 belongs to the VAE that lsrgan trains itself" in train(
        encoder, "--latent-dim=7"
    )
    assert "--beta 2.0 belongs" in train(encoder, "--beta=2")
    message = train(encoder, "--image-size=16")
    assert "takes samples of shape (1, 8, 8), these data have (1, 16, 16)" in message
    assert "is no folder" in train(f"--encoder={tmp_path / 'nothing'}")
    assert "is no run" in train(f"--encoder={tmp_path}")
    assert "--encoder-config belongs to --encoder" in train("--encoder-config={}")
    assert "is no JSON" in train(encoder, "--encoder-config={")
    assert "names no recipe" in train(encoder, "--encoder-config=[]")
    assert "leaves none for the renderer" in train("--iterations=5", "--vae-iterations=5")
    assert "--weight must be at least 0" in train("--weight=-1")
    assert "--encoder must be the folder of a run" in train("--encoder=")
    message = refused("train", "lsrgan", encoder, "--out", first / "vae", "--overwrite", "--quiet")
    assert "is the run that this one begins with: choose another" in message
    assert (first / "vae" / "model.safetensors").exists()
    message = refused(
        "train",
        "vae",
        "--init-from",
        first / "vae",
        "--out",
        first / "vae",
        "--overwrite",
        "--quiet",
    )
    assert "is the run that this one begins with" in message
    assert "--hidden is not for --arch resnet" in refused(
        "train", "vae", "--arch=resnet", "--hidden=5", "--out", tmp_path / "x"
    )
    assert "images, not vectors" in train("--data=mog2")
    assert "fewer than a batch" in train("--batch-size=5000")
    assert not (tmp_path / "x").exists()


def test_an_encoder_whose_weights_are_not_its_configurations(
    first: Path, refused: Callable[..., str], tmp_path: Path
) -> None:
    shutil.copytree(first / "vae", tmp_path / "vae")
    text = (tmp_path / "vae" / "config.yaml").read_text()
    (tmp_path / "vae" / "config.yaml").write_text(text.replace("latent_dim: 3", "latent_dim: 4"))
    message = refused(
        "train", "lsrgan", f"--encoder={tmp_path / 'vae'}", "--out", tmp_path / "x", "--quiet"
    )
    assert "another configuration: there latent_dim is 3" in message
    assert not (tmp_path / "x").exists()


# commands


def test_reconstruct_by_either_decoder(
    first: Path, cli: Cli, refused: Callable[..., str], tmp_path: Path
) -> None:
    found: dict[str, Any] = {}
    for name, decoder in (
        ("own", ()),
        ("renderer", ("--decoder=renderer",)),
        ("vae", ("--decoder=vae",)),
    ):
        out = tmp_path / f"{name}.npz"
        status, _, err = cli("reconstruct", first / "lsrgan", *decoder, "--n=6", "--out", out)
        assert status == 0, err
        found[name] = np.load(out)["images"]
    cli("reconstruct", first / "vae", "--n=6", "--out", tmp_path / "v.npz")
    np.testing.assert_array_equal(found["vae"], np.load(tmp_path / "v.npz")["images"])
    np.testing.assert_array_equal(found["own"], found["renderer"])
    assert (found["own"] != found["vae"]).any()
    message = refused("reconstruct", first / "lsrgan", "--decoder=gan", "--out=x.png")
    assert "unknown decoder 'gan'" in message
    message = refused("reconstruct", first / "vae", "--decoder=vae", "--out=x.png")
    assert "unknown decoder 'vae'" in message
    drawn = []
    for decoder in ("renderer", "vae"):
        out = tmp_path / f"s-{decoder}.npz"
        status, _, err = cli(
            "sample", first / "lsrgan", "--n=4", f"--decoder={decoder}", "--out", out
        )
        assert status == 0, err
        drawn.append(np.load(out)["images"])
    cli("sample", first / "vae", "--n=4", "--out", tmp_path / "v.npz")
    np.testing.assert_array_equal(drawn[1], np.load(tmp_path / "v.npz")["images"])
    assert (drawn[0] != drawn[1]).any()


def test_imagine(first: Path, cli: Cli, refused: Callable[..., str], tmp_path: Path) -> None:
    files = []
    for i, image in enumerate(random_images(3, 20, 12, 3)):
        files.append(tmp_path / f"{i}.png")
        Image.fromarray(image).save(files[-1])
    status, _, err = cli(
        "imagine", first / "lsrgan", "--images", *files, "--draws=4", "--out", tmp_path / "a.npz"
    )
    assert status == 0, err
    held = np.load(tmp_path / "a.npz")
    assert held["images"].shape == (12, 8, 8)
    assert held["originals"].shape == (3, 8, 8)
    model = zspace.load(first / "lsrgan")
    assert isinstance(model, Variational)
    x = torch.from_numpy(held["originals"])[:, None].float() / 255
    expected = model.imagine(x, 4).flatten(0, 1).mul(255).round().byte()[:, 0].numpy()
    np.testing.assert_array_equal(held["images"], expected)
    status, _, err = cli(
        "imagine",
        first / "lsrgan",
        "--n=5",
        "--draws=8",
        "--decoder=vae",
        "--out",
        tmp_path / "b.png",
    )
    assert status == 0, err
    with Image.open(tmp_path / "b.png") as sheet:
        assert sheet.width / sheet.height == pytest.approx(9 / 5, rel=0.02)
    assert "a.txt is missing" in refused(
        "imagine", first / "lsrgan", "--images", "a.txt", "--out=x.png"
    )
    assert "is no file" in refused("imagine", first / "lsrgan", "--images", tmp_path, "--out=x.png")
    (tmp_path / "t.png").write_text("no picture")
    assert "broken or no image" in refused(
        "imagine", first / "lsrgan", "--images", tmp_path / "t.png", "--out=x.png"
    )
    assert "come after --images" in refused("imagine", first / "lsrgan", "a.png", "--out=x.png")
    assert "--draws must be at least 1" in refused(
        "imagine", first / "lsrgan", "--draws=0", "--out=x.png"
    )


def test_imagine_without_a_posterior(
    runs: dict[str, Path], refused: Callable[..., str], tmp_path: Path
) -> None:
    assert "no posterior q(z | x) to draw codes from" in refused(
        "imagine", runs["ae"], "--out=x.png"
    )
    zspace.train("vae", "mog2", out=tmp_path / "v", iterations=2, device="cpu", **SMALL)
    assert "trained on vectors" in refused("imagine", tmp_path / "v", "--out=x.png")


def test_an_image_range_that_does_not_fit(first: Path) -> None:
    model = zspace.load(first / "lsrgan")
    assert isinstance(model, Variational)
    for x in (2 * torch.rand(3, 1, 8, 8) - 1, 255 * torch.rand(3, 1, 8, 8)):
        for use in (model.imagine, model.reconstruct):
            with pytest.raises(InputError, match=r"images must lie in \[0, 1\], these reach from"):
                use(x)  # type: ignore[operator]
    with pytest.raises(InputError, match=r"must lie in \[0, 1\]"):
        model.imagine(torch.full((1, 1, 8, 8), math.nan))
    with pytest.raises(InputError, match="at least 1 draw"):
        model.imagine(torch.rand(1, 1, 8, 8), 0)


def test_draws_are_of_the_posterior(first: Path) -> None:
    model = zspace.load(first / "vae")
    assert isinstance(model, Variational)
    x = torch.rand(3, 1, 8, 8)
    z = model.draw(x, 4000)
    q: Any = model.posterior(x)
    torch.testing.assert_close(z.mean(1), q.mean, rtol=0, atol=0.08)
    torch.testing.assert_close(z.std(1), q.stddev, rtol=0.08, atol=0)
    assert torch.equal(z[:, :1], model.draw(x, 4000)[:, :1])
    assert not torch.equal(model.draw(x, 1, seed=1), model.draw(x, 1))


# experiments


def test_measurements_against_plain_numbers(first: Path, tmp_path: Path) -> None:
    held = measure_run(first / "lsrgan", features="classifier", device="cpu")
    assert isinstance(held.model, LSRGAN)
    of = Trained(Run(first / "lsrgan"), held.model, held)
    lab = Lab(tmp_path, {"variance_images": 20})
    measured = {e.measure: e.ours.value for e in measured_row(lab, of, "x", "LSR-GAN")}
    drawn = rendered(of, "LSR-GAN").x.double() / 255 * 2 - 1
    raw = held.test.double() / 255 * 2 - 1
    error = (drawn - raw).square().flatten(1).sum(1).mean()
    assert measured["mean squared error"] == pytest.approx(float(error), rel=1e-5)
    x = as_float(held.test[:20])
    images = (2 * held.model.imagine(x, 10) - 1).numpy()
    variance = images.var(1, ddof=1).sum((1, 2, 3)).mean()
    assert variance_of(of, "LSR-GAN", 20).value == pytest.approx(float(variance), rel=1e-5)
    assert measured["variance"] == pytest.approx(float(variance), rel=1e-5)
    neutral = held.features(held.reference, "logits").argmax(1)
    found = held.features(rendered(of, "LSR-GAN"), "logits").argmax(1)
    assert held.labels is not None
    assert measured["absolute accuracy"] == pytest.approx(
        float((found == held.labels).float().mean())
    )
    assert measured["relative accuracy"] == pytest.approx(float((found == neutral).float().mean()))


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shelf")


NAMES = [name for name in papers.EXPERIMENTS if name.startswith("lsrgan/")]


@pytest.mark.parametrize("name", NAMES)
def test_experiments_run(name: str, cli: Cli, shelf: Path, tmp_path: Path) -> None:
    status, out, err = cli(
        "reproduce",
        name,
        "--scale=smoke",
        "--data=digits",
        "--quiet",
        "--device=cpu",
        "--out",
        tmp_path / "o",
        "--runs",
        shelf,
    )
    assert status == 0, err
    assert "ours is of" in out
    held = json.loads((tmp_path / "o" / "table.json").read_text())
    # one VAE serves the other lambdas, one LSR-GAN several figures
    several = ("fig1", "fig4", "fig5", "table1", "table2")
    assert len(set(held["runs"])) == (2 if name.split("/")[1] in several else 1)
    known = run_options("lsrgan")
    for scale in papers.find(name).scales.values():
        given = scale.settings["options"]
        assert checked(known, given).items() >= given.items()
    assert papers.find(name).scales["paper"].reductions == ""


def test_the_paper_trains_for_its_epochs() -> None:
    plan = find("lsrgan")(Facts((3, 32, 32), train_images=45_000))
    assert [stage.iterations for stage in plan.stages] == [100 * 1406, 500 * 1406]
    assert {stage.batch_size for stage in plan.stages} == {32}
    assert plan.model.latent_dim == 128
    for stage in plan.stages:
        for optimizer in stage.method.optimizers().values():
            for group in optimizer.param_groups:
                assert (group["lr"], group["betas"]) == (2e-4, (0.5, 0.999))
    assert isinstance(plan.model, LSRGAN)
    assert plan.model.weight == 1 / 128


def test_one_batch_of_an_api_call() -> None:
    """From Python, without a folder: a trained LSR-GAN that draws and imagines."""
    model = api.train("lsrgan", "digits", iterations=6, width=4, latent_dim=3, device="cpu")
    assert isinstance(model, LSRGAN)
    assert model.sample(3).shape == (3, 1, 8, 8)
    assert model.imagine(torch.rand(2, 1, 8, 8), 5).shape == (2, 5, 1, 8, 8)

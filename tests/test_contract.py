"""What holds for every recipe, whatever it trains."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest
import torch
from torch.optim.swa_utils import AveragedModel

import zspace
from tests.conftest import SMALL, small
from zspace.core import Batches, Density, LatentModel
from zspace.data import Images, load
from zspace.data.images import Part
from zspace.errors import InputError
from zspace.options import options_of
from zspace.recipes import RECIPES, Facts, Plan, Stage
from zspace.storage.optimizers import owned
from zspace.training import descend, fit, owners_alone

RECIPE = pytest.mark.parametrize("name", RECIPES)
FIRST = {
    "regene": {"classifier_iterations": 4},
    "lsrgan": {"vae_iterations": 4},
    "two-stage-vae": {"first_iterations": 4},
    "latent-flow": {"first_iterations": 4},
}
"""How the first of two stages is given an end."""
GANS = ("dcgan", "wgan-gp", "sngan")
LABELS = dict.fromkeys(("cvae", *GANS), 3)
"""What the classes "abc" add to a code."""
SHAPES = [
    (1, 8, 8),
    (3, 8, 8),
    (1, 17, 17),
    (1, 28, 28),
    (3, 32, 32),
    (1, 45, 30),
    (1, 45, 45),
    (3, 64, 64),
    (3, 96, 96),
    (1, 12, 20),
    (3, 218, 178),
]


def plan(name: str, shape: tuple[int, ...] = (1, 8, 8), **options: object) -> Plan:
    torch.manual_seed(0)
    facts = Facts(shape, tuple("abc"), train_images=64)
    return RECIPES[name](facts, **{**small(name), **options})  # type: ignore[call-arg]


def batches(of: Stage, shape: tuple[int, ...] = (1, 8, 8), n: int = 64) -> Batches:
    x = torch.randint(0, 256, (n, *shape), generator=torch.Generator().manual_seed(1))
    part = Part(x.to(torch.uint8), torch.arange(n) % 3)
    data = of.data(Images("random", part, part, part, tuple("abc")))
    return Batches(data.x, data.y, size=8, reserve=of.reserve)


@RECIPE
def test_terms_are_finite_and_named_by_optimisers(name: str) -> None:
    for stage in plan(name).stages:
        optimizers = stage.method.optimizers()
        owners_alone(stage.method, optimizers)
        seen = set()
        for optimizer, terms in stage.method.objectives(batches(stage)):
            seen.add(optimizer)
            for term in terms.values():
                assert term.shape == ()
                assert torch.isfinite(term)
            descend(optimizers[optimizer], terms)
        assert seen == set(optimizers)


@RECIPE
def test_an_update_moves_its_owners_parameters_and_no_others(name: str) -> None:
    of = plan(name)
    model = of.model
    for stage in of.stages:
        optimizers = stage.method.optimizers()
        owners_alone(stage.method, optimizers)
        for optimizer, terms in stage.method.objectives(batches(stage)):
            before = {k: p.clone() for k, p in model.named_parameters()}
            descend(optimizers[optimizer], terms)
            mine = {id(p) for p in owned(optimizers[optimizer])}
            moved = {k for k, p in model.named_parameters() if not torch.equal(p, before[k])}
            for k, p in model.named_parameters():
                if id(p) not in mine:
                    assert k not in moved, f"{optimizer} moved {k}"
            assert moved, f"{optimizer} moved nothing"
            assert all(p.grad is None for p in model.parameters())


@RECIPE
def test_every_parameter_belongs_to_an_optimiser(name: str) -> None:
    of = plan(name)
    mine = {id(p) for s in of.stages for o in s.method.optimizers().values() for p in owned(o)}
    averages = [m for m in of.model.modules() if isinstance(m, AveragedModel)]
    mine |= {id(p) for average in averages for p in average.parameters()}
    assert {k for k, p in of.model.named_parameters() if id(p) not in mine} == set()


@RECIPE
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(name: str, shape: tuple[int, ...]) -> None:
    model = plan(name, shape).model.eval()
    x = torch.rand(4, *shape)
    dim = model.latent_dim
    assert dim == small(name).get("latent_dim", dim) + LABELS.get(name, 0) or name == "vq-vae"
    assert model.encode(x).shape == (4, dim)
    assert model.decode(torch.randn(5, dim)).shape == (5, *shape)
    rebuilt = model.reconstruct(x)
    assert rebuilt.shape == x.shape
    assert 0 <= rebuilt.min() <= rebuilt.max() <= 1
    assert model.interpolate(x[:2], x[2:], 5).shape == (2, 5, *shape)
    if model.prior is not None:
        assert model.prior.sample(6).shape == (6, dim)
        assert model.sample(2).shape == (2, *shape)
        assert model.prior.dim == dim
        if isinstance(model.prior, Density):
            with pytest.raises(InputError, match=f"this density is of {dim}"):
                model.prior.log_prob(torch.zeros(3, dim + 1))
    else:
        with pytest.raises(InputError, match="no prior"):
            model.sample(2)


@RECIPE
@pytest.mark.parametrize("shape", [(1, 17, 17), (3, 45, 30)])
def test_images_of_any_size_are_learned(name: str, shape: tuple[int, ...]) -> None:
    for stage in plan(name, shape).stages:
        optimizers = stage.method.optimizers()
        owners_alone(stage.method, optimizers)
        for optimizer, terms in stage.method.objectives(batches(stage, shape)):
            descend(optimizers[optimizer], terms)
            for term in terms.values():
                assert torch.isfinite(term)


@RECIPE
def test_vectors(name: str) -> None:
    if name == "flexae-sr":
        with pytest.raises(InputError, match="Table 6 has none for vectors"):
            plan(name, (12,))
        return
    if name in ("regene", "vae-mlp", "lsrgan", "vq-vae", "latent-flow", *GANS):
        with pytest.raises(InputError, match="images, not vectors"):
            plan(name, (12,))
        return
    model = plan(name, (12,)).model.eval()
    assert model.decode(model.encode(torch.rand(4, 12))).shape == (4, 12)


@RECIPE
def test_interpolation_ends_in_the_reconstructions(name: str) -> None:
    model = plan(name).model.eval()
    a, b = torch.rand(3, 1, 8, 8), torch.rand(3, 1, 8, 8)
    rows = model.interpolate(a, b, 3)
    torch.testing.assert_close(rows[:, 0], model.reconstruct(a))
    torch.testing.assert_close(rows[:, -1], model.reconstruct(b))
    middle = model.decode((model.encode(a) + model.encode(b)) / 2)
    torch.testing.assert_close(rows[:, 1], middle)


@RECIPE
def test_same_seed_same_bytes(name: str, tmp_path: Path) -> None:
    for i in "ab":
        zspace.train(
            name, "digits", out=tmp_path / i, iterations=12, seed=5, device="cpu", **small(name)
        )
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*.*"))
    assert Path("model.safetensors") in files
    assert len(files) >= 7
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


@RECIPE
def test_another_seed_gives_other_weights(name: str) -> None:
    a, b = (
        zspace.train(name, "digits", iterations=2, seed=s, device="cpu", **small(name))
        for s in (0, 1)
    )
    assert not torch.equal(next(a.parameters()), next(b.parameters()))


@pytest.mark.usefixtures("undrawn")
@RECIPE
def test_a_saved_model_is_the_trained_one(name: str, tmp_path: Path) -> None:
    out = tmp_path / "r"
    model = zspace.train(name, "digits", out=out, iterations=3, device="cpu", **small(name))
    loaded = zspace.load(tmp_path / "r")
    assert not loaded.training
    for (k, a), (_, b) in zip(model.state_dict().items(), loaded.state_dict().items(), strict=True):
        assert torch.equal(a, b), k
    x = torch.rand(2, 1, 8, 8)
    torch.testing.assert_close(model.reconstruct(x), loaded.reconstruct(x), rtol=0, atol=0)


@pytest.mark.usefixtures("undrawn")
@RECIPE
def test_resumed_equals_uninterrupted(name: str, tmp_path: Path) -> None:
    stages = FIRST.get(name, {})
    whole = zspace.train(
        name,
        "digits",
        out=tmp_path / "w",
        iterations=9,
        checkpoint_every=1,
        keep=0,
        device="cpu",
        **small(name),
        **stages,
    )
    # killed after so many iterations: within a stage, where one ends, within the next
    for done in (2, 4, 6) if stages else (4,):
        killed = tmp_path / f"r{done}"
        shutil.copytree(tmp_path / "w", killed)
        (killed / "model.safetensors").unlink()
        for path in (killed / "checkpoints").iterdir():
            if int(path.stem) > done:
                path.unlink()
        # a second process would begin with another random state
        torch.manual_seed(99)
        resumed = zspace.resume(killed)
        for (k, a), (_, b) in zip(
            whole.state_dict().items(), resumed.state_dict().items(), strict=True
        ):
            assert torch.equal(a, b), (done, k)
        log = "log.jsonl"
        assert (killed / log).read_bytes() == (tmp_path / "w" / log).read_bytes()


def test_a_resumed_run_has_the_pictures_of_an_uninterrupted_one(tmp_path: Path) -> None:
    for name, iterations in (("whole", (9,)), ("resumed", (4, 9))):
        first, *further = iterations
        run = tmp_path / name
        zspace.train("vae", "digits", out=run, iterations=first, device="cpu", **SMALL)
        for more in further:
            zspace.resume(run, iterations=more)
    drawn = sorted(path.name for path in (tmp_path / "whole").glob("*.png"))
    assert {"samples.png", "reconstructions.png", "losses.png"} <= {*drawn}
    for picture in drawn:
        whole, resumed = ((tmp_path / of / picture).read_bytes() for of in ("whole", "resumed"))
        assert resumed == whole, picture


@pytest.mark.usefixtures("undrawn")
@RECIPE
def test_trained_further_equals_uninterrupted(name: str, tmp_path: Path) -> None:
    # a schedule stays as it was laid when training began
    stages = dict.fromkeys(FIRST.get(name, {}), 2)
    stages |= {"schedule_iterations": 2} if name in ("regene", "latent-flow") else {}
    whole = zspace.train(name, "digits", iterations=9, device="cpu", **small(name), **stages)
    zspace.train(
        name, "digits", out=tmp_path / "r", iterations=4, device="cpu", **small(name), **stages
    )
    torch.manual_seed(99)
    further = zspace.resume(tmp_path / "r", iterations=9)
    for (k, a), (_, b) in zip(
        whole.state_dict().items(), further.state_dict().items(), strict=True
    ):
        assert torch.equal(a, b), k


@pytest.mark.parametrize("name", [n for n in RECIPES if n not in (*GANS, "alae", "pioneer")])
def test_a_few_iterations_lower_the_reconstruction_error(name: str) -> None:
    def error(model: LatentModel) -> float:
        return float((model.reconstruct(x) - x).square().mean())

    images = load("digits")
    x = images.test.x.float() / 255
    larger = {"width": 8, "decoder_width": 16, "latent_dim": 8, "hidden": 64}
    options = {**small(name), **{k: v for k, v in larger.items() if k in small(name)}}
    # nearly all of it the autoencoder's: a renderer is not meant to come back to the image
    first_stage = {
        "lsrgan": "vae_iterations",
        "two-stage-vae": "first_iterations",
        "latent-flow": "first_iterations",
    }
    most = {first_stage[name]: 140} if name in first_stage else {}
    options |= {"rate": 2e-3} if name in (*first_stage, "vq-vae") else {}
    first, trained = (
        zspace.train(name, images, iterations=n, device="cpu", **options, **more)
        for n, more in ((2, {}), (150, most))
    )
    assert error(trained) < 0.6 * error(first)


@RECIPE
def test_bf16_trains(name: str) -> None:
    of = plan(name)
    for stage in of.stages:
        fit(stage.method, batches(stage), 3, precision="bf16")
    assert all(bool(torch.isfinite(p).all()) for p in of.model.parameters())
    assert {p.dtype for p in of.model.parameters()} == {torch.float32}


def test_bf16_trains_a_bernoulli_vae() -> None:
    """Means that bfloat16 would round to 0 and 1 are where a logarithm goes wrong."""
    zspace.train(
        "vae",
        "digits",
        iterations=40,
        likelihood="bernoulli",
        precision="bf16",
        rate=2e-3,
        device="cpu",
        **SMALL,
    )


@RECIPE
def test_every_option_is_documented_and_has_a_default(name: str) -> None:
    options = options_of(RECIPES[name])
    assert "iterations" in options
    assert "batch_size" in options
    for option in options.values():
        assert option.about.text
        assert option.check(option.default) == option.default
        if option.kind is not bool and not option.choices and option.about.least is not None:
            with pytest.raises(InputError, match=option.flag):
                option.check(option.about.least - 1)
        if option.kind is float:
            with pytest.raises(InputError, match=option.flag):
                option.check(math.nan)

"""The Python entry points."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import zspace
from tests.conftest import SMALL, Cli, Told, random_images, small
from zspace import api
from zspace.core import Variational
from zspace.data import load as load_data
from zspace.errors import InputError
from zspace.methods.lsrgan import LSRGAN
from zspace.options import options_of
from zspace.recipes import RECIPES, Facts, find, plan_of
from zspace.samplers import Normal
from zspace.samplers.kde import optimal_bandwidths


def test_arrays_in_memory(tmp_path: Path) -> None:
    x = random_images(200, 12, 12)
    model = zspace.train("vae", x, out=tmp_path / "run", iterations=4, device="cpu", **SMALL)
    assert model.sample(3).shape == (3, 1, 12, 12)
    resumed = zspace.resume(tmp_path / "run", iterations=6)
    (tmp_path / "run" / "data.safetensors").unlink()
    with pytest.raises(InputError, match=r"keeps none: give them again .data= in Python"):
        zspace.resume(tmp_path / "run", iterations=8)
    resumed = zspace.resume(tmp_path / "run", iterations=8, data=x)
    whole = zspace.train("vae", torch.from_numpy(x), iterations=8, device="cpu", **SMALL)
    for a, b in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    "data, message",
    [
        (np.full((50, 8, 8), np.nan), "NaN or infinite"),
        (np.full((50, 8, 8), 2.0), "ranges over"),
        (np.zeros((50, 8, 8, 2), np.uint8), "channels"),
        (np.zeros((0, 8, 8), np.uint8), "at least one"),
        (np.zeros((12, 8, 8), np.uint8), "fewer than a batch"),
    ],
)
def test_bad_arrays(data: np.ndarray, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        zspace.train("ae", data, out=tmp_path / "run", device="cpu", **SMALL)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("recipe", [name for name in RECIPES if name != "lsrgan"])
def test_models_say_which_shape_they_take(recipe: str) -> None:
    defaults = {name: option.default for name, option in options_of(find(recipe)).items()}
    config = {**defaults, **small(recipe), "recipe": recipe}
    model = plan_of(config, Facts((1, 8, 8), ("a", "b"), train_images=1000)).model.eval()
    x = torch.rand(2, 3, 8, 8)
    for function in (model.encode, model.reconstruct, lambda x: model.interpolate(x, x)):
        with pytest.raises(InputError, match=r"takes samples \(N, 1, 8, 8\), not \(2, 3, 8, 8\)"):
            function(x)


def test_other_shapes_are_refused_by_trained_models(runs: dict[str, Path]) -> None:
    model = zspace.load(runs["vae"])
    assert isinstance(model, Variational)
    for x in (torch.rand(2, 3, 8, 8), torch.rand(2, 1, 9, 8), torch.rand(2, 64)):
        for function in (model.encode, model.reconstruct, model.imagine, model.draw):
            with pytest.raises(InputError, match=r"takes samples \(N, 1, 8, 8\), not"):
                function(x)


@pytest.mark.parametrize(
    "x, message",
    [
        (np.zeros((2, 1, 8, 8), np.float32), "not ndarray"),
        (torch.zeros(2, 1, 8, 8, dtype=torch.uint8), r"not torch\.uint8"),
        ([1, 2], "not list"),
    ],
)
def test_what_models_refuse(runs: dict[str, Path], x: object, message: str) -> None:
    for name in ("ae", "vae"):
        model = zspace.load(runs[name])
        for function in (model.encode, model.reconstruct):
            with pytest.raises(InputError, match=message):
                function(x)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"codes must be .N, 3., not .2, 5."):
        model.decode(torch.zeros(2, 5))
    with pytest.raises(InputError, match=r"n must be a whole number from 1 .* not 1\.5"):
        model.sample(1.5)  # type: ignore[arg-type]


def test_what_is_asked_of_a_training_by_a_wrong_number(runs: dict[str, Path]) -> None:
    for iterations in (7.5, "8", True):
        with pytest.raises(InputError, match="iterations must be a whole number"):
            zspace.resume(runs["ae"], iterations=iterations)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="2 iterations can't be timed: 3 at least"):
        api.time_of_iteration("ae", "digits", iterations=2, device="cpu", **SMALL)
    for iterations in (3, 4):
        took = api.time_of_iteration("ae", "digits", iterations=iterations, device="cpu", **SMALL)
        assert took > 0


def test_what_users_need_stands_at_the_top(runs: dict[str, Path]) -> None:
    assert {*zspace.__all__} == {*zspace.PLACES, "__version__"} <= {*dir(zspace)}
    assert isinstance(zspace.load(runs["vae"]).prior, zspace.Sampler)
    evaluation = zspace.evaluate(runs["vae"], metrics="mse", n=20)
    assert zspace.compare([evaluation])[0].header[0] == "run"
    with pytest.raises(InputError, match="no such folder or file"):
        zspace.novelty(runs["vae"], data="nowhere/x.npy")
    with pytest.raises(InputError, match="unknown sampler"):
        zspace.tune(runs["vae"], "nothing")


def test_a_model_draws_by_seed_and_name_as_a_sampler_does() -> None:
    options = {"classes": "3,7", "iterations": 2, "device": "cpu"}
    model = zspace.train("cvae", "digits", **options, **small("cvae"))
    drawn = model.sample(3, "7", seed=1)
    assert torch.equal(drawn, model.sample(3, 1, generator=torch.Generator().manual_seed(1)))
    assert not torch.equal(drawn, model.sample(3, "7", seed=2))
    assert not torch.equal(drawn, model.sample(3, "3", seed=1))
    with pytest.raises(InputError, match="unknown label '8'"):
        model.sample(3, "8")
    with pytest.raises(InputError, match="give either a seed or a generator"):
        model.sample(3, seed=1, generator=torch.Generator())


def test_codes_become_arrays_at_once(runs: dict[str, Path]) -> None:
    x = torch.rand(2, 1, 8, 8)
    trained = zspace.train("vae", "digits", iterations=2, device="cpu", **SMALL)
    for model in (trained, zspace.load(runs["ae"])):
        assert model.encode(x).numpy().shape == (2, 3)
        assert model.decode(model.encode(x)).numpy().shape == (2, 1, 8, 8)
        z = model.encode(x).requires_grad_()  # gradients that are asked for are there
        model.decode(z).sum().backward()
        assert z.grad is not None


def test_a_model_is_no_run(runs: dict[str, Path]) -> None:
    model: Any = zspace.load(runs["ae"])
    takers: list[Callable[[Any], object]] = [
        zspace.evaluate,
        zspace.load,
        zspace.resume,
        lambda given: zspace.fit_sampler(given, "normal"),
    ]
    for function in takers:
        with pytest.raises(
            InputError, match=r"expected a run's folder, not a model: zspace\.train"
        ):
            function(model)
    with pytest.raises(InputError, match="expected a run's folder, not None"):
        zspace.load(None)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"zspace\.fit_sampler\(RUN, 'mixture'\)"):
        model.sample(4)


def test_arrays_take_the_options_of_data() -> None:
    x = random_images(200, 12, 12)
    model = zspace.train("ae", x, image_size=8, train_size=50, iterations=1, device="cpu", **SMALL)
    assert model.reconstruct(torch.rand(2, 1, 8, 8)).shape == (2, 1, 8, 8)
    with pytest.raises(InputError, match="has no labels"):
        zspace.train("ae", x, classes="1", iterations=1, **SMALL)
    with pytest.raises(InputError, match=r"item 1 of the data has shape .1,."):
        zspace.train("ae", [[1, 2], [3]], iterations=1, **SMALL)  # type: ignore[arg-type]


def test_unknown_options_name_the_nearest() -> None:
    with pytest.raises(InputError, match="unknown option of vae 'betta': did you mean 'beta'"):
        zspace.train("vae", "digits", betta=2)
    with pytest.raises(InputError, match="--beta must be a number, not 'x'"):
        zspace.train("vae", "digits", beta="x")


def test_training_leaves_the_callers_random_numbers_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    zspace.train("vae", "digits", iterations=2, device="cpu", **SMALL)
    assert torch.equal(torch.rand(3), expected)


def test_changed_data_are_refused(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (200, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "x.npy", x)
    zspace.train(
        "ae", tmp_path / "x.npy", out=tmp_path / "run", iterations=4, device="cpu", **SMALL
    )
    np.save(tmp_path / "x.npy", x[:150])
    with pytest.raises(InputError, match=r"not those that .* was trained on"):
        zspace.resume(tmp_path / "run", iterations=8)


def test_init_from_takes_what_agrees_and_lists_the_rest(runs: dict[str, Path]) -> None:
    told = Told()
    options = {**SMALL, "latent_dim": 5}
    zspace.train(
        "ae",
        "digits",
        iterations=1,
        device="cpu",
        init_from=str(runs["ae"]),
        progress=told,
        **options,
    )
    # of the code's two neighbours, three tensors have another shape
    text = " ".join(told.said)
    assert "not taken: encoder.9.weight, encoder.9.bias, decoder.0.weight" in text
    with pytest.raises(InputError, match="no weight agrees"):
        zspace.train("ae", "mog2", iterations=1, device="cpu", init_from=str(runs["ae"]))


def test_a_finished_run_says_so(runs: dict[str, Path], cli: Cli, tmp_path: Path) -> None:
    shutil.copytree(runs["ae"], tmp_path / "run")
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    status, _, err = cli("resume", tmp_path / "run")
    assert status == 0
    assert "is finished" in err
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before


def test_one_batch_of_an_api_call() -> None:
    """From Python, without a folder: a trained LSR-GAN that draws and imagines."""
    model = api.train("lsrgan", "digits", iterations=6, width=4, latent_dim=3, device="cpu")
    assert isinstance(model, LSRGAN)
    assert model.sample(3).shape == (3, 1, 8, 8)
    assert model.imagine(torch.rand(2, 1, 8, 8), 5).shape == (2, 5, 1, 8, 8)


@pytest.mark.parametrize(
    "name, value",
    [
        ("train_size", 20),
        ("classes", "0,1"),
        ("image_size", 8),
        ("channels", 3),
        ("validation", 0.2),
        ("data_dir", "."),
        ("crop", "140"),
    ],
)
def test_options_that_do_not_apply_to_images(name: str, value: object) -> None:
    images = load_data("digits")
    with pytest.raises(InputError, match=f"{name} does not apply to Images: give it to zspace"):
        zspace.train("ae", images, iterations=1, device="cpu", **{name: value}, **SMALL)


@pytest.mark.parametrize(
    "name, value", [("data_dir", "."), ("crop", "140"), ("label_attribute", "Male")]
)
def test_options_that_do_not_apply_to_arrays(name: str, value: str) -> None:
    x = np.zeros((40, 8, 8), np.uint8)
    for data in (x, torch.from_numpy(x)):
        with pytest.raises(InputError, match=f"{name} does not apply to arrays: leave it out"):
            zspace.train("ae", data, iterations=1, device="cpu", **{name: value}, **SMALL)


def test_masked_arrays_are_refused() -> None:
    x = np.ma.masked_equal(np.arange(40 * 64, dtype=np.uint8).reshape(40, 8, 8), 3)
    with pytest.raises(InputError, match="the data: a masked array has gaps"):
        zspace.train("ae", x, iterations=1, device="cpu", **SMALL)


def test_no_call_moves_the_global_generator(runs: dict[str, Path]) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    model = zspace.load(runs["vae"], device="cpu")
    optimal_bandwidths(Normal(2), 20, trials=1, queries=20)
    zspace.fit_sampler(runs["vae"], "mixture", {"components": 2}, device="cpu")
    zspace.evaluate(runs["vae"], metrics=["fid", "kid"], features="pixels", device="cpu")
    model.sample(2, seed=1)
    assert torch.equal(before, torch.get_rng_state())

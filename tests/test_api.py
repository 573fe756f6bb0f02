"""The Python entry points."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
import torch

import zspace
from tests.conftest import SMALL, random_images
from zspace import recipes
from zspace.errors import InputError
from zspace.options import About, checked, options_of
from zspace.recipes import Facts, Plan


def test_arrays_in_memory(tmp_path: Path) -> None:
    x = random_images(200, 12, 12)
    model = zspace.train("vae", x, out=tmp_path / "run", iterations=4, device="cpu", **SMALL)
    assert model.sample(3).shape == (3, 1, 12, 12)
    with pytest.raises(InputError, match="was trained on an array in Python: give the data again"):
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
    with pytest.raises(InputError, match=r"n must be at least 1, a whole number, not 1\.5"):
        model.sample(1.5)  # type: ignore[arg-type]


def test_arrays_take_the_options_of_data() -> None:
    x = random_images(200, 12, 12)
    model = zspace.train("ae", x, image_size=8, train_size=50, iterations=1, device="cpu", **SMALL)
    assert model.reconstruct(torch.rand(2, 1, 8, 8)).shape == (2, 1, 8, 8)
    with pytest.raises(InputError, match="has no labels"):
        zspace.train("ae", x, classes="1", iterations=1, **SMALL)
    with pytest.raises(InputError, match="no array of numbers"):
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


def test_sample_is_seeded_by_its_generator(runs: dict[str, Path]) -> None:
    model = zspace.load(runs["flexae-sr"])
    a, b = (model.sample(4, generator=torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(a, b)
    assert not a.requires_grad
    with pytest.raises(InputError, match="n must be at least 1"):
        model.sample(0)
    with pytest.raises(InputError, match="at least 2 steps"):
        model.interpolate(a, b, 1)
    with pytest.raises(InputError, match="give as many of each"):
        model.interpolate(a, b[:2])


def test_posterior_of_a_vae(runs: dict[str, Path]) -> None:
    from zspace.core import Variational

    model = zspace.load(runs["vae"])
    assert isinstance(model, Variational)
    posterior = model.posterior(torch.rand(5, 1, 8, 8))
    assert posterior.batch_shape == (5,)
    assert posterior.event_shape == (3,)
    assert posterior.log_prob(torch.zeros(5, 3)).shape == (5,)


def toy(
    facts: Facts, *, iterations: Annotated[int, About("training iterations", least=1)] = 2
) -> Plan:
    """A recipe of another package."""
    return recipes.RECIPES["ae"](facts, iterations=iterations, width=2, hidden=4)  # type: ignore[call-arg]


def test_recipes_of_other_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    entry = importlib.metadata.EntryPoint("toy", "tests.test_api:toy", "zspace.recipes")
    broken = importlib.metadata.EntryPoint("broken", "tests.nowhere:x", "zspace.recipes")
    monkeypatch.setattr(recipes, "entry_points", lambda group: [entry, broken])
    assert recipes.recipes()[-2:] == ["broken", "toy"]
    zspace.train("toy", "digits", out=tmp_path / "run", iterations=3, device="cpu")
    assert zspace.load(tmp_path / "run").encode(torch.rand(1, 1, 8, 8)).shape == (1, 20)
    with pytest.raises(InputError, match=r"the recipe 'broken' of tests\.nowhere:x fails"):
        zspace.train("broken", "digits")


def test_options_of_a_signature() -> None:
    options = options_of(toy)
    assert list(options) == ["iterations"]
    assert checked(options, {}) == {"iterations": 2}
    assert checked(options, {"iterations": "7"}) == {"iterations": 7}
    for bad in (0, 1.5, "x", None, True, float("inf"), [1]):
        with pytest.raises(InputError, match="--iterations must be"):
            checked(options, {"iterations": bad})

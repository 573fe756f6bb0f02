"""Samplers are fitted once, kept with their run, and go on where they stopped."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import zspace
from tests.conftest import Told, sampler_of, small_run
from tests.samplers.shared import BRIEF, KIND, LEARNED
from zspace.core import codes
from zspace.data import load as load_data
from zspace.errors import InputError
from zspace.generation.fit import fit_sampler, refit_sampler
from zspace.recipes.catalogue import SAMPLERS, Header
from zspace.samplers import Convex, FlowMatching, Learned
from zspace.storage.files import read_header
from zspace.storage.run import Run


@KIND
def test_a_sampler_is_fitted_once_and_belongs_to_its_model(name: str, tmp_path: Path) -> None:
    small = {"width": 4, "hidden": 16, "latent_dim": 3, "batch_size": 16}
    run = tmp_path / "run"
    zspace.train("ae", "digits", out=run, iterations=10, device="cpu", keep=0, **small)
    model = zspace.load(run)
    if name.startswith("medium"):
        with pytest.raises(InputError, match=f"{name} has no theta: 'zspace tune RUN"):
            sampler_of(run, name, model)
        fit_sampler(run, name, {"theta": "0,0.5,1"})
    elif issubclass(SAMPLERS[name], Learned):
        fit_sampler(run, name, BRIEF)
    sampler_of(run, name, model)
    path = run / "samplers" / f"{name}.safetensors"
    first = path.read_bytes()
    sampler_of(run, name, model)
    assert path.read_bytes() == first
    # other weights, other codes: the stored one would be wrong
    early = zspace.load(run, checkpoint=5)
    sampler_of(run, name, early)
    assert hashlib.md5(path.read_bytes()).digest() != hashlib.md5(first).digest()


@pytest.mark.parametrize("recipe", ["ae", "vae", "flexae-sr", "gen", "regene"])
def test_it_fits_any_model(runs: dict[str, Path], recipe: str, tmp_path: Path) -> None:
    model = zspace.load(runs[recipe])
    convex = sampler_of(runs[recipe], "convex", model)
    assert isinstance(convex, Convex)
    made = convex.combined(5, 3, generator=torch.Generator().manual_seed(0))
    assert set(made.trials) == ({"latent space", "image space"} if recipe == "regene" else set())
    train = load_data("digits").train
    assert train.y is not None
    assert bool((train.y[made.sources] == 3).all())
    z = codes(model, train.x)
    torch.testing.assert_close(made.codes, z[made.sources].mean(1), rtol=1e-4, atol=1e-5)
    # what was stored is what was fitted
    again = sampler_of(runs[recipe], "convex", model)
    assert isinstance(again, Convex)
    assert torch.equal(again.codes, convex.codes)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("learned") / "run")


class Killed(Exception):
    pass


@pytest.mark.parametrize("name", LEARNED)
def test_a_fit_that_is_killed_goes_on_to_the_same_end(name: str, run: Path) -> None:
    options = {"iterations": 30, "batch_size": 32}
    path = run / "samplers" / f"{name}.safetensors"
    fit_sampler(run, name, options)
    whole = path.read_bytes()
    path.unlink()
    fit_sampler(run, name, {**options, "seed": 1})  # another fit in its place: begins anew
    assert path.read_bytes() != whole
    path.unlink()

    class Killing(Told):
        def __call__(self, done: int, *more: Any) -> None:
            if done >= 20:
                raise Killed

    with pytest.raises(Killed):
        fit_sampler(run, name, options, progress=Killing())
    assert not path.exists()
    stopped = max(Run(run / "samplers" / name).checkpoints())
    assert 0 < stopped < 30
    told = Told()
    # drawing is enough: the fit's own options are known
    sampler_of(run, name, zspace.load(run))
    assert hashlib.md5(path.read_bytes()).digest() == hashlib.md5(whole).digest()
    fit_sampler(run, name, {**options, "iterations": 40}, progress=told)
    assert told.said.pop() == "this fit has done 30 iterations of 40: it goes on"
    longer = path.read_bytes()
    path.write_bytes(longer[:1000])  # damaged: its fit is still there
    sampler_of(run, name, zspace.load(run))
    assert path.read_bytes() == longer
    with pytest.raises(InputError, match=r"this fit has done 40 iterations .remove the folder"):
        fit_sampler(run, name, options)
    fit_sampler(run, name, {**options, "iterations": 40}, progress=told)
    assert told.said.pop().startswith("this fit of 40 iterations is done")
    folder = run / "samplers" / name
    (checkpoint,) = Run(folder).checkpoints().values()
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"truncated.*remove the folder .* to begin anew"):
        fit_sampler(run, name, {**options, "iterations": 50})
    fit_sampler(run, name, {**options, "seed": 2}, progress=told)
    assert "had 40 iterations of a fit by other options" in told.said.pop()
    (folder / "config.yaml").unlink()
    with pytest.raises(InputError, match="is no fit of a sampler: move it away"):
        fit_sampler(run, name, options)
    shutil.rmtree(folder)
    path.unlink()


def test_a_longer_fit_is_kept_where_no_iterations_are_asked_for(run: Path) -> None:
    options = {"width": 8, "blocks": 1}
    told = Told()
    fit_sampler(run, "flow-matching", {**options, "iterations": 260})
    path = run / "samplers" / "flow-matching.safetensors"
    longer = path.read_bytes()
    fit_sampler(run, "flow-matching", options, progress=told)
    assert told.said.pop().startswith("this fit of 260 iterations is done")
    assert path.read_bytes() == longer
    shutil.rmtree(run / "samplers" / "flow-matching")
    path.unlink()


def test_a_longer_fit_that_was_interrupted_goes_on_to_its_own_end(run: Path) -> None:
    class Stopping(Told):
        def __call__(self, done: int, *more: Any) -> None:
            if done >= 150:
                raise Killed

    options = {"width": 8, "blocks": 1}
    with pytest.raises(Killed):
        fit_sampler(run, "flow-matching", {**options, "iterations": 300}, progress=Stopping())
    told = Told()
    fit_sampler(run, "flow-matching", options, progress=told)
    assert "iterations of 300: it goes on" in told.said.pop()
    folder = run / "samplers" / "flow-matching"
    assert max(Run(folder).checkpoints()) == Run(folder).config["iterations"] == 300
    shutil.rmtree(folder)
    folder.with_suffix(".safetensors").unlink()


def test_files_of_other_samplers_and_folders_in_the_way(run: Path) -> None:
    model = zspace.load(run)
    sampler_of(run, "normal", model)
    path = run / "samplers" / "flow.safetensors"
    path.write_bytes((run / "samplers" / "normal.safetensors").read_bytes())
    with pytest.raises(InputError, match=r"is no sampler flow: 'zspace fit-sampler .* makes it"):
        sampler_of(run, "flow", model)
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match="is a folder: move it away"):
        fit_sampler(run, "flow", BRIEF)
    path.rmdir()
    folder = run / "samplers" / "flow"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is no fit of a sampler: move it away"):
        fit_sampler(run, "flow", BRIEF)
    assert (folder / "notes.txt").read_text() == "mine"
    shutil.rmtree(folder)


def test_how_codes_are_drawn_is_no_reason_to_learn_again(run: Path) -> None:
    fit_sampler(run, "flow-matching", BRIEF)
    log = run / "samplers" / "flow-matching" / "log.jsonl"
    before = log.read_bytes()
    told = Told()
    for drawing in ({"steps": 3, "guidance": 2.0}, {"solver": "adaptive"}):
        fit_sampler(run, "flow-matching", {**BRIEF, **drawing}, progress=told)
        assert not told.calls
        assert log.read_bytes() == before
        loaded = sampler_of(run, "flow-matching", zspace.load(run))
        assert isinstance(loaded, FlowMatching)
        assert {name: getattr(loaded.inner, name) for name in drawing} == drawing


def test_a_fit_gives_the_same_bytes_whatever_was_drawn_before(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    """A checkpoint holds the state of PyTorch's global generator, too."""
    made: list[bytes] = []
    for seed in (1, 2):
        run = tmp_path / str(seed)
        shutil.copytree(runs["ae"], run)
        torch.manual_seed(seed)
        fit_sampler(run, "flow-matching", {"iterations": 3, "batch_size": 16, "width": 8})
        (path,) = (run / "samplers" / "flow-matching" / "checkpoints").glob("*3.safetensors")
        made.append(path.read_bytes())
    assert made[0] == made[1]


def test_what_is_fitted_anew_is_what_was_asked_for(tmp_path: Path) -> None:
    """Not the values that an earlier fit found, which other codes may not give."""
    run = small_run(tmp_path / "run")
    model = zspace.load(run)
    path = run / "samplers" / "{}.safetensors"
    fit_sampler(run, "mixture", {"components": "auto"})
    fit_sampler(run, "convex", {})
    for name, option, asked in (("mixture", "components", "auto"), ("convex", "sources", None)):
        file = path.with_stem(name)
        first = read_header(file, Header)
        assert isinstance(first.options[option], int)
        assert first.asked[option] == asked
        refit_sampler(run, name, model)
        assert read_header(file, Header) == first
    few = zspace.data.load("digits", train_size=300)
    refit_sampler(run, "convex", model, images=few)
    assert read_header(path.with_stem("convex"), Header).options["sources"] == 300
    refit_sampler(run, "convex", model)
    assert read_header(path.with_stem("convex"), Header).options["sources"] > 1000

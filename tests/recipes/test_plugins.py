"""What another package adds by entry points: a labelled density, a method, and what is broken."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import zspace
from tests.conftest import Cli, Refused
from tests.matrix import row
from zspace.data import load
from zspace.recipes import catalogue

SOURCE = '''
from typing import Annotated

import torch
from torch import nn

from zspace.core import Density, LatentModel
from zspace.functional import squared_error
from zspace.options import About
from zspace.recipes.base import one_stage
from zspace.training import adam


class ByClass(Density):
    """A spherical normal distribution about each class's mean code."""

    by_label = True
    drawing = ("spread",)

    def __init__(
        self,
        dim: int | None = None,
        *,
        spread: Annotated[float, About("factor on every deviation", above=0)] = 1.0,
        classes: Annotated[int | None, About("number of classes (unset: the data's)")] = None,
    ) -> None:
        super().__init__()
        self.spread, self.classes = spread, classes or 0
        self.of_size(dim)

    def build(self, dim):
        self.register_buffer("means", torch.zeros(self.classes, dim))
        self.register_buffer("deviation", torch.ones(()))

    @property
    def labels(self):
        return len(self.means)

    def changed(self, spread=None):
        self.spread = spread or self.spread
        return self

    def fit_to(self, z, y, progress):
        self.means = torch.stack([z[y == k].mean(0) for k in range(int(y.max()) + 1)])
        self.deviation = (z - self.means[y]).std()
        self.found = {"classes": len(self.means)}

    def draw(self, n, label=None, *, generator=None):
        device = self.means.device
        y = torch.randint(len(self.means), (n,), generator=generator, device=device)
        if label is not None:
            self.name_of(label)
            y = torch.full_like(y, label)
        noise = torch.randn(n, self.means.shape[1], generator=generator, device=device)
        return self.means[y] + self.spread * self.deviation * noise

    def log_density(self, z):
        scale = self.spread * self.deviation
        each = torch.distributions.Normal(self.means[:, None], scale).log_prob(z[None]).sum(2)
        return each.logsumexp(0) - torch.tensor(float(len(self.means))).log()


class Linear(LatentModel):
    """A linear autoencoder."""

    def __init__(self, size: int, dim: int) -> None:
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(size, dim))
        super().__init__(encoder, nn.Sequential(nn.Linear(dim, size), nn.Sigmoid(),
                                                nn.Unflatten(1, (1, 8, 8))), None, dim)

    def optimizers(self):
        return {"ae": adam(self.parameters(), 1e-2)}

    def objectives(self, batches):
        x, _ = next(batches)
        yield "ae", {"error": squared_error(self.decode(self.encode(x)), x)}


def linear(facts, *, iterations: Annotated[int, About("training iterations", least=1)] = 50):
    """A linear autoencoder of four dimensions."""
    return one_stage(Linear(64, 4), iterations, 32)


class Faulty(ByClass):
    """Fails in as many ways as it has options."""

    def __init__(self, dim, *, way: Annotated[str, About("how it fails")] = "fit") -> None:
        super().__init__(dim)
        self.way = way

    def fit_to(self, z, y, progress):
        if self.way == "fit":
            raise RuntimeError("boom")
        self.means = torch.zeros(3 if self.way == "shape" else 0, z.shape[1])

    def draw(self, n, label=None, *, generator=None):
        if self.way == "sample":
            raise KeyError("no such thing")
        return torch.full((n, self.means.shape[1]), float("nan"))


class Abstract(Density):
    """Lacks what a sampler must have."""

    def __init__(self, dim: int) -> None:
        super().__init__()


no_sampler = dict
'''

ENTRIES = """[zspace.recipes]
linear = zspace_extras:linear

[zspace.samplers]
by-class = zspace_extras:ByClass
broken = zspace_extras_that_is_not_there:Sampler
no-sampler = zspace_extras:no_sampler
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with a sampler, a recipe, and two entry points that can't be used."""
    folder = tmp_path / "site"
    info = folder / "zspace_extras-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "zspace_extras.py").write_text(SOURCE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zspace-extras\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRIES)
    monkeypatch.syspath_prepend(folder)
    return info


def test_every_command_knows_what_a_package_adds(package: Path, cli: Cli, tmp_path: Path) -> None:
    run = tmp_path / "run"
    status, _, err = cli("train", "linear", "--iterations=60", "--out", run, "--device=cpu")
    assert status == 0, err

    status, out, err = cli("fit-sampler", run, "--sampler=by-class", "--spread=0.9")
    assert (status, err) == (0, "")
    assert out == f"{run}/samplers/by-class.safetensors\n"
    images = tmp_path / "sevens.npz"
    sampling = ("sample", run, "--sampler=by-class", "--label=7", "--n=20")
    status, _, err = cli(*sampling, "--spread=0.5", "--out", images)
    assert status == 0, err
    assert np.load(images)["images"].shape == (20, 8, 8)

    scores = tmp_path / "scores.csv"
    status, out, err = cli("novelty", run, "--density=by-class", "--out", scores)
    assert status == 0, err
    assert "by the density by-class" in out
    status, out, err = cli("evaluate", run, "--metrics=accuracy,gap", "--quiet", "--device=cpu")
    assert status == 0, err
    figures = {
        r["subject"]: r["figures"]
        for r in json.loads((run / "evaluation.json").read_text())["rows"]
    }
    assert figures["by-class"].keys() == {"accuracy", "gap"}, "its labels are known to the judge"
    status, out, err = cli("compare", run, "--n=100", "--quiet", "--device=cpu")
    assert status == 0, err
    assert "by-class" in out

    cells = row("linear", load("digits"))
    assert cells[3 + [*catalogue.kinds()].index("by-class")] == "density, class"


def test_help_and_messages_name_it_where_it_belongs(
    package: Path, cli: Cli, tmp_path: Path
) -> None:
    for command in ("fit-sampler", "sample", "evaluate", "novelty"):
        assert "by-class" in cli(command, "--help")[1], command
    _, text, _ = cli("fit-sampler", "--help")
    assert "Options of --sampler by-class" in text
    assert "factor on every deviation" in text
    assert "by-class" not in cli("export", "--help")[1], "it does not say that it is exportable"
    assert "by-class: factor on every deviation" in " ".join(cli("sample", "--help")[1].split())


def test_what_it_can_not_do_is_refused_in_a_line(
    package: Path, refused: Refused, runs: dict[str, Path], tmp_path: Path
) -> None:
    out = ("--out", tmp_path / "x.png")
    message = refused("export", runs["ae"], "--sampler=by-class")
    assert "the sampler by-class can't be exported" in message
    assert "--spread must be above 0" in refused(
        "sample", runs["ae"], "--sampler=by-class", "--spread=0", *out
    )
    assert "belongs to --sampler by-class" in refused(
        "sample", runs["ae"], "--sampler=normal", "--spread=2", *out
    )


def test_a_broken_entry_point_is_named_and_the_rest_works(
    package: Path, cli: Cli, refused: Refused, runs: dict[str, Path], tmp_path: Path
) -> None:
    out = ("--out", tmp_path / "x.png")
    message = refused("sample", runs["ae"], "--sampler=broken", *out)
    assert "the sampler 'broken' of the package zspace-extras" in message
    assert "No module named 'zspace_extras_that_is_not_there'" in message
    message = refused("fit-sampler", runs["ae"], "--sampler=no-sampler")
    assert "is no subclass of zspace.core.Sampler" in message
    _, text, _ = cli("fit-sampler", "--help")
    assert "Samplers of other packages that can't be used" in text
    assert "zspace_extras_that_is_not_there" in text
    assert "Options of --sampler mixture" in text
    assert cli("sample", runs["ae"], "--sampler=normal", *out)[0] == 0
    assert catalogue.kinds().keys() >= {"normal", "by-class"}
    assert catalogue.faults().keys() == {"broken", "no-sampler"}


def test_a_package_that_is_no_longer_installed_is_named(
    package: Path, cli: Cli, refused: Refused, runs: dict[str, Path], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["ae"], run)
    zspace.fit_sampler(run, "by-class")
    (package / "entry_points.txt").unlink()
    message = refused("sample", run, "--sampler=by-class", "--out", tmp_path / "x.png")
    assert "of the package zspace-extras, which is not installed" in message
    status, _, err = cli("evaluate", run, "--metrics=gap", "--device=cpu")
    assert status == 0
    assert "the sampler by-class is left out" in err
    assert "pip install zspace-extras" in err


def test_a_faulty_sampler_is_refused_in_a_line(
    package: Path, cli: Cli, refused: Refused, runs: dict[str, Path], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["ae"], run)
    more = "faulty = zspace_extras:Faulty\nabstract = zspace_extras:Abstract\n"
    (package / "entry_points.txt").write_text(ENTRIES + more)
    fit = ("fit-sampler", run, "--sampler")
    whose = "of the package zspace-extras fails: "
    assert f"'abstract' {whose}TypeError: Can't instantiate" in refused(*fit, "abstract")
    assert f"'faulty' {whose}RuntimeError: boom" in refused(*fit, "faulty")
    assert "its fitted means has shape (3, 3)" in refused(*fit, "faulty", "--way=shape")
    assert not (run / "samplers" / "faulty.safetensors").exists()
    sample = ("sample", run, "--sampler=faulty", "--out", tmp_path / "x.png")
    assert cli(*fit, "faulty", "--way=sample")[0] == 0
    assert f"'faulty' {whose}KeyError" in refused(*sample)
    asked = ("--samplers=faulty", "--features=pixels", "--device=cpu", "--quiet")
    assert f"'faulty' {whose}KeyError" in refused("evaluate", run, *asked)
    assert cli(*fit, "faulty", "--way=nan")[0] == 0
    assert "drew codes that are NaN or infinite" in refused(*sample)
    assert not (tmp_path / "x.png").exists()

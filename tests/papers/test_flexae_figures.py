"""What FlexAE's figures show, and the systems of Figures 2 and 3."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.conftest import Cli
from tests.papers.conftest import faces_in
from zspace import api, papers
from zspace.core import codes
from zspace.data import load
from zspace.data.given import images_of
from zspace.functional import as_float
from zspace.methods.flexae import RATES, FlexAE
from zspace.methods.wae import WAE
from zspace.papers.flexae import pictures, synthetic
from zspace.papers.flexae.pictures import direction
from zspace.papers.flexae.synthetic import CURVES, SPACES
from zspace.papers.flexae.trained import measured_by, trained
from zspace.papers.lab import Lab
from zspace.recipes import find
from zspace.recipes.base import Facts
from zspace.samplers import Normal
from zspace.storage.run import Run


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures in CelebA's format."""
    return faces_in(tmp_path_factory.mktemp("faces"), 88, 60, 8)


OPTIONS = {"iterations": 10, "arch": "fc", "hidden": 16, "latent_dim": 3, "batch_size": 8}


def test_attributes(tmp_path: Path, cli: Cli, faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("fig15", "fig5"):
        known = papers.find(f"flexae/{name}")
        scale = known.scales["smoke"]
        settings = {**scale.settings, "options": OPTIONS, "n": None, "features": "pixels"}
        smoke = {"smoke": replace(scale, settings=settings)}
        monkeypatch.setitem(papers.EXPERIMENTS, f"flexae/{name}", replace(known, scales=smoke))
        monkeypatch.setattr("zspace.evaluation.measurement.LEAST", 2)
        out = tmp_path / name
        status, _, err = cli(
            "reproduce",
            f"flexae/{name}",
            "--scale=smoke",
            f"--data-dir={faces}",
            "--out",
            out,
            "--runs",
            tmp_path / "runs",
            "--quiet",
            "--device=cpu",
        )
        assert status == 0, err
        drawn = {p.stem for p in out.glob("*.png")}
        grids = {"Male-a", "Male-b", "Male-c", "Male-d"}
        assert drawn == (
            grids if name == "fig15" else {"interpolations", "attributes", "neighbours"}
        )


@pytest.fixture(scope="module")
def of_faces(tmp_path_factory: pytest.TempPathFactory, faces: Path) -> tuple[Lab, Run]:
    """A small FlexAE-SR of the faces."""
    settings = {"options": OPTIONS, "colour": {"image_size": 16}, "own": {}, "features": "pixels"}
    out = tmp_path_factory.mktemp("of-faces")
    lab = Lab(out, settings, "celeba", str(faces), "cpu", True)
    return lab, trained(lab, "FlexAE-SR")


def test_the_direction_of_an_attribute(of_faces: tuple[Lab, Run]) -> None:
    lab, run = of_faces
    way, without, having = direction(lab, run, "Male")
    images = images_of("celeba", {**run.config, "label_attribute": "Male"})
    z = codes(api.load(run.folder), images.train.x)
    assert images.train.y is not None
    means = [
        torch.stack([v for v, k in zip(z, images.train.y, strict=True) if k == label]).mean(0)
        for label in (0, 1)
    ]
    torch.testing.assert_close(way, means[1] - means[0])
    assert float(having.mean()) > float(without.mean()) + 0.1


@pytest.fixture
def sheets(monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """The sheets that figures save, by name; nothing else of them is computed."""
    saved: dict[str, Tensor] = {}

    def save(path: Path, x: Tensor, *_: Any) -> None:
        saved[path.stem] = x

    monkeypatch.setattr(pictures.plots, "save_sheet", save)
    monkeypatch.setattr(pictures, "_neighbours", lambda *_, **__: None)
    monkeypatch.setattr(pictures, "error", lambda _lab, _run: [])
    return saved


def test_figure_5_moves_training_images(
    of_faces: tuple[Lab, Run], sheets: dict[str, Tensor]
) -> None:
    lab, run = of_faces
    pictures.fig5(lab)
    training = as_float(images_of("celeba", run.config).train.x)
    middle = sheets["attributes"][4::9]
    assert len(middle) == 5
    assert all((training == image).flatten(1).all(1).any() for image in middle)


def test_rows_end_with_images_in_figure_5_and_with_reconstructions_in_figure_10(
    of_faces: tuple[Lab, Run], sheets: dict[str, Tensor]
) -> None:
    lab, run = of_faces
    model = api.load(run.folder, device="cpu")
    x = as_float(api.run_images(run).test.x[:20])
    for figure, shown in ((pictures.fig5, x), (pictures.interpolations, model.reconstruct(x))):
        figure(lab)
        rows = sheets["interpolations"]
        torch.testing.assert_close(torch.cat([rows[0::9], rows[8::9]]), shown)
    assert (x - model.reconstruct(x)).abs().mean() > 0.01


def test_pairs_of_cifar_share_a_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = load("digits")
    x = images.test.x[:20].float() / 255
    monkeypatch.setattr(pictures, "shown", lambda lab, n: ("run", x, "model"))
    monkeypatch.setattr(Lab, "images", lambda lab, run: images)
    assert images.test.y is not None
    known = {tuple(i.flatten().tolist()): int(y) for i, y in zip(images.test.x, images.test.y)}  # noqa: B905
    _, a, b, _ = pictures.pairs(Lab(tmp_path, {}, "cifar10"), 10)
    labels = [[known[tuple((i * 255).round().int().flatten().tolist())] for i in s] for s in (a, b)]
    assert labels[0] == labels[1] == list(range(10))
    assert not torch.equal(a, b)
    _, a, b, _ = pictures.pairs(Lab(tmp_path, {}, "mnist"), 10)
    assert torch.equal(torch.cat([a, b]), x)


@pytest.mark.parametrize("systems", [CURVES, SPACES], ids=["fig2", "fig3"])
def test_flexae_stands_against_its_own_critic_and_a_prior_that_nothing_moves(
    systems: synthetic.Systems,
) -> None:
    facts = Facts((128,), bounded=False, train_images=100)
    models = {name: find(recipe)(facts, **own).model for name, (recipe, own) in systems.items()}
    ours = models["FlexAE"]
    assert isinstance(ours, FlexAE)
    waes = [model for name, model in models.items() if name.startswith("WAE")]
    assert len(waes) == (1 if systems is CURVES else 2)
    for wae in waes:
        assert isinstance(wae, WAE)
        assert wae.discriminator is not None
        shapes = [
            [p.shape for p in m.parameters()] for m in (wae.discriminator, ours.latent_critic)
        ]
        assert shapes[0] == shapes[1]
        assert wae.rates == {"ae": RATES["ae"], "discriminator": RATES["critic"]}
    control = models["FlexAE, fixed prior"]
    assert isinstance(control, FlexAE)
    assert isinstance(control.prior, Normal)
    assert "generator" not in control.optimizers()
    assert ours.optimizers().keys() - control.optimizers().keys() == {"generator"}


def test_equal_distributions_are_at_the_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "POINTS", 200)
    draws = torch.randn(4 * 1000, 5, generator=torch.Generator().manual_seed(0))
    near, above = synthetic.w1(draws[:1000], draws[1000:2000], draws[2000:])
    assert near.mean() > 0.5  # of so few points
    assert above.mean().abs() < 0.03
    _, shifted = synthetic.w1(draws[:1000] + 2, draws[1000:2000] + 2, draws[2000:])
    assert shifted.mean() > 2


def test_moved_counts_what_the_judge_calls_by_the_attribute(
    of_faces: tuple[Lab, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, run = of_faces
    held = measured_by(lab, run)
    assert pictures.moved(held, torch.ones(held.means.shape[1]), "Male") == []  # no judge of it
    judge = replace(
        held.extractor, classes=("no Male or Smiling", "Smiling", "Male", "Male+Smiling")
    )
    held.extractor = judge
    shifts = iter((2, 1, 0, 3, 3))  # the class of all images at each shift
    monkeypatch.setattr(
        type(held), "features", lambda _, x, output: torch.eye(4)[[next(shifts)] * len(x.x)]
    )
    entries = pictures.moved(held, torch.ones(held.means.shape[1]), "Male")
    assert [e.ours.value for e in entries] == [1, 0, 0, 1, 1]
    assert [e.what for e in entries] == [f"{k} times Male" for k in (-2, -1, 0, 1, 2)]

"""LSR-GAN's tables and figures."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from tests.conftest import Cli, Refused
from tests.papers.smoke import reproduced
from zspace import papers
from zspace.data.images import Part
from zspace.evaluation.measurement import measure_run
from zspace.functional import as_float
from zspace.functional.tensors import stream
from zspace.methods.lsrgan import LSRGAN
from zspace.metrics import Figure
from zspace.papers.entries import Entry, over_trainings
from zspace.papers.lab import Lab
from zspace.papers.lsrgan import trained
from zspace.papers.lsrgan.figures import told
from zspace.papers.lsrgan.trained import (
    BETAS,
    DEFAULTS,
    UNIT,
    Trained,
    beside,
    measured_row,
    options_of,
    printed,
    rendered,
    sharp,
    variance_of,
    with_published,
)
from zspace.storage.run import Run


def test_measurements_against_plain_numbers(rendered_runs: Path, tmp_path: Path) -> None:
    held = measure_run(rendered_runs / "lsrgan", features="classifier", device="cpu")
    assert isinstance(held.model, LSRGAN)
    of = Trained(Run(rendered_runs / "lsrgan"), held.model, held)
    lab = Lab(tmp_path, {"variance_images": 20})
    measured = {e.measure: e.ours.value for e in measured_row(lab, of, "x", "LSR-GAN")}
    drawn = rendered(of, "LSR-GAN").x.double() / 255 * 2 - 1
    raw = held.test.double() / 255 * 2 - 1
    error = (drawn - raw).square().flatten(1).sum(1).mean()
    assert measured["mean squared error"] == pytest.approx(float(error), rel=1e-5)
    x = as_float(held.test[:20])
    images = (2 * held.model.imagine(x, 10, seed=stream(0, 0)) - 1).numpy()
    variance = images.var(1, ddof=1).sum((1, 2, 3)).mean()
    assert variance_of(of, "LSR-GAN", 20).value == pytest.approx(float(variance), rel=1e-5)
    assert measured["variance"] == pytest.approx(float(variance), rel=1e-5)
    assert measured["squared variance"] == pytest.approx(float(variance) ** 2, rel=1e-5)
    means = held.model.encode(as_float(held.test)).var(0)
    assert measured["active dimensions"] == int((means > 0.01).sum())
    neutral = held.features(held.reference, "logits").argmax(1)
    found = held.features(rendered(of, "LSR-GAN"), "logits").argmax(1)
    assert held.labels is not None
    assert measured["absolute accuracy"] == pytest.approx(
        float((found == held.labels).float().mean())
    )
    assert measured["relative accuracy"] == pytest.approx(float((found == neutral).float().mean()))


ENTRY = Entry("x: LSR-GAN", "variance", Figure(4.0, 0.1), UNIT, "cifar10 test", 10)


def test_a_difference_is_shown_where_the_same_was_measured() -> None:
    error = replace(ENTRY, measure="mean squared error")
    (entry,) = with_published([error], "table2", 0.01)
    assert entry.difference() == (pytest.approx(4 - 285.99), "")
    assert entry.published_error == 1.39
    assert replace(entry, part="500 images").difference()[1] == "trained on a part: 500 images"
    assert with_published([error], "table2", 0.0) == [error]
    other = replace(error, data="mnist test")
    assert with_published([other], "table2", 0.01) == [other]


def test_an_entry_says_the_part_that_was_trained_on(rendered_runs: Path) -> None:
    held = measure_run(rendered_runs / "lsrgan", features="pixels", device="cpu")
    assert isinstance(held.model, LSRGAN)
    of = Trained(Run(rendered_runs / "lsrgan"), held.model, held)
    entry = of.entry("x", "y", Figure(1, 0), UNIT, 3)
    assert (entry.data, entry.part) == ("digits test", "")
    # a tenth is held out, whether or not the training says how many it keeps
    for n, part in ((50_000, ""), (45_000, "45,000 of 50,000 training images")):
        images = replace(held.images, name="cifar10", train=Part(torch.empty(n, 0)))
        some = replace(of, measurement=replace(held, images=images))
        entry = some.entry("x", "y", Figure(1, 0), UNIT, 3, Figure(2, 0))
        assert entry.part == part
        assert entry.difference()[0] == (None if part else -1)
    said = {e.measure: e.uncertainty for e in sharp(of)}
    assert said["sharpness"] == f"deviation over {len(held.test)} images"


def test_our_variance_stands_beside_the_root_and_its_square_beside_the_number() -> None:
    square = replace(ENTRY, measure="squared variance")
    entries = with_published([ENTRY, square], "table1", 20, "LSR-GAN")
    assert [e.published for e in entries] == [pytest.approx(4234.5**0.5), 4234.5]
    assert entries[0].published_error == pytest.approx(58.73 / (2 * 4234.5**0.5))
    assert all(e.difference()[0] is None for e in entries)


def test_only_the_roots_of_the_papers_variances_fall_as_active_dimensions_do() -> None:
    raw: list[float] = []
    roots: list[float] = []
    row = [ENTRY, replace(ENTRY, measure="mean squared error", ours=Figure(50.0, 1.0))]
    for beta in BETAS:
        variance, error = (printed("table1", f"{key} VAE", beta) for key in ("variance", "mse"))
        assert variance is not None
        assert error is not None
        raw.append(variance.value * 3072 / (beta * error.value))
        entry = told(row, beta, 3072)
        assert entry.ours.value == pytest.approx(4 * 3072 / (beta * 50))
        assert entry.ours.error == pytest.approx(entry.ours.value * math.hypot(0.1 / 4, 1 / 50))
        assert entry.published is not None
        roots.append(entry.published)
    several = [
        replace(e, repeats=2, each=each)
        for e, each in zip(row, ((3.0, 5.0), (40.0, 60.0)), strict=True)
    ]
    both = told(several, 1.0, 100)
    assert both.each == pytest.approx((7.5, 25 / 3))
    assert both.ours == pytest.approx((7.91667, 0.58926), rel=1e-4)
    assert max(raw) == raw[-1] == pytest.approx(91, abs=0.5)
    assert all(a > b for a, b in pairwise(roots))
    assert [roots[0], roots[-1]] == pytest.approx([31, 9.6], abs=0.1)


def test_a_deviation_over_trainings_is_named_so() -> None:
    rows = [[replace(ENTRY, ours=Figure(v, 0.1))] for v in (1.0, 3.0)]
    (entry,) = over_trainings(rows)
    assert entry.ours == (2.0, pytest.approx(math.sqrt(2)))
    assert entry.uncertainty == "deviation over 2 trainings"
    (single,) = over_trainings(rows[:1])
    assert single.uncertainty == "error of the measurement"
    assert beside(single, None) == single


def test_what_the_paper_leaves_open_is_said_at_every_scale() -> None:
    for name in NAMES:
        for scale in papers.find(name).scales.values():
            assert "100 + 500 epochs of batches of 32 images" in scale.about()
    stable = papers.find("lsrgan/stability").scales["small"]
    assert f"trainings of each model: {stable.settings['seeds']}" in stable.choices
    assert papers.find("lsrgan/table2").scales["paper"].settings["weights"] == (0.0, *BETAS)


def test_codes_of_digits_are_active_where_lambda_is_compared(tmp_path: Path) -> None:
    """With beta = 20 the VAE of their 64 pixels collapses, and lambda has nothing to act on."""
    for name in ("table2", "networks", "reduction", "stability"):
        scales = papers.find(f"lsrgan/{name}").scales
        settings = scales["small"].settings
        beta = {
            data: options_of(Lab(tmp_path, settings, data))["beta"]
            for data in ("digits", "mnist", "fashion-mnist")
        }
        assert beta == {"digits": 1.0, "mnist": 20.0, "fashion-mnist": 20.0}
        assert "digits' 8 x 8 pixels have beta = 1" in scales["small"].choices
        for scale in ("smoke", "paper"):
            lab = Lab(tmp_path, scales[scale].settings, "digits")
            assert options_of(lab).get("beta", DEFAULTS["beta"]) == 1.0


def test_imagenet_needs_a_folder(refused: Refused, tmp_path: Path) -> None:
    message = refused("reproduce", "lsrgan/imagenet", "--scale=smoke", "--out", tmp_path / "o")
    assert "lsrgan/imagenet needs --data-dir" in message


NAMES = [name for name in papers.EXPERIMENTS if name.startswith("lsrgan/")]


@pytest.mark.slow
def test_an_experiment_runs_at_smoke(cli: Cli, tmp_path: Path) -> None:
    reproduced(cli, "lsrgan/fig2", tmp_path / "o")


def test_the_variance_is_of_noise_of_its_own_for_each_image(
    rendered_runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for every block of 64 is an error that the mean over all images keeps."""
    held = measure_run(rendered_runs / "lsrgan", features="pixels", device="cpu")
    assert isinstance(held.model, LSRGAN)
    of = Trained(Run(rendered_runs / "lsrgan"), held.model, held)
    alike = as_float(held.test[:1]).expand(128, -1, -1, -1)
    monkeypatch.setattr(Trained, "test", lambda *_: alike)
    parts: list[torch.Tensor] = []
    monkeypatch.setattr(trained, "mean_figure", lambda x: parts.append(x) or Figure(0.0, 0.0))
    variance_of(of, "LSR-GAN", 128)
    first, second = parts[0].split(64)
    assert not torch.isclose(first, second).any()

"""GEN's tables and figures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import Cli
from tests.papers.smoke import reproduced
from tests.papers.trial import trial_of
from zspace import papers
from zspace.data import load
from zspace.papers.entries import published
from zspace.papers.gen import entropy
from zspace.papers.gen.images import table3
from zspace.papers.lab import Lab
from zspace.samplers import Mixture


@pytest.mark.slow
def test_an_experiment_runs_at_smoke(cli: Cli, real_data: Path, tmp_path: Path) -> None:
    reproduced(cli, "gen/table3", tmp_path / "o", f"--data-dir={real_data / 'celeba-10k'}")


@pytest.mark.usefixtures("small_sets")
@pytest.mark.filterwarnings("ignore::zspace.metrics.BiasWarning")
def test_table3_says_the_part_that_was_trained_on(tmp_path: Path) -> None:
    settings = trial_of(papers.find("gen/table3")).scales["trial"].settings
    entries = table3(Lab(tmp_path, settings, "svhn", device="cpu", quiet=True))
    assert {e.part.split(" ", 1)[1] for e in entries} == {"of 73,257 training images"}


@pytest.mark.usefixtures("small_sets")
@pytest.mark.filterwarnings("ignore::zspace.metrics.BiasWarning")
def test_table3_is_of_several_trainings(tmp_path: Path) -> None:
    settings = {**trial_of(papers.find("gen/table3")).scales["trial"].settings, "seeds": 2}
    entries = table3(Lab(tmp_path, settings, "svhn", device="cpu", quiet=True))
    assert {e.repeats for e in entries} == {2}
    assert [e.what for e in entries if e.by == "codes"] == ["GEN's codes", "1 - h^2"]
    distances = [e for e in entries if e.by != "codes"]
    assert [e.what for e in distances] == ["AAE", "VAE", "GEN", "GEN, from its target"]
    assert all("other features" in e.difference()[1] for e in distances)
    assert all(len(set(e.each)) == 2 for e in distances)
    assert len(list((tmp_path / "runs").iterdir())) == 6


def test_every_published_number_of_gen_is_compared() -> None:
    """The tables' rows and columns are those of published.json."""
    from zspace.papers import gen

    for table, columns in (("gen/table1", gen.SAMPLES), ("gen/table2", gen.TABLE2)):
        rows = {name: row for name, row in published()[table].items() if name != "what"}
        assert all(len(row) == len(columns) for row in rows.values())


def test_separated_normals_are_white() -> None:
    from zspace.papers.gen.densities import separated

    for s in (0.0, 3.0, 6.0):
        mixture = separated(3, s)
        torch.testing.assert_close(mixture.deviation(), torch.ones(3))
        distance = (mixture.means[1] - mixture.means[0]).norm() / mixture.factors[0, 0, 0]
        assert float(distance) == pytest.approx(s)


def test_correlation_against_scipy() -> None:
    from scipy.stats import pearsonr

    from zspace.papers.gen.densities import correlation

    x, y = torch.randn(2, 30, generator=torch.Generator().manual_seed(0))
    found: Any = pearsonr(x, x + y)
    assert correlation(x, x + y).value == pytest.approx(found.statistic)


def test_the_error_of_a_trend_is_of_its_trials() -> None:
    """A curve is no noise, however noisy its levels are."""
    from zspace.papers.gen.densities import trend

    levels, generator = tuple(range(7)), torch.Generator().manual_seed(0)
    curve = torch.tensor(levels)[:, None] ** 2 / 36
    for noise in (0.05, 1.0):
        found = [
            trend(levels, curve + noise * torch.randn(7, 4, generator=generator))
            for _ in range(200)
        ]
        values, errors = torch.tensor(found).T
        assert float(errors.square().mean().sqrt()) == pytest.approx(float(values.std()), rel=0.25)
    assert trend(levels, curve).value == pytest.approx(0.961, abs=1e-3)
    assert math.isnan(trend(levels, curve).error)


@pytest.mark.usefixtures("small_sets")
def test_table2_measures_training_and_test_codes_at_each_rate(tmp_path: Path) -> None:
    from zspace.papers.gen.entropy import table2

    settings = {"drawn": (1000,), "samples": (1000,), "rates": (2e-4, 1e-3), "seeds": 2}
    lab = Lab(tmp_path, {**settings, "iterations": 2}, "mnist", device="cpu", quiet=True)
    entries = {(e.what, e.measure): e for e in table2(lab)}
    assert len(lab.runs) == 12
    normal = entries["Standard Normal, n = 1000", "entropy, nats"]
    assert normal.uncertainty == "deviation over 20 sets"
    for name, theirs in (("AAE", 6.552), ("VAE", 10.478), ("GEN", 11.681)):
        for rate in ("0.0002", "0.001"):
            found = {
                part: entries[f"{name}, n = 1000, {part} codes, rate {rate}", "entropy, nats"]
                for part in ("training", "test")
            }
            assert found["training"].ours.value != found["test"].ours.value
            assert [e.data for e in found.values()] == ["mnist train", "mnist test"]
            for entry in found.values():
                assert entry.uncertainty == "deviation over 2 trainings"
                assert (entry.n, entry.published, entry.difference()[1]) == (1000, theirs, "")


def test_every_experiment_states_the_choices_that_the_paper_leaves_open() -> None:
    for name, experiment in papers.EXPERIMENTS.items():
        if name.startswith("gen/"):
            for scale in experiment.scales.values():
                assert scale.choices
                assert "{" not in scale.choices


def test_lines_along_the_axes_pass_through_the_means() -> None:
    from zspace.papers.gen.images import along_axes

    means = torch.tensor([[1.0, 2.0], [-3.0, 0.0]])
    covariances = torch.tensor([[[4.0, 0.0], [0.0, 9.0]], [[1.0, 0.6], [0.6, 1.0]]])
    z = along_axes(Mixture.of(torch.ones(2), means, covariances), steps=5, reach=2)
    assert z.shape == (2, 2, 5, 2)
    torch.testing.assert_close(z[:, :, 2], means[:, None].expand(2, 2, 2))
    torch.testing.assert_close(z[0, 0, :, 0], torch.tensor([-3.0, -1.0, 1.0, 3.0, 5.0]))
    torch.testing.assert_close(z[0, 1, :, 1], torch.tensor([-4.0, -1.0, 2.0, 5.0, 8.0]))
    for axis in (0, 1):  # the other coordinate stays
        other = z[:, axis, :, 1 - axis]
        torch.testing.assert_close(other, means[:, 1 - axis, None].expand(2, 5))


@pytest.mark.usefixtures("small_sets")
def test_fig4_ranks_by_a_model_of_a_digit_and_by_one_of_all(tmp_path: Path) -> None:
    from zspace.papers.gen.images import fig4

    lab = Lab(tmp_path, {"digits": (1, 7), "iterations": 2}, "mnist", device="cpu", quiet=True)
    entries = fig4(lab)
    assert len(lab.runs) == 3
    assert [e.measure for e in entries].count("rank correlation of -log p(x)") == 2
    assert all(-1 <= e.ours.value <= 1 for e in entries)
    assert {p.stem for p in tmp_path.glob("*.png")} == {
        f"fig4-{digit}{of}" for digit in (1, 7) for of in ("", "-of-all")
    }
    for scale in ("small", "paper"):
        digits = papers.find("gen/fig4").scales[scale].settings["digits"]
        assert tuple(digits) == tuple(range(10))


def test_ranks_are_those_of_scipy() -> None:
    from scipy.stats import spearmanr

    from zspace.papers.gen.densities import correlation
    from zspace.papers.gen.images import ranks

    x, y = torch.randn(2, 30, generator=torch.Generator().manual_seed(0))
    found: Any = spearmanr(x, x + y)
    assert correlation(ranks(x), ranks(x + y)).value == pytest.approx(found.statistic)


@pytest.mark.usefixtures("small_sets")
def test_table2_measures_test_images_at_random(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of MNIST's test images are not like the others."""
    seen: list[torch.Tensor] = []
    monkeypatch.setattr(entropy, "error_variance", lambda model, x: seen.append(x) or 0.0)
    lab = Lab(tmp_path, {"iterations": 1}, "mnist", device="cpu", quiet=True)
    entropy.cell(lab, "VAE", 200, 0)
    test = load("mnist").test.x
    assert len(seen[1]) == 200
    assert not seen[1].equal(test[:200])

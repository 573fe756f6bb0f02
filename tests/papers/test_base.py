"""Experiments: entries, scales, runs that go on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.conftest import Cli, Refused, random_images
from tests.papers.trial import trial_of
from zspace import papers
from zspace.errors import InputError
from zspace.features import weights
from zspace.metrics import Figure
from zspace.papers.base import Experiment, Scale, is_finished, reproduce
from zspace.papers.entries import Entry, over_trainings, published, told_apart
from zspace.papers.lab import Lab


@pytest.mark.usefixtures("small_sets")
def test_a_run_that_was_cut_short_is_gone_on_with(tmp_path: Path) -> None:
    scale = {"smoke": Scale({"iterations": 6, "checkpoints": 2}, "6 iterations", "")}
    small = replace(papers.find("flexae/fig3"), scales=scale)
    reproduce(small, "smoke", tmp_path / "a", device="cpu", quiet=True)
    whole = json.loads((tmp_path / "a" / "table.json").read_text())
    run = next((tmp_path / "a").glob("runs/flexae-*"))
    before = (run / "model.safetensors").read_bytes()
    (run / "model.safetensors").unlink()
    sorted((run / "checkpoints").iterdir())[-1].unlink()
    reproduce(small, "smoke", tmp_path / "a", device="cpu", quiet=True)
    assert (run / "model.safetensors").read_bytes() == before
    assert json.loads((tmp_path / "a" / "table.json").read_text())["entries"] == whole["entries"]


def test_the_default_data_set_may_be_named_or_not(tmp_path: Path) -> None:
    def run(lab: Lab) -> list[Entry]:
        return [replace(ENTRY, data=str(lab.data))]

    experiment = Experiment("a/b", "", {"smoke": Scale({}, "", "")}, run, ("digits", "mnist"))
    reproduce(experiment, "smoke", tmp_path / "o", quiet=True)
    assert is_finished(experiment, "smoke", tmp_path / "o", data="digits")
    reproduce(experiment, "smoke", tmp_path / "o", data="digits", quiet=True)
    mark = tmp_path / "o" / "experiment.json"
    mark.write_text(mark.read_text().replace('"digits"', "null"))  # as it was written before
    reproduce(experiment, "smoke", tmp_path / "o", quiet=True)
    with pytest.raises(InputError, match="holds another experiment"):
        reproduce(experiment, "smoke", tmp_path / "o", data="mnist", quiet=True)


def test_published_numbers_are_whole() -> None:
    numbers = published()
    assert numbers["flexae/table1"]["FlexAE-SR"][0] == [7.63, 6.75]
    assert len(numbers) > 25


@pytest.mark.parametrize("features", ["inception", ("pixels", "inception")])
def test_missing_weights_are_found_before_anything_is_trained(
    features: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(lab: Lab) -> list[Entry]:
        raise AssertionError("it began")

    monkeypatch.setattr(weights, "folders", lambda: [tmp_path])
    scale = {"smoke": Scale({"features": features}, "", "")}
    with pytest.raises(InputError) as refused:
        reproduce(Experiment("flexae/fig4", "", scale, run), "smoke", tmp_path / "a", quiet=True)
    for part in (
        "weights of inception are missing, which give FIDs that stand beside the published ones",
        "inception-2015-12-05.pt",
        "--scale small does without",
    ):
        assert part in str(refused.value)
    assert not (tmp_path / "a").exists()


def test_experiments_that_measure_no_features_need_no_weights() -> None:
    for name, experiment in papers.EXPERIMENTS.items():
        if name.startswith("gen/"):
            asks = "inception" in experiment.scales["paper"].settings.get("features", ())
            measures = name in ("gen/table3", "gen/supplement-fig5")
            assert asks == ("Inception" in experiment.needs) == measures


ENTRY = Entry("x", "fid", Figure(3.0, 0.1), "inception", "mnist", 10)


@pytest.mark.parametrize(
    "change, difference, reason",
    [
        ({}, None, "prints no number"),
        ({"published": 2.0, "published_by": "vgg16", "published_data": "mnist"}, None, "features"),
        ({"published": 2.0, "published_by": "inception", "published_data": "svhn"}, None, "data"),
        ({"published": 2.0, "published_by": "inception", "published_data": "mnist"}, 1.0, ""),
    ],
)
def test_a_difference_only_of_like_things(
    change: dict[str, object], difference: float | None, reason: str
) -> None:
    found, why = replace(ENTRY, **change).difference()  # type: ignore[arg-type]
    assert found == difference
    assert reason in why


def test_a_refused_experiment_leaves_nothing(tmp_path: Path, refused: Refused) -> None:
    """Files are missing: the next command with the same --out may be another experiment's."""
    what = ("flexae/table1", "--scale=smoke", "--data=cifar10")
    command = ("reproduce", *what, "--data-dir", tmp_path / "none")
    out = tmp_path / "reproductions" / "deep"
    assert "is no folder" in refused(*command, "--out", out)
    assert [*tmp_path.iterdir()] == []
    out.mkdir(parents=True)
    refused(*command, "--out", out)
    assert [*out.iterdir()] == []


def test_missing_files_are_named_with_a_way_on(
    tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "folders", lambda: [tmp_path])
    smoke = ("--scale=smoke", "--out", tmp_path / "o")
    said = refused("reproduce", "flexae/fig4", "--data=cifar10", *smoke)
    assert "the folder with data_batch_1 or test_batch" in said
    assert "; --data digits needs no files" in said
    assert "list_attr_celeba.txt" in (said := refused("reproduce", "gen/table3", *smoke))
    assert "digits" not in said
    said = refused("reproduce", "regene/fig11", *smoke)
    assert "two folders of faces, one of them named anime" in said
    assert "regene/fig9" in said
    assert "--data digits among them" in refused("reproduce", "lsrgan/imagenet", *smoke)


def test_missing_weights_of_the_perceptual_loss_are_named(
    tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch, anime: Path
) -> None:
    monkeypatch.setattr(weights, "folders", lambda: [tmp_path])
    trial = trial_of(papers.find("regene/fig11"), perceptual=1.0, train_size=80)
    monkeypatch.setitem(papers.EXPERIMENTS, "regene/fig11", trial)
    where = ("--data-dir", anime, "--out", tmp_path / "o", "--device=cpu")
    said = refused("reproduce", "regene/fig11", "--scale=trial", *where)
    assert "weights of vgg16 are missing, which give ReGene's perceptual loss" in said
    assert "vgg16-397923af.pth" in said
    assert "; --perceptual 0 leaves that term out" in said


def test_other_settings_do_not_go_on_with_what_is_there(tmp_path: Path) -> None:
    """Cells are known by their titles alone, so that a change of settings would be mixed in."""

    def experiment(**settings: int) -> Experiment:
        return Experiment("a/b", "", {"smoke": Scale(settings, "", "")}, lambda _: [])

    for _ in range(2):
        reproduce(experiment(n=1), "smoke", tmp_path / "o", quiet=True)
    with pytest.raises(InputError, match="or other settings"):
        reproduce(experiment(n=2), "smoke", tmp_path / "o", quiet=True)


def test_what_an_experiment_has_made_is_kept_when_it_is_refused(tmp_path: Path) -> None:
    def half(lab: Lab) -> list[Entry]:
        (lab.out / "cells.json").write_text("{}")
        raise InputError("the second data set's files are missing")

    experiment = Experiment("a/b", "", {"smoke": Scale({}, "", "")}, half)
    for _ in range(2):
        with pytest.raises(InputError, match="second"):
            reproduce(experiment, "smoke", tmp_path / "o", quiet=True)
        assert {p.name for p in (tmp_path / "o").iterdir()} == {"cells.json", "experiment.json"}


def test_entries_of_two_sets_of_features_have_names_of_their_own() -> None:
    by = ("classifier cnn", "pixels")
    each = [replace(ENTRY, by=features, what=what) for features in by for what in ("GEN", "VAE")]
    names = ["GEN", "VAE", "GEN, by pixels", "VAE, by pixels"]
    assert [e.what for e in told_apart(each)] == names
    assert told_apart(each[:2]) == each[:2]


def test_the_value_of_every_training_is_stored() -> None:
    trainings = [[replace(ENTRY, ours=Figure(v, float("nan")))] for v in (30.0, 10.0, 20.0)]
    (entry,) = over_trainings(trainings)
    stored = json.loads(json.dumps(entry.as_json()))
    assert stored["each"] == [30.0, 10.0, 20.0]
    assert stored["ours"]["value"] == 20.0
    assert ENTRY.as_json()["each"] == []


def test_faces_have_validation_images_of_their_own(refused: Refused, tmp_path: Path) -> None:
    for name, more in (("regene/table3", ["--data=celeba"]), ("regene/fig9", [])):
        command = ["reproduce", name, *more, "--validation=0", "--out", tmp_path / "o"]
        assert "celeba has validation images of its own" in refused(*command)
    assert not (tmp_path / "o").exists()


def test_the_list_says_the_protocols_of_every_scale(cli: Cli, refused: Refused) -> None:
    said = cli("reproduce", "--list")[1].splitlines()
    row = next(i for i, line in enumerate(said) if line.startswith("flexae/table1"))
    assert said[row + 2].split(": ", 1)[1] == (
        "smoke: defaults, tuned, equal-time; small: tuned, equal-time, defaults; paper: defaults"
    )
    named = cli("reproduce", "lsrgan/table1", "flexae/table1", "--list")[1].splitlines()
    assert [line.split()[0] for line in named if line[0] != " "] == [
        "lsrgan/table1",
        "flexae/table1",
    ]
    for what in ("--list", "--claims"):
        assert f"--data has no effect with {what}" in refused("reproduce", what, "--data=digits")
    assert "a name has no effect with --claims" in refused("reproduce", "gen/table1", "--claims")
    told = " ".join(cli("reproduce", "--help")[1].split())
    assert "paper has defaults alone" in told
    assert "[default: the scale's first" in told


@pytest.mark.parametrize(
    "data, shape, asked, taken",
    [
        ("cifar10", (3, 32, 32), "classifier", "zoo:judge-cifar10"),
        ("celeba", (3, 32, 32), None, "zoo:judge-faces"),
        ("celeba", (3, 64, 64), "classifier", "classifier"),
        ("cifar10", (3, 32, 32), "pixels", "pixels"),
        ("mnist", (1, 28, 28), None, None),
    ],
)
def test_the_zoos_judge_stands_in_for_a_classifier(
    data: str, shape: tuple[int, ...], asked: str | None, taken: str | None, tmp_path: Path
) -> None:
    run = SimpleNamespace(facts=SimpleNamespace(shape=shape))
    assert Lab(tmp_path, {}, data).features_for(run, asked) == taken  # pyright: ignore[reportArgumentType]


def test_a_run_of_other_data_of_the_same_name_is_not_measured(tmp_path: Path) -> None:
    lab, path = Lab(tmp_path / "out", {}, device="cpu", quiet=True), tmp_path / "set.npz"
    options = {"iterations": 1, "batch_size": 8, "width": 2, "hidden": 4, "latent_dim": 2}
    np.savez(path, images=random_images(200, 8, 8))
    run = lab.trained("ae", str(path), **options)
    lab.measured(run, "pixels")
    np.savez(path, images=random_images(200, 8, 8, seed=1))
    assert lab.trained("ae", str(path), **options).folder == run.folder
    with pytest.raises(InputError, match="the checksum of the training samples is"):
        lab.measured(run, "pixels")


def test_two_can_not_be_at_work_in_one_folder(tmp_path: Path) -> None:
    def run(lab: Lab) -> list[Entry]:
        with pytest.raises(InputError, match=r"in use by process \d+: .* choose another --out"):
            reproduce(experiment, "smoke", tmp_path / "out")
        return []

    experiment = Experiment("a/b", "", {"smoke": Scale({}, "", "")}, run)
    reproduce(experiment, "smoke", tmp_path / "out", quiet=True)
    assert (tmp_path / "out" / "table.json").exists()

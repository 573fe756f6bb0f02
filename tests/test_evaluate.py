"""Evaluation, comparison, diagnosis, neighbours and the report, as commands and from Python."""

from __future__ import annotations

import csv
import json
import math
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import zspace
from tests.conftest import SMALL, Cli, random_images
from zspace import metrics
from zspace.display.tables import Table
from zspace.errors import InputError
from zspace.evaluation.compare import compare, figure_of, over_seeds, tied
from zspace.evaluation.diagnose import Finding, closeness, diagnose
from zspace.evaluation.evaluate import evaluate
from zspace.evaluation.measurement import (
    Measurement,
    Subject,
    generated,
    measure_run,
    posterior_codes,
)
from zspace.evaluation.metrics import METRICS
from zspace.evaluation.neighbours import neighbours
from zspace.evaluation.results import current_evaluation, read_evaluation, write_evaluation
from zspace.metrics import Figure

pytestmark = pytest.mark.filterwarnings("ignore::zspace.metrics.BiasWarning")

QUICK = ["--device=cpu", "--quiet"]


@pytest.fixture
def run(runs: dict[str, Path], tmp_path: Path) -> Path:
    """A run of its own, to write into."""
    shutil.copytree(runs["vae"], tmp_path / "vae")
    return tmp_path / "vae"


@pytest.fixture(scope="session")
def measurement(runs: dict[str, Path]) -> Measurement:
    return measure_run(runs["vae"], device="cpu")


def test_evaluate_writes_what_it_prints(run: Path, cli: Cli) -> None:
    status, out, err = cli(
        "evaluate", run, "--n=200", "--seed=3", "--samplers=prior,mixture", *QUICK
    )
    assert status == 0, err
    stored = json.loads((run / "evaluation.json").read_text())
    assert stored["n"] == 200
    assert stored["seed"] == 3
    assert stored["reference_part"] == "test"
    assert [n.split(" samples")[0] for n in stored["notes"]] == ["the Frechet distance of 200"]
    assert stored["features"] == "classifier cnn"
    assert set(stored["versions"]) == {"zspace", "torch", "python"}
    subjects = {row["subject"]: row["figures"] for row in stored["rows"]}
    assert list(subjects) == [
        "reconstructions",
        "prior",
        "mixture",
        "training images",
        "test images",
        "codes",
    ]
    every = {column for metric in METRICS.values() for column in metric.names}
    assert {name for figures in subjects.values() for name in figures} == every - {
        "fid-inf",
        "classified",
    }
    for figures in subjects.values():
        for name, figure in figures.items():
            assert math.isfinite(figure["value"]), name
            assert figure["uncertainty"], name
            assert name == "active" or figure["error"] is not None, name
            assert figure["error"] is None or figure["error"] >= 0
    assert subjects["prior"]["fid"]["features"] == "classifier cnn"
    assert "features" not in subjects["prior"]["pms"]
    # other training images are the scale: nearer to the reference than any sample here
    assert subjects["training images"]["fid"]["value"] < subjects["prior"]["fid"]["value"]
    value = str(figure_of(subjects["mixture"]["f1/8"]))
    assert value in out
    assert "evaluation.json" in out


def test_the_same_seed_gives_the_same_figures(run: Path) -> None:
    options: dict[str, Any] = {"metrics": ["fid", "prd", "jsd"], "n": 100, "device": "cpu"}
    first, again = (evaluate(run, **options)["rows"] for _ in range(2))
    assert first == again
    assert evaluate(run, **options, seed=1)["rows"] != first


def test_evaluated_figures_are_those_of_the_functions(
    runs: dict[str, Path], measurement: Measurement
) -> None:
    """By hand: the model's own reconstructions, and its prior's samples."""
    result = evaluate(runs["vae"], metrics=["mse", "fid", "pms"], features="pixels", device="cpu")
    rows = {row["subject"]: row["figures"] for row in result["rows"]}
    x = measurement.test.float() / 255
    rebuilt = measurement.model.reconstruct(x).mul(255).round() / 255
    error = float((x - rebuilt).square().mean())
    assert rows["reconstructions"]["mse"]["value"] == pytest.approx(error, rel=1e-4)
    frechet = metrics.frechet_distance(x.flatten(1), rebuilt.flatten(1))
    assert rows["reconstructions"]["fid"]["value"] == pytest.approx(frechet, rel=1e-4)
    made = generated(measurement, "prior")
    score = float(metrics.memorisation_score(made.x, measurement.training).mean())
    assert rows["prior"]["pms"]["value"] == pytest.approx(score, rel=1e-5)


def test_what_is_drawn_is_independent_of_the_posterior(measurement: Measurement) -> None:
    """One seed behind both would make codes and prior alike for no reason."""
    made = generated(measurement, "prior")
    assert made.codes is not None
    noise = (measurement.draws - measurement.means)[:, 0]
    assert abs(float(torch.corrcoef(torch.stack([noise, made.codes[:, 0]]))[0, 1])) < 0.2
    assert torch.equal(
        measurement.draws, posterior_codes(measurement.model, measurement.test, measurement.seed)
    )


def test_vectors_are_evaluated_too(tmp_path: Path, cli: Cli, refused: Callable[..., str]) -> None:
    zspace.train("flexae", "mog2", out=tmp_path / "m", iterations=3, device="cpu", hidden=8)
    status, out, err = cli("evaluate", tmp_path / "m", "--n=60", *QUICK)
    assert status == 0, err
    assert "fid (vectors)" in out
    assert "ssim" not in out
    for metric, reason in (("ssim", "these are vectors"), ("is", "logits|vectors")):
        assert re.search(reason, refused("evaluate", tmp_path / "m", f"--metrics={metric}", *QUICK))
    assert cli("diagnose", tmp_path / "m", "--n=60", *QUICK)[0] == 0
    assert cli("report", tmp_path / "m", "--n=60", *QUICK)[0] == 0
    out = f"--out={tmp_path / 'n.png'}"
    assert "holds vectors" in refused("neighbours", tmp_path / "m", out, *QUICK)


def test_arrays_from_python_are_evaluated_with_their_data(tmp_path: Path) -> None:
    x = random_images(300, 8, 8)
    zspace.train("ae", x, out=tmp_path / "a", iterations=2, device="cpu", **SMALL)
    with pytest.raises(InputError, match="give the data again"):
        evaluate(tmp_path / "a", device="cpu")
    result = evaluate(tmp_path / "a", data=x, metrics=["mse", "fid", "active"], device="cpu")
    assert result["features"] == "pixels"
    assert [r["subject"] for r in result["rows"]][:3] == ["reconstructions", "normal", "mixture"]
    with pytest.raises(InputError, match=r"the model of .* is for others"):
        evaluate(tmp_path / "a", data=random_images(300, 12, 12), device="cpu")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--metrics=fdi"], "unknown metric 'fdi': did you mean 'fid'"),
        (["--metrics=FID"], "unknown metric 'FID': did you mean 'fid'? (known: "),
        (["--metrics=fid,,kid"], "must be names with commas between"),
        (["--features=pixel"], "unknown features 'pixel': did you mean 'pixels'"),
        (["--samplers=mixtur"], "unknown sampler 'mixtur': did you mean 'mixture'"),
        (["--n=5"], "5 samples are too few for an evaluation: 20 at least"),
        (["--n=100000"], "the test part of digits has 359 samples"),
        (["--seed=-1"], "--seed must be a whole number from 0"),
        (["--metrics=is", "--features=pixels"], "the features pixels have none"),
        (["--device=tpu"], "--device must be one of"),
        (["--checkpoint=7"], "--checkpoint must be last or an iteration"),
    ],
)
def test_what_evaluate_refuses(
    runs: dict[str, Path], refused: Callable[..., str], arguments: list[str], message: str
) -> None:
    before = sorted(p.name for p in runs["vae"].iterdir())
    assert message in refused("evaluate", runs["vae"], *arguments, "--quiet")
    assert sorted(p.name for p in runs["vae"].iterdir()) == before


def test_what_nobody_asked_for_may_fail(tmp_path: Path, refused: Callable[..., str]) -> None:
    """Codes of one class that never vary: no probe, no entropy, but all the rest."""
    out = tmp_path / "one"
    zspace.train("ae", "digits", classes="7", out=out, iterations=2, device="cpu", **SMALL)
    checkpoint = next((out / "checkpoints").iterdir())
    model = zspace.load(out)
    with torch.no_grad():
        model.encoder[-1].weight.zero_()  # type: ignore[index,union-attr]
    from zspace.storage.files import read_header, write_tensors

    write_tensors(out / "model.safetensors", model.state_dict(), read_header(checkpoint))
    result = evaluate(out, features="pixels", samplers=["normal"], device="cpu")
    assert any("entropy of codes is left out: " in note for note in result["notes"])
    assert "fid" in result["rows"][1]["figures"]
    message = refused("evaluate", out, "--features=pixels", "--metrics=entropy", *QUICK)
    assert "do not vary" in message
    assert "two classes or more" in refused("evaluate", out, "--metrics=probe", *QUICK)


def test_images_too_small_for_a_metric(tmp_path: Path, refused: Callable[..., str]) -> None:
    np.savez(tmp_path / "s.npz", x=random_images(200, 4, 4))
    zspace.train("ae", tmp_path / "s.npz", out=tmp_path / "r", iterations=2, device="cpu", **SMALL)
    result = evaluate(tmp_path / "r", samplers=["normal"], device="cpu")
    words = "SSIM needs images of 5 pixels or more"
    assert any(
        note.startswith("ssim of reconstructions") and words in note for note in result["notes"]
    )
    assert words in refused("evaluate", tmp_path / "r", "--metrics=ssim", *QUICK)


def test_large_images_are_averaged_for_their_pixels() -> None:
    from zspace.features.extract import extract, find_extractor

    x = torch.from_numpy(random_images(3, 1, 64, 64))
    pixels = find_extractor("pixels", lambda: None)  # type: ignore[arg-type,return-value]
    found = extract(pixels, x)
    expected = (x.float() / 255).reshape(3, 32, 2, 32, 2).mean((2, 4)).flatten(1)
    torch.testing.assert_close(found, expected)


def test_metrics_are_listed(runs: dict[str, Path], cli: Cli) -> None:
    status, out, _ = cli("evaluate", runs["vae"], "--metrics=list")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == list(METRICS)


BROKEN: list[dict[str, Any]] = [
    {"data": 5},
    {"notes": 5},
    {"versions": []},
    {"n": "many"},
    {"rows": {}},
    {"rows": []},
    {"rows": [{}]},
    {"rows": [{"subject": 5, "kind": "generation", "figures": {}}]},
    *(
        {"rows": [{"subject": "a", "kind": "generation", "figures": {"fid": figure}}]}
        for figure in (
            {"value": "12", "error": 1},
            {"value": True, "error": 1},
            {"value": 1},
            {"value": 1, "error": 1, "features": ["a"]},
            5,
        )
    ),
]


def test_a_damaged_evaluation_is_named(run: Path, refused: Callable[..., str]) -> None:
    whole = evaluate(run, n=50, metrics=["mse"], device="cpu")
    for text in ("{", "[]", "null", *(json.dumps({**whole, **change}) for change in BROKEN)):
        (run / "evaluation.json").write_text(text)
        with pytest.raises(InputError, match=r"evaluation.json is damaged: remove it"):
            read_evaluation(run)
    assert "evaluation.json is damaged" in refused("compare", run, "--quiet")
    assert "evaluation.json is damaged" in refused("report", run, "--quiet")
    # evaluating anew replaces it
    write_evaluation(run, whole)
    assert read_evaluation(run) is not None


def test_a_few_figures_join_those_that_are_there(run: Path, cli: Cli) -> None:
    options = ["--n=60", *QUICK]
    assert cli("evaluate", run, "--metrics=mse", *options)[0] == 0
    assert current_evaluation(run) is None  # not whole
    assert cli("evaluate", run, *options)[0] == 0
    whole = read_evaluation(run)
    assert whole is not None
    assert current_evaluation(run) == whole
    assert cli("evaluate", run, "--metrics=fid-inf", *options)[0] == 0
    more = current_evaluation(run)
    assert more is not None
    for old, new in zip(whole["rows"], more["rows"], strict=True):
        assert old["figures"].items() <= new["figures"].items()
    assert "fid-inf" in more["rows"][0]["figures"]
    # of another seed: no part of the same measurement
    assert cli("evaluate", run, "--metrics=mse", "--seed=1", *options)[0] == 0
    assert current_evaluation(run) is None


def test_a_report_is_one_measurement(run: Path, cli: Cli) -> None:
    assert cli("evaluate", run, "--features=pixels", "--n=40", "--seed=3", *QUICK)[0] == 0
    assert cli("report", run, *QUICK)[0] == 0
    text = (run / "report.html").read_text()
    assert "n = 40, seed 3" in text
    assert "by the features pixels" in text
    assert "classifier cnn" not in text


def test_a_network_of_ones_own_that_says_nothing(
    run: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    """No evaluation by halves: what was asked for is looked at first."""
    from tests.test_features import onnx_file

    path = onnx_file(tmp_path / "net.onnx", channels=3)  # for colour; these are grey
    assert "can't be computed of images (1, 8, 8)" in refused(
        "evaluate", run, "--features", f"file:{path}", "--n=30", *QUICK
    )
    assert not (run / "evaluation.json").exists()


def test_data_that_have_moved(tmp_path: Path, cli: Cli, refused: Callable[..., str]) -> None:
    (tmp_path / "a").mkdir()
    np.savez(tmp_path / "a" / "d.npz", x=random_images(200, 8, 8))
    data = tmp_path / "a" / "d.npz"
    zspace.train("ae", data, out=tmp_path / "r", iterations=2, device="cpu", **SMALL)
    (tmp_path / "a").rename(tmp_path / "b")
    assert "no such folder or file" in refused("evaluate", tmp_path / "r", *QUICK)
    for where in (tmp_path / "b", tmp_path / "b" / "d.npz"):
        options = ["--metrics=mse", "--data-dir", where, *QUICK]
        assert cli("evaluate", tmp_path / "r", *options)[0] == 0


def test_codes_that_are_all_the_same(tmp_path: Path, cli: Cli) -> None:
    np.savez(tmp_path / "z.npz", x=np.zeros((300, 8, 8), np.uint8))
    zspace.train("ae", tmp_path / "z.npz", out=tmp_path / "r", iterations=2, device="cpu", **SMALL)
    assert "the same for all test samples" in cli("evaluate", tmp_path / "r", *QUICK)[2]
    status, out, err = cli("diagnose", tmp_path / "r", *QUICK)
    assert status == 0, err
    assert "one and the same code" in out
    assert "no edges to compare" in out


# comparison


def evaluation(name: str, fid: float, error: float = 1.0, **change: Any) -> dict[str, Any]:
    figure = {"value": fid, "error": error, "features": "inception", "uncertainty": ""}
    base = {
        "run": f"runs/{name}",
        "recipe": "ae",
        "configuration": "c",
        "data": "mnist",
        "test": "t1",
        "reference": "r1",
        "n": 100,
        "seed": 0,
        "features": "inception",
        "features_identity": "aaaaaaaa",
        "model": "m",
        "notes": [],
        "versions": {},
        "rows": [{"subject": "prior", "kind": "generation", "figures": {"fid": figure}}],
    }
    return {**base, **change}


def test_best_and_ties_are_marked() -> None:
    table = compare([evaluation("a", 30), evaluation("b", 10), evaluation("c", 12)], sort="fid")[0]
    assert table.header == ["run", "fid (inception) ↓"]
    assert [row[0] for row in table.rows] == ["b: prior", "c: prior", "a: prior"]
    assert [row[1] for row in table.rows] == ["**10.0 ± 1.0**", "12.0 ± 1.0 =", "30.0 ± 1.0"]
    assert tied(Figure(1, 0), Figure(1, 0))
    assert not tied(Figure(1, 0.1), Figure(1.3, 0.1))


def test_the_mean_over_seeds() -> None:
    runs = [evaluation(name, fid) for name, fid in (("a", 10), ("b", 12), ("c", 14))]
    other = evaluation("d", 50, configuration="other", recipe="vae")
    table = compare(over_seeds([*runs, other]), sort="fid")[0]
    # standard deviation 2, of three
    assert [list(row) for row in table.rows] == [
        ["ae, 3 seeds: prior", f"**{Figure(12, 2 / 3**0.5)}**"],
        ["d: prior", "50.0 ± 1.0"],
    ]
    with pytest.raises(InputError, match="differ by their seeds alone"):
        over_seeds([runs[0], other])


def test_two_extractors_never_share_a_column() -> None:
    other = evaluation("b", 10, features="classifier cnn", features_identity="b")
    other["rows"][0]["figures"]["fid"]["features"] = "classifier cnn"
    table = compare([evaluation("a", 30), other])[0]
    assert table.header[1:] == ["fid (inception) ↓", "fid (classifier cnn) ↓"]
    assert [list(row[1:]) for row in table.rows] == [["30.0 ± 1.0", ""], ["", "10.0 ± 1.0"]]
    # one name, two networks
    table = compare([evaluation("a", 30), evaluation("b", 3, features_identity="cccccccc")])[0]
    assert table.header[1:] == ["fid (inception aaaaaa) ↓", "fid (inception cccccc) ↓"]


def test_runs_that_can_not_be_compared() -> None:
    a = evaluation("a", 3)
    with pytest.raises(InputError, match=r"different data \(mnist and svhn\)"):
        compare([a, evaluation("b", 4, data="svhn", test="t2")])
    with pytest.raises(InputError, match="n = 100, runs/b on n = 50"):
        compare([a, evaluation("b", 4, n=50)])
    with pytest.raises(InputError, match=r"different test images .seeds 0 and 2."):
        compare([a, evaluation("b", 4, reference="r2", seed=2)])
    with pytest.raises(InputError, match="unknown figure 'fdi': did you mean 'fid'"):
        compare([a], sort="fdi")
    with pytest.raises(InputError, match="no run to compare"):
        compare([])


def test_compare_evaluates_what_is_missing(
    runs: dict[str, Path], tmp_path: Path, cli: Cli, refused: Callable[..., str]
) -> None:
    for name in ("ae", "vae"):
        shutil.copytree(runs[name], tmp_path / name)
    both = (tmp_path / "ae", tmp_path / "vae")
    for suffix in ("md", "csv", "html"):
        out = tmp_path / f"t.{suffix}"
        status, shown, err = cli(
            "compare", *both, "--sort=fid", "--columns=mse", "--n=100", "--out", out, *QUICK
        )
        assert status == 0, err
        assert "ae: normal" in shown
        assert out.read_text()
    rows = list(csv.reader((tmp_path / "t.csv").read_text().splitlines()))
    assert rows[0] == ["run", "fid (classifier cnn) ↓"]
    assert {row[0] for row in rows[1:4]} == {"ae: normal", "ae: mixture", "vae: prior"}
    assert "<b>" in (tmp_path / "t.html").read_text()
    # an evaluation of other weights is not taken
    stored = json.loads((tmp_path / "ae" / "evaluation.json").read_text())
    stored["model"] = "other"
    stored["rows"][0]["figures"]["mse"]["value"] = 777.0
    (tmp_path / "ae" / "evaluation.json").write_text(json.dumps(stored))
    assert "777" not in cli("compare", *both, "--n=100", *QUICK)[1]
    assert "t.txt" in refused("compare", *both, f"--out={tmp_path / 't.txt'}")
    assert "is named twice" in refused("compare", both[0], both[0])
    assert "is no folder" in refused("compare", both[0], tmp_path / "gone")


def test_runs_of_different_data(
    runs: dict[str, Path], tmp_path: Path, refused: Callable[..., str]
) -> None:
    shutil.copytree(runs["ae"], tmp_path / "ae")
    zspace.train(
        "ae", "digits", classes="0,1", out=tmp_path / "two", iterations=2, device="cpu", **SMALL
    )
    message = refused(
        "compare", tmp_path / "ae", tmp_path / "two", "--features=pixels", "--n=50", *QUICK
    )
    assert "different data" in message


def test_tables_escape_what_they_show() -> None:
    table = Table(["a|b", "c"], [["<i>", "**1**"]], "t & u", ["n < 3"])
    assert "a\\|b" in table.markdown()
    assert "&lt;i&gt;" in table.html()
    assert "<b>1</b>" in table.html()
    assert "t &amp; u" in table.html()
    assert table.csv() == "a|b,c\n<i>,1\n"


# diagnosis


def found(measurement: Measurement, subject: Subject) -> dict[str, Finding]:
    return {f.name: f for f in diagnose(measurement, subject)}


def subject_of(measurement: Measurement, x: Tensor) -> Subject:
    """Images as if a sampler had made them, with codes that fit."""
    codes = measurement.draws[torch.arange(len(x)) % len(measurement.draws)]
    return Subject("prior", "generation", x, codes)


@pytest.fixture(scope="session")
def fresh(measurement: Measurement) -> Tensor:
    """What a perfect model would draw: images of the data that it was not trained on."""
    return measurement.others.x


@pytest.fixture(scope="session")
def held(measurement: Measurement, fresh: Tensor) -> Measurement:
    """A measurement whose training part has none of the fresh images."""
    train = replace(measurement.images.train, x=measurement.training, y=None)
    return replace(measurement, images=replace(measurement.images, train=train))


def test_a_perfect_model_has_no_fault(held: Measurement, fresh: Tensor) -> None:
    faults = [f for f in found(held, subject_of(held, fresh)).values() if f.fault]
    assert not [f for f in faults if f.name != "dimensions"], faults


def test_copies_are_found(held: Measurement) -> None:
    noise = torch.randint(0, 6, held.training.shape, generator=torch.Generator().manual_seed(0))
    copies = (held.training.int() + noise).clamp(0, 255).byte()
    finding = found(held, subject_of(held, copies))["memorisation"]
    assert finding.fault
    assert finding.figures["copies"] > 0.9
    distance, share = closeness(copies, held.training)
    assert float(share.mean()) < 0.2
    assert float(distance.mean()) < 0.5


def test_some_copies_among_many_are_found(held: Measurement, fresh: Tensor) -> None:
    mixed = torch.cat([fresh, held.training[: len(fresh) // 9]])
    finding = found(held, subject_of(held, mixed))["memorisation"]
    assert finding.fault
    assert 0.08 < finding.figures["copies"] < 0.2


def test_a_few_fresh_images_are_no_copies(held: Measurement, fresh: Tensor) -> None:
    """The lowest percent of few test images is one of them: chance must be ruled out."""
    few = replace(held, test=held.test[:30], labels=None)
    finding = found(few, subject_of(few, fresh[:30]))["memorisation"]
    assert not finding.fault


def test_copies_among_test_images_hide_none(held: Measurement) -> None:
    """Data whose test images repeat training images: the threshold is 0."""
    test = torch.cat([held.test[:-20], held.training[:20]])
    leaky = replace(held, test=test, labels=None)
    subject = subject_of(held, held.training[:100])
    finding = found(leaky, subject)["memorisation"]
    assert finding.fault
    assert finding.figures["copies"] == 1


def test_one_dimension_that_is_missed_is_found(held: Measurement, fresh: Tensor) -> None:
    good = subject_of(held, fresh)
    assert good.codes is not None
    narrow = good.codes.clone()
    narrow[:, 1] *= 0.1
    finding = found(held, replace(good, codes=narrow))["prior"]
    assert finding.fault
    assert finding.figures["worst"] > 0.3


def test_sorted_data_are_drawn_from_all_over(tmp_path: Path) -> None:
    digits = zspace.data.load("digits")
    order = torch.argsort(digits.train.y, stable=True)  # type: ignore[arg-type]
    np.savez(
        tmp_path / "d.npz",
        x_train=digits.train.x[order].numpy(),
        y_train=digits.train.y[order].numpy(),
    )  # type: ignore[index]
    zspace.train("ae", tmp_path / "d.npz", out=tmp_path / "a", iterations=2, device="cpu", **SMALL)
    made = measure_run(tmp_path / "a", features="pixels", device="cpu")
    shares = [
        metrics.frechet_distance(made.test.flatten(1).float() / 255, x.flatten(1).float() / 255)
        for x in (made.training, made.others.x)
    ]
    assert max(shares) < 3 * min(shares)


def test_a_lost_class_is_found(held: Measurement, fresh: Tensor) -> None:
    classes = held.features(Subject("fresh", "data", fresh), "logits").argmax(1)
    findings = found(held, subject_of(held, fresh[classes != 3]))
    assert findings["classes"].fault
    assert findings["classes"].figures["lost"] == ["3"]
    assert "class 3: 0.0%" in findings["classes"].words
    # and by recall
    whole = metrics.improved_precision_recall(
        held.features(held.reference), held.features(Subject("f", "data", fresh))
    )[1].mean()
    less = metrics.improved_precision_recall(
        held.features(held.reference), held.features(Subject("g", "data", fresh[classes != 3]))
    )[1].mean()
    assert float(less) < float(whole) - 0.05


def test_blur_is_found(held: Measurement, fresh: Tensor) -> None:
    blurred = torch.nn.functional.avg_pool2d(fresh.float(), 3, 1, 1).byte()
    findings = found(held, subject_of(held, blurred))
    assert findings["sharpness"].fault
    assert "blurred" in findings["sharpness"].words
    reference = held.features(held.reference)
    precise = [
        metrics.improved_precision_recall(reference, held.features(Subject(name, "data", x)))[0]
        for name, x in (("sharp", fresh), ("blurred", blurred))
    ]
    assert float(precise[1].mean()) < 0.9 * float(precise[0].mean())


def test_noise_is_called_noise(held: Measurement, fresh: Tensor) -> None:
    """White specks on black."""
    dice = torch.rand(fresh.shape, generator=torch.Generator().manual_seed(0))
    noisy = torch.where(dice < 0.08, 255, 0).byte()
    finding = found(held, subject_of(held, noisy))["sharpness"]
    assert finding.fault
    assert "noisy" in finding.words


def test_a_prior_that_misses_the_codes_is_found(held: Measurement, fresh: Tensor) -> None:
    good = subject_of(held, fresh)
    assert good.codes is not None
    wrong = replace(good, codes=4 * good.codes + 3)
    assert not found(held, good)["prior"].fault
    finding = found(held, wrong)["prior"]
    assert finding.fault
    assert finding.figures["gap"] > 1
    assert max(finding.figures["mixture"]) < 0.5
    assert "--sampler mixture" in finding.words


def test_dead_dimensions_are_named(held: Measurement, fresh: Tensor) -> None:
    live = replace(held)
    use = torch.tensor([1.0, 0.0, 1.0])
    noise = torch.randn(len(held.means), 3, generator=torch.Generator().manual_seed(0))
    live.means = noise * use
    finding = found(live, subject_of(live, fresh))["dimensions"]
    assert finding.fault
    assert finding.figures["dead"] == [1]


def test_the_diagnose_command(run: Path, cli: Cli, refused: Callable[..., str]) -> None:
    status, out, err = cli("diagnose", run, *QUICK)
    assert status == 0, err
    stored = json.loads((run / "diagnosis.json").read_text())
    names = ["prior", "dimensions", "memorisation", "classes", "support", "sharpness"]
    assert [f["name"] for f in stored] == names
    assert all(f["figures"] for f in stored)
    # trained for 20 iterations: it draws grey fog
    faults = {f["name"] for f in stored if f["fault"]}
    assert {"classes", "support", "sharpness"} <= faults
    assert out.count("\n") == 7
    assert "unknown sampler" in refused("diagnose", run, "--sampler=none", *QUICK)


# neighbours


def test_neighbours_are_the_nearest(
    measurement: Measurement, run: Path, cli: Cli, tmp_path: Path
) -> None:
    near = neighbours(measurement, "prior", n=4, k=3)
    train = measurement.images.train.x.float() / 255
    for i in range(4):
        distances = (near.images[i].float() / 255 - train).flatten(1).norm(dim=1)
        expected = distances.argsort()[:3]
        torch.testing.assert_close(distances[near.by_pixels[i]], distances[expected])
        torch.testing.assert_close(
            near.pixel_distances[i], distances[expected], rtol=1e-4, atol=1e-4
        )
    sheet, columns = near.rows(measurement.images.train.x)
    assert columns == 8
    assert len(sheet) == 32
    assert torch.equal(sheet[0], sheet[4])
    out = tmp_path / "n.png"
    status, shown, err = cli("neighbours", run, "--count=3", "--k=2", "--out", out, *QUICK)
    assert status == 0, err
    assert "(pixels)" in shown
    assert out.exists()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--out=n.jpg"], "--out must be a .png file"),
        (["--count=0", "--out=n.png"], "--count must be at least 1"),
        (["--k=1001", "--out=n.png"], "--k must be at most 1000"),
    ],
)
def test_what_neighbours_refuses(
    runs: dict[str, Path], refused: Callable[..., str], arguments: list[str], message: str
) -> None:
    assert message in refused("neighbours", runs["vae"], *arguments, "--quiet")


# the report


@pytest.fixture(scope="session")
def page(runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "vae"
    shutil.copytree(runs["vae"], folder)
    from click.testing import CliRunner

    from zspace.cli.base import cli as commands

    done = CliRunner().invoke(commands, ["report", str(folder), *QUICK])
    assert done.exit_code == 0, done.output
    return folder / "report.html"


def test_the_report_holds_everything(page: Path) -> None:
    text = page.read_text()
    for part in (
        "Figures",
        "Diagnosis",
        "Pictures",
        "Configuration",
        "recipe: vae",
        "fid (",
        "losses of the training",
        "samples: prior",
        "reconstructions",
        "line of codes",
        "nearest training images",
        "codes of test images",
    ):
        assert part in text, part
    assert text.count("data:image/png;base64,") == 6
    assert not re.findall(r'(?:src|href)="(?!data:)', text)
    assert "http" not in text.replace("http-equiv", "")


def test_the_report_in_a_browser(page: Path, tmp_path: Path) -> None:
    """Every picture shows, and nothing is asked for: without the policy that would forbid it."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no Chromium: the report was not opened in a browser")
    probe = """<script>addEventListener("load", () => {
      const asked = performance.getEntriesByType("resource").map(e => e.name)
        .filter(n => !n.startsWith("data:"));
      document.title = "widths " + [...document.images].map(i => i.naturalWidth).join(",")
        + " asked " + asked.length;
    });</script></body>"""
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text())
    copy = tmp_path / "copy.html"
    copy.write_text(text.replace("</body>", probe))
    log = tmp_path / "net.json"
    done = subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--log-net-log={log}",
            "--dump-dom",
            "--virtual-time-budget=5000",
            copy.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    title = re.search(r"<title>widths ([\d,]+) asked (\d+)</title>", done.stdout)
    assert title, done.stderr[-2000:]
    widths = [int(w) for w in title[1].split(",")]
    assert len(widths) == 6
    assert min(widths) > 50
    assert title[2] == "0"
    assert copy.name in log.read_text()


def test_what_report_refuses(run: Path, refused: Callable[..., str]) -> None:
    assert "must be an .html file" in refused("report", run, "--out=r.pdf")
    (run / "d.html").mkdir()
    assert "d.html is a folder" in refused("report", run, "--out", run / "d.html")
    missing = run / "config.yaml" / "r.html"
    assert "can't be written" in refused("report", run, "--out", missing)
    assert "unknown map 'umap'" in refused("report", run, "--map=umap")
    assert not (run / "report.html").exists()


def test_pca_maps_and_planes() -> None:
    from zspace.evaluation.report import latent_map

    z = torch.randn(60, 5)
    assert latent_map(z, "pca").shape == (60, 2)
    np.testing.assert_allclose(latent_map(z[:, :2]), z[:, :2], rtol=1e-6)
    assert latent_map(z[:, :1]).shape == (60, 2)

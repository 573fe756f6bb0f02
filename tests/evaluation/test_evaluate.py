"""Figures of a run: written, repeated, refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import zspace
from tests.conftest import SMALL, Cli, random_images
from zspace import metrics
from zspace.core import codes
from zspace.data import load as load_data
from zspace.data.images import Part
from zspace.errors import InputError
from zspace.evaluation.evaluate import evaluate, measure
from zspace.evaluation.measurement import (
    GENERATION,
    RECONSTRUCTION,
    Measurement,
    Subject,
    generated,
    measure_run,
    reconstructed,
)
from zspace.evaluation.metrics import METRICS
from zspace.functional import as_float
from zspace.generation.fit import fit_sampler
from zspace.methods.regene import ReGene
from zspace.wrapping import run_of_codes

pytestmark = pytest.mark.filterwarnings("ignore::zspace.metrics.BiasWarning")


QUICK = ["--device=cpu", "--quiet"]


@pytest.fixture
def run(runs: dict[str, Path], tmp_path: Path) -> Path:
    """A run of its own, to write into."""
    shutil.copytree(runs["vae"], tmp_path / "vae")
    return tmp_path / "vae"


def test_the_same_seed_gives_the_same_figures(run: Path) -> None:
    options: dict[str, Any] = {"metrics": ["fid", "prd", "jsd"], "n": 100, "device": "cpu"}
    first, again = (evaluate(run, **options)["rows"] for _ in range(2))
    assert first == again
    assert evaluate(run, **options, seed=1)["rows"] != first


def test_evaluated_figures_are_those_of_the_functions(measurement: Measurement) -> None:
    """By hand, each column of each kind of subject."""
    names = [name for name in METRICS if name != "classified"]  # of other models
    result = measure(measurement, metrics=names, samplers=["prior", "normal"], diagnosed=False)
    found = {
        (row["subject"], column): figure["value"]
        for row in result["rows"]
        for column, figure in row["figures"].items()
    }
    x = measurement.test.double() / 255
    rebuilt = measurement.model.reconstruct(x.float()).mul(255).round().double() / 255
    rebuilt_images = reconstructed(measurement)
    logits = measurement.features(rebuilt_images, "logits")
    reference = measurement.features(measurement.reference)
    expected: dict[tuple[str, str], Any] = {
        ("reconstructions", "mse"): (x - rebuilt).square().mean(),
        ("reconstructions", "mae"): (x - rebuilt).abs().mean(),
        ("reconstructions", "ssim"): metrics.structural_similarity(x, rebuilt).mean(),
        ("reconstructions", "sharpness"): metrics.sharpness(rebuilt).mean(),
        ("reconstructions", "accuracy"): (logits.argmax(1) == measurement.labels).double().mean(),
        ("reconstructions", "fid"): metrics.frechet_distance(
            reference, measurement.features(rebuilt_images)
        ),
        ("prior", "w1"): np.mean(
            [
                wasserstein_distance(a, b)
                for a, b in zip(measurement.draws.T, of_prior(measurement).T, strict=True)
            ]
        ),
        **{("codes", name): value for name, value in of_codes(measurement).items()},
    }
    for name, held in (("prior", measurement.draws), ("normal", measurement.means)):
        made = generated(measurement, name)
        assert made.codes is not None
        expected |= {
            (name, "gap"): metrics.prior_gap(held, made.codes),
            (name, "code-fid"): metrics.frechet_distance(held, made.codes),
            (name, "jsd"): metrics.jensen_shannon_divergence(held, made.codes).value,
        }
    for subject in (generated(measurement, "prior"), measurement.others):
        y = measurement.features(subject)
        training = measurement.features(measurement.memorised)
        n = len(measurement.test)
        f8, f18, _ = metrics.precision_recall_distributions(reference, y)
        precise, recalled = metrics.improved_precision_recall(reference, y)
        density, covered = metrics.density_coverage(reference, y)
        figures: dict[str, Any] = {
            "fid": metrics.frechet_distance(reference, y),
            "fid-inf": metrics.frechet_distance(reference, y, limit=True),
            "kid": metrics.kernel_inception_distance(reference, y, size=n // 2)[0],
            "is": metrics.inception_score(measurement.features(subject, "logits"))[0],
            "f8": f8,
            "f1/8": f18,
            "precision": precise.mean(),
            "recall": recalled.mean(),
            "density": density.mean(),
            "coverage": covered.mean(),
            "pms": metrics.memorisation_score(subject.x, measurement.training).mean(),
            "ims": metrics.memorisation_score(y, training).mean(),
        }
        expected |= {(subject.name, column): value for column, value in figures.items()}
    every = {column for name in names for column in METRICS[name].names}
    assert {column for _, column in expected} == every
    assert {what: found[what] for what in expected} == pytest.approx(
        {what: float(value) for what, value in expected.items()}, rel=1e-4
    )


def of_prior(measurement: Measurement) -> torch.Tensor:
    drawn = generated(measurement, "prior").codes
    assert drawn is not None
    return drawn


def of_codes(measurement: Measurement) -> dict[str, Any]:
    """The figures of codes, by scikit-learn and plain formulas where there are such."""
    z, y = measurement.means.double(), measurement.labels
    train = measurement.images.train
    assert y is not None
    assert train.y is not None
    known = codes(measurement.model, train.x).double()
    scaler = StandardScaler().fit(known)
    probe = LogisticRegression(max_iter=1000).fit(scaler.transform(known), train.y)
    unit = torch.nn.functional.normalize(z)
    of_class = [unit[y == label] for label in y.unique()]
    cosines = [(u @ u.T)[~torch.eye(len(u), dtype=torch.bool)].mean() for u in of_class]
    return {
        "entropy": metrics.differential_entropy(z).value,
        "active": (z.var(0) > 0.01).sum(),
        "probe": (probe.predict(scaler.transform(z)) == y.numpy()).mean(),
        "cosine": np.mean(cosines),
    }


def test_reconstructions_are_left_out_with_their_originals(measurement: Measurement) -> None:
    """Unpaired, images would be at an uncertain distance from themselves."""
    same = Subject("the same", RECONSTRUCTION, measurement.test)
    figure = METRICS["fid"].measure(measurement, same)[""]
    assert figure.value == pytest.approx(0, abs=1e-8)
    assert figure.error < 1e-9
    others = Subject("others", GENERATION, measurement.test)
    assert METRICS["fid"].measure(measurement, others)[""].error > 1e-4
    kid = METRICS["kid"].measure(measurement, same)[""]
    assert abs(kid.value) < 3 * kid.error


def test_the_error_of_the_kernel_distance(
    measurement: Measurement, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of halves that deviate by 1 / sqrt(n / 2) sqrt(1 - 1 / 2) = 1 / sqrt(n), all n do so, too."""
    monkeypatch.setattr(metrics, "kernel_inception_distance", lambda *_, **__: (0.0, 1.0))
    made = Subject("made", GENERATION, measurement.test[:200])
    assert METRICS["kid"].measure(measurement, made)[""].error == pytest.approx(1.0)


def test_unknown_labels_are_left_out(runs: dict[str, Path]) -> None:
    whole = measure_run(runs["vae"], device="cpu")
    assert whole.labels is not None
    assert whole.images.train.y is not None
    hidden = whole.labels.clone()
    hidden[::2] = -1
    y = whole.images.train.y.clone()
    y[::3] = -1
    images = replace(whole.images, train=Part(whole.images.train.x, y))
    held = replace(whole, labels=hidden, images=images)
    z, labels = whole.means[1::2], whole.labels[1::2]
    by_class = metrics.class_cosine(z, labels).values()
    found = METRICS["cosine"].measure(held, held.reference)[""].value
    assert found == pytest.approx(sum(by_class) / len(by_class))
    rows = (y >= 0).nonzero()[:, 0]
    trained = codes(whole.model, whole.images.train.x[rows]).cpu()
    probe = metrics.linear_probe(trained, y[rows], z, labels).mean()
    assert METRICS["probe"].measure(held, held.reference)[""].value == pytest.approx(float(probe))
    made = generated(held, "simple")
    assert made.labels is not None
    assert made.labels.tolist() == labels.repeat(3)[: len(made.labels)].tolist()


def test_arrays_from_python_are_evaluated_with_their_data(tmp_path: Path) -> None:
    x = random_images(300, 8, 8)
    zspace.train("ae", x, out=tmp_path / "a", iterations=2, device="cpu", **SMALL)
    options: dict[str, Any] = {"metrics": ["mse", "fid", "active"], "device": "cpu"}
    kept = evaluate(tmp_path / "a", **options)
    (tmp_path / "a" / "data.safetensors").unlink()
    with pytest.raises(InputError, match="keeps none: give them again"):
        evaluate(tmp_path / "a", device="cpu")
    result = evaluate(tmp_path / "a", data=x, **options)
    assert result["rows"] == kept["rows"]
    assert result["features"] == "pixels"
    assert [r["subject"] for r in result["rows"]][:3] == ["reconstructions", "normal", "mixture"]
    with pytest.raises(InputError, match=r"a sample's shape is .* now"):
        evaluate(tmp_path / "a", data=random_images(300, 12, 12), device="cpu")


def test_what_nobody_asked_for_may_fail(tmp_path: Path, refused: Callable[..., str]) -> None:
    """Codes of one class that never vary: no probe, no entropy, but all the rest."""
    out = tmp_path / "one"
    zspace.train("ae", "digits", classes="7", out=out, iterations=2, device="cpu", **SMALL)
    checkpoint = next((out / "checkpoints").iterdir())
    model = zspace.load(out)
    with torch.no_grad():
        model.encoder[-1].weight.zero_()  # type: ignore[index,union-attr]
    from zspace.storage.files import read_header, write_tensors

    write_tensors(out / "model.safetensors", model.state_dict(), read_header(checkpoint, dict))
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


def test_codes_that_are_all_the_same(tmp_path: Path, cli: Cli) -> None:
    np.savez(tmp_path / "z.npz", x=np.zeros((300, 8, 8), np.uint8))
    zspace.train("ae", tmp_path / "z.npz", out=tmp_path / "r", iterations=2, device="cpu", **SMALL)
    assert "the same for all test samples" in cli("evaluate", tmp_path / "r", *QUICK)[2]
    status, out, err = cli("diagnose", tmp_path / "r", *QUICK)
    assert status == 0, err
    assert "one and the same code" in out
    assert "no edges to compare" in out


def test_evaluation_knows_the_classifier_and_the_labels(runs: dict[str, Path]) -> None:
    found = evaluate(runs["regene"], metrics=["classified", "accuracy", "mae"], device="cpu")
    rows = {row["subject"]: row["figures"] for row in found["rows"]}
    model = zspace.load(runs["regene"])
    assert isinstance(model, ReGene)
    test = load_data("digits").test
    with torch.no_grad():
        p = model.probabilities(model.encode(as_float(test.x)))
    own = float((p.argmax(1) == test.y).float().mean())
    assert rows["codes"]["classified"]["value"] == pytest.approx(own)
    assert own > 0.9
    # the judged generations of a class are taken for it by another classifier, too
    assert rows["convex"]["accuracy"]["value"] > 0.9
    with pytest.raises(InputError, match="needs a model with a classifier of its own"):
        evaluate(runs["vae"], metrics=["classified"], device="cpu")


def test_what_python_gives_wrongly_is_refused(runs: dict[str, Path]) -> None:
    run = runs["ae"]
    with pytest.raises(InputError, match=r"unknown argument of evaluate 'feature'.*'features'"):
        zspace.evaluate(run, feature="pixels")
    with pytest.raises(InputError, match=r"must be a whole number, not 20\.5"):
        zspace.evaluate(run, n=20.5, device="cpu")
    with pytest.raises(InputError, match=r"progress must be a zspace\.Progress or a function"):
        zspace.evaluate(run, progress=3)
    told: list[object] = []
    options = {"features": "pixels", "n": 30, "device": "cpu"}
    found = zspace.evaluate(run, metrics="mse,mae", progress=lambda *a: told.append(a), **options)
    assert found["rows"][0]["figures"].keys() == {"mse", "mae"}
    assert told


def test_a_class_that_a_sampler_has_not_learned_is_left_out(
    tmp_path: Path, refused: Callable[..., str]
) -> None:
    random = np.random.default_rng(0)
    y = np.arange(300) % 3
    z = (4 * np.eye(3)[y] + random.normal(size=(300, 3))).astype(np.float32)
    few = np.flatnonzero(y < 2)[:140]
    np.savez(tmp_path / "c.npz", x_train=z[few], y_train=y[few], x_test=z, y_test=y)
    run = run_of_codes(tmp_path / "c.npz", tmp_path / "c")
    fit_sampler(run, "simple")
    made = generated(measure_run(run, device="cpu"), "simple")
    assert made.labels is not None
    assert made.labels.unique().tolist() == [0, 1]
    # five codes have ten combinations of two, a tenth of what is wanted: what nobody asked for may
    # fail
    few = np.r_[few, np.flatnonzero(y == 2)[:5]]
    np.savez(tmp_path / "d.npz", x_train=z[few], y_train=y[few], x_test=z, y_test=y)
    run = run_of_codes(tmp_path / "d.npz", tmp_path / "d")
    fit_sampler(run, "convex")
    fit_sampler(run, "normal")
    result = evaluate(run, metrics=["fid"], device="cpu")
    assert "the sampler convex is left out: " in " ".join(result["notes"])
    assert "normal" in [row["subject"] for row in result["rows"]]
    assert "combin" in refused("evaluate", run, "--metrics=fid", "--samplers=convex", *QUICK)


def test_a_sampler_of_other_data_is_told_of(tmp_path: Path) -> None:
    x = random_images(300, 8, 8)
    np.savez(tmp_path / "s.npz", x=x)
    run = tmp_path / "r"
    zspace.train("ae", tmp_path / "s.npz", out=run, iterations=2, device="cpu", **SMALL)
    fit_sampler(run, "normal")
    assert not any("other training data" in n for n in evaluate(run, device="cpu")["notes"])
    np.savez(tmp_path / "s.npz", x=255 - x)
    notes = evaluate(run, metrics=["fid"], device="cpu")["notes"]
    assert any("the sampler normal was fitted to other training data" in note for note in notes)

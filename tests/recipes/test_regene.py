"""ReGene's schedules are the papers', and what it refuses."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import zspace
from tests.conftest import random_images, small
from tests.recipes.regene import TEN, regene
from zspace.data import load
from zspace.methods.ae import AE
from zspace.methods.regene import ReGene
from zspace.recipes import Facts, find
from zspace.recipes.regene import SCHEDULES


@pytest.mark.parametrize(
    "shape, first, second, batches, phases",
    [
        # appendix A.1.1: 50 epochs; 200 with both terms at 1e-3, 100 with MAE at 1e-4
        ((1, 28, 28), 50, 300, (512, 512), [(200, 1, 1, 0, 1e-3), (100, 1, 0, 0, 1e-4)]),
        # A.1.3
        (
            (3, 32, 32),
            100,
            300,
            (512, 512),
            [(100, 1, 1, 1, 1e-3), (100, 1, 0, 1, 1e-3), (100, 1, 0, 0, 1e-4)],
        ),
        # A.1.4
        (
            (3, 64, 64),
            50,
            700,
            (256, 128),
            [(300, 1, 1, 1, 5e-4), (300, 1, 0, 1, 5e-4), (100, 1, 0, 0, 5e-4)],
        ),
    ],
)
def test_schedules_are_the_papers(
    shape: tuple[int, ...],
    first: int,
    second: int,
    batches: tuple[int, int],
    phases: list[tuple[int, float, float, float, float]],
) -> None:
    plan = regene(shape, width=2, decoder_width=2)
    classifier, decoder = plan.stages  # type: ignore[attr-defined]
    assert (classifier.batch_size, decoder.batch_size) == batches
    assert classifier.iterations == first * 51_200 // batches[0]
    assert decoder.iterations == second * 51_200 // batches[1]
    per_epoch = 51_200 // batches[1]
    found = [
        (p.length / per_epoch, p.mae, p.ssim, p.perceptual, p.rate) for p in decoder.method.phases
    ]
    assert found == phases
    start = 0
    for length, *_, rate in phases:
        first_of, last_of = start * per_epoch, (start + length) * per_epoch - 1
        for iteration in (first_of, last_of):
            assert decoder.rate(iteration) * phases[0][4] == pytest.approx(rate)
        start += length
    assert decoder.rate(start * per_epoch + 5) * phases[0][4] == pytest.approx(phases[-1][4])
    drop = 5 if shape[1] == 64 else 20
    epoch = 51_200 // batches[0]
    rates = [classifier.rate(i) for i in (0, drop * epoch - 1, drop * epoch, 2 * drop * epoch)]
    assert rates == pytest.approx([1, 1, 0.99, 0.99**2])
    assert classifier.method.optimizers()["classifier"].param_groups[0]["lr"] == 0.005


def test_what_is_asked_for_changes_the_schedule() -> None:
    plan = regene(
        iterations=1000, classifier_iterations=100, ssim=0.5, perceptual=0.3, learning_rate=2e-3
    )
    first, last = plan.model.phases  # type: ignore[attr-defined]
    assert (first.length, last.length) == (600, 300)
    assert (first.ssim, first.perceptual, first.rate) == (0.5, 0.3, 2e-3)
    assert (last.ssim, last.perceptual, last.rate) == (0, 0, pytest.approx(2e-4))
    assert plan.model.features is not None  # type: ignore[attr-defined]
    assert regene().model.features is None  # type: ignore[attr-defined]
    assert sum(SCHEDULES["celeba"].phases[i].length for i in range(3)) == 700
    small_set = regene((1, 8, 8), 1293)
    assert small_set.stages[0].batch_size == 64  # type: ignore[attr-defined]


def test_without_weights_the_perceptual_loss_is_refused(
    refused: Callable[..., str], tmp_path: Path
) -> None:
    np.savez(tmp_path / "d.npz", images=random_images(120, 16, 16, 3), labels=np.arange(120) % 3)
    out = tmp_path / "r"
    for more in ([], ["--perceptual=1"]):
        text = refused(
            "train",
            "regene",
            "--data",
            tmp_path / "d.npz",
            "--out",
            out,
            "--width=2",
            "--decoder-width=2",
            "--iterations=10",
            *more,
        )
        assert "the weights of vgg16 are missing" in text
        assert "--perceptual 0 leaves that term out" in text
        assert not out.exists()
    text = refused("train", "regene", "--out", out, "--perceptual=1", "--iterations=10")
    assert "vgg16 are missing" in text


def test_what_regene_refuses(
    refused: Callable[..., str], runs: dict[str, Path], tmp_path: Path
) -> None:
    np.save(tmp_path / "u.npy", random_images(60, 8, 8))
    np.savez(
        tmp_path / "v.npz",
        data=np.random.default_rng(0).random((60, 12), np.float32),
        labels=np.arange(60) % 3,
    )
    np.savez(tmp_path / "s.npz", images=random_images(60, 3, 3), labels=np.arange(60) % 3)
    out = ("--out", tmp_path / "r")

    def train(*more: object) -> str:
        return refused("train", "regene", *out, *more)

    assert "needs labelled data" in train("--data", tmp_path / "u.npy")
    assert "images, not vectors" in train("--data", tmp_path / "v.npz")
    assert "too small to be halved 2 times" in train("--data", tmp_path / "s.npz")
    assert "too small to be halved 4 times" in train("--blocks=5")
    assert "--ssim-window 11 must be odd, and no larger" in train("--ssim-window=11")
    assert "--ssim-window 4 must be odd" in train("--ssim-window=4")
    assert "leaves none for the decoder" in train("--iterations=10", "--classifier-iterations=10")
    assert "--loss must be one of" in train("--loss=l1")
    assert "needs labelled data" in train("--classes=3")
    run = runs["regene"]

    def sample(*more: object) -> str:
        return refused("sample", run, "--sampler=convex", *more)

    assert "sum to 1" in sample("--weights=0.5,0.7")
    assert "sum to 1" in sample("--weights=-0.5,1.5")
    assert "unknown class '11'" in sample("--label=11")
    assert "--combine must be at least 2" in sample("--combine=1")
    assert "too few to combine 500" in sample("--combine=500", "--label=3")
    assert "unknown origin 'pixels'" in sample("--generations=2", "--from=pixels")
    assert "--generations must be at least 1" in sample("--generations=-1")
    assert "--n must be at least 1" in sample("--n=0")
    assert "a multiple of 6, not 15" in train("--encoder=densenet", "--depth=15")
    broken = tmp_path / "broken"
    shutil.copytree(run, broken)
    (broken / "samplers").mkdir(exist_ok=True)
    (broken / "samplers" / "convex.safetensors").write_bytes(b"x" * 40)
    text = refused("sample", broken, "--sampler=convex", "--label=1")
    assert "--sampler convex' makes it again" in text
    assert "belongs to --sampler convex" in refused(
        "sample", runs["vae"], "--combine=3", "--out", tmp_path / "x.png"
    )
    assert "--out is missing" in refused("sample", runs["vae"])
    assert "unknown picture 'matrx': did you mean 'matrix'" in refused(
        "gallery", run, "matrx", "--out", tmp_path / "x.png"
    )
    assert ".png" in refused("gallery", run, "matrix", "--out", tmp_path / "x.gif")
    assert "FILE.npz or a folder" in refused(
        "augment", run, "--per-class=3", "--out", tmp_path / "x.png"
    )
    assert "--per-class must be at least 1" in refused(
        "augment", run, "--per-class=0", "--out", tmp_path / "x"
    )
    zspace.train(
        "ae", tmp_path / "u.npy", out=tmp_path / "a", iterations=2, device="cpu", **small("ae")
    )
    assert "the data have none" in refused("sample", tmp_path / "a", "--sampler=convex")
    assert "has no labels: there are no classes to add images to" in refused(
        "augment", tmp_path / "a", "--per-class=3", "--out", tmp_path / "x"
    )
    assert "has no labels" in refused(
        "gallery", tmp_path / "a", "collage", "--out", tmp_path / "x.png"
    )
    assert "--arch regene" in refused("train", "ae", *out, "--arch=regene", "--latent-dim=3")
    assert not (tmp_path / "r").exists()


def test_an_autoencoder_of_regenes_networks_has_the_decoders_rates() -> None:
    facts = Facts((1, 28, 28), ("0", "1"), True, 100)
    options = {"arch": "regene", "width": 2, "decoder_width": 2, "iterations": 300}
    options |= {"learning_rate": 1e-3}
    plan = find("ae")(facts, **options)  # type: ignore[call-arg]
    (stage,) = plan.stages
    assert isinstance(plan.model, AE)
    rates = [stage.rate(i) * plan.model.rate for i in (0, 199, 200, 299, 5000)]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-4])
    longer = find("ae")(facts, **{**options, **plan.found, "iterations": 600})  # type: ignore[call-arg]
    assert longer.stages[0].rate(250) == pytest.approx(0.1)


def test_the_decoder_can_be_trained_on_other_images(
    refused: Callable[..., str], tmp_path: Path
) -> None:
    np.save(tmp_path / "more.npy", random_images(70, 8, 8))
    more = str(tmp_path / "more.npy")
    options = {**small("regene"), "decoder_data": more, "iterations": 4}
    plan = find("regene")(Facts((1, 8, 8), TEN, True, 1295), **options)  # type: ignore[call-arg]
    classifier, decoder = plan.stages
    images = load("digits")
    assert classifier.data(images) is images.train
    part = decoder.data(images)
    assert part.x.shape == (70, plan.model.latent_dim)
    assert part.y is not None
    assert part.y.shape == (70, 1, 8, 8)
    assert isinstance(plan.model, ReGene)
    assert float(plan.model.thresholds.min()) > 0
    out = ("--iterations=4", "--classifier-iterations=2", "--out", tmp_path / "x")
    command = ("train", "regene", "--data=digits", *out)
    assert "is no folder of images" in refused(*command, "--decoder-data=celeba")
    assert "give --iterations, too" in refused(
        "train", "regene", "--data=digits", "--decoder-data", more, "--out", tmp_path / "x"
    )

"""The neutral classifier is trained once and kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import Cli, Told, random_images
from zspace.data import load
from zspace.data.images import Images, Part
from zspace.errors import InputError
from zspace.features import classifier as neutral
from zspace.features.classifier import neutral_classifier
from zspace.storage.cache import fingerprint, key


def test_the_classifier_is_trained_once_and_says_its_accuracy(
    cache: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    first = neutral_classifier(load("digits"), seed=5, device="cpu", progress=told)
    assert first.accuracy.value > 0.9
    assert "test accuracy" in told.said[-1]
    monkeypatch.setattr(neutral, "fit", None)  # it must not be trained again
    again = neutral_classifier(load("digits"), seed=5, device="cpu")
    assert again.identity == first.identity
    status, out, _ = cli("classifier", "--data=digits", "--seed=5", "--quiet", "--device=cpu")
    assert status == 0
    assert out == f"cnn {first.identity} of digits: test accuracy {first.accuracy}\n"


def test_few_images_are_learned_in_few_iterations(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(neutral.ITERATIONS, "cnn", 2000)
    monkeypatch.setattr(neutral, "PASSES", 3)
    told = Told()
    neutral_classifier(load("digits", train_size=129), device="cpu", progress=told)
    assert any("cnn, 6 iterations" in line for line in told.said)


def test_a_damaged_classifier_is_trained_again(cache: Path) -> None:
    digits = load("digits")
    first = neutral_classifier(digits, seed=6, iterations=5, device="cpu")
    folders = {p: p.stat().st_mtime for p in (cache / "classifiers").iterdir()}
    newest = max(folders, key=lambda p: folders[p])
    (newest / "model.safetensors").write_bytes(b"broken")
    told = Told()
    again = neutral_classifier(digits, seed=6, iterations=5, device="cpu", progress=told)
    assert "can't be used" in told.said[0]
    assert again.identity == first.identity
    # one that was cut short goes on
    (newest / "model.safetensors").unlink()
    (newest / "config.yaml").write_text("[")
    assert neutral_classifier(digits, seed=6, iterations=5, device="cpu").identity == first.identity


def test_a_damaged_training_of_a_classifier_begins_anew(cache: Path) -> None:
    digits = load("digits")
    first = neutral_classifier(digits, seed=7, iterations=5, device="cpu")
    folders = {p: p.stat().st_mtime for p in (cache / "classifiers").iterdir()}
    newest = max(folders, key=lambda p: folders[p])
    (newest / "model.safetensors").unlink()
    (newest / "checkpoints" / "000000004.safetensors").write_bytes(b"broken")
    told = Told()
    again = neutral_classifier(digits, seed=7, iterations=5, device="cpu", progress=told)
    assert any("can't be resumed" in line for line in told.said)
    assert again.identity == first.identity


@pytest.mark.parametrize("arch", ["resnet56", "silu-resnet"])
def test_residual_classifiers_train(arch: str, cli: Cli) -> None:
    status, out, err = cli("classifier", f"--arch={arch}", "--augment=crop-flip", "--device=cpu")
    assert status == 0, err
    assert arch in out


def test_data_that_no_classifier_can_learn(refused: Callable[..., str], tmp_path: Path) -> None:
    x = random_images(30, 8, 8)
    np.save(tmp_path / "x.npy", x)
    assert "has no labels" in refused("classifier", f"--data={tmp_path / 'x.npy'}")
    assert "holds vectors" in refused("classifier", "--data=mog2")
    assert "--iterations must be at least 1" in refused("classifier", "--iterations=0")
    assert "--arch must be one of cnn, resnet56" in refused("classifier", "--arch=vgg")
    part = Part(torch.from_numpy(x)[:, None], torch.arange(30) % 2)
    images = Images("mine", part, part, part, ("a", "b", "c"))
    one = replace(images, classes=("a",))
    with pytest.raises(InputError, match="has one class"):
        neutral_classifier(one)
    with pytest.raises(InputError, match="class c of mine has no training image"):
        neutral_classifier(images)


def test_rotations_need_no_labels(cache: Path, cli: Cli, tmp_path: Path) -> None:
    digits = load("digits")
    found = neutral_classifier(digits, task="rotation", iterations=60, device="cpu")
    assert found.accuracy.value > 0.5, "a quarter is chance"
    assert (found.task, found.features) == ("rotation", "rotation cnn")
    bare = replace(
        digits,
        classes=(),
        **{part: Part(getattr(digits, part).x) for part in ("train", "validation", "test")},
    )
    told = Told()
    again = neutral_classifier(bare, task="rotation", iterations=60, device="cpu", progress=told)
    assert again.path == found.path, "labels are no part of it"
    assert not told.said
    words = ("classifier", "--data=digits", "--task=rotation", "--iterations=60", "--device=cpu")
    status, out, _ = cli(*words, "--quiet")
    assert status == 0
    assert out == f"rotation cnn {found.identity} of digits: test accuracy {found.accuracy}\n"


def test_classifiers_of_labels_are_found_under_their_old_names(cache: Path) -> None:
    digits = load("digits")
    config = {
        "recipe": "classifier",
        "arch": "cnn",
        "iterations": 5,
        "augment": "none",
        "seed": 6,
        "train": fingerprint(digits.train.x, digits.train.y),
        "test": fingerprint(digits.test.x, digits.test.y),
    }
    found = neutral_classifier(digits, seed=6, iterations=5, device="cpu")
    assert found.path == cache / "classifiers" / f"cnn-{key(config)}" / "model.safetensors"
    turns = neutral_classifier(digits, task="rotation", seed=6, iterations=5, device="cpu")
    assert turns.path is not None
    assert turns.path.parent.name.startswith("rotation-cnn-")


def test_images_that_are_not_square_are_not_turned(
    tmp_path: Path, refused: Callable[..., str]
) -> None:
    np.save(tmp_path / "x.npy", random_images(30, 8, 10))
    said = refused("classifier", f"--data={tmp_path / 'x.npy'}", "--task=rotation")
    assert "must be square, since they are turned: those of" in said
    assert "are 10x8" in said
    assert "holds vectors" in refused("classifier", "--data=mog2", "--task=rotation")
    assert "--task must be one of labels, rotation" in refused("classifier", "--task=turns")


def test_images_whose_label_is_unknown_teach_nothing(cache: Path) -> None:
    x = torch.randint(0, 256, (60, 1, 8, 8), dtype=torch.uint8)
    y = torch.arange(60) % 2
    some = torch.where(torch.arange(60) % 3 == 0, -1, y)
    part, known = Part(x, some), Part(x[some >= 0], y[some >= 0])
    found = [
        neutral_classifier(
            Images("x", each, each, each, ("0", "1")), arch="cnn", iterations=3, device="cpu"
        )
        for each in (part, known)
    ]
    assert found[0].accuracy == found[1].accuracy
    with pytest.raises(InputError, match="has no labels"):
        neutral_classifier(Images("x", part, part, Part(x, some * 0 - 1), ("0", "1")))

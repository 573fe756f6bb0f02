"""Whether generated images help a classifier."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, recall_score

import zspace
from tests.conftest import Cli, Refused
from zspace.data import load
from zspace.data.images import Images, Part
from zspace.errors import InputError
from zspace.evaluation.benefit import (
    WITH,
    WITHOUT,
    Benefit,
    benefit,
    benefit_table,
    confused,
    figures,
)
from zspace.features import classifier
from zspace.features.classifier import Neutral
from zspace.generation.combine import missing
from zspace.nets.classifiers import cnn


def counted(confusion: list[list[int]]) -> Benefit:
    return {
        "classes": ["a", "b", "c"],
        "real": [9, 9, 9],
        "added": [0, 3, 0],
        "tested": [4, 4, 2],
        "seeds": [0, 1],
        "iterations": 30,
        "test": "t",
        "confusion": {WITHOUT: [confusion, confusion], WITH: [confusion, confusion]},
    }


def test_figures_are_those_of_an_independent_implementation() -> None:
    rng = np.random.default_rng(0)
    y, predicted = rng.integers(0, 3, 200), rng.integers(0, 3, 200)
    table = confused(torch.from_numpy(y), torch.from_numpy(predicted), 3)
    assert table.tolist() == confusion_matrix(y, predicted).tolist()
    found = figures(counted(table.tolist()))[WITH]
    recalls = recall_score(y, predicted, average=None)
    for label, recall in zip("abc", np.atleast_1d(recalls), strict=True):
        assert found[f"recall of {label}"] == pytest.approx([recall] * 2)
    assert found["balanced accuracy"] == pytest.approx([balanced_accuracy_score(y, predicted)] * 2)
    assert found["accuracy"] == pytest.approx([(y == predicted).mean()] * 2)


def test_classes_without_test_images_have_no_recall() -> None:
    found = figures(counted([[3, 1, 0], [0, 0, 0], [1, 0, 1]]))[WITHOUT]
    assert "recall of b" not in found
    assert found["balanced accuracy"] == pytest.approx([0.625] * 2)
    assert torch.equal(
        confused(torch.tensor([-1, 0, 1]), torch.tensor([0, 0, 0]), 2),
        torch.tensor([[1, 0], [1, 0]]),
    )


def test_the_table_has_paired_differences() -> None:
    found = counted([[4, 0, 0], [2, 2, 0], [0, 0, 2]])
    found["confusion"][WITH] = [
        [[4, 0, 0], [0, 4, 0], [0, 0, 2]],
        [[4, 0, 0], [1, 3, 0], [0, 0, 2]],
    ]
    rows = {row[0]: row for row in benefit_table(found).rows}
    assert rows["recall of b"][1:] == ["9", "3", "4", "0.5", "0.88 ± 0.18", "0.38 ± 0.12"]
    assert rows["accuracy"][1:4] == ["27", "3", "10"]


def test_what_is_missing_from_the_largest_class() -> None:
    y = torch.tensor([0, 0, 0, 1, 2, 2, -1])
    assert missing(Part(torch.zeros(7, 1, 8, 8), y), 4) == [0, 2, 1, 3]


def test_data_that_no_classifier_can_learn() -> None:
    digits = load("digits")
    plain = Part(digits.train.x, None)
    with pytest.raises(InputError, match="no labels"):
        benefit(Images("x", plain, plain, plain), digits.train)


def test_both_trainings_have_as_many_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int | None]] = []

    def noted(images: Images, *, iterations: int | None, **_: object) -> Neutral:
        asked.append((len(images.train), iterations))
        return Neutral(cnn(images.shape, 10).eval(), "cnn", "none", 0.0)

    monkeypatch.setattr("zspace.evaluation.benefit.neutral_classifier", noted)
    monkeypatch.setitem(classifier.ITERATIONS, "cnn", 2000)  # tests have fewer
    digits = load("digits")
    few, more = (digits.train.take(torch.arange(*ends)) for ends in ((0, 300), (300, 900)))
    images = dataclasses.replace(digits, train=few)
    # 200 passes through 900 images in batches of 128, not through 300 for those alone
    assert benefit(images, more, seeds=[0])["iterations"] == 1600
    assert benefit(images, more, seeds=[0], iterations=30)["iterations"] == 30
    assert asked == [(300, 1600), (900, 1600), (300, 30), (900, 30)]


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 60 zeros, 50 ones and 8 twos, and a run of an autoencoder of them."""
    root = tmp_path_factory.mktemp("few")
    digits = load("digits").train
    assert digits.y is not None
    for label, count in enumerate((60, 50, 8)):
        folder = root / "data" / "zot"[label]
        folder.mkdir(parents=True)
        own = (digits.y == label).nonzero()[:count, 0]
        for i in own.tolist():
            Image.fromarray(digits.x[i, 0].numpy()).save(folder / f"{i}.png")
    zspace.train(
        "ae", str(root / "data"), out=root / "run", iterations=30, hidden=16, batch_size=32
    )
    return root


def test_balance_and_check(few: Path, cli: Cli, tmp_path: Path) -> None:
    out, run = tmp_path / "balanced", few / "run"
    options = ["--balance", "--check", "--seeds=2", "--iterations=30", "--out", out]
    status, shown, err = cli("augment", run, *options, "--seed=3")
    assert status == 0, err
    images = load(str(out))
    assert images.train.y is not None
    assert torch.bincount(images.train.y).unique().numel() == 1
    before = load(str(few / "data"))
    # the parts that were held out are those of the data
    assert torch.equal(
        images.test.x.flatten(1).sum(1).sort()[0], before.test.x.flatten(1).sum(1).sort()[0]
    )
    # 6 twos have 15 pairs: the others have random weights, and this is said
    assert "class t: after 15 images all combinations of 2 of its codes are used" in err
    assert "t: 6 real, 38 generated" in shown
    assert "balanced accuracy" in shown
    stored = json.loads((run / "augment-check.json").read_text())
    assert stored["classes"] == ["o", "t", "z"]
    assert [len(stored["confusion"][name]) for name in (WITHOUT, WITH)] == [2, 2]
    assert sum(map(sum, stored["confusion"][WITH][0])) == len(before.test)
    with Image.open(run / "augment-check.png") as picture:
        assert picture.width > picture.height
    # the same command gives the same figures
    table = shown[shown.index("Does it help?") :]
    assert table in cli("augment", run, *options[:-2], "--seed=3")[1]
    stored["test"] = "another"
    (run / "augment-check.json").write_text(json.dumps(stored))
    status, _, err = cli("augment", run, *options[:-2])
    assert status == 0
    assert "was of other test images: its figures can't be compared" in err


def test_weights_that_were_asked_for_do_not_change(
    few: Path, refused: Refused, tmp_path: Path
) -> None:
    out = tmp_path / "x.npz"
    message = refused("augment", few / "run", "--balance", "--weights=0.5,0.5", "--out", out)
    assert "38 combinations of 2 were wanted, 15 tried" in message
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out=x.npz"], "give either --per-class N or --balance"),
        (["--balance", "--per-class=3", "--out=x.npz"], "give either --per-class N or --balance"),
        (["--balance"], "--out is missing"),
        (["--balance", "--out=x.npz", "--seeds=2"], "belong to --check"),
        (["--balance", "--check", "--seeds=0"], "--seeds must be at least 1"),
    ],
)
def test_options_that_do_not_go_together(
    few: Path, refused: Refused, options: list[str], message: str
) -> None:
    assert message in refused("augment", few / "run", *options)

"""Parts, subsets and labels of any data set."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import zspace
from tests.conftest import SMALL, random_images
from zspace.data import from_arrays, load
from zspace.data import images as images_module
from zspace.data.images import Part, Raw, select, split, withhold
from zspace.errors import InputError


def test_a_large_set_is_memory_mapped_and_trains_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    small = load("digits", image_size=12)
    monkeypatch.setattr("zspace.data.images.IN_MEMORY", 1000)
    mapped = load("digits", image_size=12)
    assert torch.equal(small.train.x, mapped.train.x)
    a, b = (
        zspace.train("ae", images, iterations=3, device="cpu", **SMALL)
        for images in (small, mapped)
    )
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


def test_parts_are_disjoint_complete_and_always_the_same() -> None:
    x = np.arange(200, dtype=np.float32)[:, None]
    raw = images_module.Raw({"train": from_arrays(x)})
    a, b = images_module.split(raw, "x"), images_module.split(raw, "x")
    values = [p.x[:, 0].tolist() for p in (a.train, a.validation, a.test)]
    assert sorted(v for part in values for v in part) == x[:, 0].tolist()
    assert torch.equal(a.test.x, b.test.x)
    assert (len(a.train), len(a.validation), len(a.test)) == (144, 16, 40)


def test_classes_are_numbered_anew_in_every_part() -> None:
    images = load("digits", classes="7,1")
    whole = load("digits")
    assert images.classes == ("7", "1")
    assert len(images.test) == int(((whole.test.y == 7) | (whole.test.y == 1)).sum())
    expected = whole.test.x[(whole.test.y == 7)]
    assert torch.equal(images.test.x[images.test.y == 0], expected)


def test_train_size_and_train_per_class_leave_the_test_part_alone() -> None:
    whole, few, each = (
        load("digits"),
        load("digits", train_size=50),
        load("digits", train_per_class=4),
    )
    assert len(few.train) == 50
    assert torch.bincount(each.train.y).tolist() == [4] * 10
    assert torch.equal(few.test.x, whole.test.x)
    assert torch.equal(each.test.x, whole.test.x)


def test_the_share_of_validation_images() -> None:
    whole, some, none = (load("digits", validation=share) for share in (None, 0.5, 0))
    for images, held in ((whole, 143), (some, 719), (none, 0)):
        assert len(images.validation) == held
        assert len(images.train) == 1295 + 143 - held
        assert torch.equal(images.test.x, whole.test.x)
    # a split-off part holds other images than the rest
    assert len(torch.cat([some.train.x, some.validation.x]).unique(dim=0)) == len(
        none.train.x.unique(dim=0)
    )


@pytest.mark.parametrize(
    "options, message",
    [
        ({"validation": 0.6}, "at most 0.5"),
        ({"classes": "1,eleven"}, "unknown class 'eleven'"),
        ({"classes": "1,1"}, "names a class twice"),
        ({"train_size": 5000}, r"1295 training images \(143 others are for validation, 359 for"),
        ({"train_per_class": 500}, "class 0 of digits has .* images, without those of the other"),
        ({"crop": "140"}, "belong to --data celeba"),
        ({"label_attribute": "Male"}, "belong to --data celeba"),
    ],
)
def test_bad_subsets(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load("digits", **options)


def test_classes_need_labels(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", random_images(60, 8, 8))
    with pytest.raises(InputError, match="has no labels"):
        load(str(tmp_path / "x.npy"), classes="1")


def test_too_few_images_are_counted_as_they_were_given(tmp_path: Path) -> None:
    for n, message in (
        (4, "has 4 training images: too few to split a test part off"),
        (5, r"has 5 training images, 4 without its test part: .* \(--validation 0 does without"),
    ):
        np.save(tmp_path / "x.npy", random_images(n, 8, 8))
        with pytest.raises(InputError, match=message):
            load(str(tmp_path / "x.npy"))
    assert len(load(str(tmp_path / "x.npy"), validation=0).train) == 4


def test_vectors_have_no_image_size() -> None:
    with pytest.raises(InputError, match="these are vectors"):
        load("mog2", image_size=8)


def test_labels_are_withheld_evenly() -> None:
    y = torch.tensor([0] * 50 + [1] * 5 + [2] * 45)
    part = Part(torch.zeros(100, 2), y)
    kept = withhold(part, ("a", "b", "c"), 35)
    assert torch.bincount(kept + 1).tolist() == [65, 15, 5, 15]
    assert bool((kept[kept >= 0] == y[kept >= 0]).all())
    assert torch.equal(kept, withhold(part, ("a", "b", "c"), 35))
    with pytest.raises(InputError, match="class d has no training image"):
        withhold(part, ("a", "b", "c", "d"), 35)
    with pytest.raises(InputError, match="expected one for each of the 3"):
        withhold(part, ("a", "b", "c"), 2)


def test_labels_that_are_not_known_are_none_to_keep() -> None:
    y = torch.tensor([0] * 5 + [-1] * 5 + [1] * 5)
    part = Part(torch.zeros(15, 2), y)
    kept = withhold(part, ("a", "b"), 10)
    assert torch.equal(kept, y)
    with pytest.raises(InputError, match="10 training images at most"):
        withhold(part, ("a", "b"), 11)


def test_classes_where_no_image_is_for_validation() -> None:
    whole = split(
        Raw({"train": Part(torch.zeros(30, 2), torch.arange(30) % 3)}, tuple("abc")), "x", 0
    )
    images = select(whole, ["c", "a"])
    assert (len(images.train), len(images.validation), len(images.test)) == (16, 0, 4)
    assert images.classes == ("c", "a")


def test_a_label_is_no_index_where_names_are_numbers() -> None:
    from zspace.data.images import class_numbers

    assert class_numbers(["5", "1"], ("1", "5", "9")) == [1, 0]
    assert class_numbers(["0"], ("cat", "dog")) == [0]
    with pytest.raises(InputError, match="unknown class '0'"):
        class_numbers(["0"], ("1", "5", "9"))


@pytest.mark.parametrize("counts", [(30, 400, 70), (10, 10, 10), (1, 1, 98), (17, 3, 0)])
def test_parts_have_every_label_by_its_share(counts: tuple[int, ...]) -> None:
    y = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    numbers = torch.arange(len(y))
    x = torch.stack([numbers // 256, numbers % 256], 1).to(torch.uint8)[:, None, None]
    images = split(Raw({"train": Part(x, y)}, tuple("abc")), "some", 0.1)
    parts = [images.test, images.validation, images.train]
    assert len(torch.cat([part.x for part in parts]).flatten(1).unique(dim=0)) == len(y)
    left = torch.tensor(counts)
    for part, share in zip(parts, (Fraction(1, 5), Fraction(1, 10)), strict=False):
        assert len(part) == int(int(left.sum()) * share)
        own = torch.bincount(part.y, minlength=len(counts))
        assert (own - left * len(part) / left.sum()).abs().max() < 1
        left = left - own


def test_thirty_shirts_are_shared_out() -> None:
    y = torch.tensor([0] * 30 + [1] * 270)
    x = torch.zeros(300, 1, 8, 8, dtype=torch.uint8)
    images = split(Raw({"train": Part(x, y)}, ("shirt", "shoe")), "some")
    shirts = [int((part.y == 0).sum()) for part in (images.train, images.validation, images.test)]
    assert shirts == [22, 2, 6]
    rare = torch.tensor([0] * 3 + [1] * 297)
    notes = split(Raw({"train": Part(x, rare)}, ("shirt", "shoe")), "some").notes
    assert "the validation part has no image of shirt" in notes

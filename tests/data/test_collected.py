"""Data sets of other libraries as arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import zspace
from tests.conftest import SMALL, random_images
from zspace.data import DataOptions
from zspace.data.given import images_of
from zspace.data.images import Part, Raw, split
from zspace.errors import InputError
from zspace.options import options_of

X = random_images(40, 8, 8)
Y = np.arange(40) % 3
SETTINGS = {name: option.default for name, option in options_of(DataOptions).items()}


class Items(Dataset[Any]):
    """A map-style data set of any items."""

    classes = ("zero", "one", "two")

    def __init__(self, make: Callable[[int], Any]) -> None:
        self.make = make

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, i: int) -> Any:
        return self.make(i)


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        for i in range(len(X)):
            yield torch.from_numpy(X[i])[None], int(Y[i])


class Hub(Items):
    """A data set with features that name the labels, as Hugging Face's have."""

    classes = ()
    features = {"label": type("ClassLabel", (), {"names": ["a", "b", "c"]})()}  # noqa: RUF012


FORMS: dict[str, Any] = {
    "a pair of arrays": (X, Y),
    "a pair of tensors": (torch.from_numpy(X), torch.from_numpy(Y)),
    "a pair of lists": ([*X], [*Y]),
    "one-hot labels": (X, np.eye(3)[Y]),
    "texts": (X, np.array(["0", "1", "2"])[Y]),
    "TensorDataset": TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)),
    "pairs": [(x, y) for x, y in zip(X, Y, strict=True)],
    "pictures": Items(lambda i: (Image.fromarray(X[i]), int(Y[i]))),
    "mappings": Items(lambda i: {"img": Image.fromarray(X[i]), "label": torch.tensor(Y[i])}),
    "floats (C, H, W)": Items(lambda i: (torch.from_numpy(X[i] / 255).float()[None], Y[i])),
    "a generator": ((x, y) for x, y in zip(X, Y, strict=True)),
    "a loader": DataLoader(Items(lambda i: (X[i], Y[i])), batch_size=7, shuffle=True),
    "a stream": Stream(),
    "a loader of a stream": DataLoader(Stream(), batch_size=7),
    "the hub": Hub(lambda i: {"image": Image.fromarray(X[i]), "label": int(Y[i])}),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_data(form: str) -> None:
    x, y = torch.from_numpy(X)[:, None], torch.from_numpy(Y)
    expected = split(Raw({"train": Part(x, y)}, tuple("012")), "the data")
    found = images_of(FORMS[form], SETTINGS)
    assert torch.equal(found.train.x, expected.train.x)
    assert torch.equal(found.test.x, expected.test.x)
    assert found.train.y is not None
    assert expected.train.y is not None
    assert torch.equal(found.train.y, expected.train.y)
    assert len(found.classes) == 3


def test_names_of_labels() -> None:
    assert images_of(FORMS["pictures"], SETTINGS).classes == ("zero", "one", "two")
    assert images_of(FORMS["a loader"], SETTINGS).classes == ("zero", "one", "two")
    assert images_of(FORMS["the hub"], SETTINGS).classes == ("a", "b", "c")
    # what is called features need not be those of Hugging Face
    named = Items(lambda i: (X[i], int(Y[i])))
    for features in (X, ["pixel"], 3):
        named.features = features  # pyright: ignore[reportAttributeAccessIssue]
        assert images_of(named, SETTINGS).classes == ("zero", "one", "two")
    assert images_of((X, np.array(["cat", "ant", "dog"])[Y]), SETTINGS).classes == (
        "ant",
        "cat",
        "dog",
    )


def test_samples_without_labels_and_vectors() -> None:
    assert images_of(Items(lambda i: X[i]), SETTINGS).train.y is None
    assert images_of([[1.0, 2.0], [3.0, 4.0]] * 20, SETTINGS).shape == (2,)
    assert images_of(Items(lambda i: {"vector": torch.ones(5) * i}), SETTINGS).shape == (5,)
    colour = images_of(Items(lambda i: np.stack([X[i]] * 3, 2)), SETTINGS)
    assert colour.shape == (3, 8, 8)


def failing(i: int) -> Any:
    if i == 12:
        raise OSError("the disk is gone")
    return X[i]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (Items(failing), "item 12 of the data failed: OSError: the disk is gone"),
        (Items(lambda i: X[i, : 8 - (i == 12)]), r"item 12 of the data has shape \(7, 8\)"),
        (Items(lambda i: X[i] if i != 12 else X[i] / 2), "item 12 of the data has .* type float64"),
        (Items(lambda i: (X[i], 0) if i != 12 else X[i]), "item 12 of the data has no label"),
        (Items(lambda i: {"picture": X[i]}), "item 0 of the data has picture: expected one named"),
        (Items(lambda i: "a path"), "item 0 of the data is 'a path': expected an image"),
        (Items(lambda i: None), "item 0 of the data is None: expected an image"),
        ([], "the data are empty"),
        (7, "the data are 7: expected an array or a data set"),
        ((X, Y[1:]), r"the labels of the data have shape \(39,\): expected \(40,\)"),
        ((X, Y - 1), "must be whole numbers from 0"),
    ],
)
def test_data_that_are_refused(data: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        images_of(data, SETTINGS)


def test_a_model_is_trained_on_a_data_set() -> None:
    model = zspace.train("vae", FORMS["pictures"], iterations=2, device="cpu", **SMALL)
    assert model.sample(2).shape == (2, 1, 8, 8)


def test_a_data_set_of_the_hubs_own_package() -> None:
    datasets = pytest.importorskip("datasets")
    features = {"img": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b", "c"])}
    rows = {"img": [Image.fromarray(x) for x in X], "label": [int(y) for y in Y]}
    held = datasets.Dataset.from_dict(rows, features=datasets.Features(features))
    for data in (held, held.with_format("torch")):
        found = images_of(data, SETTINGS)
        assert found.classes == ("a", "b", "c")
        assert torch.equal(found.train.x, images_of(FORMS["a pair of arrays"], SETTINGS).train.x)

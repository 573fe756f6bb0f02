"""Sets of the Hugging Face hub and its local files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import random_images
from zspace.data import load
from zspace.errors import InputError


def test_local_parquet_folder(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    x, y = random_images(40, 8, 8), [i % 3 for i in range(40)]
    features = datasets.Features(
        image=datasets.Image(), label=datasets.ClassLabel(names=["a", "b", "c"])
    )
    rows = {"image": [Image.fromarray(i) for i in x], "label": y}
    folder = tmp_path / "set"
    folder.mkdir()
    for part in ("train", "test"):
        table = datasets.Dataset.from_dict(rows, features=features)
        table.to_parquet(folder / f"{part}-00000-of-00001.parquet")
    images = load(f"hf:{folder}")
    assert images.classes == ("a", "b", "c")
    assert np.array_equal(images.test.x[:, 0].numpy(), x)
    assert images.test.y.tolist() == y
    assert load(f"hf:{folder}", image_size=16, channels=3).shape == (3, 16, 16)


def _set(folder: Path, name: str = "train", **columns: tuple[Any, list[Any]]) -> str:
    """Write a set of one parquet file whose columns are given by their features and rows."""
    datasets = pytest.importorskip("datasets")
    folder.mkdir(exist_ok=True)
    features = datasets.Features({n: feature for n, (feature, _) in columns.items()})
    table = datasets.Dataset.from_dict({n: rows for n, (_, rows) in columns.items()}, features)
    table.to_parquet(folder / f"{name}-00000-of-00001.parquet")
    return f"hf:{folder}"


def _pictures(n: int = 12) -> tuple[Any, list[Any]]:
    datasets = pytest.importorskip("datasets")
    return datasets.Image(), [Image.fromarray(i) for i in random_images(n, 8, 8)]


def test_other_columns_are_left_alone(tmp_path: Path) -> None:
    # as an image, this would be given to Ghostscript, another program
    datasets = pytest.importorskip("datasets")
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nshowpage\n%%EOF\n"
    mask = (datasets.Image(), [{"bytes": eps, "path": None}] * 12)
    assert len(load(_set(tmp_path / "set", image=_pictures(), mask=mask)).train.x)
    with pytest.raises(InputError, match=r"image 0 .* is broken or no image"):
        load(_set(tmp_path / "eps", mask=mask))


def test_files_outside_of_the_set_are_not_read(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    inside, outside = tmp_path / "set" / "own.png", tmp_path / "secret.png"
    inside.parent.mkdir()
    for path in (inside, outside):
        Image.fromarray(random_images(1, 8, 8)[0]).save(path)
    texts = datasets.Features(
        image={"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
    )
    for path in (inside, outside):
        cells = {"image": [{"bytes": None, "path": str(path)}] * 12}
        plain = datasets.Dataset.from_dict(cells, texts).cast_column("image", datasets.Image())
        plain.to_parquet(tmp_path / "set" / "train-00000-of-00001.parquet")
        if path == inside:
            assert len(load(f"hf:{tmp_path / 'set'}").train.x)
    with pytest.raises(InputError, match=r"outside of the set, at .*secret\.png"):
        load(f"hf:{tmp_path / 'set'}")


def test_set_without_a_split_for_training(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no split named train .*\(splits: test\)"):
        load(_set(tmp_path / "set", "test", image=_pictures()))


def test_labels_must_fit_the_classes(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    two = datasets.ClassLabel(names=["a", "b"])
    # the library itself refuses 7 of two classes when a table is made of Python's numbers
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "set" / "train-00000-of-00001.parquet"
    _set(tmp_path / "set", image=_pictures(), label=(two, [0, 1] * 6))
    table = pq.read_table(path)
    pq.write_table(table.set_column(1, table.field("label"), pa.array([7] * 12)), path)
    with pytest.raises(InputError, match="has the label 7, but names 2 classes: expected 0 to 1"):
        load(f"hf:{tmp_path / 'set'}")


def test_hub_set_that_is_not_there(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    with pytest.raises(InputError, match="can't be loaded"):
        load(f"hf:{tmp_path / 'nothing'}")

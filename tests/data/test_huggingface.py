"""Sets of the Hugging Face hub and its local files."""

from __future__ import annotations

from pathlib import Path

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


def test_hub_set_that_is_not_there(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    with pytest.raises(InputError, match="can't be loaded"):
        load(f"hf:{tmp_path / 'nothing'}")

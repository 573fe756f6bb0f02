"""CelebA's original files: crops and attributes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zspace.data.celeba import celeba
from zspace.errors import InputError


def test_celeba_crops_scale_with_the_file(tmp_path: Path) -> None:
    """A picture that is white inside of the '128' crop alone, at half the published size."""
    folder = tmp_path / "img_align_celeba"
    folder.mkdir()
    big = np.zeros((218, 178, 3), np.uint8)
    big[45:173, 25:153] = 255
    Image.fromarray(big).resize((89, 109), Image.Resampling.BOX).save(folder / "a.jpg", quality=100)
    shutil.copy(folder / "a.jpg", folder / "b.jpg")
    (tmp_path / "list_eval_partition.txt").write_text("a.jpg 0\nb.jpg 2\n")
    (tmp_path / "list_attr_celeba.txt").write_text("2\nMale Smiling\na.jpg 1 -1\nb.jpg -1 1\n")
    means = {
        crop: float(celeba(tmp_path, 32, crop=crop).parts["train"].x.float().mean())
        for crop in ("128", "140", "none")
    }
    assert means["128"] > 250
    assert means["128"] > means["140"] > means["none"]
    assert means["none"] == pytest.approx(255 * 128 * 128 / (178 * 218), rel=0.03)
    labelled = celeba(tmp_path, attribute="Smiling")
    assert labelled.parts["train"].y.tolist() == [0]
    assert labelled.parts["test"].y.tolist() == [1]
    assert labelled.parts["train"].x.shape == (1, 3, 64, 64)
    with pytest.raises(InputError, match=r"unknown attribute 'Smilling': did you mean 'Smiling'"):
        celeba(tmp_path, attribute="Smilling")
    (folder / "b.jpg").unlink()
    with pytest.raises(InputError, match=r"has no b.jpg \(1 of 2 missing\)"):
        celeba(tmp_path)


def test_combinations_of_attributes(tmp_path: Path) -> None:
    folder = tmp_path / "img_align_celeba"
    folder.mkdir()
    signs = ["-1 -1 1", "1 -1 1", "1 1 -1", "1 1 1", "-1 -1 -1"]
    names = [f"{i}.jpg" for i in range(len(signs))]
    for name in names:
        Image.new("RGB", (178, 218)).save(folder / name)
    (tmp_path / "list_eval_partition.txt").write_text("".join(f"{n} 0\n" for n in names))
    lines = "".join(f"{n} {s}\n" for n, s in zip(names, signs, strict=True))
    (tmp_path / "list_attr_celeba.txt").write_text(f"5\nMale Smiling Young\n{lines}")
    raw = celeba(tmp_path, 8, attribute="Male, Smiling")
    assert raw.classes == ("no Male or Smiling", "Male", "Male+Smiling")  # no one only smiles
    labels = raw.parts["train"].y
    assert labels is not None
    assert labels.tolist() == [0, 1, 2, 2, 0]
    for wrong, words in (
        ("Male,Mail", "unknown attribute 'Mail'"),
        ("Male,Male", "different attributes"),
        ("Male,", "names with commas"),
    ):
        with pytest.raises(InputError, match=words):
            celeba(tmp_path, 8, attribute=wrong)

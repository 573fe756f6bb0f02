"""Data sets of a few small images under the names of the real ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import random_images
from zspace.core import Classifying
from zspace.data import NAMED, synthetic
from zspace.data.images import Raw, join
from zspace.generation.tuning import search
from zspace.papers import categorical
from zspace.papers.flexae import synthetic as curves
from zspace.papers.flexae.trained import ATTRIBUTES
from zspace.papers.gen import densities
from zspace.papers.samplers.densities import against_truth


def faces_in(root: Path, count: int, train: int, validation: int) -> Path:
    """Pictures in CelebA's format: the brightness of half of an image says an attribute."""
    folder = root / "img_align_celeba"
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    lines = [str(count), " ".join(ATTRIBUTES)]
    for i in range(count):
        has = generator.integers(0, 2, len(ATTRIBUTES))
        face = generator.integers(0, 60, (218, 178, 3)).astype(np.uint8)
        face[:109] += np.uint8(120 * has[-1])
        Image.fromarray(face).save(folder / f"{i:06}.jpg")
        lines.append(f"{i:06}.jpg " + " ".join(str(2 * int(h) - 1) for h in has))
    parts = [
        f"{i:06}.jpg {0 if i < train else 1 if i < train + validation else 2}" for i in range(count)
    ]
    (root / "list_eval_partition.txt").write_text("\n".join(parts) + "\n")
    (root / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="session")
def celeba(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough faces for an evaluation."""
    return faces_in(tmp_path_factory.mktemp("celeba"), 120, 84, 8)


@pytest.fixture(scope="session")
def anime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures for each of two classes."""
    root = tmp_path_factory.mktemp("faces")
    for kind in ("anime", "celeba"):
        (root / kind).mkdir()
        for i, image in enumerate(random_images(60, 16, 16, 3, seed=len(kind))):
            Image.fromarray(image).save(root / kind / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def small_sets() -> Iterator[None]:
    """The named sets are of the digits, `digits` itself has fewer, and judges pass every code.

    A ReGene of a few iterations generates nothing that its own judges would pass.
    """
    digits = NAMED["digits"]
    assert digits.make is not None
    whole = digits.make()

    def few() -> Raw:
        part = whole.parts["train"].take(torch.arange(600))
        return replace(whole, parts={"train": part})

    def twice() -> Raw:
        part = whole.parts["train"]
        return replace(whole, parts={"train": join([part, part])})

    def passed(codes: torch.Tensor, label: int) -> torch.Tensor:
        return torch.ones(len(codes), dtype=torch.bool)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NAMED, "digits", replace(digits, make=few))
        patch.setitem(NAMED, "svhn", replace(digits, make=few))
        patch.setitem(NAMED, "mnist", replace(digits, make=twice))
        judges = {"latent space": passed, "image space": passed}
        patch.setattr(Classifying, "judges", lambda self: judges)
        for where, name, value in (
            (synthetic, "TRAIN", 900),
            (synthetic, "TEST", 700),
            (curves, "POINTS", 50),
            (densities, "FRESH", 500),
            (search, "FRESH", 40),
            (categorical, "FRESH", 40),
        ):
            patch.setattr(where, name, value)
        patch.setattr(against_truth, "__defaults__", (200,))
        yield

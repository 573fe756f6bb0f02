"""Generations of convex combinations."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch

import zspace
from zspace.core import codes
from zspace.data.images import Part
from zspace.errors import InputError
from zspace.functional import as_float
from zspace.generation.combine import (
    Generation,
    augmented,
    convex_of,
    generate,
    labelled,
    write_labelled,
)
from zspace.methods.regene import ReGene


def test_siblings_and_children(runs: dict[str, Path]) -> None:
    model = zspace.load(runs["regene"])
    convex = convex_of(runs["regene"], model, {})
    for origin in ("latents", "images"):
        made: list[Generation] = generate(
            model,
            convex,
            12,
            2,
            generations=3,
            origin=origin,  # type: ignore[arg-type]
            generator=torch.Generator().manual_seed(0),
        )
        assert len(made) == 3
        for last, following in pairwise(made):
            z = last.combined.codes if origin == "latents" else codes(model, last.x)
            expected = z[following.combined.sources].mean(1)
            torch.testing.assert_close(following.combined.codes, expected, rtol=1e-4, atol=1e-5)
            assert int(following.combined.sources.max()) < 12


def test_augmented_images_pass_the_judges(runs: dict[str, Path]) -> None:
    model = zspace.load(runs["regene"])
    assert isinstance(model, ReGene)
    made = augmented(
        model,
        convex_of(runs["regene"], model, {}),
        [8] * 10,
        generator=torch.Generator().manual_seed(0),
    )
    assert made.y is not None
    with torch.no_grad():
        p = model.probabilities(model.encode(as_float(made.x)))
    confident = p[torch.arange(80), made.y]
    # images are rounded to 256 levels after they were judged
    assert bool((confident > model.thresholds[made.y] - 0.05).all())


def test_images_of_an_unknown_label_have_no_folder(tmp_path: Path) -> None:
    part = Part(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 1, -1, -1]))
    with pytest.raises(InputError, match="2 of these images have no known label"):
        write_labelled(tmp_path / "folder", labelled([part]), ["cat", "dog"])
    assert not (tmp_path / "folder").exists()
    write_labelled(tmp_path / "all.npz", labelled([part]), ["cat", "dog"])

"""ReGene's pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import zspace
from tests.functional.plain import plain_similarity
from zspace.data import load as load_data
from zspace.generation import gallery, maps
from zspace.generation.combine import convex_of


@pytest.fixture(scope="module")
def pictures(runs: dict[str, Path]) -> gallery.Gallery:
    model = zspace.load(runs["regene"])
    images = load_data("digits")
    return gallery.Gallery(
        model,
        convex_of(runs["regene"], model, {}),
        images.train,
        images.classes,
        torch.Generator().manual_seed(0),
    )


def test_matrix_has_sources_on_its_edges(pictures: gallery.Gallery) -> None:
    sheet = gallery.matrix(pictures, [3, 5], 4)
    assert sheet.x.shape == (50, 1, 8, 8)
    model = pictures.model
    for start in (0, 25):
        block = sheet.x[start : start + 25].unflatten(0, (5, 5))
        torch.testing.assert_close(block[0, 1:], block[1:, 0])
        z = model.encode(block[0, 1:])
        with torch.no_grad():
            torch.testing.assert_close(block[2, 3], model.decode((z[[1]] + z[[2]]) / 2)[0])
            torch.testing.assert_close(block[4, 4], model.decode(z[[3]])[0])
    assert len(sheet.framed) == 16


def test_overlay_and_interpolation(pictures: gallery.Gallery) -> None:
    sheet = gallery.overlay(pictures, [1], (2, 3))
    line = sheet.x[5:10]  # three sources, generation, their mean
    torch.testing.assert_close(line[4], line[:3].mean(0))
    with torch.no_grad():
        z = pictures.model.encode(line[:3]).mean(0, keepdim=True)
        torch.testing.assert_close(line[3], pictures.model.decode(z)[0], rtol=1e-3, atol=1e-4)
    rows = gallery.interpolation(pictures, [0, 9])
    assert rows.columns == 11
    assert rows.x.shape[0] == 22


def test_closest_matches_are_the_closest(pictures: gallery.Gallery) -> None:
    x = torch.rand(3, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    pool = torch.rand(40, 1, 12, 12, generator=torch.Generator().manual_seed(1))
    pool[17] = (x[1] + 0.05 * pool[17]).clamp(0, 1)
    found = gallery.by_squares(x, pool, 3)
    plain = (x[:, None] - pool[None]).square().flatten(2).mean(2)
    values, order = plain.sort(1)
    assert torch.equal(found.indices, order[:, :3])
    torch.testing.assert_close(found.values, values[:, :3], rtol=1e-4, atol=1e-6)
    similar = gallery.by_similarity(x, pool, 3)
    each = [
        plain_similarity(x[1, 0].double().numpy(), p[0].double().numpy(), 11, 1.5) for p in pool
    ]
    assert similar.indices[1].tolist() == np.argsort(each)[::-1][:3].tolist()
    assert int(similar.indices[1, 0]) == 17
    sheet, values_by = gallery.closest(replace(pictures, features=lambda im: im.flatten(1)), [2], 2)
    assert sheet.columns == 9
    assert len(sheet.x) == 27
    assert values_by["MSE, original"] == pytest.approx(values_by["features, original"], rel=1e-4)


def test_sparsity_and_means() -> None:
    z = torch.zeros(6, 4)
    z[:, 0], z[:3, 1] = 1.0, 4.0
    z[:, 2] = 0.01
    assert maps.sparsity(z) == 0.5
    means = maps.class_means(z, torch.tensor([0, 0, 0, 1, 1, 1]), 2)
    assert means[:, 1].tolist() == [4.0, 0.0]

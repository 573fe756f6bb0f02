"""Pictures of tensors, and what notebooks show of models, samplers and data."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import zspace
from zspace import data
from zspace.core import Sampler
from zspace.functional.sheets import BINS, cloud, png, sheet, to_uint8
from zspace.samplers import FlowMatching, Normal


def opened(content: bytes | None) -> np.ndarray:
    assert content is not None
    return np.asarray(Image.open(io.BytesIO(content)))


def test_a_cloud_is_a_histogram_on_the_principal_axes() -> None:
    """A long axis and a short one, turned: by NumPy's covariance and histogram."""
    random = np.random.default_rng(0)
    z = random.normal(size=(3000, 2)) * [5, 0.5] @ [[0.6, 0.8], [-0.8, 0.6]]
    squares = 255 - np.asarray(cloud(torch.tensor(z)), dtype=float)[::8, ::8]
    axis = np.linalg.eigh(np.cov(z.T))[1][:, ::-1]
    places = (z - z.mean(0)) @ axis
    reach = 3 * places[:, 0].std()
    counts = np.histogram2d(*places.T, BINS, [(-reach, reach)] * 2)[0]
    expected = 255 * np.sqrt(counts / counts.max()).T[::-1]
    turned = [expected[::i, ::j] for i in (1, -1) for j in (1, -1)]  # the sign of an axis is free
    assert min(np.abs(squares - t).max() for t in turned) < 1
    assert np.asarray(cloud(torch.randn(50, 1))).shape == (8 * BINS, 8 * BINS)
    assert np.asarray(cloud(torch.ones(5, 3))).min() == 0


def test_a_notebook_shows_a_model_and_its_prior(runs: dict[str, Path]) -> None:
    vae = zspace.load(runs["vae"])
    images = vae.sample(32, generator=torch.Generator().manual_seed(0))
    assert np.array_equal(opened(vae._repr_png_()), np.asarray(sheet(images, 8)))
    assert isinstance(vae.prior, Sampler)
    assert opened(vae.prior._repr_png_()).shape == (8 * BINS, 8 * BINS)


def test_a_notebook_shows_text_of_what_has_no_pictures(runs: dict[str, Path]) -> None:
    assert zspace.load(runs["ae"])._repr_png_() is None
    assert FlowMatching()._repr_png_() is None
    assert Normal().fit(np.random.default_rng(0).normal(size=(9, 3)))._repr_png_() is not None


def test_a_notebook_shows_data() -> None:
    digits = data.load("digits")
    shown = opened(digits._repr_png_())
    assert np.array_equal(shown, np.asarray(sheet(digits.train.x[:32], 8)))
    assert np.array_equal(shown[2:58:7, 2:58:7], to_uint8(digits.train.x[:1])[0])
    assert png(sheet(digits.train.x[:32], 8)) == digits._repr_png_()

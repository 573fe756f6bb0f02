"""Distances against scipy and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.stats import wasserstein_distance as scipy_w1

from zspace.errors import InputError
from zspace.metrics import frechet_distance, wasserstein_distance


@pytest.mark.parametrize("n, d", [(500, 6), (20, 30)])
def test_frechet_against_scipys_matrix_root(n: int, d: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, d, generator=generator, dtype=torch.float64)
    y = 1 + 2 * torch.randn(n + 10, d, generator=generator, dtype=torch.float64)
    a, b = np.cov(x.numpy().T), np.cov(y.numpy().T)
    root = np.real(sqrtm(a @ b))
    mean = np.square(x.numpy().mean(0) - y.numpy().mean(0)).sum()
    expected = mean + np.trace(a) + np.trace(b) - 2 * np.trace(root)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-4 if n < d else 1e-9)


def test_frechet_of_a_set_with_itself_is_zero() -> None:
    x = torch.randn(300, 5)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)


def test_wasserstein_against_scipy_in_one_dimension() -> None:
    x, y = torch.randn(200, 1), torch.rand(200, 1) * 3
    expected = scipy_w1(x[:, 0].double().numpy(), y[:, 0].double().numpy())
    assert wasserstein_distance(x, y) == pytest.approx(expected, rel=1e-9)


def test_wasserstein_of_a_translation_is_its_length() -> None:
    x = torch.randn(100, 4)
    shift = torch.tensor([3.0, 0, 4.0, 0])
    assert wasserstein_distance(x, x + shift) == pytest.approx(5, rel=1e-6)


@pytest.mark.parametrize("shapes", [((5, 2), (5, 3)), ((5,), (5,)), ((1, 2), (5, 2))])
def test_bad_sets(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    for distance in (frechet_distance, wasserstein_distance):
        with pytest.raises(InputError, match="expected two sets"):
            distance(torch.zeros(shapes[0]), torch.zeros(shapes[1]))
    with pytest.raises(InputError, match="of equal size"):
        wasserstein_distance(torch.zeros(3, 1), torch.zeros(4, 1))

"""Distances between two sets of vectors."""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from zspace.errors import InputError


def frechet_distance(x: Tensor, y: Tensor) -> float:
    """||m_x - m_y||^2 + tr(S_x + S_y - 2 (S_x S_y)^(1/2)): Frechet's distance, squared.

    m and S are the sets' means and unbiased covariances. The trace of the root is the sum of the
    roots of the eigenvalues of S_x^(1/2) S_y S_x^(1/2), which is symmetric.

    Args:
        x, y: (N, D) and (M, D), N and M above 1; computed in float64.

    Reference: Dowson and Landau (1982), Eq. 1; Heusel et al. (2017), Eq. 6, where it is the FID.

    >>> x = torch.randn(100, 3)
    >>> round(frechet_distance(x, x + 2), 3)
    12.0
    """
    x, y = _pair(x, y)
    s_x, s_y = x.T.cov(), y.T.cov()
    values, vectors = torch.linalg.eigh(s_x)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    product = torch.linalg.eigvalsh(root @ s_y @ root).clamp(min=0).sqrt().sum()
    mean = (x.mean(0) - y.mean(0)).square().sum()
    return max(0.0, float(mean + s_x.trace() + s_y.trace() - 2 * product))


def wasserstein_distance(x: Tensor, y: Tensor) -> float:
    """W_1 = min over pairings p of (1/N) sum_i ||x_i - y_p(i)||, exactly.

    Args:
        x, y: (N, D) both. The pairing costs N^3 operations at worst: a few thousand at most.

    >>> wasserstein_distance(torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0], [2.0]]))
    2.0
    """
    x, y = _pair(x, y)
    if len(x) != len(y):
        raise InputError(f"the sets must be of equal size, not {len(x)} and {len(y)}")
    cost = torch.cdist(x, y)
    rows, columns = linear_sum_assignment(cost.numpy())
    return float(cost[rows, columns].mean())


def _pair(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise InputError(
            f"expected two sets (N, D) of 2 vectors or more, not {tuple(x.shape)} and "
            f"{tuple(y.shape)}"
        )
    return x.detach().cpu().double(), y.detach().cpu().double()

"""Exact nearest neighbours, without holding all distances in memory."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zspace.errors import InputError
from zspace.functional import as_float
from zspace.functional.tensors import rows_at_once
from zspace.metrics.arrays import of_arrays

QUERIES, REFERENCES = 2048, 8192
"""The numbers of rows of either set whose distances are held at a time, in 64 MiB.

There are fewer where the rows themselves, as floats, would take more (`blocks`).
"""

SPARE = 3
"""The number of candidates beyond k that float32 products select for the exact comparison."""


@of_arrays
def nearest(
    queries: Tensor, reference: Tensor, k: int = 1, *, itself: bool = True
) -> tuple[Tensor, Tensor]:
    """The k nearest samples of the reference to each query, with their distances ||q - r||.

    Candidates are found from products of float32 blocks, q.q + r.r - 2 q.r, centred on the
    reference's mean. The distances of k + 3 candidates are then computed again without
    cancellation, and these decide. Samples whose squared distances differ by less than some 1e-6
    of the data's squared width may therefore be confused.

    Args:
        queries, reference: (N, ...) and (M, ...) of the same sample shape: vectors, images as
            floats in [0, 1], or uint8 images, which are converted to such floats.
        k: the number of neighbours, from 1 to M.
        itself: False if both are the same set, to keep a sample from being its own neighbour; k is
            then at most M - 1.

    Returns the distances (N, k), in increasing order, and the indices (N, k).
    Raises:
        InputError: the shapes differ, there are fewer than k neighbours, NaN or infinite values.
    """
    if queries.ndim < 2 or queries.shape[1:] != reference.shape[1:] or not len(queries):
        raise InputError(
            f"queries of shape {tuple(queries.shape[1:])} have no neighbours among samples of "
            f"shape {tuple(reference.shape[1:])}"
        )
    if not 1 <= k <= len(reference) - (not itself):
        raise InputError(f"there are no {k} neighbours among {len(reference)} samples")
    mean = mean_vector(reference, torch.float32)
    checked = [mean, *(vectors(q).sum() for q in blocks(queries, REFERENCES))]
    if not all(bool(torch.isfinite(sums).all()) for sums in checked):
        raise InputError("samples that hold NaN or infinite values have no neighbours")
    some = min(k + SPARE, len(reference) - (not itself))
    distances: list[Tensor] = []
    indices: list[Tensor] = []
    start = 0
    for block in blocks(queries, QUERIES):
        q = vectors(block)
        rows = torch.arange(start, start + len(q), device=q.device)
        start += len(q)
        found = _candidates(q - mean, reference, mean, some, None if itself else rows)
        exact = torch.stack(
            [(vectors(reference[column]) - q).norm(dim=1) for column in found.T], dim=1
        )
        best, order = exact.sort(dim=1)
        distances.append(best[:, :k])
        indices.append(found.gather(1, order[:, :k]))
    return torch.cat(distances), torch.cat(indices)


def _candidates(q: Tensor, reference: Tensor, mean: Tensor, k: int, rows: Tensor | None) -> Tensor:
    """The indices (N, k) of the nearest samples by float32 products.

    `rows` gives the index of the reference sample that each query is, which is left out.
    """
    best = torch.full((len(q), k), torch.inf, device=q.device)
    found = torch.zeros(len(q), k, dtype=torch.long, device=q.device)
    start = 0
    for block in blocks(reference, REFERENCES):
        r = vectors(block) - mean
        # without q.q, which does not change the order
        squares = torch.addmm(r.square().sum(1)[None], q, r.T, alpha=-2)
        if rows is not None:
            own = (rows >= start) & (rows < start + len(r))
            squares[own.nonzero()[:, 0], rows[own] - start] = torch.inf
        values, columns = squares.topk(min(k, len(r)), dim=1, largest=False)
        best, order = torch.cat([best, values], 1).topk(k, dim=1, largest=False)
        found = torch.cat([found, columns + start], 1).gather(1, order)
        start += len(r)
    return found


def mean_vector(x: Tensor, dtype: torch.dtype) -> Tensor:
    """The mean (D,) of samples (N, ...) as vectors, summed in a given precision."""
    total = torch.zeros(x[0].numel(), dtype=dtype, device=x.device)
    for block in blocks(x, REFERENCES):
        total += vectors(block).to(dtype).sum(0)
    return total / len(x)


def blocks(x: Tensor, rows: int) -> Sequence[Tensor]:
    """Samples (N, ...) in blocks of at most so many rows, fewer where samples are large."""
    return x.split(rows_at_once(x[0].numel(), rows))


def vectors(x: Tensor) -> Tensor:
    """Samples (N, ...), uint8 images or floats, as rows (N, D) of float32."""
    return as_float(x).float().flatten(1)


@of_arrays
def memorisation_score(a: Tensor, b: Tensor) -> Tensor:
    """The distance min_j ||a_i - b_j|| of each sample a_i from the nearest sample of b.

    Its mean is the pixel memorisation score (PMS) for images, and the Inception memorisation score
    (IMS) for Inception features.

    Args:
        a: the samples asked about, images (N, C, H, W) with pixels in [0, 1], or features (N, D).
        b: the samples that may have been memorised, (M, ...) of the same sample shape.

    Returns (N,), at least 0.
    Raises:
        InputError: the shapes differ, a set is empty, NaN or infinite values.

    Reference: Mondal et al., FlexAE (2021), section 4.2 (Table 4).

    >>> memorisation_score(torch.tensor([[0.0], [5.0]]), torch.tensor([[1.0], [7.0]]))
    tensor([1., 2.])
    """
    return nearest(a, b)[0][:, 0]

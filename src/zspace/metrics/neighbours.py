"""Nearest neighbours, exactly, of sets that need not fit in memory as distances."""

from __future__ import annotations

import torch
from torch import Tensor

from zspace.errors import InputError
from zspace.functional import as_float

QUERIES, REFERENCES = 2048, 8192
"""Rows of either set between which distances are held at a time: 64 MiB of them."""

SPARE = 3
"""Candidates beyond k that float32 products name, among which exact distances decide."""


def nearest(
    queries: Tensor, reference: Tensor, k: int = 1, *, itself: bool = True
) -> tuple[Tensor, Tensor]:
    """The k nearest of the reference to each query: distances ||q - r|| (N, k), indices (N, k).

    Candidates are found by products of float32 blocks, q.q + r.r - 2 q.r, centred on the
    reference's mean; the distances of k + 3 candidates are then computed afresh, without the
    cancellation, and decide. Samples whose squared distances differ by less than some 1e-6 of
    the data's squared width can therefore stand for one another.

    Args:
        queries, reference: (N, ...), (M, ...) of the same sample shape: vectors, images as floats
            in [0, 1], or uint8 images, which are taken as such.
        itself: False where the two are one set, and a sample is no neighbour of itself.
    """
    if queries.ndim < 2 or queries.shape[1:] != reference.shape[1:] or not len(queries):
        raise InputError(
            f"queries of shape {tuple(queries.shape[1:])} have no neighbours among samples of "
            f"shape {tuple(reference.shape[1:])}"
        )
    if not 1 <= k <= len(reference) - (not itself):
        raise InputError(f"there are no {k} neighbours among {len(reference)} samples")
    sums = [vectors(r).sum(0) for r in reference.split(REFERENCES)]
    mean = torch.stack(sums).sum(0) / len(reference)
    if not bool(torch.isfinite(mean).all() & torch.isfinite(vectors(queries).sum())):
        raise InputError("samples that hold NaN or infinite values have no neighbours")
    some = min(k + SPARE, len(reference) - (not itself))
    distances: list[Tensor] = []
    indices: list[Tensor] = []
    for start in range(0, len(queries), QUERIES):
        q = vectors(queries[start : start + QUERIES])
        rows = torch.arange(start, start + len(q), device=q.device)
        found = _candidates(q - mean, reference, mean, some, None if itself else rows)
        exact = torch.stack(
            [(vectors(reference[column]) - q).norm(dim=1) for column in found.T], dim=1
        )
        best, order = exact.sort(dim=1)
        distances.append(best[:, :k])
        indices.append(found.gather(1, order[:, :k]))
    return torch.cat(distances), torch.cat(indices)


def _candidates(q: Tensor, reference: Tensor, mean: Tensor, k: int, rows: Tensor | None) -> Tensor:
    """Indices (N, k) of the nearest by float32 products; `rows`: which sample each query is."""
    best = torch.full((len(q), k), torch.inf, device=q.device)
    found = torch.zeros(len(q), k, dtype=torch.long, device=q.device)
    for start in range(0, len(reference), REFERENCES):
        r = vectors(reference[start : start + REFERENCES]) - mean
        squares = torch.addmm(r.square().sum(1)[None], q, r.T, alpha=-2)  # q.q changes no order
        if rows is not None:
            own = (rows >= start) & (rows < start + len(r))
            squares[own.nonzero()[:, 0], rows[own] - start] = torch.inf
        values, columns = squares.topk(min(k, len(r)), dim=1, largest=False)
        best, order = torch.cat([best, values], 1).topk(k, dim=1, largest=False)
        found = torch.cat([found, columns + start], 1).gather(1, order)
    return found


def vectors(x: Tensor) -> Tensor:
    """Stored or float samples as rows of float32."""
    return as_float(x).float().flatten(1)


def memorisation_score(a: Tensor, b: Tensor) -> Tensor:
    """min_j ||a_i - b_j|| for every a_i, (N,): its mean is PMS of pixels, IMS of features.

    Args:
        a, b: images (pixels in [0, 1]) or features of one shape: the samples asked about, and
            those that may have been memorised.

    Reference: Mondal et al., FlexAE (2021), section 4.2 (Table 4).

    >>> memorisation_score(torch.tensor([[0.0], [5.0]]), torch.tensor([[1.0], [7.0]]))
    tensor([1., 2.])
    """
    return nearest(a, b)[0][:, 0]

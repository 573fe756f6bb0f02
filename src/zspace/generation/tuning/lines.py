"""Lines of candidates, generators that yield a candidate and are sent its value.

Coordinate descent, random search and the grid search the same space of whole numbers. A candidate
is identified by its line and its step in that line, so that a search can be resumed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from zspace.errors import unknown
from zspace.functional import stream

STEPS = 10
"""The number of steps of theta from 0 to 1."""

AVERAGES = (1, 2, 3, 5)
"""The numbers of draws that the sampler Simple may average."""
Search = Literal["descent", "random", "grid"]
Row = tuple[int, ...]
Values = list[float]


@dataclass
class Space:
    """The space that is searched: rows of whole numbers, one row for each group of labels.

    Attributes:
        levels: the number of values of each coordinate of a row.
        groups: the groups of labels that share a row.
        averages: whether a row is a theta and an index into `AVERAGES`, or thetas alone.
    """

    levels: tuple[int, ...]
    groups: list[list[int]]
    averages: bool = False

    @property
    def size(self) -> int:
        """The number of points of the full grid."""
        return math.prod(self.levels)

    def holds(self, rows: Sequence[Row | None]) -> bool:
        """Whether rows lie in the space, one (or None) for each group."""
        return len(rows) == len(self.groups) and all(
            len(row) == len(self.levels)
            and all(0 <= k < n for k, n in zip(row, self.levels, strict=True))
            for row in rows
            if row is not None
        )

    def theta(self, row: Row) -> tuple[list[float], int]:
        """The thetas and the number of averaged draws that a row stands for."""
        if self.averages:
            return [row[0] / STEPS], AVERAGES[row[1]]
        return [k / STEPS for k in row], 1


SPACES: dict[str, Callable[[int, list[int]], Space]] = {
    "simple": lambda dim, labels: Space((STEPS + 1, len(AVERAGES)), [labels], True),
    "medium1": lambda dim, labels: Space((STEPS + 1,) * dim, [labels]),
    "medium2": lambda dim, labels: Space((STEPS + 1,) * dim, [[label] for label in labels]),
}
"""The samplers that can be tuned, with the space of their theta for a size of codes and labels."""


def space_of(name: str, dim: int, classes: int) -> Space:
    """The space of a classwise sampler's parameters.

    Args:
        name: "simple", "medium1" or "medium2".
        dim: D, the size of a code.
        classes: the number of classes.

    Raises:
        InputError: the name is another.
    """
    if name not in SPACES:
        raise unknown("sampler to tune", name, SPACES)
    return SPACES[name](dim, list(range(classes)))


@dataclass(frozen=True)
class Ask:
    """A candidate to be evaluated.

    Attributes:
        rows: a row for each group; None if the group has nothing to try.
        bounds: the value for each group below which the candidate is an improvement.
    """

    rows: list[Row | None]
    bounds: Values


Line = Generator[Ask, Values, None]
"""A sequence of candidates, each chosen by the values of those before it."""


def descent(space: Space, seed: int, start: int) -> Line:
    """A line of coordinate descent, for all groups at the same time.

    Coordinates are optimised in random orders until none changes any row.

    Args:
        space: the space.
        seed: the seed of the search.
        start: the line's number; 0 starts from the best row of equal numbers, others from random
            rows.
    """
    draw = torch.Generator().manual_seed(stream(seed, 31, start))
    groups = len(space.groups)
    best: list[Row] = [()] * groups
    values = [math.inf] * groups

    def line(candidates: list[Row | None]) -> Generator[Ask, Values, bool]:
        if all(row is None for row in candidates):
            return False
        found = yield Ask(candidates, list(values))
        changed = False
        for g, row in enumerate(candidates):
            if row is not None and found[g] < values[g]:
                best[g], values[g], changed = row, found[g], True
        return changed

    if start == 0:
        for k in range(max(space.levels)):
            yield from line([tuple(min(k, n - 1) for n in space.levels)] * groups)
    else:
        yield from line(
            [
                tuple(int(torch.randint(n, (), generator=draw)) for n in space.levels)
                for _ in range(groups)
            ]
        )
    changed = True
    while changed:
        changed = False
        for d in torch.randperm(len(space.levels), generator=draw).tolist():
            tried = [row[d] for row in best]
            for k in range(space.levels[d]):
                rows = [
                    None if k == tried[g] else (*best[g][:d], k, *best[g][d + 1 :])
                    for g in range(groups)
                ]
                changed |= yield from line(rows)


def at_random(space: Space, seed: int, start: int) -> Line:
    """A line of one candidate, whose rows are drawn uniformly.

    Args:
        space: the space.
        seed: the seed of the search.
        start: the line's number.
    """
    draw = torch.Generator().manual_seed(stream(seed, 32, start))
    rows: list[Row | None] = [
        tuple(int(torch.randint(n, (), generator=draw)) for n in space.levels) for _ in space.groups
    ]
    yield Ask(rows, [math.inf] * len(rows))


def on_grid(space: Space, start: int) -> Line:
    """A line of one candidate, a point of the grid, which is the same row for every group.

    Args:
        space: the space.
        start: the line's number, which is that of the point.
    """
    point = next(itertools.islice(itertools.product(*map(range, space.levels)), start, None), None)
    if point is not None:
        yield Ask([point] * len(space.groups), [math.inf] * len(space.groups))

"""Lines of search: descent, grid and random."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from zspace.generation.tuning.lines import Ask, Line, Space, at_random, descent, on_grid, space_of


def walk(
    line: Line, value: Callable[[tuple[int, ...]], float], trials: int
) -> tuple[float, list[tuple[int, ...]]]:
    """Follow a line; what it asks for is judged by a function of one group's row."""
    seen: list[tuple[int, ...]] = []
    best = math.inf
    ask: Ask | None = next(line, None)
    while ask is not None and len(seen) < trials:
        row = ask.rows[0]
        assert row is not None
        seen.append(row)
        found = value(row)
        assert ask.bounds[0] == best or len(ask.rows) > 1
        best = min(best, found)
        try:
            ask = line.send([found])
        except StopIteration:
            break
    return best, seen


@pytest.mark.parametrize("seed", range(3))
def test_descent_and_grid_agree_in_two_dimensions(seed: int) -> None:
    """On a slanted valley, which has local minima for coordinate descent: restarts find it."""
    place = torch.rand(2, generator=torch.Generator().manual_seed(seed)) * 10

    def value(row: tuple[int, ...]) -> float:
        a, b = row[0] - float(place[0]), row[1] - float(place[1])
        return a * a + b * b + 1.5 * a * b

    space = Space((11, 11), [[0]])
    by_grid = min(walk(on_grid(space, i), value, 1)[0] for i in range(space.size))
    found = [walk(descent(space, 0, start), value, 10**6) for start in range(40)]
    assert min(best for best, _ in found) == by_grid
    # a line ends where no change of one coordinate helps
    for best, seen in found:
        at = next(row for row in seen if value(row) == best)
        neighbours = [
            tuple(k if i == d else v for i, v in enumerate(at)) for d in range(2) for k in range(11)
        ]
        assert min(map(value, neighbours)) == best
        assert set(neighbours) <= set(seen)


def test_groups_descend_each_by_itself() -> None:
    space = Space((11, 11), [[0], [1]])
    goals = [(2, 9), (7, 0)]
    line = descent(space, 0, 0)
    ask: Ask | None = next(line)
    best: list[Any] = [(math.inf, ()), (math.inf, ())]
    while ask is not None:
        values = []
        for g, row in enumerate(ask.rows):
            if row is None:
                values.append(math.inf)
                continue
            values.append(float(sum((r - t) ** 2 for r, t in zip(row, goals[g], strict=True))))
            best[g] = min(best[g], (values[-1], row))
        try:
            ask = line.send(values)
        except StopIteration:
            ask = None
    assert best == [(0, (2, 9)), (0, (7, 0))]


def test_spaces() -> None:
    assert space_of("simple", 20, 10).size == 44
    assert space_of("medium1", 2, 10).size == 121
    assert space_of("medium1", 3, 4).groups == [[0, 1, 2, 3]]
    assert space_of("medium2", 3, 4).groups == [[0], [1], [2], [3]]
    assert space_of("simple", 9, 4).theta((4, 3)) == ([0.4], 5)
    rows = {walk(on_grid(space_of("simple", 9, 4), i), lambda r: 0.0, 1)[1][0] for i in range(44)}
    assert len(rows) == 44
    assert next(on_grid(space_of("simple", 9, 4), 44), None) is None
    a, b = (next(at_random(space_of("medium1", 9, 4), 1, i)).rows for i in (0, 1))
    assert a != b
    assert a == next(at_random(space_of("medium1", 9, 4), 1, 0)).rows

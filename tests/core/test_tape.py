"""The draws of iterations that are made all at once are those that are made one by one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from zspace.core import Batches, Tape
from zspace.core import batches as core_batches

KINDS: dict[str, dict[str, Any]] = {
    "epochs": {},
    "replacement": {"replacement": True},
    "set aside": {"reserve": 5},
    "the second of two processes": {"rank": 1, "world": 2},
}


def made(**options: Any) -> Batches:
    x = torch.arange(23 * 4).reshape(23, 1, 2, 2).byte()
    return Batches(x, torch.arange(23), size=4, seed=3, **options)


def iteration(batches: Batches) -> list[Tensor]:
    """What an iteration draws, as a copy."""
    x, y = next(batches)
    assert y is not None
    drawn = [x, y, batches.normal(3), next(batches)[0], batches.uniform(1), batches.normal()]
    batches.step += 1
    return [t.clone() for t in drawn]


def taped(batches: Batches, tape: Tape, count: int) -> list[list[Tensor]]:
    found: list[list[Tensor]] = []
    for i in range(count):
        batches.tape = tape
        if i or batches.step:
            tape.fill()
        found.append(iteration(batches))
        batches.tape = None
    return found


def same(ours: list[list[Tensor]], theirs: list[list[Tensor]]) -> None:
    for a, b in zip(ours, theirs, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ahead", [False, True])
def test_numbers_and_state(kind: str, ahead: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if ahead:
        monkeypatch.setattr(core_batches, "LARGE", 8)
    plain, batches = made(**KINDS[kind]), made(**KINDS[kind])
    same(taped(batches, Tape(batches.device), 9), [iteration(plain) for _ in range(9)])
    ours, theirs = batches.state(), plain.state()
    assert all(torch.equal(ours[k], theirs[k]) for k in theirs)


def test_another_tape_goes_on_where_the_last_one_stopped() -> None:
    """As where two kinds of iterations take turns."""
    plain, batches = made(), made()
    first, second = Tape(batches.device), Tape(batches.device)
    found = taped(batches, first, 2)
    batches.tape = second
    found.append(iteration(batches))
    batches.tape = None
    for tape in (first, second, first):
        found += taped(batches, tape, 1)
    same(found, [iteration(plain) for _ in range(6)])


def test_numbers_stay_in_their_place() -> None:
    batches, tape = made(), Tape(torch.device("cpu"))
    batches.tape = tape
    batches.normal(3)
    places = set()
    for _ in range(4):
        tape.fill()
        places.add(batches.normal(3).data_ptr())
    assert len(places) == 1


def test_more_draws_than_were_noted() -> None:
    batches, tape = made(), Tape(torch.device("cpu"))
    batches.tape = tape
    batches.normal(3)
    tape.fill()
    batches.normal(3)
    with pytest.raises(RuntimeError, match=r"draws more than the 1 times .* \(Method.repeats\)"):
        batches.normal(3)

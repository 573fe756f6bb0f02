"""Batches: epochs, replacement, the state that goes on, shares of several processes."""

from __future__ import annotations

import threading

import pytest
import torch

from zspace.core import Batches
from zspace.core import batches as core_batches
from zspace.errors import InputError


def numbered(n: int, **options: object) -> Batches:
    """Batches of one-pixel images whose value is their number."""
    x = torch.arange(n, dtype=torch.float32)[:, None]
    return Batches(x, torch.arange(n), **options)  # type: ignore[arg-type]


def test_an_epoch_shows_every_sample_once_in_a_new_order() -> None:
    batches = numbered(12, size=4, seed=3)
    epochs = [torch.cat([next(batches)[0][:, 0] for _ in range(3)]) for _ in range(2)]
    for epoch in epochs:
        assert sorted(epoch.tolist()) == list(range(12))
    assert not torch.equal(*epochs)
    assert batches.epoch == 2


def test_what_does_not_fill_a_batch_is_left_to_another_epoch() -> None:
    batches = numbered(10, size=4)
    seen = torch.cat([next(batches)[0][:, 0] for _ in range(2)])
    assert len(set(seen.tolist())) == 8


def test_replacement_draws_every_sample_with_equal_probability() -> None:
    batches = numbered(10, size=10, replacement=True)
    counts = torch.zeros(10)
    for _ in range(2000):
        counts += torch.bincount(next(batches)[1], minlength=10)
    # 20,000 draws: a deviation of 5 standard errors has probability below 1e-5
    assert (counts / 20_000 - 0.1).abs().max() < 5 * (0.1 * 0.9 / 20_000) ** 0.5
    repeated = [len(set(next(batches)[1].tolist())) < 10 for _ in range(20)]
    assert all(repeated)


@pytest.mark.parametrize("replacement", [False, True])
def test_state_goes_on_exactly(replacement: bool) -> None:
    def draw(batches: Batches) -> list[torch.Tensor]:
        return [
            t for _ in range(5) for t in (next(batches)[0], batches.normal(2), batches.uniform(1))
        ]

    a = numbered(20, size=4, seed=1, replacement=replacement)
    draw(a)
    state = {k: v.clone() for k, v in a.state().items()}
    expected = draw(a)
    b = numbered(20, size=4, seed=1, replacement=replacement)
    b.load_state(state)
    assert all(torch.equal(x, y) for x, y in zip(draw(b), expected, strict=True))


@pytest.mark.parametrize("replacement", [False, True])
def test_processes_share_one_batch_and_its_noise(replacement: bool) -> None:
    options = {"size": 6, "seed": 2, "replacement": replacement}
    whole = numbered(30, **options)
    shares = [numbered(30, **options, rank=r, world=3) for r in range(3)]
    for _ in range(7):
        assert torch.equal(next(whole)[0], torch.cat([next(s)[0] for s in shares]))
        assert torch.equal(whole.normal(4), torch.cat([s.normal(4) for s in shares]))


@pytest.mark.parametrize(
    "n, options, message",
    [
        (4, {"size": 5}, "fewer than a batch"),
        (4, {"size": 0}, "at least 1 image"),
        (9, {"size": 5, "world": 2}, "can't be divided among 2 processes"),
    ],
)
def test_bad_batches_are_refused(n: int, options: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        numbered(n, **options)


def test_centres_are_of_images_that_no_step_uses() -> None:
    """Each epoch sets its own images aside; the centres are theirs, refreshed when it begins."""
    x = torch.arange(40.0)[:, None].repeat(1, 2)
    batches = Batches(x, torch.arange(40), size=5, reserve=12, seed=3)
    aside: list[set[int]] = []
    for _ in range(3):
        assert batches.begins
        rows, y = batches.set_aside()
        assert y is not None
        assert rows[:, 0].tolist() == y.tolist()
        seen = [int(label) for _ in range(5) for label in next(batches)[1]]  # type: ignore[union-attr]
        assert len(set(seen)) == 25
        assert not set(seen) & set(y.tolist())
        aside.append(set(y.tolist()))
        assert len(aside[-1]) == 12
    assert aside[0] != aside[1] != aside[2]
    with pytest.raises(InputError, match="set aside"):
        Batches(x, size=30, reserve=12)


def test_labels_may_lie_on_another_device() -> None:
    x, y = torch.zeros(40, 1, 2, 2, dtype=torch.uint8), torch.arange(40)
    here, there = (
        Batches(part, y, size=8, reserve=5, device=part.device) for part in (x, x.to("meta"))
    )
    images, labels = next(there)
    assert images.is_meta
    assert labels is not None
    assert labels.is_meta
    kept, known = there.set_aside()
    assert kept.is_meta
    assert known is not None
    next(here)
    expected = here.set_aside()[1]
    assert expected is not None
    assert torch.equal(known, expected)


@pytest.mark.parametrize("replacement", [False, True])
def test_batches_that_are_read_ahead_are_the_same_and_go_on_exactly(
    monkeypatch: pytest.MonkeyPatch, replacement: bool
) -> None:
    """Seven batches reach into the second epoch, and the state is that of the batch in use."""
    options: dict[str, object] = {"size": 4, "seed": 1, "replacement": replacement, "reserve": 3}
    plain = numbered(20, **options)
    monkeypatch.setattr(core_batches, "LARGE", 0)
    ahead, resumed = numbered(20, **options), numbered(20, **options)
    for step in range(7):
        here, there = next(plain), next(ahead)
        assert all(torch.equal(a, b) for a, b in zip(here, there, strict=True))  # type: ignore[arg-type]
        assert torch.equal(plain.normal(2), ahead.normal(2))
        assert (plain.epoch, plain.begins) == (ahead.epoch, ahead.begins)
        assert torch.equal(plain.set_aside()[0], ahead.set_aside()[0])
        held = plain.state(), ahead.state()
        assert all(torch.equal(held[0][k], held[1][k]) for k in held[0]), step
        resumed.load_state(held[1])
        after = numbered(20, **options)
        after.load_state(held[0])
        assert torch.equal(next(resumed)[0], next(after)[0])


def reading() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("batches")]


def test_the_thread_that_reads_ahead_raises_in_the_step_and_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(core_batches, "LARGE", 0)
    batches = Batches(torch.zeros(12, 1), torch.arange(3), size=4)
    for _ in range(2):
        with pytest.raises(IndexError):
            next(batches)
    assert batches.drawn == 0
    before = {*reading()}
    batches = numbered(12, size=4)
    next(batches)
    (thread,) = {*reading()} - before
    del batches
    thread.join(10)
    assert not thread.is_alive()

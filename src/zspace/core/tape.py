"""`Tape`, the draws of one iteration, which those after it make all at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Draw = Callable[[], list[Tensor]]
"""A function that draws tensors on the CPU, from generators of its own."""

ALIGNED = 64
"""The number of bytes at whose multiples a tensor begins."""


class Tape:
    """The draws of one iteration in their order, made again for each iteration that is like it.

    The first iteration is given each draw as it asks for it, and the tape notes it. Before each
    later one `fill` makes the same draws, so that the generators give what they would have given,
    and takes them to the device in a single copy, which no one waits for. They lie where they lay
    before: an iteration that is captured as a CUDA graph finds new numbers there.

    Args:
        device: where they are wanted.

    >>> noise = torch.Generator().manual_seed(0)
    >>> tape = Tape(torch.device("cpu"))
    >>> first = tape.given(lambda: [torch.rand(2, generator=noise)])[0]
    >>> tape.fill()
    >>> second = tape.given(lambda: [])[0]
    >>> torch.equal(torch.cat([first, second]), torch.rand(4, generator=noise.manual_seed(0)))
    True
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._draws: list[Draw] = []
        self._drawn: list[list[Tensor]] = []
        self._there = torch.empty(0, dtype=torch.uint8)
        self._given: list[list[Tensor]] = []
        self._next = 0
        self._buffers: list[_Buffer] = []

    def given(self, draw: Draw) -> list[Tensor]:
        """The tensors of the iteration's next draw, on the device."""
        if not self._buffers:
            self._draws.append(draw)
            self._drawn.append(draw())
            return [t.to(self.device) for t in self._drawn[-1]]
        self._next += 1
        if self._next > len(self._given):
            raise RuntimeError(
                f"an iteration draws more than the {len(self._given)} times of the one that it is "
                "said to repeat (Method.repeats)"
            )
        return list(self._given[self._next - 1])

    def check(self) -> None:
        """Check that an iteration has taken all of its draws.

        Raises:
            RuntimeError: it has taken fewer.
        """
        if self._next < len(self._given):
            raise RuntimeError(
                f"an iteration draws {self._next} times, fewer than the {len(self._given)} of the "
                "one that it is said to repeat (Method.repeats)"
            )

    def fill(self) -> None:
        """Make the draws of the next iteration."""
        if not self._buffers:
            self._place()
        self._next = 0
        buffer = self._buffers.pop(0)
        self._buffers.append(buffer)
        buffer.wait()  # until its last numbers have been copied
        for views, draw in zip(buffer.views, self._draws, strict=True):
            for view, drawn in zip(views, draw(), strict=True):
                view.copy_(drawn)
        buffer.copy_to(self._there)

    def _place(self) -> None:
        """Find a place for each of the draws that were noted."""
        drawn, self._drawn = self._drawn, []
        size = sum(_room(t) for one in drawn for t in one)
        pinned = self.device.type == "cuda"
        self._there = torch.empty(size, dtype=torch.uint8, device=self.device)
        self._given = _views(self._there, drawn)
        for _ in range(2):  # one is filled while the other is copied
            here = torch.empty(size, dtype=torch.uint8, pin_memory=pinned)
            self._buffers.append(_Buffer(here, _views(here, drawn)))


class _Buffer:
    """Memory of the CPU that is copied to the device as a whole."""

    def __init__(self, here: Tensor, views: list[list[Tensor]]) -> None:
        self.here, self.views = here, views
        self.copied = torch.cuda.Event() if here.is_pinned() else None

    def wait(self) -> None:
        if self.copied is not None:
            self.copied.synchronize()

    def copy_to(self, there: Tensor) -> None:
        there.copy_(self.here, non_blocking=True)
        if self.copied is not None:
            self.copied.record()


def _room(t: Tensor) -> int:
    """The number of bytes that a tensor takes up to where the next one begins."""
    return -(-t.nbytes // ALIGNED) * ALIGNED


def _views(memory: Tensor, drawn: Sequence[Sequence[Tensor]]) -> list[list[Tensor]]:
    """Parts of a uint8 tensor as tensors like those that were drawn, one behind the other."""
    start, found = 0, []
    for one in drawn:
        views: list[Tensor] = []
        for t in one:
            views.append(memory[start : start + t.nbytes].view(t.dtype).view(t.shape))
            start += _room(t)
        found.append(views)
    return found

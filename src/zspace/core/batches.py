"""`Batches`, endless batches of a data set, and the random numbers that go with them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self

import torch
from torch import Tensor

from zspace.core.samplers import Sampler
from zspace.core.tape import Tape
from zspace.errors import InputError, cut
from zspace.functional import as_float, stream
from zspace.functional.augmentation import Augmentation
from zspace.functional.tensors import all_random

Transform = Callable[[Tensor], Tensor]
"""A function of an image, float32 (C, H, W) in [0, 1], to one of the same shape."""

LARGE = 1 << 30
"""The size in bytes above which the data's batches are read ahead."""


class Batches:
    """Endless batches of a data set, determined by a seed, and the noise that goes with them.

    `next(batches)` returns `(x, y)`: float32 images (N, C, H, W) in [0, 1], or vectors (N, D)
    unchanged, and what belongs to them, usually int64 labels (N,), or None. `normal` and `uniform`
    draw noise for a batch.

    Data of more than 1 GiB may be memory-mapped: a thread reads the next batch of them while the
    last one is in use. What it fails with is raised when that batch is asked for.

    If there are W processes, each draws the whole batch and its noise and keeps its own W-th part,
    so that together they see what a single process would see.

    Args:
        x: uint8 images (N, C, H, W) or float32 vectors (N, D), on any device or memory-mapped.
        y: what belongs to each sample, on any device: int64 labels (N,), or, for a decoder that is
            trained on codes x, the stored images; or None.
        size: the number of samples in a batch, over all processes.
        seed: the seed of the order and of the noise, which are independent streams.
        replacement: whether every batch is drawn from all samples. Otherwise batches go through the
            samples epoch by epoch, in a new order each time, without an incomplete last batch.
        reserve: the number of samples, different ones in each epoch, that the epoch's batches leave
            out.
        device: the device on which batches and noise are wanted.
        augmentation: the random changes of images; None makes none.
        transform: a function that maps a training image, float32 (C, H, W) in [0, 1], to one of the
            same shape; its random numbers (PyTorch's, NumPy's and Python's) follow from the seed,
            the number of the batch and the image's place in it. None leaves images as they are.
        rank, world: the number of this process and that of all processes.

    Attributes:
        step: the number of iterations done.
        drawn: the number of batches drawn.
        taken: the number of batches that were given, which a tape draws before.
        tape: what makes the draws of the iterations to come; None makes each when it is asked for.

    Raises:
        InputError: there are too few samples, or a batch can't be divided among the processes.
    """

    def __init__(
        self,
        x: Tensor,
        y: Tensor | None = None,
        *,
        size: int,
        seed: int = 0,
        replacement: bool = False,
        reserve: int = 0,
        device: torch.device | str = "cpu",
        augmentation: Augmentation | None = None,
        transform: Transform | None = None,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if size < 1:
            raise InputError(f"a batch has at least 1 image, not {size}")
        if len(x) < size:
            raise InputError(
                f"{len(x)} training images are fewer than a batch of {size}: "
                "lower --batch-size or give more images"
            )
        if len(x) < size + reserve:
            raise InputError(
                f"{len(x)} training images are fewer than a batch of {size} and the {reserve} "
                "that are set aside: lower --centres or --batch-size, or give more images"
            )
        if size % world:
            raise InputError(f"a batch of {size} can't be divided among {world} processes")
        self.x, self.y, self.size, self.seed = x, y, size, seed
        self.replacement, self.reserve = replacement, reserve
        self.device = torch.device(device)
        self.augmentation, self.transform = augmentation, transform
        self.rank, self.world = rank, world
        self.step = 0
        self.drawn = self.taken = 0
        self.tape: Tape | None = None
        self._order = torch.Generator().manual_seed(stream(seed, 1))
        # on the CPU, so that the noise is the same on every device and a run can move to another
        self._noise = torch.Generator().manual_seed(stream(seed, 2))
        self._permutation: tuple[int, Tensor] | None = None
        stored = [t for t in (x, y) if t is not None and t.device.type == "cpu"]
        large = any(t.nbytes > LARGE for t in stored)
        # the thread ends with these batches, since the executor does
        # a transform's random numbers are those of the process, which a thread must not touch
        ahead = large and transform is None
        self._reader = ThreadPoolExecutor(1, "batches") if ahead else None
        self._ahead: Future[list[Tensor]] | None = None
        self._place = self._order.get_state()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> tuple[Tensor, Tensor | None]:
        given = self._given(self._stored)

        def taken(data: Tensor) -> Tensor:
            near = data.device.type != "cpu"
            return data[given[0].to(data.device)].to(self.device) if near else given.pop()

        y = None if self.y is None else taken(self.y)
        self.taken += 1
        x = as_float(taken(self.x))
        return x if self.augmentation is None else self.augmentation.changed(x, self.uniform), y

    def _stored(self) -> list[Tensor]:
        """What the next batch takes from the CPU: its rows of data there, else their numbers."""
        if self._reader is None:
            found = self._read(self._mine(self._rows()))
            if self.transform is not None:
                # behind the rows' numbers, which are there if labels lie on the device
                place = 0 if self.y is None or self.y.device.type == "cpu" else 1
                found[place] = self._transformed(found[place], self.transform)
            self.drawn += 1
            return found
        self._ahead = self._ahead or self._fetch(self._reader)
        found = self._ahead.result()
        self.drawn += 1
        self._ahead = self._fetch(self._reader)
        return found

    def _transformed(self, x: Tensor, transform: Transform) -> Tensor:
        """The images of a batch after a function that Python gave.

        Raises:
            InputError: it fails, or gives no image like those that it takes.
        """
        first = self.rank * len(x)
        whole = torch.empty(x.shape)
        for i, image in enumerate(as_float(x)):
            # by its place in the whole batch, which does not depend on the number of processes
            with all_random(stream(self.seed, 51, self.drawn, first + i)):
                try:
                    new: Any = transform(image.clone())
                    usable = isinstance(new, Tensor) and new.shape == image.shape
                    if usable:
                        whole[i] = as_float(new.detach().cpu()).float()
                except Exception as error:  # other people's code
                    kind = type(error).__name__
                    raise InputError(f"the transform failed: {kind}: {cut(str(error))}") from error
            if not usable:
                shape = tuple(new.shape) if isinstance(new, Tensor) else type(new).__name__
                raise InputError(
                    f"the transform makes {shape} of an image {tuple(image.shape)}: expected a "
                    "tensor of the same shape"
                )
        if not bool(((whole >= 0) & (whole <= 1)).all()):
            raise InputError(
                f"the transform gives values from {float(whole.min()):g} to "
                f"{float(whole.max()):g}: expected [0, 1]"
            )
        return whole.contiguous(memory_format=torch.channels_last)

    def _fetch(self, reader: ThreadPoolExecutor) -> Future[list[Tensor]]:
        """The next batch as stored, which a thread reads while the last one is in use."""
        self._place = self._order.get_state()
        rows = self._mine(self._rows())
        return reader.submit(lambda: self._pinned(self._read(rows)))

    def _read(self, rows: Tensor) -> list[Tensor]:
        """The data of some rows where they lie on the CPU; their numbers, if some do not."""
        data = [self.x] if self.y is None else [self.x, self.y]
        far = [t[rows] for t in data if t.device.type == "cpu"]
        return far if len(far) == len(data) else [rows, *far]

    def _given(self, draw: Callable[[], list[Tensor]]) -> list[Tensor]:
        """What a function draws on the CPU, on the device, without waiting for the copy."""
        if self.tape is not None:
            return self.tape.given(draw)
        return [t.to(self.device, non_blocking=True) for t in self._pinned(draw())]

    def _pinned(self, drawn: list[Tensor]) -> list[Tensor]:
        """Tensors of the CPU, in memory from which a CUDA device copies by itself."""
        if self.device.type != "cuda":
            return drawn
        with torch.cuda.device(self.device):  # a thread's own is the first one
            return [t.pin_memory() for t in drawn]

    @property
    def epoch(self) -> int:
        """The number of the next batch's epoch, from 0."""
        return self.taken // self._per_epoch

    @property
    def begins(self) -> bool:
        """Whether the next batch is the first of an epoch."""
        return self.taken % self._per_epoch == 0

    def set_aside(self) -> tuple[Tensor, Tensor | None]:
        """The samples, as stored, that the next batch's epoch leaves out, and their labels."""
        rows = self._order_of(self.epoch)[len(self.x) - self.reserve :]
        y = None if self.y is None else self.y[rows.to(self.y.device)]
        return self.x[rows.to(self.x.device)], y

    @property
    def _per_epoch(self) -> int:
        return (len(self.x) - self.reserve) // self.size

    def normal(self, *shape: int) -> Tensor:
        """Standard normal noise (N, *shape) for the N images of this process's batch."""
        return self._noise_by(torch.randn, shape)

    def uniform(self, *shape: int) -> Tensor:
        """Uniform noise in [0, 1), (N, *shape), for the N images of this process's batch."""
        return self._noise_by(torch.rand, shape)

    def _noise_by(self, make: Callable[..., Tensor], shape: tuple[int, ...]) -> Tensor:
        def draw() -> list[Tensor]:
            return [self._mine(make(self.size, *shape, generator=self._noise))]

        return self._given(draw)[0]

    @torch.no_grad()
    def draw(self, sampler: Sampler) -> Tensor:
        """Codes (N, D) from a sampler for this process's batch.

        They are drawn by PyTorch's global generator, whose state is stored with a run.
        """
        return self._mine(sampler.draw(self.size))

    def _mine(self, whole: Tensor) -> Tensor:
        share = self.size // self.world
        return whole[self.rank * share : (self.rank + 1) * share]

    def _rows(self) -> Tensor:
        if self.replacement:
            return torch.randint(len(self.x), (self.size,), generator=self._order)
        epoch, batch = divmod(self.drawn, self._per_epoch)
        return self._order_of(epoch)[batch * self.size : (batch + 1) * self.size]

    def _order_of(self, epoch: int) -> Tensor:
        if self._permutation is None or self._permutation[0] != epoch:
            # the order of an epoch depends on its number only, so that it need not be stored
            generator = torch.Generator().manual_seed(stream(self.seed, 3, epoch))
            self._permutation = epoch, torch.randperm(len(self.x), generator=generator)
        return self._permutation[1]

    def state(self) -> dict[str, Tensor]:
        """The state of the batches and of their noise, which `load_state` continues exactly."""
        return {
            "step": torch.tensor(self.step),
            "drawn": torch.tensor(self.drawn),
            # that of the batch which was given last, not of the one which is read ahead
            "order": self._order.get_state() if self._ahead is None else self._place,
            "noise": self._noise.get_state(),
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Continue from a state that `state` returned."""
        self.step, self.drawn = int(state["step"]), int(state["drawn"])
        self.taken = self.drawn
        self._order.set_state(state["order"])
        self._ahead = None
        self._noise.set_state(state["noise"])

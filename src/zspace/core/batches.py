"""`Batches`: endless seeded batches of a data set, and the randomness that goes with them."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from zspace.core.samplers import Sampler
from zspace.errors import InputError
from zspace.functional import as_float, stream


class Batches:
    """Endless seeded batches of a data set, and the randomness that goes with them.

    `next(batches)` gives `(x, y)`: float32 images (N, C, H, W) in [0, 1], or vectors (N, D) as
    they are, and what goes with them: int64 labels (N,), mostly, or None. `normal` and `uniform`
    draw noise for a batch.

    A run in W processes draws each batch and its noise whole in every process and keeps its own
    W-th of it, so that W processes see together what one would see.

    Args:
        x: uint8 (N, C, H, W) or float32 (N, D), on any device or memory-mapped.
        y: what goes with each sample, or None: labels, int64 (N,); or, for a decoder that is
            trained on codes x, the stored images.
        size: images of a batch, over all processes.
        seed: of the order and of the noise, which are two streams.
        replacement: draw every batch anew from all images; else go through them epoch by epoch,
            each in a new order, leaving out what does not fill a last batch.
        reserve: images that each epoch sets aside, others in each: no batch of it has them.
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
        self.rank, self.world = rank, world
        self.step = 0
        self.drawn = 0
        self._order = torch.Generator().manual_seed(stream(seed, 1))
        # drawn on the CPU: the same on every device, so that a run can move from one to another
        self._noise = torch.Generator().manual_seed(stream(seed, 2))
        self._permutation: tuple[int, Tensor] | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> tuple[Tensor, Tensor | None]:
        rows = self._mine(self._rows()).to(self.x.device)
        self.drawn += 1
        x = as_float(self.x[rows].to(self.device, non_blocking=True))
        return x, None if self.y is None else self.y[rows].to(self.device)

    @property
    def epoch(self) -> int:
        """How often the data set has been gone through: the number of the next batch's epoch."""
        return self.drawn // self._per_epoch

    @property
    def begins(self) -> bool:
        """Whether the next batch is the first of an epoch."""
        return self.drawn % self._per_epoch == 0

    def set_aside(self) -> tuple[Tensor, Tensor | None]:
        """What the next batch's epoch sets aside: stored images, as `codes` takes them; labels."""
        rows = self._order_of(self.epoch)[len(self.x) - self.reserve :].to(self.x.device)
        return self.x[rows], None if self.y is None else self.y[rows]

    @property
    def _per_epoch(self) -> int:
        return (len(self.x) - self.reserve) // self.size

    def normal(self, *shape: int) -> Tensor:
        """Standard normal noise (N, *shape) for the N images of this process's batch."""
        return self._mine(torch.randn(self.size, *shape, generator=self._noise)).to(self.device)

    def uniform(self, *shape: int) -> Tensor:
        """Noise from U[0, 1] of shape (N, *shape), likewise."""
        return self._mine(torch.rand(self.size, *shape, generator=self._noise)).to(self.device)

    @torch.no_grad()
    def draw(self, sampler: Sampler) -> Tensor:
        """Codes (N, D) of a sampler, by torch's global generator, which is saved with a run."""
        return self._mine(sampler.sample(self.size))

    def _mine(self, whole: Tensor) -> Tensor:
        share = self.size // self.world
        return whole[self.rank * share : (self.rank + 1) * share]

    def _rows(self) -> Tensor:
        if self.replacement:
            return torch.randint(len(self.x), (self.size,), generator=self._order)
        start = self.drawn % self._per_epoch * self.size
        return self._order_of(self.epoch)[start : start + self.size]

    def _order_of(self, epoch: int) -> Tensor:
        if self._permutation is None or self._permutation[0] != epoch:
            # the order of an epoch depends on its number alone: nothing of it need be saved
            generator = torch.Generator().manual_seed(stream(self.seed, 3, epoch))
            self._permutation = epoch, torch.randperm(len(self.x), generator=generator)
        return self._permutation[1]

    def state(self) -> dict[str, Tensor]:
        """Where the batches are: all that `load_state` needs to go on in the same way."""
        return {
            "step": torch.tensor(self.step),
            "drawn": torch.tensor(self.drawn),
            "order": self._order.get_state(),
            "noise": self._noise.get_state(),
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.step, self.drawn = int(state["step"]), int(state["drawn"])
        self._order.set_state(state["order"])
        self._noise.set_state(state["noise"])

"""The six concepts: Method, LatentModel, Variational, Sampler, Density, Batches (and Frozen).

The centre is `Method.objectives`: a paper's algorithm box, written as a generator. It draws what
it needs from `batches`; each `yield` hands over one named loss; the loop in `zspace.training`
performs that one update, of the parameters that the optimiser of that name owns and of no
others; the generator resumes with the new weights and its own local variables.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.optim import Optimizer

from zspace.errors import InputError

Terms = dict[str, Tensor]
"""The named parts of one loss: scalars whose sum is minimised, each of which is logged."""

BLOCK = 256
"""Images or codes that pass through a network at a time outside training: bounds the memory."""


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


def stream(*numbers: int) -> int:
    """A seed for one of several independent streams."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


def as_float(x: Tensor) -> Tensor:
    """Stored data as networks take it: uint8 images to float32 in [0, 1], vectors as they are."""
    if x.dtype == torch.uint8:
        x = x.float().div_(255)
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def as_stored(x: Tensor) -> Tensor:
    """`as_float`'s inverse: images in [0, 1] as the nearest of 256 levels, vectors as they are."""
    return x.float().clamp(0, 1).mul(255).round().byte() if x.ndim == 4 else x


class Method(nn.Module, ABC):
    """Something that trains."""

    @abstractmethod
    def optimizers(self) -> dict[str, Optimizer]:
        """The optimisers by name. Each owns the parameters that its losses move."""

    @abstractmethod
    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        """One iteration: yields (name of an optimiser, terms of the loss that it minimises).

        A yielded loss must share no graph with a later one, since the update in between changes
        the weights that the graph remembers.
        """


class Sampler(nn.Module, ABC):
    """A distribution of latent codes that can be drawn from.

    Attributes:
        drawing: names of the options that say how codes are drawn, and not what is fitted.
        found: options that were left unset and that fitting has found: stored with the sampler.
        names: of the labels, for messages.
    """

    drawing: tuple[str, ...] = ()
    found: Mapping[str, Any] = {}
    names: Sequence[str] = ()

    @property
    def labels(self) -> int:
        """How many labels codes can be asked for by; 0: it knows none."""
        return 0

    def learned(self) -> list[int]:
        """The labels that codes can be asked for by: of classes that had training images."""
        return list(range(self.labels))

    def name_of(self, label: int) -> str:
        """What a label's class is called; an `InputError` for one that is not known."""
        if not 0 <= label < self.labels:
            raise InputError(f"label {label} is none of the {self.labels} of these codes")
        return f"class {self.names[label] if label < len(self.names) else label}"

    def changed(self, **drawing: Any) -> Sampler:
        """The same distribution, drawn from by other options."""
        return self

    def fit(self, z: Tensor, y: Tensor | None = None) -> Self:
        """Fit to codes (N, D) and, where it uses them, their labels (N,)."""
        raise InputError(f"{type(self).__name__} is learned with its model and fits no codes")

    @abstractmethod
    def sample(
        self, n: int, label: int | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """n codes (n, D), of one label where the sampler knows labels."""

    @property
    def noise_dim(self) -> int:
        """How many numbers of N(0, 1) a code is made of; 0: it is not made of such alone."""
        return 0

    def of_noise(self, noise: Tensor, y: Tensor | None = None) -> Tensor:
        """The codes (N, D) that noise (N, noise_dim) and, where it knows some, labels (N,) make.

        Noise from N(0, I) makes codes of this distribution: it is drawing as a function, which can
        be exported.
        """
        raise InputError(f"{type(self).__name__} does not make its codes of noise alone")


class Density(Sampler, ABC):
    """A sampler whose density is known."""

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats: codes (N, D) to (N,)."""


Judge = Callable[[Tensor, int], Tensor]
"""Codes (N, D), and the label that they are meant to have, to whether they pass: (N,), bool."""


class LatentModel(Method, ABC):
    """A method that ends in an encoder, a decoder and a latent space between them.

    Args:
        encoder: images (N, C, H, W) in [0, 1], or vectors, to what `encode` makes codes of.
        decoder: codes (N, D) to images or vectors.
        prior: what the paper samples codes from; None where it has no such thing.
        latent_dim: D, the size of a code.
    """

    usual: tuple[str, ...] = ("normal", "mixture")
    """Samplers to fit to its codes where it has no prior and nobody names one."""

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, prior: Sampler | None, latent_dim: int
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.prior = encoder, decoder, prior
        self.latent_dim = latent_dim

    def encode(self, x: Tensor) -> Tensor:
        """The deterministic code (N, D) of images (N, C, H, W) in [0, 1], or of vectors."""
        codes: Tensor = self.encoder(check_floats(x))
        return codes

    def decode(self, z: Tensor) -> Tensor:
        """The images (N, C, H, W) in [0, 1], or the vectors, of codes (N, D)."""
        data: Tensor = self.decoder(self.check_codes(z))
        return data

    def check_codes(self, z: Tensor) -> Tensor:
        """z itself, where it is codes of this model."""
        if z.shape[1:] != (self.latent_dim,):
            raise InputError(f"codes must be (N, {self.latent_dim}), not {tuple(z.shape)}")
        return check_floats(z)

    def samplers(self) -> dict[str, Sampler]:
        """The samplers that come with the model: its prior, where it has one."""
        return {} if self.prior is None else {"prior": self.prior}

    def decoders(self) -> dict[str, LatentModel]:
        """The models of this latent space by the name of their decoder: itself alone, mostly."""
        return {"decoder": self}

    @torch.no_grad()
    def sample(
        self, n: int, label: int | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """n images (n, C, H, W) in [0, 1], decoded from codes that the prior draws."""
        if self.prior is None:
            raise InputError(
                "this model has no prior of its own: fit a sampler to its codes "
                "(--sampler normal, mixture, kde)"
            )
        if not isinstance(n, int) or n < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InputError(f"n must be at least 1, a whole number, not {n!r}")
        return blockwise(self.decode, self.prior.sample(n, label, generator=generator))

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """decode(encode(x)): images (N, C, H, W) in [0, 1] to the same."""
        return blockwise(lambda block: self.decode(self.encode(block)), check_range(x))

    @torch.no_grad()
    def interpolate(self, a: Tensor, b: Tensor, steps: int = 9) -> Tensor:
        """Images on the straight line between the codes of a and b, both (N, C, H, W).

        Returns (N, steps, C, H, W); the first is the reconstruction of a, the last that of b.
        """
        if steps < 2:
            raise InputError(f"an interpolation has at least 2 steps, not {steps}")
        if check_floats(a).shape != check_floats(b).shape:
            raise InputError(
                f"a has shape {tuple(a.shape)}, b {tuple(b.shape)}: give as many of each"
            )
        za, zb = self.encode(a), self.encode(b)
        t = torch.linspace(0, 1, steps, device=za.device)[None, :, None]
        z = (1 - t) * za[:, None] + t * zb[:, None]
        x = blockwise(self.decode, z.flatten(0, 1))
        return x.unflatten(0, (len(a), steps))


class Classifying(LatentModel, ABC):
    """A latent model that tells classes apart by its codes.

    Attributes:
        thresholds: (K,), the confidence that a generated image of each class must have.
    """

    thresholds: Tensor

    @abstractmethod
    def probabilities(self, z: Tensor) -> Tensor:
        """p(y | z): codes (N, D) to (N, K)."""

    def judges(self) -> dict[str, Judge]:
        """The two judges of ReGene (section 6.2) of a code z that is meant for class c.

        latent space: argmax_y p(y | z) = c. image space: p(c | encode(decode(z))) >= tau_c, the
        class's threshold.
        """

        def latent(z: Tensor, label: int) -> Tensor:
            return self.probabilities(z).argmax(1) == label

        def image(z: Tensor, label: int) -> Tensor:
            again = self.encode(self.decode(z))
            return self.probabilities(again)[:, label] >= self.thresholds[label]

        return {"latent space": latent, "image space": image}


class Variational(LatentModel, ABC):
    """A latent model whose encoder gives a distribution of codes."""

    @abstractmethod
    def posterior(self, x: Tensor) -> Distribution:
        """q(z | x) with batch shape (N,) and event shape (D,)."""

    def encode(self, x: Tensor) -> Tensor:
        """The posterior's mean."""
        mean: Tensor = self.posterior(x).mean
        return mean

    def draw(self, x: Tensor, draws: int = 1, *, seed: int = 0) -> Tensor:
        """Codes (N, draws, D) drawn from q(z | x) for stored data or what networks take."""
        device = next(self.parameters()).device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(stream(seed, 11))
            return of_stored(
                lambda block: self.posterior(block).sample(torch.Size([draws])).movedim(0, 1),
                x, device,
            )  # fmt: skip

    @torch.no_grad()
    def imagine(self, x: Tensor, draws: int = 8, *, seed: int = 0) -> Tensor:
        """What codes drawn from q(z | x) are decoded to: (N, C, H, W) to (N, draws, C, H, W).

        Reference: LSR-GAN, Figure 1, whose decoder is the renderer.
        """
        if draws < 1:
            raise InputError(f"at least 1 draw of each image, not {draws}")
        z = self.draw(check_range(x), draws, seed=seed)
        return blockwise(self.decode, z.flatten(0, 1)).unflatten(0, (len(x), draws))


class Frozen(nn.Module):
    """A trained module for another method to use: no gradients, always in eval mode.

    Where an earlier stage of the same plan trains it, `fit` has its parameters take gradients again
    as long as that stage's optimisers own them.

    >>> frozen = Frozen(nn.Linear(2, 1))
    >>> frozen.train().module.training, any(p.requires_grad for p in frozen.parameters())
    (False, False)
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.module.eval()
        return self

    def forward(self, *args: Any) -> Any:
        return self.module(*args)


def in_eval_mode(net: nn.Module, x: Tensor) -> Tensor:
    """net(x) with batch norm by its running statistics and no dropout, whatever mode net is in.

    In train mode it is called after the passes in that mode: they move the statistics.
    """
    mode = net.training
    net.eval()
    try:
        out: Tensor = net(x)
    finally:
        net.train(mode)
    return out


def check_floats(x: Tensor) -> Tensor:
    """x itself, where it is a tensor of floats as networks take it."""
    if not isinstance(x, Tensor) or not x.is_floating_point():  # pyright: ignore[reportUnnecessaryIsInstance]
        kind = x.dtype if isinstance(x, Tensor) else type(x).__name__  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(
            f"expected a torch tensor of floats (images in [0, 1]), not {kind}: "
            "zspace.core.as_float converts stored images"
        )
    return x


def check_range(x: Tensor) -> Tensor:
    """x itself, where it is floats as networks take them: images in [0, 1], vectors as they are."""
    check_floats(x)
    if x.ndim == 4 and len(x) and not bool(((x >= 0) & (x <= 1)).all()):
        low, high = (float(v) for v in x.aminmax())
        raise InputError(
            f"images must lie in [0, 1], these reach from {low:.3g} to {high:.3g}: (x + 1) / 2 "
            "converts from [-1, 1], x / 255 from [0, 255]"
        )
    return x


def blockwise(function: Callable[[Tensor], Tensor], x: Tensor, block: int = BLOCK) -> Tensor:
    """function(x), computed on `block` rows at a time: memory stays bounded."""
    return torch.cat([function(part) for part in x.split(block)])


@torch.no_grad()
def of_stored(function: Callable[[Tensor], Tensor], x: Tensor, device: torch.device) -> Tensor:
    """function(x) of stored data, taken blockwise as floats on a device; no graph is kept."""
    return blockwise(lambda block: function(as_float(block.to(device))), x)


def reconstructions(model: LatentModel, x: Tensor) -> Tensor:
    """Stored data, encoded and decoded, as stored; on the CPU."""
    device = next(model.parameters()).device
    return of_stored(lambda block: as_stored(model.decode(model.encode(block))).cpu(), x, device)


@torch.no_grad()
def decoded(model: LatentModel, z: Tensor) -> Tensor:
    """What codes (N, D) are decoded to, as stored; on the CPU."""
    return blockwise(lambda block: as_stored(model.decode(block)).cpu(), z)


def codes(model: LatentModel, x: Tensor) -> Tensor:
    """The codes (N, D) of stored data: uint8 images (N, C, H, W) or float32 vectors (N, D)."""
    return of_stored(model.encode, x, next(model.parameters()).device)

"""`Method`, `LatentModel` and the two things that a latent model may also be.

The centre is `Method.objectives`: a paper's algorithm box, written as a generator. It draws what
it needs from `batches`; each `yield` hands over one named loss; the loop in `zspace.training`
performs that one update, of the parameters that the optimiser of that name owns and of no
others; the generator resumes with the new weights and its own local variables.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, Generic, Self

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.optim import Optimizer
from typing_extensions import TypeVar

from zspace.core.batches import Batches
from zspace.core.samplers import Sampler
from zspace.errors import InputError
from zspace.functional import as_stored, blockwise, check_floats, check_range, of_stored, stream

Terms = dict[str, Tensor]
"""The named parts of one loss: scalars whose sum is minimised, each of which is logged."""


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


Judge = Callable[[Tensor, int], Tensor]
"""Codes (N, D), and the label that they are meant to have, to whether they pass: (N,), bool."""


Prior = TypeVar("Prior", bound=Sampler | None, default=Sampler | None, covariant=True)
"""The kind of a model's prior; None where it has no prior."""


class LatentModel(Method, Generic[Prior], ABC):
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
        self, encoder: nn.Module, decoder: nn.Module, prior: Prior, latent_dim: int
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
                "(zspace fit-sampler, or --sampler NAME)"
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


class Classifying(LatentModel[Prior], ABC):
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


class Variational(LatentModel[Prior], ABC):
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
                x,
                device,
            )

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

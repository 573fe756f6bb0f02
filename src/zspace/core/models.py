"""`Method`, `LatentModel`, and the two kinds of latent models with further abilities.

The centre is `Method.objectives`: a paper's algorithm, written as a generator. It draws what it
needs from `batches`, and each `yield` hands over the named terms of one loss. The loop in
`zspace.training` then makes that one update, which changes only the parameters that the optimiser
of that name owns, and the generator continues with the new weights and its own local variables.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Generic

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.optim import Optimizer
from typing_extensions import TypeVar

from zspace.core.batches import Batches
from zspace.core.given import whole_within
from zspace.core.samplers import MOST_DRAWN, Sampler
from zspace.errors import InputError, unknown
from zspace.functional import (
    as_float,
    as_stored,
    blockwise,
    check_finite,
    check_floats,
    check_range,
    of_stored,
    stream,
)
from zspace.functional.tensors import BLOCK, DRAWN, own_random

Terms = dict[str, Tensor]
"""The terms of a loss by name, scalars that are logged and whose sum is minimised."""


class Method(nn.Module, ABC):
    """An algorithm that is trained: networks, optimisers and the losses that they minimise."""

    @abstractmethod
    def optimizers(self) -> dict[str, Optimizer]:
        """The optimisers by name, each of which owns the parameters that its losses change."""

    @abstractmethod
    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        """The losses of one iteration, each the name of an optimiser and the terms it minimises.

        A loss must not share a graph with a later one, since the update between them changes the
        weights that the graph refers to.
        """

    def repeats(self, batches: Batches) -> Hashable:
        """Which of its earlier iterations the next one repeats, by anything that equals theirs.

        An iteration repeats another if it makes the same operations on tensors of the same shapes,
        in the same places, whatever numbers it draws: nothing read from a tensor or counted in
        Python decides what it does, and tensors that outlive it are changed in place. On CUDA it
        is then captured once as a graph and replayed, which launches its kernels all at once.

        None, as here, says that it repeats none, and it runs as written.
        """
        return None


def always(self: Method, batches: Batches) -> Hashable:
    """`Method.repeats` of a method whose iterations all repeat the first."""
    return True


def unless_it_jumps(self: LatentModel, batches: Batches) -> Hashable:
    """`Method.repeats` of a method that draws from any prior.

    One that `jumps` first chooses among its components, and what it does next depends on that.
    """
    return None if self.prior is not None and self.prior.jumps else True


Judge = Callable[[Tensor, int], Tensor]
"""A function of codes (N, D) and their intended label: whether each code passes, (N,) booleans."""


Prior = TypeVar("Prior", bound=Sampler | None, default=Sampler | None, covariant=True)
"""The kind of a model's prior; None where it has no prior."""


class LatentModel(Method, Generic[Prior], ABC):
    """A method that trains an encoder and a decoder, with a latent space between them.

    Args:
        encoder: maps images (N, C, H, W) in [0, 1], or vectors, to what `encode` turns into codes.
        decoder: maps codes (N, D) to images or vectors.
        prior: the distribution from which the paper draws codes; None if it has none.
        latent_dim: D, the size of a code.

    Attributes:
        sample_shape: the shape of an image or a vector, (C, H, W) or (D,); None if it is unknown.
        code_shape: the shape (C, H, W) of a code before it is flattened, if it is a map; None if it
            is a vector.
    """

    sample_shape: tuple[int, ...] | None = None
    code_shape: tuple[int, ...] | None = None
    usual: tuple[str, ...] = ("normal", "mixture")
    """The samplers to fit to its codes by default if it has no prior."""

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, prior: Prior, latent_dim: int
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.prior = encoder, decoder, prior
        self.latent_dim = latent_dim
        if prior is not None and not prior.dim and not prior.open:
            prior.dim = latent_dim  # by which codes that it is asked about are checked

    def encode(self, x: Tensor) -> Tensor:
        """The codes (N, D) of images (N, C, H, W) in [0, 1] or of vectors, without randomness.

        Raises:
            InputError: x is no tensor of floats, or its samples have another shape.
        """
        codes: Tensor = self.encoder(self.check_samples(x))
        return codes

    def decode(self, z: Tensor) -> Tensor:
        """The images (N, C, H, W) in [0, 1], or vectors, that codes (N, D) decode to.

        Raises:
            InputError: the codes have another size, or are no tensor of floats.
        """
        data: Tensor = self.decoder(self.check_codes(z))
        return data

    def check_samples(self, x: Tensor) -> Tensor:
        """x itself, after a check that it is a tensor of floats, of the model's sample shape.

        Raises:
            InputError: it is not.
        """
        shape = self.sample_shape
        if tuple(check_floats(x).shape[1:]) != (shape or x.shape[1:]):
            sizes = ", ".join(map(str, shape or ()))
            raise InputError(f"the model takes samples (N, {sizes}), not {tuple(x.shape)}")
        return x

    def check_codes(self, z: Tensor) -> Tensor:
        """z itself, after a check that it is a tensor of codes of this model, (N, D).

        Raises:
            InputError: it is not.
        """
        if z.shape[1:] != (self.latent_dim,):
            raise InputError(f"codes must be (N, {self.latent_dim}), not {tuple(z.shape)}")
        return check_floats(z)

    def samplers(self) -> dict[str, Sampler]:
        """The samplers that come with the model by name, "prior" if it has one."""
        return {} if self.prior is None else {"prior": self.prior}

    def decoders(self) -> dict[str, LatentModel]:
        """The models that share this latent space, by the name of their decoder.

        Most models have a single decoder.
        """
        return {"decoder": self}

    def with_decoder(self, name: str | None) -> LatentModel:
        """The model with its decoder of a given name; None takes the first, this model's own.

        Raises:
            InputError: the model has no such decoder.
        """
        known = self.decoders()
        if name is not None and name not in known:
            raise unknown("decoder", name, known)
        return self if name is None else known[name]

    @torch.no_grad()
    def sample(
        self,
        n: int,
        label: int | str | None = None,
        *,
        seed: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Images (n, C, H, W) in [0, 1], or vectors, decoded from codes that the prior draws.

        Args:
            n: the number of images, at least 1.
            label, seed, generator: those of `Sampler.sample`.

        Raises:
            InputError: the model has no prior, n is no such number, or the label is unknown.
        """
        if self.prior is None:
            raise InputError(
                "this model has no prior of its own: fit a sampler to its codes, by sampler = "
                "zspace.fit_sampler(RUN, 'mixture'), and model.decode(sampler.sample(n)) gives "
                "images (on the command line: zspace sample RUN --sampler mixture)"
            )
        n = whole_within("n", n, 1, MOST_DRAWN)
        return blockwise(self.decode, self.prior.sample(n, label, seed=seed, generator=generator))

    def _repr_png_(self) -> bytes | None:
        """Thirty-two images of the prior, by seed 0, which a notebook shows; None without one."""
        if self.prior is None or len(self.sample_shape or ()) != 3:
            return None
        from zspace.functional.sheets import png, sheet

        return png(sheet(self.sample(32, seed=0), 8))

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """The reconstructions decode(encode(x)) of images (N, C, H, W) in [0, 1] or of vectors.

        Raises:
            InputError: x is no tensor of floats, has values out of range, or another shape.
        """
        return blockwise(lambda block: self.decode(self.encode(block)), check_range(x))

    @torch.no_grad()
    def interpolate(self, a: Tensor, b: Tensor, steps: int = 9) -> Tensor:
        """The images decoded from the straight lines between the codes of a and those of b.

        Args:
            a, b: images (N, C, H, W) in [0, 1], or vectors, of one shape.
            steps: the number of images on each line, at least 2.

        Returns (N, steps, C, H, W); the first of each line is the reconstruction of a, the last
        that of b.
        Raises:
            InputError: the shapes differ, a value is out of range, or there are too few steps.
        """
        steps = whole_within("steps", steps, 2, MOST_DRAWN)
        if check_range(a).shape != check_range(b).shape:
            raise InputError(
                f"a has shape {tuple(a.shape)}, b {tuple(b.shape)}: give as many of each"
            )
        za, zb = (blockwise(self.encode, x) for x in (a, b))
        t = torch.linspace(0, 1, steps, device=za.device)[None, :, None]
        z = (1 - t) * za[:, None] + t * zb[:, None]
        x = blockwise(self.decode, z.flatten(0, 1))
        return x.unflatten(0, (len(a), steps))


class Classifying(LatentModel[Prior], ABC):
    """A latent model with a classifier of its codes.

    Attributes:
        thresholds: the confidence that a generated image of each class must have, (K,).
    """

    thresholds: Tensor

    @abstractmethod
    def probabilities(self, z: Tensor) -> Tensor:
        """The probabilities p(y | z) of the classes, (N, K), for codes (N, D)."""

    def judges(self) -> dict[str, Judge]:
        """The two judges of ReGene (section 6.2) of a code z that is intended for class c.

        The judge "latent space" demands argmax_y p(y | z) = c; the judge "image space" demands
        p(c | encode(decode(z))) >= tau_c, the threshold of the class.
        """

        def latent(z: Tensor, label: int) -> Tensor:
            return self.probabilities(z).argmax(1) == label

        def image(z: Tensor, label: int) -> Tensor:
            again = self.encode(self.decode(z))
            return self.probabilities(again)[:, label] >= self.thresholds[label]

        return {"latent space": latent, "image space": image}


class Variational(LatentModel[Prior], ABC):
    """A latent model whose encoder gives a distribution of codes for each sample."""

    @abstractmethod
    def posterior(self, x: Tensor) -> Distribution:
        """The posterior q(z | x), a distribution of batch shape (N,) and event shape (D,)."""

    def encode(self, x: Tensor) -> Tensor:
        """The posterior's mean (N, D)."""
        mean: Tensor = self.posterior(x).mean
        return mean

    def draw(self, x: Tensor, draws: int = 1, *, seed: int = 0) -> Tensor:
        """Codes (N, draws, D) drawn from q(z | x).

        Args:
            x: images (N, C, H, W), uint8 or floats in [0, 1], or vectors.
            draws: the number of codes for each sample.
            seed: the seed of the codes.
        """
        return torch.cat([*self.draw_blocks(x, draws, seed=seed)])

    @torch.no_grad()
    def draw_blocks(self, x: Tensor, draws: int = 1, *, seed: int = 0) -> Iterator[Tensor]:
        """What `draw` returns, in blocks of 256 samples, or fewer if these have over 65,536 codes.

        Args:
            x, draws, seed: what `draw` takes.

        Raises:
            InputError: there are no draws, or a posterior or a code is NaN or infinite.
        """
        draws = whole_within("draws", draws, 1, MOST_DRAWN)
        device = next(self.parameters()).device
        random: Any = {"cuda": torch.cuda, "mps": torch.mps}.get(device.type, torch)
        which = [device] if device.type == "cuda" else []
        state: Tensor | None = None
        for block in x.split(max(1, min(BLOCK, DRAWN // draws))):
            # between two blocks the global random numbers are everybody's again
            with own_random(stream(seed, 11), device):
                if state is not None:
                    random.set_rng_state(state, *which)
                posterior = self.posterior(as_float(block.to(device)))
                # a flow's deviation is unknown, that of what it starts from is not
                check_finite(getattr(posterior, "base", posterior).stddev, "posteriors")
                z = posterior.sample(torch.Size([draws])).movedim(0, 1)
                state = random.get_rng_state(*which)
            yield check_finite(z, "codes")

    @torch.no_grad()
    def imagine(self, x: Tensor, draws: int = 8, *, seed: int = 0) -> Tensor:
        """The images decoded from codes drawn from q(z | x), (N, draws, C, H, W).

        Args:
            x: images (N, C, H, W) in [0, 1].
            draws: the number of codes for each image, at least 1.
            seed: the seed of the codes.

        Raises:
            InputError: there are no draws, or x has values out of range.

        Reference: LSR-GAN, Figure 1, whose decoder is the renderer.
        """
        z = self.draw(check_range(x), draws, seed=seed)
        return blockwise(self.decode, z.flatten(0, 1)).unflatten(0, (len(x), draws))


def reconstructions(model: LatentModel, x: Tensor) -> Tensor:
    """The reconstructions of data in the stored form, images as uint8, on the CPU.

    Args:
        model: the model.
        x: images (N, C, H, W), uint8 or floats in [0, 1], or vectors (N, D).

    Raises:
        InputError: they hold NaN or infinite numbers.
    """
    device = next(model.parameters()).device
    return of_stored(lambda block: as_stored(model.decode(model.encode(block))).cpu(), x, device)


@torch.no_grad()
def decoded(model: LatentModel, z: Tensor) -> Tensor:
    """The images or vectors that codes (N, D) on any device decode to, as stored, on the CPU.

    Raises:
        InputError: they hold NaN or infinite numbers.
    """
    device = next(model.parameters()).device
    return blockwise(lambda block: as_stored(model.decode(block.to(device))).cpu(), z)


def codes(model: LatentModel, x: Tensor) -> Tensor:
    """The codes (N, D) of data, on the model's device.

    Args:
        model: the model.
        x: images (N, C, H, W), uint8 or floats in [0, 1], or vectors (N, D).

    Raises:
        InputError: they are NaN or infinite.
    """
    return check_finite(of_stored(model.encode, x, next(model.parameters()).device), "codes")

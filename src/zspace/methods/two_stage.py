"""The two-stage VAE, in which a second VAE learns the distribution of the first one's codes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor
from torch.optim import Optimizer

from zspace.core import Batches, Frozen, Sampler, Terms, always
from zspace.data.images import Images, Part
from zspace.functional import blockwise, of_stored
from zspace.methods.vae import VAE, DiagonalPosterior, LearnedVariance, moments_of, reparametrised
from zspace.nets.mlp import SkipMLP
from zspace.options import About
from zspace.samplers.learned import ROWS, FitBatch, FitIterations, FitRate, FitSeed, Learned, seeded
from zspace.samplers.normal import Normal, no_labels

DEPTH = 3
"""The number of hidden layers in each of the second stage's networks."""


class SecondStage(Sampler):
    """The distribution of codes that a VAE of codes generates, its noise included.

        z = D_2(u) + s_2 e,  u and e ~ N(0, I)

    Args:
        vae: the VAE of codes, with a learned variance s_2^2.

    Reference: Dai and Wipf, Diagnosing and Enhancing VAE Models (2019), section 4.
    """

    exportable = True

    def __init__(self, vae: VAE) -> None:
        super().__init__()
        self.vae = vae

    @property
    def error(self) -> LearnedVariance:
        """The VAE's reconstruction error, which holds the learned deviation s_2."""
        assert isinstance(self.vae.error, LearnedVariance)
        return self.vae.error

    def draw(
        self, n: int, label: int | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        no_labels(label)
        drawn = self.vae.prior.draw(n, generator=generator)
        noise = torch.randn(drawn.shape, generator=generator, device=drawn.device)
        return blockwise(self.of_noise, torch.cat([drawn, noise], 1), ROWS)

    @property
    def noise_dim(self) -> int:
        return 2 * self.vae.latent_dim

    def of_noise(self, noise: Tensor, y: Tensor | None = None) -> Tensor:
        u, e = noise.chunk(2, 1)
        return self.vae.decode(u) + self.error.log_deviation.exp() * e


def second_vae(dim: int, hidden: int, rate: float) -> VAE:
    """An untrained VAE of codes with a learned variance (Dai and Wipf, 2019, Appendix).

    Args:
        dim: the size of a code, and of the VAE's own codes.
        hidden: the units of each hidden layer.
        rate: the learning rate of Adam.
    """
    widths = [hidden] * DEPTH
    return VAE(
        SkipMLP(dim, widths, 2 * dim),
        SkipMLP(dim, widths, dim),
        Normal(dim),
        dim,
        likelihood="learned-variance",
        rate=rate,
    )


class TwoStage(DiagonalPosterior[SecondStage]):
    """The second of the two stages of a two-stage VAE.

        min over E_2, D_2 and s_2 of E_z[ -log p(z | u) + KL(q(u | z) || N(0, I)) ],
        p(z | u) = N(D_2(u), s_2^2 I)

    The first stage is a VAE of the data with a learned variance of the decoder, which is frozen.
    The second is a VAE of its codes z ~ q(z | x), which are drawn again for every batch; its own
    codes u have the same size. Codes z are then drawn from the second VAE.

    Args:
        first: the VAE of the data.
        prior: the distribution of codes, which holds the VAE of codes.

    Departures: learning rates are constant (the authors' code halves them now and then), and the
    variances have a learning rate of their own (`zspace.methods.vae.VARIANCE_RATE`).
    Reference: Dai and Wipf, Diagnosing and Enhancing VAE Models (2019), section 4.
    """

    def __init__(self, first: VAE, prior: SecondStage) -> None:
        super().__init__(Frozen(first.encoder), Frozen(first.decoder), prior, first.latent_dim)
        # the first stage's variance, which its checkpoints must hold
        self.error = first.error

    def posteriors(self, images: Images) -> Part:
        """The training images' posteriors, with means and log variances side by side, (N, 2 D)."""
        device = next(self.parameters()).device
        moments = of_stored(lambda x: torch.cat(self.moments(x), 1), images.train.x, device)
        return Part(moments.cpu(), images.train.y)

    def optimizers(self) -> dict[str, Optimizer]:
        return {"second": self.prior.vae.optimizers()["vae"]}

    repeats = always

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        moments, _ = next(batches)
        z = reparametrised(*moments_of(moments), batches.normal(self.latent_dim))
        yield "second", self.prior.vae.terms(z, batches)


class TwoStageSampler(Learned[SecondStage]):
    """The second stage of a two-stage VAE as a sampler: a VAE of standardised codes of any model.

    Args:
        dim: D, the size of a code, and of the VAE's own codes.

    It is fitted to the codes that `LatentModel.encode` gives, which for a variational model are
    the posterior's means, whereas the two-stage VAE draws codes from q(z | x).
    Reference: Dai and Wipf (2019), section 4.
    """

    def __init__(
        self,
        dim: int | None = None,
        *,
        iterations: FitIterations = 4000,
        batch_size: FitBatch = 256,
        hidden: Annotated[
            int, About("units in each of the three hidden layers of a network", least=1, most=1e5)
        ] = 512,
        learning_rate: FitRate = 1e-3,
        seed: FitSeed = 0,
    ) -> None:
        super().__init__(iterations=iterations, batch_size=batch_size, seed=seed)
        self.hidden, self.rate = hidden, learning_rate
        self.of_size(dim)

    def build(self, dim: int) -> None:
        super().build(dim)
        with seeded(self.seed):
            self.inner = SecondStage(second_vae(dim, self.hidden, self.rate))

    def optimizers(self) -> dict[str, Optimizer]:
        return self.inner.vae.optimizers()

    repeats = always

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        u, _ = next(batches)
        yield "vae", self.inner.vae.terms(u, batches)

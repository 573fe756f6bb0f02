"""The mixture of normal distributions with full covariances."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from torch import Tensor

from zspace.core import SILENT, Density, Progress
from zspace.errors import InputError
from zspace.functional import blockwise, stream
from zspace.functional.tensors import doubled, rows_at_once, where_exact
from zspace.options import About
from zspace.samplers.em import fitted
from zspace.samplers.normal import check_codes, no_labels, normal_cdf

COUNTS = 1, 2, 5, 10, 20, 50, 100
"""The numbers of components that "auto" chooses from."""

HELD_OUT = 10_000
"""The largest number of codes that "auto" holds out."""


class Mixture(Density):
    """A mixture of normal distributions with full covariances: sum_k w_k N(mean_k, covariance_k).

    Ghosh et al. (2020) fit ten such components to an autoencoder's codes. Before the mixture is
    fitted, every component is N(0, I).

    Args:
        dim: D, the size of a code; None takes it from the codes that it is fitted to.
    """

    exportable = True
    jumps = True
    varying = "weights", "means", "factors"
    weights: Tensor
    means: Tensor
    factors: Tensor

    def __init__(
        self,
        dim: int | None = None,
        *,
        components: Annotated[
            int | Literal["auto"],
            About(
                f"number of Gaussians; auto: the best of {', '.join(map(str, COUNTS))} for codes "
                "that are held out",
                least=1,
                most=10_000,
            ),
        ] = 10,
        seed: Annotated[int, About("seed of the initialisation", least=0, most=(1 << 32) - 1)] = 0,
    ) -> None:
        super().__init__()
        self.components, self.seed = components, seed
        self.labelled = False
        self.of_size(dim)

    def build(self, dim: int) -> None:
        count = 1 if isinstance(self.components, str) else self.components
        self.register_buffer("weights", torch.full((count,), 1 / count))
        self.register_buffer("means", torch.zeros(count, dim))
        self.register_buffer("factors", torch.eye(dim).repeat(count, 1, 1))

    @classmethod
    def of(
        cls, weights: Tensor, means: Tensor, covariances: Tensor, *, labelled: bool = False
    ) -> Mixture:
        """A mixture of known components.

        Args:
            weights: (K,), above 0; they are divided by their sum.
            means: (K, D).
            covariances: (K, D, D), symmetric and positive definite.
            labelled: whether component k belongs to the label k, which can then be drawn by itself.

        Raises:
            InputError: wrong shapes or values.
        """
        if not bool((weights > 0).all() and torch.isfinite(weights).all()):
            raise InputError(
                f"a mixture's weights must be above 0, not {weights.tolist()}: leave out those "
                "components"
            )
        count, dim = means.shape
        if weights.shape != (count,) or covariances.shape != (count, dim, dim):
            raise InputError(
                f"a mixture of {count} means of {dim} dimensions needs as many weights, not "
                f"{tuple(weights.shape)}, and covariances, not {tuple(covariances.shape)}"
            )
        factors, failed = torch.linalg.cholesky_ex(doubled(covariances))
        symmetric = torch.allclose(covariances, covariances.mT)
        if bool(failed.any()) or not symmetric or not bool(torch.isfinite(means).all()):
            raise InputError(
                "a mixture's means must be finite, its covariances symmetric and positive definite"
            )
        mixture = cls(dim, components=count)
        mixture.labelled = labelled
        mixture.weights.copy_(weights / weights.sum())
        mixture.means.copy_(means)
        mixture.factors.copy_(factors)
        return mixture

    def deconvolved(self, bandwidth: float) -> Mixture:
        """The mixture that becomes this one if noise of N(0, h^2 I) is added to its samples.

        It is sum_k w_k N(mean_k, covariance_k - h^2 I); for N(0, I) it is N(0, (1 - h^2) I). GEN
        leads its codes to this distribution, so that their kernel density is the target (GEN,
        section 4; the case of a mixture is our own and follows from the same convolution).

        Args:
            bandwidth: h, above 0 and below the least deviation of a component.

        Raises:
            InputError: h is out of this range.
        """
        covariances = self.factors @ self.factors.mT
        deviation = float(torch.linalg.eigvalsh(covariances).min().sqrt())
        if not 0 < bandwidth < 0.9999 * deviation:
            raise InputError(
                f"a bandwidth of {bandwidth:.4g} is not above 0 and below {deviation:.4g}, the "
                "least deviation of the target's Gaussians: codes matched so would be points"
            )
        eye = torch.eye(self.means.shape[1], device=self.means.device)
        return Mixture.of(
            self.weights, self.means, covariances - bandwidth**2 * eye, labelled=self.labelled
        )

    def fault(self) -> str | None:
        return None if bool((self.weights > 0).all()) else "a weight is not above 0"

    def mean(self) -> Tensor:
        """The mean (D,) of the whole mixture."""
        return self.weights @ self.means

    def deviation(self) -> Tensor:
        """The standard deviation (D,) of the whole mixture in each dimension."""
        within = self.factors.square().sum(2) + (self.means - self.mean()).square()
        return (self.weights @ within).sqrt()

    @property
    def labels(self) -> int:
        return len(self.weights) if self.labelled else 0

    def fit_to(self, z: Tensor, y: Tensor | None, progress: Progress) -> None:
        """Fit the mixture to codes (N, D) by expectation-maximisation, starting from k-means.

        If `components` is "auto", the number is chosen by `best_count`. A component that loses all
        of its codes, as some do if there are fewer different codes than components, is left out.
        The same codes, options and number of threads give the same mixture to the last bit.

        Args:
            z: the codes.
            y: ignored.
            progress: told the rounds done, the number that was chosen, and what is left out.

        Raises:
            InputError: there are fewer codes than components, or the codes can't be used.
        """
        check_codes(z)
        codes = where_exact(z)
        asked = self.components
        if isinstance(asked, str):
            asked = best_count(codes, seed=self.seed, progress=progress)
        if len(z) < asked:
            raise InputError(f"{len(z)} codes are fewer than the mixture's {asked} components")
        found = fitted(codes, asked, seed=self.seed, progress=progress.about("fitting mixture"))
        count = len(found.weights)
        if count < asked:
            progress.say(
                f"{asked - count} of the mixture's {asked} components lost all of their codes and "
                f"are left out: {count} remain"
            )
        self.to(z.device)
        self.weights = found.weights.to(self.weights)
        self.means = found.means.to(self.means)
        self.factors = torch.linalg.cholesky(found.covariances).to(self.factors).contiguous()
        self.found = {} if count == self.components else {"components": count}

    def draw(
        self, n: int, label: int | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        if not self.labelled:
            no_labels(label)
        if label is None:
            k = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        elif 0 <= label < len(self.weights):
            k = torch.full((n,), label, device=self.means.device)
        else:
            raise InputError(f"label {label} is none of the mixture's {len(self.weights)}")
        noise = torch.randn(n, self.means.shape[1], generator=generator, device=self.means.device)
        z = torch.empty_like(noise)
        for component, (mean, factor) in enumerate(zip(self.means, self.factors, strict=True)):
            z[k == component] = mean + noise[k == component] @ factor.T
        return z

    @property
    def noise_dim(self) -> int:
        return 1 + self.means.shape[1]

    def of_noise(self, noise: Tensor, y: Tensor | None = None) -> Tensor:
        """The codes (N, D) that noise (N, 1 + D) makes.

        The first number of the noise chooses the component, unless a label does.
        """
        if y is None:
            below = normal_cdf(noise[:, :1]) > self.weights.cumsum(0)[:-1]
            y = below.long().sum(1)
        return self.means[y] + (self.factors[y] @ noise[:, 1:, None])[:, :, 0]

    def log_density(self, z: Tensor) -> Tensor:
        def density(block: Tensor) -> Tensor:
            each = self.component_log_probs(block) + self.weights.log()[:, None]
            return torch.logsumexp(each, 0)

        return blockwise(density, z, rows_at_once(self.means.numel()))

    def component_log_probs(self, z: Tensor) -> Tensor:
        """The log densities log N(z_i; mean_k, covariance_k), (K, N) in nats, at codes (N, D)."""
        volume = self.factors.diagonal(dim1=1, dim2=2).log().sum(1)
        constant = 0.5 * z.shape[1] * math.log(2 * math.pi)

        def squares(block: Tensor) -> Tensor:
            centred = (block - self.means[:, None]).mT
            white = torch.linalg.solve_triangular(self.factors, centred, upper=False)
            return white.square().sum(1)

        blocks = z.split(rows_at_once(self.means.numel()))
        whole = torch.cat([squares(block) for block in blocks], 1)
        return -0.5 * whole - (volume + constant)[:, None]


def best_count(z: Tensor, *, seed: int = 0, progress: Progress = SILENT) -> int:
    """The number of components of a mixture by which codes that are held out are likeliest.

    A fifth of the codes, at most `HELD_OUT`, are held out, and mixtures are fitted to the others:
    of `COUNTS` components, in ascending order, until the mean log density of those that are held
    out becomes lower.

    Args:
        z: codes (N, D). If there are fewer than ten, the number is 1.
        seed: the seed of the choice of codes and of the fits.
        progress: told the rounds of each fit, and the mean log densities.

    Raises:
        InputError: the codes have wrong shapes or values.
    """
    check_codes(z)
    generator = torch.Generator().manual_seed(stream(seed, 42))
    order = torch.randperm(len(z), generator=generator).to(z.device)
    held = min(len(z) // 5, HELD_OUT)
    if held < 2:
        progress.say(f"the mixture has 1 component: {len(z)} codes are too few to hold some out")
        return 1
    others, test = z[order[held:]], z[order[:held]]
    tried: dict[int, float] = {}
    for count in COUNTS:
        if count > len(others):
            break
        told = progress.about(f"fitting a part of the codes, components: {count}")
        found = fitted(others, count, seed=seed, progress=told)
        mixture = Mixture.of(found.weights, found.means, found.covariances).to(z.device)
        tried[count] = float(mixture.log_density(test).double().mean())
        if tried[count] < max(tried.values()):
            break
    best = max(tried, key=lambda count: tried[count])
    numbers = ", ".join(f"{count} ({log_p:.4g})" for count, log_p in tried.items())
    progress.say(
        f"components: {best} is the best of the numbers tried, by the mean log density in nats of "
        f"{held} codes that were held out: {numbers}"
    )
    return best

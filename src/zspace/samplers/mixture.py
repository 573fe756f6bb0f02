"""The mixture of normal distributions with full covariances, fitted by scikit-learn."""

from __future__ import annotations

import math
import warnings
from typing import Annotated, Self

import torch
from torch import Tensor

from zspace.core import Density
from zspace.errors import InputError
from zspace.functional import blockwise
from zspace.functional.tensors import rows_at_once
from zspace.options import About
from zspace.samplers.normal import check_codes, no_labels, normal_cdf


class Mixture(Density):
    """A mixture of normal distributions with full covariances: sum_k w_k N(mean_k, covariance_k).

    Ghosh et al. (2020) fit ten such components to an autoencoder's codes. Before the mixture is
    fitted, every component is N(0, I).

    Args:
        dim: D, the size of a code.
    """

    exportable = True
    weights: Tensor
    means: Tensor
    factors: Tensor

    def __init__(
        self,
        dim: int,
        *,
        components: Annotated[int, About("number of Gaussians", least=1, most=10_000)] = 10,
        seed: Annotated[int, About("seed of the initialisation", least=0, most=(1 << 32) - 1)] = 0,
    ) -> None:
        super().__init__()
        self.seed = seed
        self.labelled = False
        self.register_buffer("weights", torch.full((components,), 1 / components))
        self.register_buffer("means", torch.zeros(components, dim))
        self.register_buffer("factors", torch.eye(dim).repeat(components, 1, 1))

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
        factors, failed = torch.linalg.cholesky_ex(covariances.double())
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

    def fit(self, z: Tensor, y: Tensor | None = None) -> Self:
        """Fit the mixture to codes (N, D) by expectation-maximisation, starting from k-means.

        Raises:
            InputError: there are fewer codes than components, or the fit fails.
        """
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        check_codes(z)
        components = len(self.weights)
        if len(z) < components:
            raise InputError(f"{len(z)} codes are fewer than the mixture's {components} components")
        codes = z.detach().cpu().double().numpy()
        # the regularisation is relative to the codes' own scale, as for the normal distribution
        ridge = 1e-6 * max(float(codes.var(0).mean()), 1e-12)
        mixture = GaussianMixture(
            components,
            covariance_type="full",
            reg_covar=ridge,
            random_state=self.seed,
            max_iter=200,
        )
        with warnings.catch_warnings():
            # a fit that ends after 200 rounds without convergence is still the best one found
            warnings.simplefilter("ignore", ConvergenceWarning)
            try:
                mixture.fit(codes)
            except ValueError as error:
                raise InputError(
                    f"a mixture of {components} components can't be fitted to these {len(z)} codes "
                    f"of {z.shape[1]} dimensions: lower --components or give more images"
                ) from error
        self.to(z.device)
        self.weights.copy_(torch.from_numpy(mixture.weights_))
        self.means.copy_(torch.from_numpy(mixture.means_))
        self.factors.copy_(torch.linalg.cholesky(torch.from_numpy(mixture.covariances_)))
        return self

    def sample(
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

    def log_prob(self, z: Tensor) -> Tensor:
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

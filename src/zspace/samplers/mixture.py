"""The Gaussian mixture with full covariances, fitted by scikit-learn."""

from __future__ import annotations

import math
import warnings
from typing import Annotated, Self

import torch
from torch import Tensor

from zspace.core import Density
from zspace.errors import InputError
from zspace.options import About
from zspace.samplers.normal import check_codes, no_labels


class Mixture(Density):
    """sum_k w_k N(mean_k, covariance_k) over codes of size dim.

    Ten full-covariance components are what Ghosh et al. (2020) fit to an autoencoder's codes.
    Unfitted, every component is N(0, I).
    """

    weights: Tensor
    means: Tensor
    factors: Tensor

    def __init__(
        self,
        dim: int,
        *,
        components: Annotated[int, About("number of Gaussians", least=1, most=10_000)] = 10,
        seed: Annotated[int, About("of the fit's initialisation", least=0)] = 0,
    ) -> None:
        super().__init__()
        self.seed = seed
        self.register_buffer("weights", torch.full((components,), 1 / components))
        self.register_buffer("means", torch.zeros(components, dim))
        self.register_buffer("factors", torch.eye(dim).repeat(components, 1, 1))

    def fit(self, z: Tensor, y: Tensor | None = None) -> Self:
        """Expectation-maximisation from a k-means start on codes (N, D)."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        check_codes(z)
        components = len(self.weights)
        if len(z) < components:
            raise InputError(f"{len(z)} codes are fewer than the mixture's {components} components")
        codes = z.detach().cpu().double().numpy()
        # regularisation relative to the codes' own scale, as for the normal
        ridge = 1e-6 * max(float(codes.var(0).mean()), 1e-12)
        mixture = GaussianMixture(
            components,
            covariance_type="full",
            reg_covar=ridge,
            random_state=self.seed,
            max_iter=200,
        )
        with warnings.catch_warnings():
            # a fit cut off at 200 rounds is still the best found so far
            warnings.simplefilter("ignore", ConvergenceWarning)
            try:
                mixture.fit(codes)
            except ValueError as error:
                raise InputError(
                    f"a mixture of {components} components can't be fitted to these {len(z)} codes "
                    f"of {z.shape[1]} dimensions: lower --components or give more images"
                ) from error
        self.weights.copy_(torch.from_numpy(mixture.weights_))
        self.means.copy_(torch.from_numpy(mixture.means_))
        self.factors.copy_(torch.linalg.cholesky(torch.from_numpy(mixture.covariances_)))
        return self

    def sample(
        self, n: int, label: int | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        no_labels(label)
        k = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        noise = torch.randn(n, self.means.shape[1], generator=generator, device=self.means.device)
        z = torch.empty_like(noise)
        for component, (mean, factor) in enumerate(zip(self.means, self.factors, strict=True)):
            z[k == component] = mean + noise[k == component] @ factor.T
        return z

    def log_prob(self, z: Tensor) -> Tensor:
        white = torch.linalg.solve_triangular(
            self.factors, (z - self.means[:, None]).mT, upper=False
        )
        volume = self.factors.diagonal(dim1=1, dim2=2).log().sum(1)
        constant = 0.5 * z.shape[1] * math.log(2 * math.pi)
        each = -0.5 * white.square().sum(1) - (volume + constant)[:, None]
        return torch.logsumexp(each + self.weights.log()[:, None], 0)

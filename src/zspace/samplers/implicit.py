"""A prior that is known by its ratio to N(0, I)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zspace.core import Density, blockwise
from zspace.functional import full_precision
from zspace.samplers.normal import Normal, no_labels

PROPOSALS = 256
"""Draws of N(0, I) among which one code is chosen."""


class ImplicitPrior(Density):
    """p(z) = N(z; 0, I) exp(T(z)), where T has learned the log ratio of all codes to N(0, I).

    It is normalised as far as T is right. A code is drawn by sampling importance resampling: one of
    256 draws of N(0, I), by weights exp(T).

    Args:
        ratio: T, codes (N, D) to (N, 1).

    Reference: Takahashi et al., Variational Autoencoder with Implicit Optimal Priors (2019), Eq. 8
    to 11. The paper doesn't say how codes are drawn.
    """

    def __init__(self, ratio: nn.Module, dim: int) -> None:
        super().__init__()
        self.ratio, self.base = ratio, Normal(dim)

    def log_ratio(self, z: Tensor) -> Tensor:
        """T(z): codes (N, D) to (N,)."""
        ratio: Tensor = self.ratio(z)
        return full_precision(ratio)[:, 0]

    def log_prob(self, z: Tensor) -> Tensor:
        return self.base.log_prob(z) + self.log_ratio(z)

    def sample(
        self, n: int, label: int | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        no_labels(label)

        def choose(rows: Tensor) -> Tensor:
            proposed = self.base.sample(len(rows) * PROPOSALS, generator=generator)
            weights = self.log_ratio(proposed).view(len(rows), PROPOSALS).softmax(1)
            chosen = torch.multinomial(weights, 1, generator=generator)[:, 0]
            each = torch.arange(len(rows), device=chosen.device)
            return proposed.view(len(rows), PROPOSALS, -1)[each, chosen]

        return blockwise(choose, torch.arange(n))

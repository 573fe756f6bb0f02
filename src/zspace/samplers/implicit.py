"""A prior that is given by its density ratio to N(0, I)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zspace.core import Density
from zspace.functional import full_precision
from zspace.samplers.normal import Normal, no_labels

STEPS = 200
"""The number of steps of a chain; in the first half the ratio's weight rises to 1."""

STEP = 0.25
"""The length of a step, in units of N(0, I)'s deviation."""

CHAINS = 2048
"""The number of codes that are drawn at a time."""


class ImplicitPrior(Density):
    """The density p(z) = N(z; 0, I) exp(T(z)), with T the log density ratio of codes to N(0, I).

    It is normalised as far as T is correct. Each code is the end of a chain of its own that starts
    from N(0, I): 200 Metropolis-adjusted Langevin steps for N(z; 0, I) exp(b T(z)), where b rises
    to 1 in the first half.

    Args:
        ratio: T, which maps codes (N, D) to (N, 1).
        dim: D, the size of a code.

    Reference: Takahashi et al., Variational Autoencoder with Implicit Optimal Priors (2019), Eq. 8
    to 11. The paper does not say how codes are drawn. Importance resampling of samples of N(0, I)
    fails if codes are far from normal: the best of 256 samples did not resemble codes at all
    (MNIST, D = 32).
    """

    def __init__(self, ratio: nn.Module, dim: int) -> None:
        super().__init__()
        self.ratio, self.base = ratio, Normal(dim)

    def log_ratio(self, z: Tensor) -> Tensor:
        """The log density ratio T(z), (N,), at codes (N, D)."""
        ratio: Tensor = self.ratio(z)
        return full_precision(ratio)[:, 0]

    def log_density(self, z: Tensor) -> Tensor:
        return self.base.log_density(z) + self.log_ratio(z)

    def draw(
        self, n: int, label: int | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        no_labels(label)
        sizes = [min(CHAINS, n - start) for start in range(0, n, CHAINS)]
        return torch.cat([self._chains(size, generator) for size in sizes])

    def _chains(self, n: int, generator: torch.Generator | None) -> Tensor:
        z = self.base.draw(n, generator=generator)
        here = self._at(z)
        for step in range(STEPS):
            share = min(1.0, 2 * (step + 1) / STEPS)
            at = here[:, 0] + share * here[:, 1]
            log_p, slope = at[:, 0], at[:, 1:]
            noise = torch.randn(z.shape, generator=generator, device=z.device)
            proposed = z + STEP**2 / 2 * slope + STEP * noise
            there = self._at(proposed)
            at = there[:, 0] + share * there[:, 1]
            log_q, back = at[:, 0], at[:, 1:]
            # the log ratio of the densities of the proposals, forwards and backwards
            returned = (z - proposed - STEP**2 / 2 * back).square().sum(1) / (2 * STEP**2)
            gain = log_q - log_p + noise.square().sum(1) / 2 - returned
            uniform = torch.rand(n, generator=generator, device=z.device)
            moves = (uniform.log() < gain)[:, None]
            z = torch.where(moves, proposed, z)
            here = torch.where(moves[:, None], there, here)
        return z

    @torch.enable_grad()
    def _at(self, z: Tensor) -> Tensor:
        """log N(z; 0, I) and T(z), each before its gradient, (N, 2, 1 + D), at codes (N, D)."""
        z = z.detach().requires_grad_()
        values = [self.base.log_density(z), self.log_ratio(z)]
        slopes = [torch.autograd.grad(value.sum(), z)[0] for value in values]
        return torch.cat([torch.stack(values, 1).detach()[..., None], torch.stack(slopes, 1)], 2)

"""The variational mixture of posteriors (VampPrior)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import hardtanh

from zspace.core import Density
from zspace.functional import blockwise, full_precision
from zspace.functional.tensors import BLOCK, rows_at_once
from zspace.samplers.normal import no_labels


class VampPrior(Density):
    """The mixture of the posteriors of K pseudo-inputs, p(z) = (1/K) sum_k q(z | u_k).

    The pseudo-inputs are trained with the model.

    Args:
        shape: the shape of a pseudo-input, which is that of the data.
        components: K, 500 in the paper.
        moments: the model's function that maps pseudo-inputs to the means and log variances, each
            (K, D), of the normal q(z | u); it is called again for every density and draw.

    Pseudo-inputs that are images are held in [0, 1] and initialised by N(0.05, 0.01^2), as in the
    authors' code.
    Reference: Tomczak and Welling, VAE with a VampPrior (2018), Eq. 9.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        components: int,
        moments: Callable[[Tensor], tuple[Tensor, Tensor]],
    ) -> None:
        super().__init__()
        self.moments = moments
        start = torch.randn(components, *shape)
        self.is_image = len(shape) == 3
        self.pseudo_inputs = nn.Parameter(0.05 + 0.01 * start if self.is_image else start)

    def components(self) -> tuple[Tensor, Tensor]:
        """The means and log variances of the K posteriors, each (K, D)."""
        u = hardtanh(self.pseudo_inputs, 0, 1) if self.is_image else self.pseudo_inputs
        return self.moments(u)

    def log_density(self, z: Tensor) -> Tensor:
        mean, log_variance = self.components()
        precision = (-log_variance).exp()
        constant = z.shape[1] * math.log(2 * math.pi) + log_variance.sum(1)

        def density(block: Tensor) -> Tensor:
            squares = ((block[:, None] - mean).square() * precision).sum(2)
            return torch.logsumexp(-0.5 * (squares + constant), 1) - math.log(len(mean))

        return blockwise(density, full_precision(z), rows_at_once(mean.numel(), BLOCK))

    def draw(
        self, n: int, label: int | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        no_labels(label)
        mean, log_variance = self.components()
        k = torch.randint(len(mean), (n,), generator=generator, device=mean.device)
        noise = torch.randn(n, mean.shape[1], generator=generator, device=mean.device)
        return mean[k] + (0.5 * log_variance[k]).exp() * noise

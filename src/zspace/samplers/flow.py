"""A normalising flow of codes."""

from __future__ import annotations

import torch
from torch import Tensor
from zuko.flows import NSF

from zspace.core import Density
from zspace.functional import full_precision
from zspace.samplers.normal import no_labels


class Flow(Density):
    """p(z) = N(f(z); 0, I) |det df/dz|, f an autoregressive neural spline flow (zuko's `NSF`).

    It learns with its model. Densities take one pass, drawing takes one for each dimension; outside
    of [-5, 5] a spline is the identity.

    Args:
        dim: D, the size of a code.
        transforms: splines one after the other, in alternating order of the dimensions.
        hidden: units of the two hidden layers of each.

    Reference: Durkan et al., Neural Spline Flows (2019), Eq. 1 and section 3.
    """

    def __init__(self, dim: int, *, transforms: int = 3, hidden: int = 128) -> None:
        super().__init__()
        self.dim = dim
        self.flow = NSF(dim, transforms=transforms, hidden_features=(hidden, hidden))

    def log_prob(self, z: Tensor) -> Tensor:
        # splines need full precision under autocast, too
        with torch.autocast(z.device.type, enabled=False):
            log_p: Tensor = self.flow().log_prob(full_precision(z))
            return log_p

    def sample(
        self, n: int, label: int | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        no_labels(label)
        device = next(self.parameters()).device
        noise = torch.randn(n, self.dim, generator=generator, device=device)
        z: Tensor = self.flow().transform.inv(noise)
        return z

"""A normalising flow as a density of codes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Optimizer
from zuko.flows import NSF, MaskedAutoregressiveTransform

from zspace.core import Batches, Density, Terms, always
from zspace.functional import blockwise, exact, full_precision
from zspace.options import About
from zspace.samplers.learned import (
    ROWS,
    FitBatch,
    FitIterations,
    FitRate,
    FitSeed,
    LearnedDensity,
    seeded,
)
from zspace.samplers.normal import no_labels
from zspace.training import adam


def inverse(spline: MaskedAutoregressiveTransform, y: Tensor) -> Tensor:
    """x (n, D) with spline(x) = y, where spline(x)_i = g(x_i; h_i(x_<i)), i in the spline's order.

    As zuko's own inverse, whose every pass computes the parameters h of all D splines g: here a
    pass computes those of its dimension alone, and the sums of the first layer of the network h
    take up each x_i once. That draws 9 times as fast in 20 dimensions, and 42 times in 256.
    """
    network: Any = spline.hyper
    order: Any = spline.order
    first, *middle, last = network
    inputs, outputs = ((layer.mask * layer.weight) for layer in (first, last))
    outputs, biases = (of_all.unflatten(0, (y.shape[1], -1)) for of_all in (outputs, last.bias))
    sums = first.bias.expand(y.shape[0], -1)
    x = list(y.unbind(1))
    for i in order.argsort().tolist():
        units = sums
        for layer in middle:
            units = layer(units)
        h = F.linear(units, outputs[i], biases[i]).split([size for (size,) in spline.shapes], 1)
        g: Any = spline.univariate(*h)
        x[i] = g.inv(x[i])
        sums = sums.addcmul(x[i][:, None], inputs[:, i])
    return torch.stack(x, 1)


class Flow(Density):
    """An autoregressive neural spline flow (zuko's `NSF`), a density of codes.

        p(z) = N(f(z); 0, I) |det df/dz|

    A density takes one pass of the networks, a draw takes one for each dimension. Outside of
    [-5, 5] a spline is the identity.

    Args:
        dim: D, the size of a code.
        transforms: the number of successive splines, with the dimensions in alternating order.
        hidden: the units in each of the two hidden layers of a spline's network.

    Reference: Durkan et al., Neural Spline Flows (2019), Eq. 1 and section 3.
    """

    exportable = True

    def __init__(self, dim: int, *, transforms: int = 3, hidden: int = 128) -> None:
        super().__init__()
        self.dim = dim
        self.flow = NSF(dim, transforms=transforms, hidden_features=(hidden, hidden))

    def log_density(self, z: Tensor) -> Tensor:
        # splines need full precision, even under autocast
        with exact(z):
            return blockwise(self.flow().log_prob, full_precision(z), ROWS)

    def draw(
        self, n: int, label: int | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        no_labels(label)
        device = next(self.parameters()).device
        noise = torch.randn(n, self.dim, generator=generator, device=device)
        with exact(noise):
            return blockwise(self.of_noise, noise, ROWS)

    @property
    def noise_dim(self) -> int:
        return self.dim

    def of_noise(self, noise: Tensor, y: Tensor | None = None) -> Tensor:
        if self.dim == 1:  # a spline without a network
            alone: Tensor = self.flow().transform.inv(noise)
            return alone
        z = noise
        splines: Any = self.flow.transform.transforms
        for spline in reversed(splines):
            z = inverse(spline, z)
        return z


class LearnedFlow(LearnedDensity[Flow]):
    """A neural spline flow trained on standardised codes u: min over f of -E log p(u).

    Args:
        dim: D, the size of a code.

    Reference: Durkan et al. (2019), section 3.
    """

    def __init__(
        self,
        dim: int | None = None,
        *,
        iterations: FitIterations = 4000,
        batch_size: FitBatch = 256,
        transforms: Annotated[
            int, About("number of successive spline transformations", least=1, most=100)
        ] = 3,
        hidden: Annotated[
            int, About("units in each of a spline's two hidden layers", least=1, most=1e5)
        ] = 128,
        learning_rate: FitRate = 1e-3,
        seed: FitSeed = 0,
    ) -> None:
        super().__init__(iterations=iterations, batch_size=batch_size, seed=seed)
        self.rate, self.transforms, self.hidden = learning_rate, transforms, hidden
        self.of_size(dim)

    def build(self, dim: int) -> None:
        super().build(dim)
        with seeded(self.seed):
            self.inner = Flow(dim, transforms=self.transforms, hidden=self.hidden)

    def optimizers(self) -> dict[str, Optimizer]:
        return {"flow": adam(self.inner.parameters(), self.rate)}

    repeats = always

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        u, _ = next(batches)
        yield "flow", {"likelihood": -self.inner.log_density(u).mean()}

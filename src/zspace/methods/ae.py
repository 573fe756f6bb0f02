"""The plain autoencoder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from torch import nn
from torch.optim import Optimizer

from zspace.core import Batches, LatentModel, Terms, always
from zspace.functional import absolute_error, squared_error
from zspace.training import adam


class AE(LatentModel):
    """An autoencoder that minimises the squared or the absolute error of its reconstructions.

        min over E, D of E||x - D(E(x))||^2, or of the mean of |x - D(E(x))| over pixels

    It has no prior: samplers are fitted to its codes.

    Args:
        encoder: E, which maps data to codes (N, latent_dim).
        decoder: D, which maps codes to data.
        latent_dim: the size of a code.
        loss: "squared-error" or "absolute-error".
        rate: the learning rate of Adam.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent_dim: int,
        *,
        loss: Literal["squared-error", "absolute-error"] = "squared-error",
        rate: float = 2e-4,
    ) -> None:
        super().__init__(encoder, decoder, None, latent_dim)
        self.error = squared_error if loss == "squared-error" else absolute_error
        self.rate = rate

    def optimizers(self) -> dict[str, Optimizer]:
        return {"ae": adam(self.parameters(), self.rate)}

    repeats = always

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        x, _ = next(batches)
        yield "ae", {"reconstruction": self.error(self.decode(self.encode(x)), x)}

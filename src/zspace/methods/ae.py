"""The plain autoencoder."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn
from torch.optim import Optimizer

from zspace.core import Batches, LatentModel, Terms
from zspace.functional import squared_error
from zspace.training import adam


class AE(LatentModel):
    """min over E, D of mean ||x - D(E(x))||^2. It has no prior: samplers are fitted to its codes.

    Args:
        encoder: data to codes (N, latent_dim).
        decoder: codes to data.
        rate: of Adam.
    """

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, latent_dim: int, *, rate: float = 2e-4
    ) -> None:
        super().__init__(encoder, decoder, None, latent_dim)
        self.rate = rate

    def optimizers(self) -> dict[str, Optimizer]:
        return {"ae": adam(self.parameters(), self.rate)}

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        x, _ = next(batches)
        yield "ae", {"reconstruction": squared_error(self.decode(self.encode(x)), x)}

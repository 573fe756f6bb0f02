"""The vector-quantised VAE with an autoregressive prior of its codes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from zspace.core import Batches, LatentModel, Terms
from zspace.functional import check_floats, full_precision, squared_error
from zspace.samplers.autoregressive import Autoregressive
from zspace.training import adam


class VQVAE(LatentModel[Autoregressive]):
    """van den Oord et al., Neural Discrete Representation Learning (2017).

    Every place of the encoder's grid takes the nearest embedding e_k of the codebook:

        vqvae  min of E[ ||x - D(e)||^2 + ||sg(z) - e||^2 + beta ||z - sg(e)||^2 ]      (Eq. 3)
        prior  min of -E log p(k), the indices' autoregressive likelihood         (section 3.3)

    with sg the identity without a gradient, and D's gradient in e handed on to z. A code of this
    model is the grid of embeddings, flattened: (N, e H W).

    Args:
        encoder: data to a grid (N, e, H, W).
        decoder: a grid of embeddings to data.
        prior: of the indices, with the codebook.
        commitment: beta, 0.25 in the paper.
        rate: of Adam, 2e-4 in the paper.

    Departures: the codebook begins as codes of the first batch; the prior learns beside the
    autoencoder, not after it, of the codes as they are. Images are in [0, 1] and their error is
    summed, as everywhere here. Other samplers' codes, and interpolations, are decoded as they are,
    not as the nearest embeddings.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        prior: Autoregressive,
        latent_dim: int,
        *,
        commitment: float = 0.25,
        rate: float = 2e-4,
    ) -> None:
        super().__init__(encoder, decoder, prior, latent_dim)
        self.commitment, self.rate = commitment, rate

    def quantise(self, grid: Tensor) -> Tensor:
        """The index (N, H, W) of the embedding nearest to each place of (N, e, H, W)."""
        flat = grid.movedim(1, -1).flatten(0, -2)
        nearest = torch.cdist(flat, self.prior.codebook).argmin(1)
        return nearest.view(len(grid), *grid.shape[2:])

    def encode(self, x: Tensor) -> Tensor:
        grid = full_precision(self.encoder(check_floats(x)))
        return self.prior.embed(self.quantise(grid)).flatten(1)

    def decode(self, z: Tensor) -> Tensor:
        data: Tensor = self.decoder(self.check_codes(z).unflatten(1, (-1, *self.prior.grid)))
        return data

    @torch.no_grad()
    def _begin(self, grid: Tensor) -> None:
        """The codebook begins as codes of the first batch: else one embedding may take all."""
        flat = grid.movedim(1, -1).flatten(0, -2)
        codebook = self.prior.codebook
        codebook.copy_(flat[torch.linspace(0, len(flat) - 1, len(codebook)).long()])

    def optimizers(self) -> dict[str, Optimizer]:
        autoencoder = [*self.encoder.parameters(), *self.decoder.parameters(), self.prior.codebook]
        return {
            "vqvae": adam(autoencoder, self.rate),
            "prior": adam(self.prior.net.parameters(), self.rate),
        }

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        x, _ = next(batches)
        grid = full_precision(self.encoder(x))
        if batches.step == 0:
            self._begin(grid.detach())
        indices = self.quantise(grid.detach())
        e = self.prior.embed(indices)
        straight = grid + (e - grid).detach()
        yield (
            "vqvae",
            {
                "reconstruction": squared_error(self.decoder(straight), x),
                "codebook": squared_error(e, grid.detach()),
                "commitment": self.commitment * squared_error(grid, e.detach()),
            },
        )
        yield "prior", {"likelihood": self.prior.negative_log_likelihood(indices)}

"""The vector-quantised VAE with an autoregressive prior over its codes."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from zspace.core import Batches, LatentModel, Terms
from zspace.functional import exact, full_precision, squared_error
from zspace.samplers.autoregressive import Autoregressive
from zspace.training import adam


class VQVAE(LatentModel[Autoregressive]):
    """A vector-quantised autoencoder, whose prior of discrete codes is learned with it.

    At each place of the encoder's grid, its output is replaced by the nearest embedding e_k of a
    codebook:

        vqvae  min of E[ ||x - D(e)||^2 + ||sg(z) - e||^2 + beta ||z - sg(e)||^2 ]      (Eq. 3)
        prior  min of -E log p(k), the indices' autoregressive likelihood         (section 3.3)

    with sg the identity without a gradient; the gradient of the decoder in e is passed on to z. A
    code of this model is the flattened grid of embeddings, (N, e H W).

    Args:
        encoder: maps data to a grid (N, e, H, W).
        decoder: D, which maps a grid of embeddings to data.
        prior: the distribution of the indices, which holds the codebook.
        latent_dim: e H W, the size of a code.
        commitment: beta, 0.25 in the paper.
        rate: the learning rate of Adam, 2e-4 in the paper.

    Departures: the codebook is initialised by codes of the first batch, unless it comes from
    another run; the prior is trained together with the autoencoder, not after it. Images are in
    [0, 1] and their error is a sum, as everywhere in this library. Codes of other samplers, and
    interpolations, are decoded unchanged, not as the nearest embeddings.
    Reference: van den Oord et al., Neural Discrete Representation Learning (2017).
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
        self.code_shape = (prior.codebook.shape[1], *prior.grid)
        self.commitment, self.rate = commitment, rate
        self._drawn = prior.codebook.detach().clone()

    def quantise(self, grid: Tensor) -> Tensor:
        """The indices (N, H, W) of the embeddings nearest to the vectors of a grid (N, e, H, W)."""
        flat = grid.movedim(1, -1).flatten(0, -2)
        with exact(flat):
            nearest = torch.cdist(flat, self.prior.codebook).argmin(1)
        return nearest.view(len(grid), *grid.shape[2:])

    def encode(self, x: Tensor) -> Tensor:
        grid = full_precision(self.encoder(self.check_samples(x)))
        return self.prior.embed(self.quantise(grid)).flatten(1)

    def decode(self, z: Tensor) -> Tensor:
        data: Tensor = self.decoder(self.check_codes(z).unflatten(1, (-1, *self.prior.grid)))
        return data

    @torch.no_grad()
    def _begin(self, grid: Tensor, batches: Batches) -> None:
        """Initialise the codebook by codes, since otherwise one embedding may be nearest to all."""
        flat = grid.movedim(1, -1).flatten(0, -2)
        if batches.world > 1:  # the codes of the whole batch, so that all begin alike
            parts = [torch.empty_like(flat) for _ in range(batches.world)]
            torch.distributed.all_gather(parts, flat.contiguous())
            flat = torch.cat(parts)
        codebook = self.prior.codebook
        codebook.copy_(flat[torch.linspace(0, len(flat) - 1, len(codebook)).long()])

    def optimizers(self) -> dict[str, Optimizer]:
        autoencoder = [*self.encoder.parameters(), *self.decoder.parameters(), self.prior.codebook]
        return {
            "vqvae": adam(autoencoder, self.rate),
            "prior": adam(self.prior.net.parameters(), self.rate),
        }

    def repeats(self, batches: Batches) -> Hashable:
        return batches.step > 0 or None  # the first one initialises the codebook

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        x, _ = next(batches)
        grid = full_precision(self.encoder(x))
        if batches.step == 0 and torch.equal(self.prior.codebook, self._drawn.to(grid.device)):
            self._begin(grid.detach(), batches)
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

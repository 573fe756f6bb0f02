"""Models that were trained elsewhere: an encoder and a decoder of any form, as a latent model."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from zspace.core import Batches, LatentModel, Terms
from zspace.errors import InputError
from zspace.methods.vae import DiagonalPosterior, moments_of
from zspace.samplers import Normal


def _place() -> nn.Parameter:
    """An empty parameter, whose device is that of a model without other parameters."""
    return nn.Parameter(torch.empty(0), requires_grad=False)


class Wrapped(LatentModel[None]):
    """An autoencoder that was trained elsewhere.

    Args:
        encoder: maps images (N, C, H, W) in [0, 1], or vectors, to a tuple of codes (N, D).
        decoder: maps codes (N, D) to a tuple of images in [0, 1], or vectors.
        latent_dim: D, the size of a code.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, latent_dim: int) -> None:
        super().__init__(encoder, decoder, None, latent_dim)
        self.place = _place()

    def encode(self, x: Tensor) -> Tensor:
        codes: Tensor = self.encoder(self.check_samples(x))[0]
        return codes

    def decode(self, z: Tensor) -> Tensor:
        data: Tensor = self.decoder(self.check_codes(z))[0]
        return data

    def optimizers(self) -> dict[str, Optimizer]:
        raise InputError("a model that was trained elsewhere can't be trained here")

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        raise InputError("a model that was trained elsewhere can't be trained here")


class WrappedVAE(DiagonalPosterior[Normal]):
    """A variational autoencoder that was trained elsewhere, with the prior N(0, I).

    Args:
        encoder: maps images (N, C, H, W) in [0, 1], or vectors, to the means and the log variances
            of q(z | x), (N, D) each.
        decoder: maps codes (N, D) to a tuple of images in [0, 1], or vectors.
        latent_dim: D, the size of a code.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, latent_dim: int) -> None:
        super().__init__(encoder, decoder, Normal(latent_dim), latent_dim)
        self.place = _place()

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return moments_of(torch.cat(self.encoder(self.check_samples(x)), 1))

    decode, optimizers, objectives = Wrapped.decode, Wrapped.optimizers, Wrapped.objectives

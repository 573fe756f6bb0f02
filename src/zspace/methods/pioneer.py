"""Pioneer, an encoder and a generator trained against each other, without a discriminator."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, normalize
from torch.optim import Optimizer

from zspace.core import Batches, LatentModel, Terms, always
from zspace.functional import absolute_error, batch_kl, full_precision
from zspace.samplers.sphere import Sphere
from zspace.training import adam

BETAS = (0.5, 0.999)


class Pioneer(LatentModel[Sphere]):
    """An adversarial generator and encoder whose codes lie on the unit sphere.

    The codes of real images are made uniform on the sphere, and those of generated images are not.

        encoder    min over E of max(KL(E(x)) - KL(E(G(z))), -M) + a E|x - G(E(x))|
        generator  min over G of KL(E(G(z))) + b E[1 - cos(z, E(G(z)))]

    z is uniform on the sphere. KL is the divergence from N(0, I), per dimension, of the normal
    distribution with the moments of a batch of codes times sqrt(D). The generator is updated twice
    in each iteration.

    Args:
        encoder: E, which maps images to codes (N, D) that are then scaled to norm 1. It has no
            batch norm, which would hide the differences between batches.
        decoder: G, which maps codes, scaled to norm 1, to images.
        prior: the uniform distribution on the sphere.
        latent_dim: D, the size of a code.
        weights: a and b, 10 and 1000 in the authors' code (with the mean over pixels).
        margin: M, how far the encoder separates generated images. Without it, E collapses their
            codes with these networks, and G does not recover.
        rate: the learning rate of both Adams.

    Departures: the networks do not grow, are of FlexAE's size, and have no spectral norm; the
    margin comes from the same authors' Towards Photographic Image Manipulation (2019); Adam's
    constants are those of Ulyanov et al., It Takes (Only) Two: Adversarial Generator-Encoder
    Networks (2018), whose game (section 3) this is.
    Reference: Heljakka et al., Pioneer Networks (2018).
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        prior: Sphere,
        latent_dim: int,
        *,
        weights: tuple[float, float] = (10.0, 1000.0),
        margin: float = 0.25,
        rate: float = 2e-4,
    ) -> None:
        super().__init__(encoder, decoder, prior, latent_dim)
        self.weights, self.margin, self.rate = weights, margin, rate

    def encode(self, x: Tensor) -> Tensor:
        """The codes (N, D), scaled to norm 1."""
        return normalize(full_precision(super().encode(x)))

    def decode(self, z: Tensor) -> Tensor:
        return super().decode(normalize(z))

    def optimizers(self) -> dict[str, Optimizer]:
        players = {"encoder": self.encoder, "generator": self.decoder}
        return {n: adam(net.parameters(), self.rate, BETAS) for n, net in players.items()}

    repeats = always

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        a, b = self.weights
        x, _ = next(batches)
        with torch.no_grad():
            fake = self.decode(batches.draw(self.prior))
        z = self.encode(x)
        apart = self._divergence(z) - self._divergence(self.encode(fake))
        yield (
            "encoder",
            {
                "apart": apart.clamp(min=-self.margin),
                "reconstruction": a * absolute_error(self.decode(z), x),
            },
        )
        for _ in range(2):
            z = batches.draw(self.prior)
            back = self.encode(self.decode(z))
            yield (
                "generator",
                {
                    "fake": self._divergence(back),
                    "codes": b * (1 - cosine_similarity(back, z)).mean(),
                },
            )

    def _divergence(self, z: Tensor) -> Tensor:
        return batch_kl(z * math.sqrt(self.latent_dim)) / self.latent_dim

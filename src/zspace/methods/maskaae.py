"""MaskAAE, an adversarial autoencoder that learns how many dimensions its codes need."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from zspace.core import Batches, LatentModel, Sampler, Terms, always
from zspace.functional import fake_loss, full_precision, real_loss, squared_error
from zspace.samplers import Normal
from zspace.training import adam

BETAS = (0.5, 0.999)


class Masked(Sampler):
    """The distribution of m * n, n ~ N(0, I), with each dimension scaled by a mask m in (0, 1).

    m = s(mask), with s the logistic function, is initially 0.73.

    Args:
        dim: D, the size of a code.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.normal = Normal(dim)
        self.mask = nn.Parameter(torch.ones(dim))

    def scales(self) -> Tensor:
        """The mask m (D,)."""
        return self.mask.sigmoid()

    def draw(
        self, n: int, label: int | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        return self.scales() * self.normal.draw(n, label, generator=generator)


class MaskAAE(LatentModel[Masked]):
    """An adversarial autoencoder with a learned mask of the dimensions of its codes.

    Codes are m * E(x) and the prior is m * n, n ~ N(0, I), with the same mask m. If the codes have
    more dimensions than the data, no autoencoder can match the prior, and a discriminator C detects
    that; the mask closes dimensions until the prior can be matched.

        ae             min over E, D of E||x - D(z)||^2, z = m * E(x)
        discriminator  min over C of -E log s(C(m * n)) - E_x log(1 - s(C(z)))
        encoder        min over E of -E_x log s(C(z))
        mask           min over m of a E||x - D(z)||^2 + c sum_d m_d (1 - m_d)
                                     + b (E log s(C(m * n)) + E_x log(1 - s(C(z))))

    with s the logistic function. The term with weight b is 2 JSD(codes, prior) - log 4 for the best
    C; the term with weight c leads each m_d to 0 or 1.

    Args:
        encoder: E, which maps data to codes (N, D).
        decoder: D, which maps codes to data.
        prior: the prior, which holds the mask.
        discriminator: C, which maps codes to logits (N, 1).
        latent_dim: the size of a code.
        weights: a, b and c.
        rate: the learning rate of the networks' Adams.
        mask_rate: the learning rate of the mask's Adam.

    Departures: the mask is a logistic function of the learned parameter, and the weights a, b and c
    are our own.
    Reference: Mondal et al., MaskAAE: Latent Space Optimization for Adversarial Auto-Encoders
    (2020).
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        prior: Masked,
        discriminator: nn.Module,
        latent_dim: int,
        *,
        weights: tuple[float, float, float] = (0.1, 1.0, 0.1),
        rate: float = 2e-4,
        mask_rate: float = 1e-3,
    ) -> None:
        super().__init__(encoder, decoder, prior, latent_dim)
        self.discriminator, self.weights = discriminator, weights
        self.rate, self.mask_rate = rate, mask_rate

    def encode(self, x: Tensor) -> Tensor:
        """The codes m * E(x), (N, D)."""
        return self.prior.scales() * super().encode(x)

    def optimizers(self) -> dict[str, Optimizer]:
        players = {
            "ae": [*self.encoder.parameters(), *self.decoder.parameters()],
            "discriminator": list(self.discriminator.parameters()),
            "encoder": list(self.encoder.parameters()),
        }
        found: dict[str, Optimizer] = {n: adam(p, self.rate, BETAS) for n, p in players.items()}
        return {**found, "mask": adam([self.prior.mask], self.mask_rate, BETAS)}

    repeats = always

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        x, _ = next(batches)
        yield "ae", {"reconstruction": squared_error(self.decode(self.encode(x)), x)}

        z = self.encode(x)
        real = batches.draw(self.prior)
        on_real, on_fake = self._judge(torch.cat([real, z.detach()])).chunk(2)
        yield ("discriminator", {"prior": real_loss(on_real), "codes": fake_loss(on_fake)})
        yield "encoder", {"fooling": real_loss(self._judge(z))}

        a, b, c = self.weights
        z, m = self.encode(x), self.prior.scales()
        real = m * batches.normal(self.latent_dim)
        on_real, on_fake = self._judge(torch.cat([real, z])).chunk(2)
        yield (
            "mask",
            {
                "reconstruction": a * squared_error(self.decode(z), x),
                "divergence": -b * (real_loss(on_real) + fake_loss(on_fake)),
                "open": c * (m * (1 - m)).sum(),
            },
        )

    def _judge(self, z: Tensor) -> Tensor:
        logits: Tensor = self.discriminator(z)
        return full_precision(logits)

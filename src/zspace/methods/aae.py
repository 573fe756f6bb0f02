"""The adversarial autoencoder."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from zspace.core import Batches, LatentModel, Sampler, Terms, unless_it_jumps
from zspace.functional import fake_loss, full_precision, real_loss, squared_error
from zspace.training import adam

BETAS = (0.5, 0.999)


class AAE(LatentModel[Sampler]):
    """An autoencoder whose codes are matched to any prior by a discriminator.

    Three updates follow one another, each with its own Adam: encoder E and decoder D reconstruct; a
    discriminator C tells samples of the prior from codes; E makes its codes pass for such samples.

        ae             min over E, D of (1/d) E||x - D(E(x))||^2
        discriminator  min over C of -E_p log s(C(z)) - E_x log(1 - s(C(E(x))))
        encoder        min over E of -E_x log s(C(E(x)))

    with s the logistic function and d the number of elements of a sample; the last is the form that
    does not saturate (Goodfellow et al., 2014, section 3). Its weight lambda multiplies the rate of
    its Adam, whose steps do not change if an objective is multiplied.

    Args:
        encoder: E, which maps data to codes (N, l).
        decoder: D, which maps codes to data.
        prior: p, the distribution that the codes are to have.
        discriminator: C, which maps codes to logits (N, 1), without batch norm.
        latent_dim: l, the size of a code.
        weight: lambda, by which the rate of the third update is multiplied.
        rate: the learning rate of the three Adams.

    Reference: Makhzani et al., Adversarial Autoencoders (2016), section 2.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        prior: Sampler,
        discriminator: nn.Module,
        latent_dim: int,
        *,
        weight: float = 1.0,
        rate: float = 2e-4,
    ) -> None:
        super().__init__(encoder, decoder, prior, latent_dim)
        self.discriminator, self.weight, self.rate = discriminator, weight, rate

    def optimizers(self) -> dict[str, Optimizer]:
        players = {
            "ae": [*self.encoder.parameters(), *self.decoder.parameters()],
            "discriminator": list(self.discriminator.parameters()),
            "encoder": list(self.encoder.parameters()),
        }
        rates = dict.fromkeys(players, self.rate) | {"encoder": self.weight * self.rate}
        return {name: adam(p, rates[name], BETAS) for name, p in players.items()}

    repeats = unless_it_jumps

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        x, _ = next(batches)
        error = squared_error(self.decode(self.encode(x)), x) / x[0].numel()
        yield "ae", {"reconstruction": error}

        z = self.encode(x)
        fake = full_precision(z)
        real = batches.draw(self.prior)
        on_real, on_fake = self._judge(torch.cat([real, fake.detach()])).chunk(2)
        yield ("discriminator", {"prior": real_loss(on_real), "codes": fake_loss(on_fake)})
        yield "encoder", {"fooling": real_loss(self._judge(fake))}

    def _judge(self, z: Tensor) -> Tensor:
        logits: Tensor = self.discriminator(z)
        return full_precision(logits)

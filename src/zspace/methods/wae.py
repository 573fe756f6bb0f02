"""The Wasserstein autoencoder with an MMD or a discriminator, and with any prior."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn
from torch.optim import Optimizer

from zspace.core import Batches, LatentModel, Sampler, Terms, unless_it_jumps
from zspace.functional import (
    fake_loss,
    full_precision,
    multiquadratic_mmd,
    real_loss,
    squared_error,
)
from zspace.training import adam

BETAS = (0.5, 0.999)


class WAE(LatentModel[Sampler]):
    """A Wasserstein autoencoder, whose codes are matched to a prior p.

        min over E, D of E||x - D(E(x))||^2 + lambda D_Z(E(x), p)

    D_Z is the squared MMD between codes and samples of p with inverse multiquadratic kernels
    (WAE-MMD), or the loss of fooling a discriminator C that is trained at the same time (WAE-GAN):

        ae             ... + lambda (-E_x log s(C(E(x))))
        discriminator  min over C of lambda (-E_p log s(C(z)) - E_x log(1 - s(C(E(x)))))

    with s the logistic function.

    Args:
        encoder: E, which maps data to codes (N, D), deterministically.
        decoder: D, which maps codes to data.
        prior: p, any sampler, such as N(0, I) or a mixture.
        discriminator: C, which maps codes to logits (N, 1); None for WAE-MMD.
        latent_dim: the size of a code.
        weight: lambda, 10 in the paper for MNIST.
        rate: the learning rate of the autoencoder's Adam, 1e-3 in the paper.
        discriminator_rate: the learning rate of the discriminator's Adam, 5e-4 in the paper.

    Reference: Tolstikhin et al., Wasserstein Auto-Encoders (2018), Algorithms 1 and 2.
    Departures: the kernels' width is that for N(0, I) whatever the prior; learning rates are
    constant (the paper halves them twice).
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        prior: Sampler,
        discriminator: nn.Module | None,
        latent_dim: int,
        *,
        weight: float = 10.0,
        rate: float = 1e-3,
        discriminator_rate: float = 5e-4,
    ) -> None:
        super().__init__(encoder, decoder, prior, latent_dim)
        self.discriminator, self.weight = discriminator, weight
        self.rates = {"ae": rate, "discriminator": discriminator_rate}

    def optimizers(self) -> dict[str, Optimizer]:
        players = {"ae": [*self.encoder.parameters(), *self.decoder.parameters()]}
        if self.discriminator is not None:
            players["discriminator"] = list(self.discriminator.parameters())
        return {name: adam(p, self.rates[name], BETAS) for name, p in players.items()}

    repeats = unless_it_jumps

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        x, _ = next(batches)
        z, drawn = full_precision(self.encode(x)), batches.draw(self.prior)
        error = squared_error(self.decode(z), x)
        if self.discriminator is None:
            mmd = multiquadratic_mmd(z, drawn, 1.0)
            yield "ae", {"reconstruction": error, "mmd": self.weight * mmd}
            return
        codes = z.detach()
        fooling = self.weight * real_loss(self._judge(z))
        yield "ae", {"reconstruction": error, "fooling": fooling}
        real, fake = real_loss(self._judge(drawn)), fake_loss(self._judge(codes))
        yield "discriminator", {"prior": self.weight * real, "codes": self.weight * fake}

    def _judge(self, z: Tensor) -> Tensor:
        assert self.discriminator is not None
        logits: Tensor = self.discriminator(z)
        return full_precision(logits)

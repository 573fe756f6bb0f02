"""ALAE: a GAN whose discriminator looks through an encoder."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from zspace.core import Batches, LatentModel, Terms
from zspace.functional import fake_loss, full_precision, real_loss, squared_error
from zspace.samplers.pushforward import Pushforward
from zspace.training import adam

BETAS = (0.0, 0.99)


class ALAE(LatentModel[Pushforward]):
    """Algorithm 1 of Pidhorskyi et al., Adversarial Latent Autoencoders (2020).

    Noise n becomes a code w = F(n), that an image G(w), which an encoder E takes back to a code;
    the discriminator C judges codes. Three updates in turn, each by its own Adam:

        discriminator  min over E, C of E log(1 + exp C(E(G(F(n))))) + E log(1 + exp -C(E(x)))
                                        + (gamma / 2) E||grad_x C(E(x))||^2
        generator      min over F, G of E log(1 + exp -C(E(G(F(n)))))
        latent         min over E, G of E||F(n) - E(G(F(n)))||^2

    Images are reconstructed only as far as codes are: nothing compares pixels.

    Args:
        encoder: E, images to codes (N, D).
        decoder: G, codes to images.
        prior: F's distribution of codes.
        discriminator: C, codes to (N, 1).
        gamma: 10 in the paper.
        rate: of the Adams.

    E has no batch norm, which would hide from C what sets a batch apart.

    Departures: FlexAE's networks in place of StyleGAN's, and without its equalised rates Adam's
    rate is 2e-4, a tenth of the paper's.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        prior: Pushforward,
        discriminator: nn.Module,
        latent_dim: int,
        *,
        gamma: float = 10.0,
        rate: float = 2e-4,
    ) -> None:
        super().__init__(encoder, decoder, prior, latent_dim)
        self.discriminator, self.gamma, self.rate = discriminator, gamma, rate

    def optimizers(self) -> dict[str, Optimizer]:
        players = {
            "discriminator": (self.encoder, self.discriminator),
            "generator": (self.prior, self.decoder),
            "latent": (self.encoder, self.decoder),
        }
        return {
            name: adam([p for net in nets for p in net.parameters()], self.rate, BETAS)
            for name, nets in players.items()
        }

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        x, _ = next(batches)
        with torch.no_grad():
            fake = self.decode(self.prior(batches.normal(self.latent_dim)))
        shown = x.clone().requires_grad_()
        on_real = self._judge(shown)
        (gradient,) = torch.autograd.grad(on_real.sum(), shown, create_graph=True)
        penalty = full_precision(gradient).square().flatten(1).sum(1).mean()
        yield (
            "discriminator",
            {
                "fake": fake_loss(self._judge(fake)),
                "real": real_loss(on_real),
                "penalty": self.gamma / 2 * penalty,
            },
        )
        fake = self.decode(self.prior(batches.normal(self.latent_dim)))
        yield "generator", {"fooling": real_loss(self._judge(fake))}

        with torch.no_grad():
            w = self.prior(batches.normal(self.latent_dim))
        yield "latent", {"reciprocity": squared_error(self.encode(self.decode(w)), w)}

    def _judge(self, x: Tensor) -> Tensor:
        logits: Tensor = self.discriminator(self.encode(x))
        return full_precision(logits)

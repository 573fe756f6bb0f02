"""ALAE, a GAN whose discriminator judges the codes of an encoder."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from zspace.core import Batches, LatentModel, Terms, always
from zspace.functional import fake_loss, full_precision, real_loss, squared_error
from zspace.samplers.pushforward import Pushforward
from zspace.training import adam

BETAS = (0.0, 0.99)


class ALAE(LatentModel[Pushforward]):
    """An adversarial latent autoencoder, a GAN with an encoder in its discriminator.

    F maps noise n to a code w = F(n), G maps that to an image G(w), and an encoder E maps images
    to codes, which the discriminator C judges. Three updates follow one another, each with its own
    Adam:

        discriminator  min over E, C of E log(1 + exp C(E(G(F(n))))) + E log(1 + exp -C(E(x)))
                                        + (gamma / 2) E||grad_x C(E(x))||^2
        generator      min over F, G of E log(1 + exp -C(E(G(F(n)))))
        latent         min over E, G of E||F(n) - E(G(F(n)))||^2

    Only codes are reconstructed: no loss compares pixels.

    Args:
        encoder: E, which maps images to codes (N, D).
        decoder: G, which maps codes to images.
        prior: the distribution of codes F(n).
        discriminator: C, which maps codes to logits (N, 1).
        latent_dim: D, the size of a code.
        gamma: the weight of the gradient penalty, 10 in the paper.
        rate: the learning rate of the Adams.

    E has no batch norm, which would hide the difference between two batches from C.
    Departures: the networks are FlexAE's in place of StyleGAN's; without the latter's equalised
    learning rates, Adam's rate is 2e-4, a tenth of the paper's.
    Reference: Pidhorskyi et al., Adversarial Latent Autoencoders (2020), Algorithm 1.
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

    repeats = always

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

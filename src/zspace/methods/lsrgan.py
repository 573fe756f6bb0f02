"""LSR-GAN, a generator that renders images from the codes of a frozen encoder."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Literal

from torch import Tensor, nn
from torch.distributions import Distribution
from torch.optim import Optimizer

from zspace.core import Batches, Frozen, LatentModel, Sampler, Terms, Variational, unless_it_jumps
from zspace.data.images import Images, Part
from zspace.functional import fake_loss, full_precision, real_loss
from zspace.samplers import Normal
from zspace.training import adam

BETAS = (0.5, 0.999)


class LSRGAN(Variational[Sampler]):
    """The second stage of LSR-GAN, which trains a renderer g of codes against a discriminator d.

    Two updates follow one another, each with its own Adam. The encoder's q(z | x) is frozen, in
    eval mode; z is drawn from the prior, which is N(0, I) for a VAE:

        discriminator  min over d of -E_x log s(d(x)) - E_z log(1 - s(d(g(z))))            (Eq. 3)
        renderer       min over g of -E_z log s(d(g(z))) - lambda E_z log q(z | g(z))      (Eq. 4)

    with s the logistic function; d gives a map of logits, whose mean is taken. Parts of Equation 4
    are printed with the signs of a maximisation; the signs here are those that work.

    The autoencoder's own decoder is kept beside the renderer (`decoders`), for comparison.

    Args:
        vae: any trained model with a posterior; it is frozen.
        renderer: g, which maps codes to images in [0, 1]; None starts from a copy of the model's
            decoder.
        discriminator: d, which maps images to logits (N, ...).
        weight: lambda.
        reduction: how log q(z | g(z)) is reduced over the D dimensions of a code: "mean", as in the
            authors' code, or "sum", as in the paper's formula, with which lambda is D times as
            strong.
        rate: the learning rate of both Adams.

    Reference: Imagining the latent space of a VAE (2020), Eq. 3 and 4.
    """

    def __init__(
        self,
        vae: Variational,
        renderer: nn.Module | None,
        discriminator: nn.Module,
        *,
        weight: float = 1.0,
        reduction: Literal["mean", "sum"] = "mean",
        rate: float = 2e-4,
    ) -> None:
        copied = renderer is None
        renderer = copy.deepcopy(_own(vae.decoder)) if renderer is None else renderer
        prior = Normal(vae.latent_dim) if vae.prior is None else copy.deepcopy(vae.prior)
        super().__init__(Frozen(vae), renderer, prior, vae.latent_dim)
        self.copied, self.discriminator = copied, discriminator
        self.weight = weight / (vae.latent_dim if reduction == "mean" else 1)
        self.rate = rate

    @property
    def vae(self) -> Variational:
        """The frozen model, with the decoder that it was trained with."""
        assert isinstance(self.encoder.module, Variational)
        return self.encoder.module

    def decoders(self) -> dict[str, LatentModel]:
        return {"renderer": self, "vae": self.vae}

    def posterior(self, x: Tensor) -> Distribution:
        return self.vae.posterior(x)

    def encode(self, x: Tensor) -> Tensor:
        """The frozen model's code, which need not be the posterior's mean."""
        return self.vae.encode(x)

    def begin(self) -> None:
        """Copy the trained model's prior and, if the renderer is a copy, its decoder."""
        if self.vae.prior is not None:
            self.prior.load_state_dict(self.vae.prior.state_dict())
        if self.copied:
            self.decoder.load_state_dict(_own(self.vae.decoder).state_dict())

    def begun(self, images: Images) -> Part:
        """The training images, after `begin` has copied what an earlier stage has trained."""
        self.begin()
        return images.train

    def optimizers(self) -> dict[str, Optimizer]:
        return {
            "discriminator": adam(self.discriminator.parameters(), self.rate, BETAS),
            "renderer": adam(self.decoder.parameters(), self.rate, BETAS),
        }

    repeats = unless_it_jumps

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        x, _ = next(batches)
        self.prior.eval()  # an implicit prior has dropout
        z = batches.draw(self.prior)
        fake = self.decode(z)
        yield (
            "discriminator",
            {"real": real_loss(self._judge(x)), "fake": fake_loss(self._judge(fake.detach()))},
        )
        yield (
            "renderer",
            {
                "fooling": real_loss(self._judge(fake)),
                "latent": -self.weight * self.posterior(fake).log_prob(z).mean(),
            },
        )

    def _judge(self, x: Tensor) -> Tensor:
        logits: Tensor = self.discriminator(x)
        return full_precision(logits)


def _own(decoder: nn.Module) -> nn.Module:
    """A decoder itself where a model holds it frozen, in which it could not be trained further."""
    return decoder.module if isinstance(decoder, Frozen) else decoder

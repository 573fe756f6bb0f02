"""The GANs DCGAN, WGAN-GP and SNGAN, which are conditional if the data have labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, relu
from torch.optim import Optimizer

from zspace.core import Batches, LatentModel, Terms, always
from zspace.errors import InputError
from zspace.functional import (
    fake_loss,
    full_precision,
    gradient_penalty,
    one_hot,
    real_loss,
    squared_error,
)
from zspace.nets.conditional import labelled
from zspace.samplers.labelled import Labelled
from zspace.training import adam

Adversary = Literal["logistic", "wasserstein", "hinge"]

PENALTY = 10.0
"""The weight lambda of the gradient penalty in Gulrajani et al. (2017)."""


class GAN(LatentModel[Labelled]):
    """A generative adversarial network: a generator G of images against a critic C.

    A code z = (n, e_y) is noise and a label's indicator.

        logistic (DCGAN)        C: -E log s(C(x)) - E log(1 - s(C(G(z))));  G: -E log s(C(G(z)))
        wasserstein (WGAN-GP)   C: E C(G(z)) - E C(x) + 10 E(||grad C|| - 1)^2;  G: -E C(G(z))
        hinge (SNGAN)           C: E max(0, 1 - C(x)) + E max(0, 1 + C(G(z)));  G: -E C(G(z))

    with s the logistic function. C sees each image, real or generated, with its label as constant
    maps. An encoder, which gives codes of images, learns at the same time from generated images
    alone, and does not affect the other networks:

        encoder  min over E of E||n - E_n(G(z))||^2 - E log q_E(y | G(z))

    Args:
        encoder: E, which maps images to (N, noise_dim + K): noise, then the logits of labels.
        decoder: G, which maps codes to images.
        critic: C, which maps images with maps of the label, (N, C + K, H, W), to (N, 1).
        prior: the distribution of codes.
        latent_dim: noise_dim + K, the size of a code.
        adversary: the name of the loss.
        critic_steps: the number of updates of C for each update of G.
        rate, betas: the learning rate and the decay rates of the Adams.

    Reference: Radford et al., DCGAN (2016); Gulrajani et al., Improved Training of Wasserstein GANs
    (2017), Algorithm 1; Miyato et al., Spectral Normalization (2018), Eq. 16 and 17; Mirza and
    Osindero (2014) for labels. Departures: SNGAN's critic takes labels as the others' critics do,
    not by a projection. The encoder is an addition to all three.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        critic: nn.Module,
        prior: Labelled,
        latent_dim: int,
        *,
        adversary: Adversary,
        critic_steps: int,
        rate: float,
        betas: tuple[float, float],
    ) -> None:
        super().__init__(encoder, decoder, prior, latent_dim)
        self.critic, self.adversary, self.critic_steps = critic, adversary, critic_steps
        self.noise_dim = latent_dim - prior.labels
        self.rate, self.betas = rate, betas

    def encode(self, x: Tensor) -> Tensor:
        """The codes (N, noise_dim + K): E's estimate of the noise, and labels' probabilities."""
        noise, logits = self._encoded(x)
        return torch.cat([noise, logits.softmax(1)], 1)

    def optimizers(self) -> dict[str, Optimizer]:
        players = {"critic": self.critic, "generator": self.decoder, "encoder": self.encoder}
        return {n: adam(net.parameters(), self.rate, self.betas) for n, net in players.items()}

    repeats = always

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        for _ in range(self.critic_steps):
            x, y = next(batches)
            e = self._indicator(x, y)
            with torch.no_grad():
                fake = self.decode(torch.cat([batches.normal(self.noise_dim), e], 1))
            yield "critic", self._critic_terms(x, fake, e, batches)
        e = self._indicator(*next(batches))
        z = torch.cat([batches.normal(self.noise_dim), e], 1)
        fake = self.decode(z)
        shown = fake.detach()
        on_fake = full_precision(self.critic(labelled(fake, e)))
        logistic = self.adversary == "logistic"
        yield "generator", {"fooling": real_loss(on_fake) if logistic else -on_fake.mean()}

        noise, logits = self._encoded(shown)
        terms = {"noise": squared_error(noise, z[:, : self.noise_dim])}
        if self.prior.labels:
            terms["label"] = cross_entropy(logits, z[:, self.noise_dim :])
        yield "encoder", terms

    def _critic_terms(self, real: Tensor, fake: Tensor, e: Tensor, batches: Batches) -> Terms:
        def critic(x: Tensor) -> Tensor:
            return full_precision(self.critic(labelled(x, e)))

        on_real, on_fake = critic(real), critic(fake)
        if self.adversary == "logistic":
            return {"real": real_loss(on_real), "fake": fake_loss(on_fake)}
        if self.adversary == "hinge":
            return {"real": relu(1 - on_real).mean(), "fake": relu(1 + on_fake).mean()}
        # the penalty is on the gradient with respect to the image alone
        penalty = gradient_penalty(critic, real, full_precision(fake), batches.uniform(1))
        return {"wasserstein": on_fake.mean() - on_real.mean(), "penalty": PENALTY * penalty}

    def _indicator(self, x: Tensor, y: Tensor | None) -> Tensor:
        if not self.prior.labels:
            return x.new_zeros(len(x), 0)
        if y is None:
            raise InputError("a conditional GAN needs data with labels")
        return one_hot(y, self.prior.labels).to(x)

    def _encoded(self, x: Tensor) -> tuple[Tensor, Tensor]:
        encoded = full_precision(self.encoder(self.check_samples(x)))
        return encoded[:, : self.noise_dim], encoded[:, self.noise_dim :]

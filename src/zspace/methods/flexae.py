"""FlexAE and FlexAE-SR: an autoencoder whose latent prior is learned with it."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from zspace.core import Batches, LatentModel, Terms
from zspace.functional import convex, gradient_penalty, squared_error
from zspace.samplers.pushforward import Pushforward
from zspace.training import adam

PENALTY = 10.0
"""beta of Eq. 6 and 9, as in Gulrajani et al. (2017)."""


class FlexAE(LatentModel):
    """Algorithm 1 of Mondal et al., FlexAE: Flexibly Learning Latent Priors (UAI 2021).

    Encoder E and decoder D reconstruct; a generator G makes codes out of noise; a critic C_z
    tells the two kinds of code apart, and each is moved towards the other. With an image critic
    C_x the decoder learns to make images of interpolated codes too (smoothing: FlexAE-SR).

    There are no weights between the losses: each has an Adam of its own, whose rate is its weight.

    Args:
        encoder: E, data to codes (N, m).
        decoder: D, codes to data.
        prior: G's distribution of codes, noise (N, m) to codes (N, m).
        latent_critic: C_z, codes to (N, 1).
        image_critic: C_x, images to (N, 1); None: plain FlexAE.
        critic_steps: updates of the critics for each of the others, 5 in the paper.

    Departures: the code trains the encoder's batch norm on real images only and the decoder's on
    reconstructions and interpolations; here the decoder is also shown generated codes (without
    a gradient), or evaluation would meet statistics that it never saw. The last draw's codes and
    interpolations are decoded once for C_x and for AEreg together: no weight that they depend on
    moves in between.
    """

    prior: Pushforward

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        prior: Pushforward,
        latent_critic: nn.Module,
        image_critic: nn.Module | None,
        latent_dim: int,
        *,
        critic_steps: int = 5,
        ae_rate: float = 2e-4,
        critic_rate: float = 1e-4,
        regulariser_rate: float = 2e-4,
        ae_reg_rate: float = 2e-4,
        generator_rate: float = 1e-4,
        encoder_rate: float = 1e-5,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.prior = prior  # pyright: ignore[reportIncompatibleVariableOverride]
        self.latent_critic, self.image_critic = latent_critic, image_critic
        self.latent_dim, self.critic_steps = latent_dim, critic_steps
        self.ae_rate, self.critic_rate, self.regulariser_rate = (
            ae_rate,
            critic_rate,
            regulariser_rate,
        )
        self.ae_reg_rate, self.generator_rate = ae_reg_rate, generator_rate
        self.encoder_rate = encoder_rate

    def encode(self, x: Tensor) -> Tensor:
        codes: Tensor = self.encoder(x)
        return codes

    def decode(self, z: Tensor) -> Tensor:
        data: Tensor = self.decoder(z)
        return data

    def optimizers(self) -> dict[str, Optimizer]:
        autoencoder = [*self.encoder.parameters(), *self.decoder.parameters()]
        optimizers: dict[str, Optimizer] = {
            "ae": adam(autoencoder, self.ae_rate, (0.9, 0.999)),
            "critic": adam(self.latent_critic.parameters(), self.critic_rate, (0.0, 0.9)),
            "generator": adam(self.prior.parameters(), self.generator_rate, (0.0, 0.9)),
            "encoder": adam(self.encoder.parameters(), self.encoder_rate, (0.0, 0.9)),
        }
        if self.image_critic is not None:
            critic = self.image_critic.parameters()
            optimizers["regulariser"] = adam(critic, self.regulariser_rate, (0.5, 0.9))
            optimizers["ae_reg"] = adam(autoencoder, self.ae_reg_rate, (0.5, 0.9))
        return optimizers

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        m = self.latent_dim
        x, _ = next(batches)
        yield "ae", {"reconstruction": squared_error(self.decode(self.encode(x)), x)}  # Eq. 5

        z_hat = x_inp = x
        for step in range(self.critic_steps):
            # a graph is wanted only of the last draw, which AEreg and G go on with
            last = step == self.critic_steps - 1
            x, _ = next(batches)
            noise = batches.normal(m)
            with torch.set_grad_enabled(last):
                z_hat = self.prior(noise)
            if self.image_critic is None:
                with torch.no_grad():
                    z = self.encode(x)
            else:
                w, _ = next(batches)
                with torch.set_grad_enabled(last):
                    z = self.encode(x)
                    x_inp = self.decode(convex(z, self.encode(w), batches.uniform(1)))
            yield "critic", self._critic_terms(self.latent_critic, z, z_hat, batches)  # Eq. 6
            if self.image_critic is not None:
                yield "regulariser", self._critic_terms(self.image_critic, x, x_inp, batches)  # 9

        if self.image_critic is not None:
            yield "ae_reg", {"fooling": -self.image_critic(x_inp).float().mean()}  # Eq. 10
        yield "generator", {"fooling": -self.latent_critic(z_hat).float().mean()}  # Eq. 7
        with torch.no_grad():
            self.decode(z_hat)  # for batch norm's running statistics
        yield "encoder", {"fooling": self.latent_critic(self.encode(x)).float().mean()}  # Eq. 8

    @staticmethod
    def _critic_terms(critic: nn.Module, real: Tensor, fake: Tensor, batches: Batches) -> Terms:
        real, fake = real.detach().float(), fake.detach().float()
        return {
            "wasserstein": critic(fake).float().mean() - critic(real).float().mean(),
            "penalty": PENALTY * gradient_penalty(critic, real, fake, batches.uniform(1)),
        }

"""FlexAE and FlexAE-SR: an autoencoder whose latent prior is learned with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import nn
from torch.optim import Optimizer

from zspace.core import Batches, LatentModel, Terms
from zspace.functional import convex, full_precision, squared_error
from zspace.samplers.pushforward import Pushforward, critic_terms
from zspace.training import adam

RATES = {
    "ae": 2e-4,
    "critic": 1e-4,
    "regulariser": 2e-4,
    "ae_reg": 2e-4,
    "generator": 1e-4,
    "encoder": 1e-5,
}
"""Adam's learning rates (Algorithm 1): in place of weights between the losses."""

BETAS = {
    "ae": (0.9, 0.999),
    "critic": (0.0, 0.9),
    "regulariser": (0.5, 0.9),
    "ae_reg": (0.5, 0.9),
    "generator": (0.0, 0.9),
    "encoder": (0.0, 0.9),
}
"""Adam's decay rates (Algorithm 1)."""


class FlexAE(LatentModel[Pushforward]):
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
        rates: learning rates by the optimisers' names.

    Departures: the decoder is also shown generated codes (without a gradient), or its batch norm
    would be evaluated on codes whose statistics it never saw; of its passes in an iteration of
    FlexAE-SR one reconstructs, five interpolate, one generates. "Reuse of the last draw" (code) is
    read as that of images, noise and gamma: what C_x was last shown is what AEreg improves. So the
    last interpolation is decoded once for both, and G's last codes are made once: no weight that
    they depend on moves in between.
    """

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
        rates: Mapping[str, float] = RATES,
    ) -> None:
        super().__init__(encoder, decoder, prior, latent_dim)
        self.latent_critic, self.image_critic = latent_critic, image_critic
        self.critic_steps, self.rates = critic_steps, rates

    def optimizers(self) -> dict[str, Optimizer]:
        autoencoder = [*self.encoder.parameters(), *self.decoder.parameters()]
        players = {
            "ae": autoencoder,
            "critic": self.latent_critic.parameters(),
            "generator": self.prior.parameters(),
            "encoder": self.encoder.parameters(),
        }
        if self.image_critic is not None:
            players |= {"regulariser": self.image_critic.parameters(), "ae_reg": autoencoder}
        return {name: adam(p, self.rates[name], BETAS[name]) for name, p in players.items()}

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
            yield "critic", critic_terms(self.latent_critic, z, z_hat, batches)  # Eq. 6
            if self.image_critic is not None:
                yield "regulariser", critic_terms(self.image_critic, x, x_inp, batches)  # 9

        if self.image_critic is not None:
            yield "ae_reg", {"fooling": -full_precision(self.image_critic(x_inp)).mean()}  # Eq. 10
        yield "generator", {"fooling": -full_precision(self.latent_critic(z_hat)).mean()}  # Eq. 7
        with torch.no_grad():
            self.decode(z_hat)  # for batch norm's running statistics
        yield (
            "encoder",
            {"fooling": full_precision(self.latent_critic(self.encode(x))).mean()},
        )  # Eq. 8

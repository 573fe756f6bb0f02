"""FlexAE and FlexAE-SR, autoencoders whose latent prior is learned with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import nn
from torch.optim import Optimizer

from zspace.core import Batches, LatentModel, Terms, always
from zspace.functional import convex, full_precision, squared_error
from zspace.samplers import Normal
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
"""Adam's learning rates (Algorithm 1), which take the place of weights between the losses."""

BETAS = {
    "ae": (0.9, 0.999),
    "critic": (0.0, 0.9),
    "regulariser": (0.5, 0.9),
    "ae_reg": (0.5, 0.9),
    "generator": (0.0, 0.9),
    "encoder": (0.0, 0.9),
}
"""Adam's decay rates (Algorithm 1)."""


class FlexAE(LatentModel[Pushforward | Normal]):
    """FlexAE, an autoencoder whose prior is learned by a generator of codes.

    Encoder E and decoder D reconstruct; a generator G makes codes from noise; a critic C_z tells
    the two kinds of codes apart, and each kind is moved towards the other. With an image critic
    C_x, the decoder also learns to make realistic images from interpolated codes (smoothing, which
    makes it FlexAE-SR). There are no weights between the losses: each has an Adam of its own, whose
    learning rate takes the place of a weight.

    Args:
        encoder: E, which maps data to codes (N, m).
        decoder: D, which maps codes to data.
        prior: the distribution of codes that G makes from noise (N, m); N(0, I), which nothing
            moves, serves as a control for what the learned prior is worth.
        latent_critic: C_z, which maps codes to (N, 1).
        image_critic: C_x, which maps images to (N, 1); None for FlexAE without smoothing.
        latent_dim: m, the size of a code.
        critic_steps: the number of updates of the critics for each update of the others, 5 in the
            paper.
        rates: the learning rates by the optimisers' names.

    Departures: the decoder also decodes generated codes in training (without a gradient), so that
    its batch norm gathers the statistics of such codes, too; of its passes in an iteration of
    FlexAE-SR one reconstructs, five interpolate and one generates. "Reuse of the last draw" (in the
    authors' code) is understood as reuse of images, noise and gamma: AEreg improves the images that
    C_x was last shown. The last interpolation is therefore decoded once for both, and G's last
    codes are made once, since no weight that they depend on changes in between.
    Reference: Mondal et al., FlexAE: Flexibly Learning Latent Priors (UAI 2021), Algorithm 1.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        prior: Pushforward | Normal,
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
            "encoder": self.encoder.parameters(),
        }
        if isinstance(self.prior, Pushforward):
            players["generator"] = self.prior.parameters()
        if self.image_critic is not None:
            players |= {"regulariser": self.image_critic.parameters(), "ae_reg": autoencoder}
        return {name: adam(p, self.rates[name], BETAS[name]) for name, p in players.items()}

    repeats = always

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        m = self.latent_dim
        x, _ = next(batches)
        yield "ae", {"reconstruction": squared_error(self.decode(self.encode(x)), x)}  # Eq. 5

        z_hat = x_inp = x
        for step in range(self.critic_steps):
            # only the last draw, which AEreg and G use again, needs a graph
            last = step == self.critic_steps - 1
            x, _ = next(batches)
            noise = batches.normal(m)
            with torch.set_grad_enabled(last):
                z_hat = self.prior(noise) if isinstance(self.prior, Pushforward) else noise
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
        if isinstance(self.prior, Pushforward):
            yield "generator", {"fooling": -full_precision(self.latent_critic(z_hat)).mean()}  # 7
        with torch.no_grad():
            self.decode(z_hat)  # for batch norm's running statistics
        yield (
            "encoder",
            {"fooling": full_precision(self.latent_critic(self.encode(x))).mean()},
        )  # Eq. 8

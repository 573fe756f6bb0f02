"""Distributions that a network makes from noise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from zspace.core import Batches, Sampler, Terms, always
from zspace.functional import blockwise, full_precision, gradient_penalty
from zspace.nets.layers import latent_net
from zspace.options import About
from zspace.samplers.learned import ROWS, FitBatch, FitIterations, FitRate, FitSeed, Learned, seeded
from zspace.samplers.normal import no_labels
from zspace.training import adam

PENALTY = 10.0
"""The gradient penalty's weight beta in FlexAE's Eq. 6 and 9, as in Gulrajani et al. (2017)."""

BETAS = (0.0, 0.9)
"""Adam's decay rates for generator and critic (FlexAE, Algorithm 1)."""


class Pushforward(Sampler):
    """The distribution of a generator's output z = G(n), n ~ N(0, I).

    Args:
        generator: G, which maps noise (N, noise_dim) to codes (N, D).
        noise_dim: the size of the noise.

    Reference: FlexAE, section 3.2.
    """

    exportable = True

    def __init__(self, generator: nn.Module, noise_dim: int) -> None:
        super().__init__()
        self.generator, self.size = generator, noise_dim

    @property
    def noise_dim(self) -> int:
        return self.size

    def forward(self, noise: Tensor) -> Tensor:
        codes: Tensor = self.generator(noise)
        return codes

    def draw(
        self, n: int, label: int | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        no_labels(label)
        device = next(self.parameters()).device
        noise = torch.randn(n, self.noise_dim, generator=generator, device=device)
        return blockwise(self, noise, ROWS)

    def of_noise(self, noise: Tensor, y: Tensor | None = None) -> Tensor:
        return self(noise)


def critic_terms(critic: nn.Module, real: Tensor, fake: Tensor, batches: Batches) -> Terms:
    """The terms of a critic's Wasserstein loss with a gradient penalty.

        E critic(fake) - E critic(real) + beta E (||grad critic(u)|| - 1)^2

    with u random points on the lines between real and fake samples.

    Args:
        critic: maps samples (N, ...) to (N, 1), without batch norm.
        real, fake: samples (N, ...) of one shape.
        batches: gives the random numbers.

    Reference: FlexAE, Eq. 6 (for codes) and Eq. 9 (for images).
    """
    real, fake = full_precision(real.detach()), full_precision(fake.detach())
    # one pass for both, which do not affect each other without batch norm
    on_fake, on_real = full_precision(critic(torch.cat([fake, real]))).chunk(2)
    return {
        "wasserstein": on_fake.mean() - on_real.mean(),
        "penalty": PENALTY * gradient_penalty(critic, real, fake, batches.uniform(1)),
    }


class LearnedPushforward(Learned[Pushforward]):
    """A generator G trained against a critic C_z, as in FlexAE, on fixed standardised codes u.

        C_z: min E C_z(G(n)) - E C_z(u) + beta E (||grad C_z|| - 1)^2;  G: min -E C_z(G(n))

    Args:
        dim: D, the size of a code and of the noise n.

    Reference: FlexAE, Algorithm 1, Eq. 6 and 7, and Table 7 for the networks.
    """

    def __init__(
        self,
        dim: int | None = None,
        *,
        iterations: FitIterations = 4000,
        batch_size: FitBatch = 256,
        hidden: Annotated[
            int,
            About(
                "units in each of the four hidden layers of generator and critic", least=1, most=1e5
            ),
        ] = 256,
        critic_steps: Annotated[
            int, About("updates of the critic for each update of the generator", least=1, most=1000)
        ] = 5,
        learning_rate: FitRate = 1e-4,
        seed: FitSeed = 0,
    ) -> None:
        super().__init__(iterations=iterations, batch_size=batch_size, seed=seed)
        self.hidden, self.critic_steps, self.rate = hidden, critic_steps, learning_rate
        self.of_size(dim)

    def build(self, dim: int) -> None:
        super().build(dim)
        with seeded(self.seed):
            self.inner = Pushforward(latent_net(dim, dim, self.hidden), dim)
            self.critic = latent_net(dim, 1, self.hidden)

    def optimizers(self) -> dict[str, Optimizer]:
        players = {"critic": self.critic, "generator": self.inner}
        return {name: adam(p.parameters(), self.rate, BETAS) for name, p in players.items()}

    repeats = always

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        for _ in range(self.critic_steps):
            u, _ = next(batches)
            with torch.no_grad():
                made = self.inner(batches.normal(self.inner.noise_dim))
            yield "critic", critic_terms(self.critic, u, made, batches)  # Eq. 6
        made = self.inner(batches.normal(self.inner.noise_dim))
        yield "generator", {"fooling": -full_precision(self.critic(made)).mean()}  # Eq. 7

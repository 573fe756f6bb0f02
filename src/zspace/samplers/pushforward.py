"""A prior that a network makes out of noise."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zspace.core import Sampler
from zspace.samplers.normal import no_labels


class Pushforward(Sampler):
    """z = G(n), n ~ N(0, I): the distribution of a generator's output (FlexAE, section 3.2)."""

    def __init__(self, generator: nn.Module, noise_dim: int) -> None:
        super().__init__()
        self.generator, self.noise_dim = generator, noise_dim

    def forward(self, noise: Tensor) -> Tensor:
        codes: Tensor = self.generator(noise)
        return codes

    def sample(
        self, n: int, label: int | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        no_labels(label)
        device = next(self.parameters()).device
        return self(torch.randn(n, self.noise_dim, generator=generator, device=device))

"""The distribution to which a velocity carries noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from zspace.core import Density
from zspace.functional import Solver, blockwise, integral, stream
from zspace.samplers.learned import ROWS
from zspace.samplers.normal import no_labels

DENSITY_STEPS = 32
"""The least number of Heun steps for a density, which needs more precision than an image."""

LARGE = 128
"""The size of a code above which fewer are drawn at a time."""

EXACT = 64
"""The largest number of dimensions in which the divergence is computed exactly."""

AT_A_TIME = 256
"""The number of codes of `LARGE` dimensions whose densities are computed at a time."""

PROBES = 16
"""The number of random directions in Hutchinson's estimate of the divergence."""


class ContinuousFlow(Density):
    """The distribution of codes u_1 to which du/dt = v(u, t, y) carries u_0 ~ N(0, I).

        log p(u_1) = log N(u_0; 0, I) - int_0^1 div v(u_t, t) dt

    Time t is from 0 to 1. With a label y, the velocity is v(u, t) + w (v(u, t, y) - v(u, t)), which
    for w = 1 is that of y itself. The density is that without a label.

    Args:
        velocity: v, with weights averaged over its training, which maps codes (N, D), times (1, 1)
            and labels (1,), (N,) or None to (N, D).
        dim: D, the size of a code.
        labels: K, the number of labels.
        steps: the number of steps of Heun's method, each with two velocities.
        solver: "heun", or "adaptive" for Dormand and Prince's method (torchdiffeq).
        guidance: w, the weight of a label.

    Reference: Chen et al., Neural Ordinary Differential Equations (2018), Eq. 8; Grathwohl et al.,
    FFJORD (2019), Eq. 8 for Hutchinson's estimate of the divergence, which stands in for the trace
    in more than 64 dimensions; Ho and Salimans, Classifier-Free
    Diffusion Guidance (2022), Eq. 6, with w + 1 for w.
    """

    exportable = True

    def __init__(
        self,
        velocity: AveragedModel,
        dim: int,
        *,
        labels: int,
        steps: int,
        solver: Solver,
        guidance: float,
    ) -> None:
        super().__init__()
        self.velocity, self.dim, self._labels = velocity, dim, labels
        self.steps, self.guidance = steps, guidance
        self.solver: Solver = solver

    @property
    def labels(self) -> int:
        return self._labels

    def draw(
        self, n: int, label: int | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        if not self.labels:
            no_labels(label)
        device = next(self.parameters()).device
        y = None
        if label is not None:
            self.name_of(label)  # refuses an unknown label
            y = torch.full((1,), label, device=device)
        noise = torch.randn(n, self.dim, generator=generator, device=device)
        with torch.no_grad():
            return blockwise(lambda block: self.of_noise(block, y), noise, self._rows(ROWS))

    @property
    def noise_dim(self) -> int:
        return self.dim

    def of_noise(self, noise: Tensor, y: Tensor | None = None) -> Tensor:
        """The codes u_1 (N, D) for noise u_0 (N, D) and labels (N,), a single one (1,), or None."""

        def v(u: Tensor, t: Tensor) -> Tensor:
            if y is None or self.guidance == 0:
                return self.velocity(u, t)
            towards = self.velocity(u, t, y)
            if self.guidance == 1:
                return towards
            anyway = self.velocity(u, t)
            return anyway + self.guidance * (towards - anyway)

        return integral(v, noise, 0.0, 1.0, self.steps, self.solver)

    def _rows(self, most: int) -> int:
        """How many codes are taken at a time: `most`, or fewer if each has many numbers."""
        return max(1, most * LARGE // max(self.dim, LARGE))

    @torch.no_grad()
    def log_density(self, z: Tensor) -> Tensor:
        directions = _directions(self.dim).to(z)
        return blockwise(lambda u: self._log_prob(u, directions), z, self._rows(AT_A_TIME))

    def _log_prob(self, u: Tensor, directions: Tensor) -> Tensor:
        def rates(state: Tensor, t: Tensor) -> Tensor:
            v, divergence = self._divergence(state[:, :-1], t, directions)
            return torch.cat([v, divergence[:, None]], 1)

        start = torch.cat([u, u.new_zeros(len(u), 1)], 1)
        end = integral(rates, start, 1.0, 0.0, max(self.steps, DENSITY_STEPS), self.solver)
        noise, change = end[:, :-1], end[:, -1]
        base = -0.5 * (noise.square().sum(1) + self.dim * math.log(2 * math.pi))
        # integrated from 1 to 0, the divergence gives minus its integral from 0 to 1
        return base + change

    def _divergence(self, u: Tensor, t: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """The velocity (N, D) and its divergence (N,) at codes u (N, D)."""
        divergence = u.new_zeros(len(u))
        with torch.enable_grad():
            u = u.detach().requires_grad_()
            v = self.velocity(u, t)
            # one velocity serves all directions: half the time that derivatives forwards take
            for d in directions:
                (gradient,) = torch.autograd.grad(v, u, d.expand_as(v), retain_graph=True)
                divergence += gradient @ d
        return v.detach(), divergence


def _directions(dim: int) -> Tensor:
    """Directions d_i (K, D) whose sum_i d_i d_i^T is the unit matrix, exactly or in expectation.

    The trace of J is sum_i d_i^T J d_i. In more than `EXACT` dimensions the directions are random
    signs, always the same ones, so that the densities of two codes can be compared.
    """
    if dim <= EXACT:
        return torch.eye(dim)
    generator = torch.Generator().manual_seed(stream(dim, 32))
    signs = torch.randint(2, (PROBES, dim), generator=generator)
    return (2 * signs - 1) / math.sqrt(PROBES)

"""Codes between those that a sampler draws."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zspace.core import Sampler
from zspace.samplers.normal import learned_label, no_labels


@torch.no_grad()
def codes_between(
    sampler: Sampler, n: int, steps: int, label: int | None, generator: torch.Generator
) -> Tensor:
    """Codes on ways between two that a sampler draws.

    If the sampler's codes are a continuous function of normal noise, the noise goes from e to e'
    along cos(t) e + sin(t) e', 0 <= t <= pi / 2, which is from N(0, I) for every t, too: a code on
    the way has the distribution of one that is drawn. Otherwise codes go along a straight line.

    Args:
        sampler: the sampler.
        n: the number of ways.
        steps: the number of codes on each, at least 2.
        label: the label of all codes; None leaves it open.
        generator: the random generator, on the sampler's device.

    Returns (n, steps, D).
    Raises:
        InputError: the sampler does not know the label, or its class has no training images.
    """
    if not sampler.labels:
        no_labels(label)
    if sampler.jumps or not sampler.noise_dim:
        a, b = (sampler.draw(n, label, generator=generator) for _ in range(2))
        t = torch.linspace(0, 1, steps, device=a.device)[None, :, None]
        return (1 - t) * a[:, None] + t * b[:, None]
    where = generator.device
    a, b = (torch.randn(n, sampler.noise_dim, generator=generator, device=where) for _ in range(2))
    y = None
    if label is not None:
        y = torch.full((n * steps,), learned_label(sampler, label), device=where)
    t = torch.linspace(0, math.pi / 2, steps, device=where)[None, :, None]
    noise = t.cos() * a[:, None] + t.sin() * b[:, None]
    return sampler.of_noise(noise.flatten(0, 1), y).unflatten(0, (n, steps))

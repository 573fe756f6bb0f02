"""The synthetic data sets of FlexAE: Gaussian mixtures lifted to 128 dimensions (section 7.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from zspace.data.images import Part, Raw

MEANS_5 = (
    (0, 0, 0, 0, 0),
    (5, 5, 5, 5, 5),
    (-5, 5, 3, 4.5, -6),
    (5, -1.5, -6.5, 3, 1),
    (-2, -7, 9, -1.5, -4.5),
    (-4, -3, -5.5, 2, 4),
)
VARIANCES = (1, 1, 0.5, 0.95, 0.5, 0.75)
DEVIATIONS = (0.05, 0.2, 0.1)
TRAIN, TEST = 15_000, 10_000
SEED = 2021


def true_latents(dim: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The points before they are lifted, (N, dim), and their components, (N,), for each part.

    They come from six Gaussians of equal weight. The means in two dimensions are the first two
    coordinates of those in five; the paper's text leaves the fifth one out, which is therefore
    taken from the five dimensions like the others.

    Args:
        dim: 2 or 5.
    """
    generator = torch.Generator().manual_seed(SEED + dim)
    means = torch.tensor(MEANS_5)[:, :dim]
    deviations = torch.tensor(VARIANCES).sqrt()
    z: dict[str, Tensor] = {}
    y: dict[str, Tensor] = {}
    for part, n in (("train", TRAIN), ("test", TEST)):
        k = torch.randint(len(means), (n,), generator=generator)
        noise = torch.randn(n, dim, generator=generator)
        z[part], y[part] = means[k] + deviations[k, None] * noise, k
    return z, y


def lift(z: Tensor) -> Tensor:
    """The map f that lifts points (N, d) to vectors (N, 128).

    It has three layers of 128 units with the activations tanh, exp and tanh. The weights and biases
    of each layer are drawn from a normal distribution of mean 0 and standard deviation 0.05, 0.2
    and 0.1, respectively.
    """
    generator = torch.Generator().manual_seed(SEED)
    for activation, s in zip((torch.tanh, torch.exp, torch.tanh), DEVIATIONS, strict=True):
        weight = s * torch.randn(z.shape[1], 128, generator=generator)
        bias = s * torch.randn(128, generator=generator)
        z = activation(z @ weight + bias)
    return z


def mog(dim: int) -> Raw:
    """The data set `mog5` or `mog2`: 15,000 training and 10,000 test vectors of 128 dimensions.

    The label of a vector is its component, one of six.

    Args:
        dim: 2 or 5, the dimension before the points are lifted.
    """
    z, y = true_latents(dim)
    parts = {part: Part(lift(z[part]), y[part]) for part in z}
    return Raw(parts, tuple(f"component {k + 1}" for k in range(len(MEANS_5))))

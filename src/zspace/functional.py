"""Formulas on tensors, each with its source. Reductions: sums over a sample, means over a batch."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy

from zspace.errors import InputError

BLOCK = 1 << 24
"""Distances that are held at a time."""


def squared_error(x: Tensor, y: Tensor) -> Tensor:
    """(1/N) sum_i ||x_i - y_i||^2, summed over what a sample consists of, mean over the batch.

    Args:
        x, y: (N, ...) of one shape; computed in float32 at least.

    Reference: Mondal et al., FlexAE (2021), Eq. 5.

    >>> squared_error(torch.ones(2, 3), torch.zeros(2, 3))
    tensor(3.)
    """
    return (full_precision(x) - full_precision(y)).square().flatten(1).sum(1).mean()


def bernoulli_error(x: Tensor, y: Tensor) -> Tensor:
    """-(1/N) sum_i log p(y_i | x_i) in nats, every pixel a Bernoulli of mean x.

    Args:
        x: means in [0, 1], (N, ...).
        y: data in [0, 1], (N, ...).

    Reference: Kingma and Welling, Auto-Encoding Variational Bayes (2014), appendix C.1.
    PyTorch holds the logarithms above -100 and the gradient finite, also at means of 0 and 1.
    """
    # not allowed under autocast, where means may come in half precision
    with torch.autocast(x.device.type, enabled=False):
        error = binary_cross_entropy(full_precision(x), full_precision(y), reduction="none")
    return error.flatten(1).sum(1).mean()


def normal_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """(1/N) sum_i KL(N(mean_i, exp(log_variance_i)) || N(0, I)) in nats; arguments (N, D).

    1/2 sum_d (mean^2 + variance - 1 - log variance). Reference: Kingma and Welling (2014),
    appendix B.

    >>> normal_kl(torch.zeros(4, 2), torch.zeros(4, 2))
    tensor(0.)
    """
    mean, log_variance = full_precision(mean), full_precision(log_variance)
    kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
    return kl.sum(1).mean()


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor
) -> Tensor:
    """(1/N) sum_i (||grad critic(u_i)|| - 1)^2 at u_i = a_i real_i + (1 - a_i) fake_i.

    Args:
        critic: (N, ...) to (N, 1).
        real, fake: (N, ...) of one shape, without graphs.
        mix: the a, (N, 1), drawn from U[0, 1], one for each sample.

    Returns a scalar that can be differentiated in the critic's parameters.
    Reference: Gulrajani et al. (2017), Eq. 3; in FlexAE the last term of Eq. 6 and 9.
    """
    u = convex(real, fake, mix).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(u).sum(), u, create_graph=True)
    # a norm of exactly zero has no gradient: a floor far below any that matters keeps NaN away
    norm = full_precision(gradient).flatten(1).square().sum(1).clamp(min=1e-24).sqrt()
    return (norm - 1).square().mean()


def convex(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """weight a + (1 - weight) b for a, b (N, ...) and one weight for each sample, (N, 1)."""
    return torch.lerp(b.to(weight), a.to(weight), weight.reshape(-1, *[1] * (a.ndim - 1)))


def full_precision(x: Tensor) -> Tensor:
    """x in float32 where autocast left it in half precision."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def kernel_log_density(
    z: Tensor, centres: Tensor, bandwidth: float, *, leave_one_out: bool = False
) -> Tensor:
    """log (1/m) sum_i N(z; c_i, h^2 I) in nats: queries (N, D), centres (m, D) to (N,).

    Args:
        bandwidth: h, above 0.
        leave_one_out: queries and centres are one set; a query's own kernel is left out, and the
            mean is over m - 1.

    Computed in log space, in the queries' precision, `BLOCK` distances at a time.
    Reference: Saha et al., GEN, Eq. 1; supplement, Eq. 4, for the sum without i.
    """
    count = len(centres) - leave_one_out
    constant = 0.5 * z.shape[1] * math.log(2 * math.pi * bandwidth**2) + math.log(count)
    rows = max(1, BLOCK // len(centres))
    parts: list[Tensor] = []
    for start in range(0, len(z), rows):
        squares = torch.cdist(z[start : start + rows], centres).square()
        if leave_one_out:
            own = torch.arange(len(squares), device=z.device)
            squares[own, own + start] = torch.inf
        parts.append(torch.logsumexp(squares / (-2 * bandwidth**2), 1) - constant)
    return torch.cat(parts)


def whitening(z: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (D,) and W (D, D) such that (z - mean) W has covariance I: codes (N, D), float64.

    W = V diag(1 / sqrt(l)) of the covariance's eigenvectors V and values l.

    Raises:
        InputError: the codes span fewer than D dimensions.
    """
    z = z.double()
    values, vectors = torch.linalg.eigh(z.T.cov().reshape(z.shape[1], z.shape[1]))
    if not float(values[0]) > 1e-10 * float(values[-1]):
        flat = int((values <= 1e-10 * values[-1]).sum())
        raise InputError(
            f"the codes can't be whitened: they do not vary in {flat} of {z.shape[1]} dimensions"
        )
    return z.mean(0), vectors / values.sqrt()

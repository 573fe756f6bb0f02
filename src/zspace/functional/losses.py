"""Losses, each with its source: sums over what a sample consists of, means over a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy, cross_entropy, one_hot, softplus

from zspace.functional.tensors import full_precision


def squared_error(x: Tensor, y: Tensor) -> Tensor:
    """(1/N) sum_i ||x_i - y_i||^2, summed over what a sample consists of, mean over the batch.

    Args:
        x, y: (N, ...) of one shape; computed in float32 at least.

    Reference: Mondal et al., FlexAE (2021), Eq. 5.

    >>> squared_error(torch.ones(2, 3), torch.zeros(2, 3))
    tensor(3.)
    """
    return (full_precision(x) - full_precision(y)).square().flatten(1).sum(1).mean()


def log_squared_error(x: Tensor, y: Tensor) -> Tensor:
    """(d/2) log((1/(N d)) sum_i ||x_i - y_i||^2), the error pooled over the whole batch.

    Up to a constant the negative log-likelihood, per sample, of a Gaussian whose variance is the
    batch's mean squared error, the one that makes it most likely. Its gradient is that of
    sum_i ||x_i - y_i||^2 / (2 s^2 N) with s^2 at that variance. Another range of pixels adds a
    constant.

    Args:
        x, y: (N, ...) of one shape, d numbers each; computed in float32 at least.

    Reference: Imagining the latent space of a VAE (LSR-GAN, 2020), Appendix A, there summed over
    the batch: N times as much, as the KL divergence beside it is.

    >>> log_squared_error(torch.ones(2, 3), torch.zeros(2, 3))
    tensor(0.)
    """
    error = (full_precision(x) - full_precision(y)).square().mean()
    # where all is exact the logarithm has no bound
    return x[0].numel() / 2 * error.clamp(min=1e-12).log()


def absolute_error(x: Tensor, y: Tensor) -> Tensor:
    """The mean of |x - y| over samples and what they consist of; in float32 at least.

    Reference: ReGene, Eq. 6, MAE.
    """
    return (full_precision(x) - full_precision(y)).abs().mean()


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


def batch_kl(z: Tensor) -> Tensor:
    """KL(N(m, diag(s^2)) || N(0, I)) in nats, with the mean m and deviation s of codes (N, D).

        sum_d (m_d^2 + s_d^2 - 1) / 2 - log s_d

    Reference: Ulyanov et al., It Takes (Only) Two (2018), Eq. 7, there for codes on a sphere, where
    N(0, I / D) is nearly uniform: scale them by sqrt(D).

    >>> round(float(batch_kl(torch.tensor([[-1.0], [1.0]]))), 6)
    0.0
    """
    z = full_precision(z)
    variance = z.var(0, unbiased=False).clamp(min=1e-12)
    return 0.5 * (z.mean(0).square() + variance - 1 - variance.log()).sum()


ClassLoss = Literal["cross-entropy", "hinge", "cosine", "mse"]


def classification_error(logits: Tensor, y: Tensor, loss: ClassLoss = "cross-entropy") -> Tensor:
    """The mean over a batch of an error of p = softmax(logits), (N, K), at labels y (N,).

        cross-entropy  -log p_y
        hinge          max(0, 1 + max_(j != y) p_j - p_y)
        cosine         1 - p_y / ||p||
        mse            (1/K) ||p - e_y||^2

    Reference: ReGene, Eq. 3 and section 6.7. The paper's networks end in a softmax whatever the
    loss (its Tables A.5 to A.7), and so the multi-class hinge is taken of probabilities, too, as
    the common libraries' losses of that name do.
    """
    logits = full_precision(logits)
    if loss == "cross-entropy":
        return cross_entropy(logits, y)
    p = logits.softmax(1)
    truth = one_hot(y, p.shape[1]).to(p)
    right = (p * truth).sum(1)
    if loss == "hinge":
        return (1 + (p - 2 * truth).max(1).values - right).clamp(min=0).mean()
    if loss == "cosine":
        return (1 - right / p.norm(dim=1)).mean()
    return (p - truth).square().mean()


def convex(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """weight a + (1 - weight) b for a, b (N, ...) and one weight for each sample, (N, 1)."""
    return torch.lerp(b.to(weight), a.to(weight), weight.reshape(-1, *[1] * (a.ndim - 1)))


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


def jacobian_norm(y: Tensor, z: Tensor, direction: Tensor) -> Tensor:
    """(1/N) sum_i ||v_i^T dy_i/dz_i||^2: on average over v ~ N(0, I), the squared Frobenius norm of
    the Jacobian (Hutchinson's estimate).

    Args:
        y: (N, ...), computed from z, (N, D), sample by sample.
        direction: v, of y's shape.

    Returns a scalar that can be differentiated in what y was computed by.
    """
    (gradient,) = torch.autograd.grad(y, z, direction.to(y), create_graph=True)
    return full_precision(gradient).square().sum(1).mean()


def real_loss(logits: Tensor) -> Tensor:
    """-(1/N) sum_i log s(c_i), s the logistic function: small where logits c (N, 1) are high.

    A discriminator minimises it on what is real; a generator on what it makes, which is the form
    whose gradient does not vanish where the discriminator is sure.

    Reference: Goodfellow et al., Generative Adversarial Nets (2014), Eq. 1 and section 3.

    >>> real_loss(torch.zeros(2, 1))
    tensor(0.6931)
    """
    return softplus(-logits).mean()


def fake_loss(logits: Tensor) -> Tensor:
    """-(1/N) sum_i log(1 - s(c_i)), s the logistic function: small where logits c (N, 1) are low.

    A discriminator minimises it on what a generator makes.

    Reference: Goodfellow et al., Generative Adversarial Nets (2014), Eq. 1.

    >>> fake_loss(torch.zeros(2, 1))
    tensor(0.6931)
    """
    return softplus(logits).mean()

"""Losses, each with its source: sums over the elements of a sample, means over a batch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy, cross_entropy, softplus

from zspace.functional.tensors import exact, full_precision, one_hot


def squared_error(x: Tensor, y: Tensor) -> Tensor:
    """The squared error (1/N) sum_i ||x_i - y_i||^2: a sum over elements, a mean over the batch.

    Args:
        x, y: samples (N, ...) of one shape; half precision is computed in float32.

    Returns a scalar.
    Reference: Mondal et al., FlexAE (2021), Eq. 5.

    >>> squared_error(torch.ones(2, 3), torch.zeros(2, 3))
    tensor(3.)
    """
    return (full_precision(x) - full_precision(y)).square().flatten(1).sum(1).mean()


def log_squared_error(x: Tensor, y: Tensor) -> Tensor:
    """The logarithmic error (d/2) log((1/(N d)) sum_i ||x_i - y_i||^2), pooled over the batch.

    Up to a constant, this is the negative log-likelihood per sample of a Gaussian whose variance is
    the batch's mean squared error, which is the most likely variance. Its gradient is that of
    sum_i ||x_i - y_i||^2 / (2 s^2 N) with s^2 fixed at that variance. Another range of pixels adds
    a constant.

    Args:
        x, y: samples (N, ...) of one shape, d elements each; half precision is computed in
            float32.

    Returns a scalar.
    Reference: Imagining the latent space of a VAE (LSR-GAN, 2020), Appendix A. The paper sums over
    the batch, which makes both this term and the KL divergence N times as large.

    >>> log_squared_error(torch.ones(2, 3), torch.zeros(2, 3))
    tensor(0.)
    """
    error = (full_precision(x) - full_precision(y)).square().mean()
    # the logarithm of an exact reconstruction has no bound
    return x[0].numel() / 2 * error.clamp(min=1e-12).log()


def absolute_error(x: Tensor, y: Tensor) -> Tensor:
    """The mean of |x - y| over the batch and over the elements of a sample.

    Args:
        x, y: samples (N, ...) of one shape; half precision is computed in float32.

    Returns a scalar.
    Reference: ReGene, Eq. 6, MAE.
    """
    return (full_precision(x) - full_precision(y)).abs().mean()


def bernoulli_error(x: Tensor, y: Tensor) -> Tensor:
    """The Bernoulli error -(1/N) sum_i log p(y_i | x_i) in nats, with x the mean of every pixel.

    Args:
        x: means (N, ...) in [0, 1].
        y: data (N, ...) in [0, 1].

    Returns a scalar.
    Reference: Kingma and Welling, Auto-Encoding Variational Bayes (2014), appendix C.1.
    PyTorch keeps the logarithms above -100 and the gradient finite, even at means of 0 and 1.
    """
    # autocast does not allow this function, and its means may come in half precision
    with exact(x):
        error = binary_cross_entropy(full_precision(x), full_precision(y), reduction="none")
    return error.flatten(1).sum(1).mean()


def normal_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """The mean KL divergence of diagonal normal distributions from the standard one, in nats.

        (1/N) sum_i KL(N(mean_i, exp(log_variance_i)) || N(0, I))
            = (1/N) sum_i 1/2 sum_d (mean^2 + variance - 1 - log variance)

    Args:
        mean, log_variance: (N, D) each; half precision is computed in float32.

    Returns a scalar.
    Reference: Kingma and Welling (2014), appendix B.

    >>> normal_kl(torch.zeros(4, 2), torch.zeros(4, 2))
    tensor(0.)
    """
    mean, log_variance = full_precision(mean), full_precision(log_variance)
    kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
    return kl.sum(1).mean()


def batch_kl(z: Tensor) -> Tensor:
    """The KL divergence of a batch of codes, taken as a diagonal normal, from the standard normal.

        KL(N(m, diag(s^2)) || N(0, I)) = sum_d (m_d^2 + s_d^2 - 1) / 2 - log s_d

    Args:
        z: codes (N, D), of which m is the mean and s the standard deviation in each dimension.

    Returns a scalar in nats.
    Reference: Ulyanov et al., It Takes (Only) Two (2018), Eq. 7. The paper takes codes on a unit
    sphere, where N(0, I / D) is nearly uniform: scale such codes by sqrt(D).

    >>> round(float(batch_kl(torch.tensor([[-1.0], [1.0]]))), 6)
    0.0
    """
    z = full_precision(z)
    variance = z.var(0, unbiased=False).clamp(min=1e-12)
    return 0.5 * (z.mean(0).square() + variance - 1 - variance.log()).sum()


ClassLoss = Literal["cross-entropy", "hinge", "cosine", "mse"]
"""The names of the errors that `classification_error` computes."""

LossOf = Literal["softmax", "logits"]
"""The scores that a classification error other than the cross-entropy is computed from."""


def classification_error(
    logits: Tensor, y: Tensor, loss: ClassLoss = "cross-entropy", of: LossOf = "softmax"
) -> Tensor:
    """The mean over a batch of one of four classification errors of scores s.

        cross-entropy  -log softmax(logits)_y
        hinge          max(0, 1 + max_(j != y) s_j - s_y)
        cosine         1 - s_y / ||s||
        mse            (1/K) ||s - e_y||^2

    Args:
        logits: (N, K); half precision is computed in float32.
        y: labels (N,), whole numbers from 0 to K - 1.
        loss: the name of the error.
        of: whether s is softmax(logits) or the logits themselves; the cross-entropy is always of
            the softmax.

    Returns a scalar; the cross-entropy is in nats.
    Reference: ReGene, Eq. 3 and section 6.7. The paper's networks end in a softmax whatever the
    loss (its Tables A.5 to A.7); whether its losses are of that output, it does not say.
    """
    logits = full_precision(logits)
    if loss == "cross-entropy":
        return cross_entropy(logits, y)
    s = logits.softmax(1) if of == "softmax" else logits
    truth = one_hot(y, s.shape[1]).to(s)
    right = (s * truth).sum(1)
    if loss == "hinge":
        others = s.masked_fill(truth.bool(), -math.inf).max(1).values
        return (1 + others - right).clamp(min=0).mean()
    if loss == "cosine":
        return (1 - right / s.norm(dim=1).clamp(min=1e-12)).mean()
    return (s - truth).square().mean()


def convex(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """The convex combinations weight a + (1 - weight) b of samples a, b (N, ...).

    Args:
        a, b: samples (N, ...) of one shape.
        weight: one weight for each sample, (N, 1), in [0, 1].
    """
    return torch.lerp(b.to(weight), a.to(weight), weight.reshape(-1, *[1] * (a.ndim - 1)))


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor
) -> Tensor:
    """The penalty (1/N) sum_i (||grad critic(u_i)|| - 1)^2 at u_i = a_i real_i + (1 - a_i) fake_i.

    Args:
        critic: maps samples (N, ...) to values (N, 1).
        real, fake: samples (N, ...) of one shape, detached from any graph.
        mix: a, (N, 1), drawn from U[0, 1], one number for each sample.

    Returns a scalar that can be differentiated in the critic's parameters.
    Reference: Gulrajani et al. (2017), Eq. 3; in FlexAE the last term of Eq. 6 and 9.
    """
    u = convex(real, fake, mix).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(u).sum(), u, create_graph=True)
    # a norm of exactly zero has no gradient: a floor far below any norm that matters avoids NaN
    norm = full_precision(gradient).flatten(1).square().sum(1).clamp(min=1e-24).sqrt()
    return (norm - 1).square().mean()


def jacobian_norm(y: Tensor, z: Tensor, direction: Tensor) -> Tensor:
    """Hutchinson's estimate (1/N) sum_i ||v_i^T dy_i/dz_i||^2 of the Jacobian's squared norm.

    Its expectation over v ~ N(0, I) is the squared Frobenius norm of the Jacobian.

    Args:
        y: (N, ...), computed from z by a function of each sample alone.
        z: (N, D), which requires a gradient.
        direction: v, drawn from N(0, I), of y's shape.

    Returns a scalar that can be differentiated in the parameters by which y was computed.
    """
    (gradient,) = torch.autograd.grad(y, z, direction.to(y), create_graph=True)
    return full_precision(gradient).square().sum(1).mean()


def real_loss(logits: Tensor) -> Tensor:
    """The loss -(1/N) sum_i log s(c_i), small if the logits c are high; s is the logistic function.

    A discriminator minimises it on real samples, and a generator on the samples that it makes:
    unlike that of -`fake_loss`, this form's gradient does not vanish where the discriminator is
    sure.

    Args:
        logits: c (N, ...), usually (N, 1).

    Returns a scalar in nats.
    Reference: Goodfellow et al., Generative Adversarial Nets (2014), Eq. 1 and section 3.

    >>> real_loss(torch.zeros(2, 1))
    tensor(0.6931)
    """
    return softplus(-logits).mean()


def fake_loss(logits: Tensor) -> Tensor:
    """The loss -(1/N) sum_i log(1 - s(c_i)), small if the logits c are low; s is the logistic.

    A discriminator minimises it on the samples that a generator makes.

    Args:
        logits: c (N, ...), usually (N, 1).

    Returns a scalar in nats.
    Reference: Goodfellow et al., Generative Adversarial Nets (2014), Eq. 1.

    >>> fake_loss(torch.zeros(2, 1))
    tensor(0.6931)
    """
    return softplus(logits).mean()

"""The variational autoencoder, with any density as its prior; with beta it is the beta-VAE."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent
from torch.distributions import Normal as Gaussian
from torch.optim import Optimizer
from zuko.distributions import NormalizingFlow
from zuko.lazy import LazyTransform

from zspace.core import Batches, Density, Prior, Terms, Variational, always
from zspace.functional import (
    bernoulli_error,
    exact,
    full_precision,
    gaussian_mmd,
    log_squared_error,
    normal_kl,
    squared_error,
)
from zspace.samplers import Normal
from zspace.training import adam

Likelihood = Literal["squared-error", "bernoulli", "log-mse", "learned-variance"]


class LearnedVariance(nn.Module):
    """The Gaussian error with a learned deviation: d log s + (1/N) sum_i ||x_i - y_i||^2 / (2 s^2).

    Up to a constant, this is the negative log-likelihood per sample, in nats, of a Gaussian with
    the same variance s^2 for each of the d elements of a sample. s is a learned number, initially
    1. Reference: Dai and Wipf (2019), Eq. 3 and section 3. Departure: log s has a learning rate of
    its own (`VARIANCE_RATE`).
    """

    def __init__(self) -> None:
        super().__init__()
        self.log_deviation = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        scaled = squared_error(x, y) / 2 * (-2 * self.log_deviation).exp()
        return x[0].numel() * self.log_deviation + scaled


VARIANCE_RATE = 1e-2
"""Adam's learning rate for a learned variance.

Its logarithm changes by about the rate in each update, and would not converge at the networks' own.
"""


def groups_of(model: nn.Module, error: object, rate: float) -> list[dict[str, Any]]:
    """A model's parameters in groups for Adam, with a learned variance in a group of its own.

    Args:
        model: the model.
        error: the model's reconstruction error, which may be a `LearnedVariance`.
        rate: the learning rate of the other parameters.
    """
    own = list(error.parameters()) if isinstance(error, nn.Module) else []
    others = [p for p in model.parameters() if not any(p is o for o in own)]
    groups = [{"params": others, "lr": rate}, {"params": own, "lr": VARIANCE_RATE}]
    return groups if own else groups[:1]


ERRORS: dict[Likelihood, Callable[[], Callable[[Tensor, Tensor], Tensor]]] = {
    "squared-error": lambda: squared_error,
    "bernoulli": lambda: bernoulli_error,
    "log-mse": lambda: log_squared_error,
    "learned-variance": LearnedVariance,
}


class DiagonalPosterior(Variational[Prior], ABC):
    """A variational model whose posterior is q(z | x) = N(mean, diag(variance)).

    The encoder gives means and log variances side by side, (N, 2 D). The log variances are held
    within [-20, 20].
    """

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The mean and the log variance of q(z | x), each (N, D)."""
        return moments_of(self.encoder(self.check_samples(x)))

    def posterior(self, x: Tensor) -> Distribution:
        return diagonal_normal(*self.moments(x))


def moments_of(encoded: Tensor) -> tuple[Tensor, Tensor]:
    """The means and the log variances, each (N, D), in an encoder's output (N, 2 D).

    The log variances are held within [-20, 20].
    """
    mean, log_variance = encoded.float().chunk(2, 1)
    return mean, log_variance.clamp(-20, 20)


def diagonal_normal(mean: Tensor, log_variance: Tensor) -> Distribution:
    """The distribution N(mean, diag(variance)), with batch shape (N,) and event shape (D,)."""
    return Independent(Gaussian(mean, (0.5 * log_variance).exp(), validate_args=False), 1)


def reparametrised(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """The reparametrised samples mean + deviation * noise, which gradients pass through.

    Args:
        mean, log_variance: (N, D) each.
        noise: samples (N, D) of N(0, I).

    Reference: Kingma and Welling (2014), section 2.4.
    """
    return mean + (0.5 * log_variance).exp() * noise


class VAE(Variational[Density]):
    """A variational autoencoder, with several likelihoods, priors and divergences.

        min over E, D and the prior's parameters of E_x[ -log p(x | z) + beta KL(q(z | x) || p(z)) ]

    q(z | x) = N(mean, diag(variance)), and z is one reparametrised sample of it for each image. For
    p = N(0, I) the KL divergence has a closed form; for other densities it is estimated by
    log q(z | x) - log p(z) of that sample. The MMD-VAE has beta MMD^2(z, N(0, I)) in place of the
    KL divergence, between the batch's samples and as many of the prior, with a Gaussian kernel of
    variance D.

    With a flow f, the posterior is the distribution of f(z_0; h), z_0 ~ N(mean, diag(variance)),
    where h is a context that the encoder also gives: log q(z | x) = log N(z_0) - log |det df/dz_0|.

    Args:
        encoder: E, which maps data to means and log variances (N, 2 latent_dim); with a flow, the
            context h follows, (N, 3 latent_dim).
        decoder: D, which maps codes to data.
        prior: p, a density of codes: `Normal` is N(0, I); others are trained with the model.
        latent_dim: D, the size of a code.
        beta: the weight of the KL divergence (1 for the VAE, others for the beta-VAE) or of the
            MMD.
        likelihood: "squared-error", ||x - D(z)||^2, which is a Gaussian of variance 1/2 up to a
            constant; "bernoulli", the binary cross-entropy, for data in [0, 1]; "log-mse", a
            Gaussian whose variance is the batch's mean squared error
            (`zspace.functional.log_squared_error`); "learned-variance", a Gaussian whose variance
            is learned.
        prior_loss: "elbo" (the KL divergence) or "mmd".
        flow: f, which takes a context and maps z_0 to z in one pass (zuko's `MAF(...).transform`).
        rate, betas: the learning rate and the decay rates of Adam.

    Reference: Kingma and Welling, Auto-Encoding Variational Bayes (2014), Eq. 10;
    Higgins et al., beta-VAE (2017), Eq. 4; Zhao et al., InfoVAE (2019), section 3.2, for the MMD;
    Kingma et al., Inverse Autoregressive Flow (2016), Algorithm 1, for f.
    Departure: log variances are held within [-20, 20].
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        prior: Density,
        latent_dim: int,
        *,
        beta: float = 1.0,
        likelihood: Likelihood = "squared-error",
        prior_loss: Literal["elbo", "mmd"] = "elbo",
        flow: LazyTransform | None = None,
        rate: float = 2e-4,
        betas: tuple[float, float] = (0.9, 0.999),
    ) -> None:
        super().__init__(encoder, decoder, prior, latent_dim)
        self.beta, self.rate, self.betas = beta, rate, betas
        self.error = ERRORS[likelihood]()
        self.prior_loss, self.flow = prior_loss, flow

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The mean and log variance of z_0, each (N, D), and the flow's context, (N, D or 0)."""
        encoded = self.encoder(self.check_samples(x)).float()
        d = 2 * self.latent_dim
        return *moments_of(encoded if self.flow is None else encoded[:, :d]), encoded[:, d:]

    def posterior(self, x: Tensor) -> Distribution:
        mean, log_variance, context = self.moments(x)
        base = diagonal_normal(mean, log_variance)
        return base if self.flow is None else NormalizingFlow(self.flow(context).inv, base)

    def encode(self, x: Tensor) -> Tensor:
        """The posterior's mean (N, D); with a flow, f of the mean of z_0."""
        mean, _, context = self.moments(x)
        with exact(mean):
            return mean if self.flow is None else self.flow(context)(mean)

    def optimizers(self) -> dict[str, Optimizer]:
        groups = groups_of(self, self.error, self.rate)
        return {"vae": adam(groups, self.rate, self.betas)}

    repeats = always

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        x, _ = next(batches)
        yield "vae", self.terms(x, batches)

    def terms(self, x: Tensor, batches: Batches) -> Terms:
        """The terms of the loss of a batch x, with noise from `batches`."""
        mean, log_variance, context = self.moments(x)
        z = z_0 = reparametrised(mean, log_variance, batches.normal(self.latent_dim))
        log_det = torch.zeros(())
        if self.flow is not None:
            # sums of logarithms need full precision, even under autocast
            with exact(z_0):
                z, log_det = self.flow(context).call_and_ladj(z_0)
        terms = {"reconstruction": self.error(self.decode(z), x)}
        if self.prior_loss == "mmd":
            drawn = batches.normal(self.latent_dim)
            terms["mmd"] = self.beta * gaussian_mmd(z, drawn, self.latent_dim)
        elif isinstance(self.prior, Normal) and self.flow is None:
            terms["kl"] = self.beta * normal_kl(mean, log_variance)
        else:
            log_q = diagonal_normal(mean, log_variance).log_prob(z_0) - log_det
            log_p = self.prior.log_density(full_precision(z))
            terms["kl"] = self.beta * (log_q - log_p).mean()
        return terms

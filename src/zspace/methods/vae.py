"""The variational autoencoder with any density as its prior; with beta, the beta-VAE."""

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

from zspace.core import Batches, Density, Prior, Terms, Variational
from zspace.functional import (
    bernoulli_error,
    check_floats,
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
    """d log s + (1/N) sum_i ||x_i - y_i||^2 / (2 s^2), s one learned number; it begins at 1.

    Up to a constant the negative log-likelihood, per sample, of a Gaussian of the variance s^2 for
    each of the d numbers of a sample. Reference: Dai and Wipf (2019), Eq. 3 and section 3.
    Departure: log s has a rate of its own (`VARIANCE_RATE`).
    """

    def __init__(self) -> None:
        super().__init__()
        self.log_deviation = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        scaled = squared_error(x, y) / 2 * (-2 * self.log_deviation).exp()
        return x[0].numel() * self.log_deviation + scaled


VARIANCE_RATE = 1e-2
"""Adam's rate for a learned variance: at the networks' own its logarithm, which moves by the rate
in each update, would not arrive."""


def groups_of(model: nn.Module, error: object, rate: float) -> list[dict[str, Any]]:
    """A model's parameters, those of a learned variance among them with a rate of their own."""
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
    """q(z | x) = N(mean, diag(variance)), both from the encoder: (N, 2 D), means, log variances.

    The log variances are held within [-20, 20].
    """

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z | x), each (N, D)."""
        return moments_of(self.encoder(check_floats(x)))

    def posterior(self, x: Tensor) -> Distribution:
        return diagonal_normal(*self.moments(x))


def moments_of(encoded: Tensor) -> tuple[Tensor, Tensor]:
    """Means and log variances, each (N, D), of what an encoder gives: (N, 2 D)."""
    mean, log_variance = encoded.float().chunk(2, 1)
    return mean, log_variance.clamp(-20, 20)


def diagonal_normal(mean: Tensor, log_variance: Tensor) -> Distribution:
    """N(mean, diag(variance)) with batch shape (N,) and event shape (D,)."""
    return Independent(Gaussian(mean, (0.5 * log_variance).exp(), validate_args=False), 1)


def reparametrised(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """mean + deviation noise: draws (N, D) that gradients pass through (Kingma and Welling)."""
    return mean + (0.5 * log_variance).exp() * noise


class VAE(Variational[Density]):
    """min over E, D and what p learns of E_x [ -log p(x | z) + beta KL(q(z | x) || p(z)) ].

    q(z | x) = N(mean, diag(variance)), one reparametrised draw z of it for each image. For p = N(0,
    I) the KL is in closed form, for other densities it is that draw's log q(z | x) - log p(z). The
    MMD-VAE has beta MMD^2(z, N(0, I)) in place of the KL, over the batch's draws and as many of the
    prior, with a Gaussian kernel of width^2 D.

    With a flow f, the posterior is the distribution of f(z_0; h), z_0 ~ N(mean, diag(variance)), h
    a context that the encoder gives as well: log q(z | x) = log N(z_0) - log |det df/dz_0|.

    Args:
        encoder: data to (N, 2 latent_dim): means, then log variances; with a flow 3 latent_dim,
            the context h last.
        decoder: codes to data.
        prior: p, a density of codes: `Normal` is N(0, I); others learn with the model.
        beta: weight of the KL (1 is the VAE, others the beta-VAE) or of the MMD.
        likelihood: "squared-error": ||x - D(z)||^2, a Gaussian of variance 1/2 up to a constant;
            "bernoulli": binary cross-entropy, for data in [0, 1]; "log-mse": a Gaussian whose
            variance is the batch's mean squared error (`zspace.functional.log_squared_error`);
            "learned-variance": one whose variance is learned.
        prior_loss: "elbo" (the KL) or "mmd".
        flow: f, of one pass from z_0 to z and given a context (zuko's `MAF(...).transform`).
        betas: of Adam.

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
        """Mean and log variance of N(z_0), each (N, D), and the flow's context (N, D or 0)."""
        encoded = self.encoder(check_floats(x)).float()
        d = self.latent_dim
        return *moments_of(encoded[:, : 2 * d]), encoded[:, 2 * d :]

    def posterior(self, x: Tensor) -> Distribution:
        mean, log_variance, context = self.moments(x)
        base = diagonal_normal(mean, log_variance)
        return base if self.flow is None else NormalizingFlow(self.flow(context).inv, base)

    def encode(self, x: Tensor) -> Tensor:
        """The posterior's mean; with a flow, what f makes of the mean of z_0."""
        mean, _, context = self.moments(x)
        with torch.autocast(mean.device.type, enabled=False):
            return mean if self.flow is None else self.flow(context)(mean)

    def optimizers(self) -> dict[str, Optimizer]:
        groups = groups_of(self, self.error, self.rate)
        return {"vae": adam(groups, self.rate, self.betas)}

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        x, _ = next(batches)
        yield "vae", self.terms(x, batches)

    def terms(self, x: Tensor, batches: Batches) -> Terms:
        """The loss of a batch, whose noise `batches` draws."""
        mean, log_variance, context = self.moments(x)
        z = z_0 = reparametrised(mean, log_variance, batches.normal(self.latent_dim))
        log_det = torch.zeros(())
        if self.flow is not None:
            # sums of logarithms need full precision under autocast, too
            with torch.autocast(z_0.device.type, enabled=False):
                z, log_det = self.flow(context).call_and_ladj(z_0)
        terms = {"reconstruction": self.error(self.decode(z), x)}
        if self.prior_loss == "mmd":
            drawn = batches.normal(self.latent_dim)
            terms["mmd"] = self.beta * gaussian_mmd(z, drawn, self.latent_dim)
        elif isinstance(self.prior, Normal) and self.flow is None:
            terms["kl"] = self.beta * normal_kl(mean, log_variance)
        else:
            log_q = diagonal_normal(mean, log_variance).log_prob(z_0) - log_det
            log_p = self.prior.log_prob(full_precision(z))
            terms["kl"] = self.beta * (log_q - log_p).mean()
        return terms

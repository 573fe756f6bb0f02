"""The variational autoencoder and, with beta, the beta-VAE."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal
from torch.optim import Optimizer

from zspace.core import Batches, Density, Terms, Variational, check_floats
from zspace.functional import (
    bernoulli_error,
    gaussian_mmd,
    log_squared_error,
    normal_kl,
    squared_error,
)  # fmt: skip
from zspace.training import adam

Likelihood = Literal["squared-error", "bernoulli", "log-mse"]
ERRORS = {
    "squared-error": squared_error, "bernoulli": bernoulli_error, "log-mse": log_squared_error,
}  # fmt: skip


class VAE(Variational):
    """min over E, D of E_x [ -log p(x | z) + beta KL(q(z | x) || N(0, I)) ], z ~ q(z | x).

    q(z | x) = N(mean, diag(variance)), one reparametrised draw of it for each image. The MMD-VAE
    has beta MMD^2(z, N(0, I)) in place of the KL, over the batch's draws z and as many of the
    prior, with a Gaussian kernel of width^2 D.

    Args:
        encoder: data to (N, 2 latent_dim): means, then log variances.
        decoder: codes to data.
        prior: N(0, I) over codes of size latent_dim; the KL is in closed form.
        beta: weight of the KL (1 is the VAE, others the beta-VAE) or of the MMD.
        likelihood: "squared-error": ||x - D(z)||^2, a Gaussian of variance 1/2 up to a constant;
            "bernoulli": binary cross-entropy, for data in [0, 1]; "log-mse": a Gaussian whose
            variance is the batch's mean squared error (`zspace.functional.log_squared_error`).
        prior_loss: "elbo" (the KL) or "mmd".
        betas: of Adam.

    Reference: Kingma and Welling, Auto-Encoding Variational Bayes (2014), Eq. 10;
    Higgins et al., beta-VAE (2017), Eq. 4; Zhao et al., InfoVAE (2019), section 3.2, for the MMD.
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
        rate: float = 2e-4,
        betas: tuple[float, float] = (0.9, 0.999),
    ) -> None:
        super().__init__(encoder, decoder, prior, latent_dim)
        self.beta, self.rate, self.betas = beta, rate, betas
        self.error = ERRORS[likelihood]
        self.prior_loss = prior_loss

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z | x), each (N, D)."""
        mean, log_variance = self.encoder(check_floats(x)).float().chunk(2, 1)
        return mean, log_variance.clamp(-20, 20)

    def posterior(self, x: Tensor) -> Distribution:
        mean, log_variance = self.moments(x)
        return Independent(Normal(mean, (0.5 * log_variance).exp(), validate_args=False), 1)

    def optimizers(self) -> dict[str, Optimizer]:
        return {"vae": adam(self.parameters(), self.rate, self.betas)}

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        x, _ = next(batches)
        mean, log_variance = self.moments(x)
        z = mean + (0.5 * log_variance).exp() * batches.normal(self.latent_dim)
        terms = {"reconstruction": self.error(self.decode(z), x)}
        if self.prior_loss == "elbo":
            terms["kl"] = self.beta * normal_kl(mean, log_variance)
        else:
            drawn = batches.normal(self.latent_dim)
            terms["mmd"] = self.beta * gaussian_mmd(z, drawn, self.latent_dim)
        yield "vae", terms

"""The VAE with the implicit optimal prior."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn
from torch.optim import Optimizer

from zspace.core import Batches, Terms, always
from zspace.functional import fake_loss, full_precision, in_eval_mode, normal_kl, real_loss
from zspace.methods.vae import ERRORS, DiagonalPosterior, Likelihood, groups_of, reparametrised
from zspace.samplers.implicit import ImplicitPrior
from zspace.training import adam


class IOP(DiagonalPosterior[ImplicitPrior]):
    """A VAE whose prior is the aggregated posterior q(z), given by a learned density ratio.

        vae    min over E, D of E_x[ -log p(x | z) + KL(q(z | x) || N(0, I)) - T(z) ]
        ratio  min over T of -E_q log s(T(z)) - E_(N(0, I)) log(1 - s(T(z)))

    with s the logistic function. T learns log(q(z) / N(z; 0, I)), so that KL - T is, on average,
    KL(q(z | x) || q(z)), the least divergence that any prior can give.

    Args:
        encoder: E, which maps data to means and log variances (N, 2 D).
        decoder: D, which maps codes to data.
        prior: the prior, which holds T.
        latent_dim: D, the size of a code.
        likelihood: p(x | z), as in `zspace.methods.vae.VAE`.
        rate: the learning rate of the VAE's Adam.
        ratio_rate: the learning rate of T's Adam.

    T is updated once for each update of the VAE, and its dropout acts in its own update only.
    Reference: Takahashi et al., Variational Autoencoder with Implicit Optimal Priors (2019), Eq. 9,
    11 and 13, Algorithm 1.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        prior: ImplicitPrior,
        latent_dim: int,
        *,
        likelihood: Likelihood = "squared-error",
        rate: float = 2e-4,
        ratio_rate: float = 1e-3,
    ) -> None:
        super().__init__(encoder, decoder, prior, latent_dim)
        self.error = ERRORS[likelihood]()
        self.rate, self.ratio_rate = rate, ratio_rate

    def optimizers(self) -> dict[str, Optimizer]:
        autoencoder = nn.ModuleList([self.encoder, self.decoder])
        return {
            "vae": adam(groups_of(autoencoder, self.error, self.rate), self.rate),
            "ratio": adam(self.prior.parameters(), self.ratio_rate),
        }

    repeats = always

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        x, _ = next(batches)
        mean, log_variance = self.moments(x)
        z = reparametrised(mean, log_variance, batches.normal(self.latent_dim))
        codes = z.detach()
        yield (
            "vae",
            {
                "reconstruction": self.error(self.decode(z), x),
                "kl": normal_kl(mean, log_variance),
                "ratio": -full_precision(in_eval_mode(self.prior.ratio, z)).mean(),
            },
        )
        drawn = batches.normal(self.latent_dim)
        yield (
            "ratio",
            {
                "codes": real_loss(self.prior.log_ratio(codes)),
                "normal": fake_loss(self.prior.log_ratio(drawn)),
            },
        )

"""The conditional VAE."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from zspace.core import Batches, LatentModel, Terms, always
from zspace.errors import InputError
from zspace.functional import full_precision, normal_kl, one_hot, squared_error
from zspace.methods.vae import moments_of, reparametrised
from zspace.nets.conditional import labelled
from zspace.samplers.labelled import Labelled
from zspace.training import adam


class CVAE(LatentModel):
    """A conditional variational autoencoder, whose codes hold the label.

        min over E, D of E[ ||x - D(n, y)||^2 + beta KL(q(n | x, y) || N(0, I)) ],  n ~ q(n | x, y)

    A code is (n, e_y): noise, and the indicator of the label y. To encode images without labels, a
    classifier q(y | x), which is trained at the same time by min of -E log q(y | x), gives its
    probabilities in place of e_y.

    Args:
        encoder: maps images with maps of the label's indicator, (N, C + K, H, W), to means and log
            variances (N, 2 noise_dim).
        decoder: maps codes (N, noise_dim + K) to images.
        classifier: maps images to logits (N, K).
        prior: the distribution of codes.
        latent_dim: noise_dim + K, the size of a code.
        beta: the weight of the KL divergence.
        rate: the learning rate of both Adams.

    Reference: Sohn et al., Learning Structured Output Representation (2015), Eq. 4. The classifier
    is that of Kingma et al., Semi-supervised Learning with Deep Generative Models (2014), Eq. 9,
    for the case that all images have labels.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        classifier: nn.Module,
        prior: Labelled,
        latent_dim: int,
        *,
        beta: float = 1.0,
        rate: float = 2e-4,
    ) -> None:
        super().__init__(encoder, decoder, prior, latent_dim)
        self.classifier, self.classes = classifier, prior.labels
        self.beta, self.rate = beta, rate

    def encode(self, x: Tensor) -> Tensor:
        """The codes (N, noise_dim + K): the mean of q(n | x, p) and p, with p = q(y | x)."""
        p = full_precision(self.classifier(self.check_samples(x))).softmax(1)
        mean, _ = moments_of(self.encoder(labelled(x, p)))
        return torch.cat([mean, p], 1)

    def optimizers(self) -> dict[str, Optimizer]:
        autoencoder = [*self.encoder.parameters(), *self.decoder.parameters()]
        return {
            "cvae": adam(autoencoder, self.rate),
            "classifier": adam(self.classifier.parameters(), self.rate),
        }

    repeats = always

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        x, y = next(batches)
        if y is None:
            raise InputError("a conditional VAE needs data with labels")
        e = one_hot(y, self.classes).to(x)
        mean, log_variance = moments_of(self.encoder(labelled(x, e)))
        noise = batches.normal(mean.shape[1])
        z = torch.cat([reparametrised(mean, log_variance, noise), e], 1)
        yield (
            "cvae",
            {
                "reconstruction": squared_error(self.decode(z), x),
                "kl": self.beta * normal_kl(mean, log_variance),
            },
        )
        yield "classifier", {"cross-entropy": cross_entropy(full_precision(self.classifier(x)), y)}

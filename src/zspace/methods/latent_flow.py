"""An autoencoder whose images look real, for a flow of its codes: latent diffusion's two stages."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.optim import Optimizer

from zspace.core import Batches, Terms
from zspace.core import codes as codes_of
from zspace.data.images import Images, Part
from zspace.functional import absolute_error, fake_loss, full_precision, normal_kl, real_loss
from zspace.functional.augmentation import mirrored
from zspace.methods.vae import DiagonalPosterior, reparametrised
from zspace.nets.maps import Patches
from zspace.samplers.flow_matching import FlowMatching
from zspace.training import adam

BETAS = (0.5, 0.99)

MOST = 1e4
"""The largest balance of the two gradients."""


class LatentFlow(DiagonalPosterior[FlowMatching]):
    """An autoencoder trained to look real, whose codes a flow then learns to draw.

    The first stage has two players, the autoencoder E, D and a discriminator d of patches:

        autoencoder    min over E, D of E_x[ r + beta KL(q(z | x) || N(0, I)) + w a b ],
                       r = n (mean |x - D(z)| + p sum_l ||u_l(x) - u_l(D(z))||^2 / places),
                       a = -log s(d(D(z))),   z ~ q(z | x)
        discriminator  min over d of E_x[ -log s(d(x)) - log(1 - s(d(D(z)))) ]

    with s the logistic function, n the number of values of an image, and u_l the maps of the
    discriminator's layers, scaled to length 1 at each place: a perceptual distance that needs no
    other network and no labels. The balance b = ||grad r|| / ||grad a||, of gradients in the
    weights of the decoder's last layer, gives both the same strength there. w is 0 in the first
    part of the training, `alone` of it.

    The second stage is flow matching on the posteriors' means, which is the model's prior. If
    images are `mirror`ed, the autoencoder sees half of them so, and the flow learns both.

    Args:
        encoder: E, which maps images to means and log variances (N, 2 latent_dim).
        decoder: D, which maps codes to images.
        discriminator: d.
        prior: the flow, for codes of that size.
        latent_dim: the size of a code.
        iterations: the iterations of the first stage.
        beta: the weight of the KL divergence.
        perceptual: p.
        adversarial: w. Without p and w there is no discriminator to be trained.
        alone: the share of the first stage in which w is 0.
        mirror: whether mirrored images are images of the same kind.
        rate: the learning rate of both Adams.

    Reference: Rombach et al., High-Resolution Image Synthesis with Latent Diffusion Models (2022),
    section 3 and appendix G; Esser et al., Taming Transformers for High-Resolution Image Synthesis
    (2021), Eq. 7, for b; Larsen et al., Autoencoding Beyond Pixels (2016), section 2.3, for
    distances in a discriminator's layers. Departures: the perceptual distance is of the
    discriminator's layers and not of a network of other data; losses are those of the standard GAN;
    the prior is a flow, which is trained as diffusion models are.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        discriminator: Patches,
        prior: FlowMatching,
        latent_dim: int,
        *,
        iterations: int,
        beta: float = 1e-3,
        perceptual: float = 0.3,
        adversarial: float = 0.5,
        alone: float = 0.3,
        mirror: bool = False,
        rate: float = 5e-4,
    ) -> None:
        super().__init__(encoder, decoder, prior, latent_dim)
        self.discriminator = discriminator
        self.code_shape = prior.shape
        self.begins = round(alone * iterations)
        self.beta, self.perceptual, self.adversarial = beta, perceptual, adversarial
        self.mirror, self.rate = mirror, rate

    def optimizers(self) -> dict[str, Optimizer]:
        ours = [*self.encoder.parameters(), *self.decoder.parameters()]
        players: dict[str, Optimizer] = {"autoencoder": adam(ours, self.rate, BETAS)}
        if self.perceptual or self.adversarial:
            its = self.discriminator.parameters()
            players["discriminator"] = adam(its, self.rate, BETAS)
        return players

    def repeats(self, batches: Batches) -> Hashable:
        return batches.step >= self.begins

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        x, _ = next(batches)
        if self.mirror:
            x = mirrored(x, batches.uniform(1)[:, 0])
        mean, log_variance = self.moments(x)
        rebuilt = self.decode(reparametrised(mean, log_variance, batches.normal(self.latent_dim)))
        size = x[0].numel()
        terms = {"pixels": size * absolute_error(rebuilt, x)}
        kl = self.beta * normal_kl(mean, log_variance)
        if not self.perceptual and not self.adversarial:
            yield "autoencoder", {**terms, "kl": kl}
            return
        # the discriminator's own update goes on from these, since the autoencoder's leaves it alone
        real = self.discriminator.features(x)
        fools = self.adversarial and batches.step >= self.begins
        seen = self.discriminator.features(rebuilt) if self.perceptual or fools else []
        if self.perceptual:
            fixed = [layer.detach() for layer in real]
            terms["perceptual"] = size * self.perceptual * apart(seen, fixed)
        error = sum(terms.values(), torch.zeros((), device=x.device))
        terms["kl"] = kl
        if fools:
            fooling = real_loss(full_precision(self.discriminator.judged(seen)))
            terms["fooling"] = self.adversarial * self._balance(error, fooling) * fooling
        yield "autoencoder", terms
        rebuilt = rebuilt.detach()
        yield (
            "discriminator",
            {
                "real": real_loss(full_precision(self.discriminator.judged(real))),
                "fake": fake_loss(full_precision(self.discriminator(rebuilt))),
            },
        )

    def _balance(self, error: Tensor, fooling: Tensor) -> Tensor:
        """b, the length of the error's gradient in the last layer over that of the other's."""
        last = [p for p in self.decoder.parameters() if p.ndim > 1][-1]
        lengths = [
            torch.autograd.grad(loss, last, retain_graph=True)[0].norm()
            for loss in (error, fooling)
        ]
        return (lengths[0] / (lengths[1] + 1e-4)).clamp(max=MOST).detach()

    def codes(self, images: Images) -> Part:
        """The standardised codes (N, D) of the training images, and of mirrored ones, with labels.

        They are what the second stage is trained on. The flow takes their mean and deviation.
        """
        x, y = images.train.x, images.train.y
        found = [codes_of(self, x).cpu()]
        if self.mirror:
            found.append(codes_of(self, x.flip(3)).cpu())
            y = None if y is None else torch.cat([y, y])
        z, y = self.prior.standardised(torch.cat(found), y)
        return Part(z.cpu(), y)


def apart(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """The mean distance of maps in the layers of a network, a scalar from 0 to 4 for each layer.

        sum_l (1/(N h_l w_l)) sum over images and places of ||a_l / ||a_l|| - b_l / ||b_l||||^2

    Args:
        a, b: maps (N, C_l, h_l, w_l) of each layer.

    Reference: Zhang et al., The Unreasonable Effectiveness of Deep Features as a Perceptual Metric
    (2018), Eq. 1, without weights for channels.
    """
    distances = [
        (normalize(full_precision(i)) - normalize(full_precision(j))).square().sum(1).mean()
        for i, j in zip(a, b, strict=True)
    ]
    return torch.stack(distances).sum()

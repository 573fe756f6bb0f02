"""ReGene, a decoder trained on the latents of a frozen classifier."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from zspace.core import Batches, Classifying, Frozen, Terms, codes
from zspace.data.images import Images, Part
from zspace.functional import absolute_error, as_float, structural_similarity
from zspace.training import adam


@dataclass(frozen=True)
class Phase:
    """A phase of the decoder's training.

    Attributes:
        length: the phase's length, in a unit that is the same for all phases.
        mae, ssim, perceptual: the weights k1, k2 and k3 of Eq. 6.
        rate: the learning rate of Adam.
    """

    length: int
    mae: float
    ssim: float
    perceptual: float
    rate: float


def phase_at(phases: Sequence[Phase], iteration: int) -> Phase:
    """The phase to which an iteration, counted from 0, belongs; the last one has no end."""
    for phase in phases:
        if iteration < phase.length:
            return phase
        iteration -= phase.length
    return phases[-1]


def rate_at(phases: Sequence[Phase], iteration: int) -> float:
    """The rate of an iteration's phase over that of the first, as a learning-rate schedule."""
    return phase_at(phases, iteration).rate / phases[0].rate


class ReGene(Classifying):
    """The stage of ReGene that trains the decoder.

        min over D of  k1 MAE(D(z), x) + k2 (1 - SSIM(D(z), x)) + k3 |V(D(z)) - V(x)|    (Eq. 6)

    z = E(x) is the latent of a classifier that an earlier stage has trained by cross-entropy
    (Eq. 3; see `zspace.methods.classifier`). The classifier is frozen, so the latents are computed
    once, and a batch of this stage consists of latents and their images. MAE and SSIM are means
    over pixels; V is the first convolution of VGG16, and |.| the mean absolute difference.

    There is no prior: codes of a class are convex combinations of the latents of its training
    images (`zspace.samplers.convex`), which stay in the class by Lemma 1, and must pass two judges
    (`zspace.core.Classifying.judges`).

    Args:
        encoder: E, which maps images (N, C, H, W) in [0, 1] to latents (N, latent_dim); trained.
        head: the classifier's last layer, which maps latents to logits (N, K); trained.
        decoder: D, which maps latents to images in [0, 1].
        latent_dim: the size of a latent.
        phases: the phases, in order, with `length` in iterations; the last one continues beyond its
            length.
        window: the side of SSIM's window in pixels, odd.
        features: V; None if no phase has k3 above 0.

    The paper's name for V, InceptionV3's block1_conv1, is that of a layer of VGG16.
    Reference: Gopalakrishnan et al., Classify and generate (2021), section 3.
    """

    usual = ("convex",)
    thresholds: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Linear,
        decoder: nn.Module,
        latent_dim: int,
        phases: Sequence[Phase],
        *,
        window: int = 11,
        features: nn.Module | None = None,
    ) -> None:
        super().__init__(Frozen(encoder), decoder, None, latent_dim)
        self.head = Frozen(head)
        self.phases, self.window = tuple(phases), window
        self.features = None if features is None else Frozen(features)
        self.register_buffer("thresholds", torch.zeros(head.out_features))

    def probabilities(self, z: Tensor) -> Tensor:
        """The classifier's probabilities softmax(W z + b), (N, K), for latents z (N, D)."""
        logits: Tensor = self.head(z)
        return logits.float().softmax(1)

    def phase(self, iteration: int) -> Phase:
        """The phase to which an iteration of this stage, counted from 0, belongs."""
        return phase_at(self.phases, iteration)

    def rate(self, iteration: int) -> float:
        """The learning-rate schedule: the rate of the iteration's phase over that of the first."""
        return rate_at(self.phases, iteration)

    def optimizers(self) -> dict[str, Optimizer]:
        return {"decoder": adam(self.decoder.parameters(), self.phases[0].rate)}

    def repeats(self, batches: Batches) -> Phase:
        return self.phase(batches.step)

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        z, stored = next(batches)
        assert stored is not None
        x = as_float(stored)
        k = self.phase(batches.step)
        rebuilt = self.decode(z)
        terms = {"mae": k.mae * absolute_error(rebuilt, x)}
        if k.ssim:
            similarity = structural_similarity(rebuilt, x, self.window)
            terms["ssim"] = k.ssim * (1 - similarity).mean()
        if k.perceptual:
            assert self.features is not None
            difference = absolute_error(self.features(rebuilt), self.features(x))
            terms["perceptual"] = k.perceptual * difference
        yield "decoder", terms

    def latents(self, images: Images) -> Part:
        """The data that the decoder is trained on: the training images' latents, with the images.

        It also sets the thresholds tau_c, the mean confidence p(c | x) over the validation images
        of class c, or over its training images if there are no others. If the data have no
        validation part (`--validation 0`), the test part serves, as in the paper.
        """
        held = images.validation if len(images.validation) else images.test
        z = codes(self, images.train.x).cpu()
        for part, latents in ((images.train, z), (held, codes(self, held.x).cpu())):
            assert part.y is not None
            for label in range(len(images.classes)):
                own = latents[part.y == label].to(self.thresholds.device)
                if len(own):
                    with torch.no_grad():
                        self.thresholds[label] = self.probabilities(own)[:, label].mean()
        return Part(z, images.train.x)

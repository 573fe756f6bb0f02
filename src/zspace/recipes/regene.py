"""The recipe of `zspace train regene`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from torch import Tensor, nn

from zspace.core import codes
from zspace.data import NAMED, load_whole
from zspace.data.images import Images, Part
from zspace.errors import InputError
from zspace.features.weights import checked_weights, read_state
from zspace.functional import ClassLoss, LossOf, similarity_window
from zspace.methods.classifier import Classifier
from zspace.methods.regene import Phase, ReGene
from zspace.nets.classifiers import densenet
from zspace.nets.regene import ReGeneNets
from zspace.nets.vgg import FirstConvolution
from zspace.options import About
from zspace.recipes.base import Facts, Plan, Stage, check_left, known_training
from zspace.training import Rate


@dataclass(frozen=True)
class Schedule:
    """The paper's training on a data set.

    Attributes:
        epochs: the epochs of the classifier.
        batch_size: the images in a batch of the classifier.
        drop: the epochs after each of which the classifier's rate is multiplied by 0.99.
        phases: the phases of the decoder's training, with lengths in epochs.
        decoder_batch_size: the images in a batch of the decoder.
        last_kernels: the sides of the encoder's last two kernels.
    """

    epochs: int
    batch_size: int
    drop: int
    phases: tuple[Phase, ...]
    decoder_batch_size: int
    last_kernels: tuple[int, int] = (3, 3)

    def rate(self, per_epoch: int) -> Rate:
        """The schedule of the classifier's learning rate, for epochs of so many iterations."""
        return lambda iteration: DROP ** (iteration // (per_epoch * self.drop))


SCHEDULES = {
    "mnist": Schedule(50, 512, 20, (Phase(200, 1, 1, 0, 1e-3), Phase(100, 1, 0, 0, 1e-4)), 512),
    "cifar10": Schedule(
        100,
        512,
        20,
        (Phase(100, 1, 1, 1, 1e-3), Phase(100, 1, 0, 1, 1e-3), Phase(100, 1, 0, 0, 1e-4)),
        512,
        (9, 11),
    ),
    "celeba": Schedule(
        50,
        256,
        5,
        (Phase(300, 1, 1, 1, 5e-4), Phase(300, 1, 0, 1, 5e-4), Phase(100, 1, 0, 0, 5e-4)),
        128,
    ),
}
"""The schedules of Appendices A.1.1 to A.1.4 (Fashion-MNIST is trained like MNIST)."""

DROP = 0.99
CLASSIFIER_RATE = 5e-3
BATCHES = 20
"""The least number of batches in an epoch by default; the paper's smallest data set has 98."""


def regene(
    facts: Facts,
    *,
    iterations: Annotated[
        int | None,
        About(
            "training iterations of the classifier and the decoder together (unset: the paper's "
            "epochs)",
            least=2,
        ),
    ] = None,
    classifier_iterations: Annotated[
        int | None,
        About(
            "training iterations of the classifier alone (unset: its share of the paper's epochs)",
            least=1,
        ),
    ] = None,
    schedule_iterations: Annotated[
        int | None,
        About(
            "decoder iterations over which its loss weights and rates change (unset: all)", least=1
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        About(
            "images in a batch (unset: the paper's, but at most a twentieth of the training "
            "images)",
            least=2,
        ),
    ] = None,
    schedule: Annotated[
        Literal["mnist", "cifar10", "celeba"] | None,
        About(
            "data set whose epochs, loss weights and rates in the paper are used (unset: mnist for "
            "grey images, cifar10 for colour, celeba for colour above 32 pixels)"
        ),
    ] = None,
    loss: Annotated[ClassLoss, About("loss of the classifier")] = "cross-entropy",
    loss_of: Annotated[
        LossOf,
        About(
            "what a loss other than the cross-entropy is of: the softmax, or the logits",
            of={"loss": ("hinge", "cosine", "mse")},
        ),
    ] = "softmax",
    decoder_data: Annotated[
        str | None,
        About(
            "folder of images, or array file, that the decoder is trained on; --iterations says "
            "for how long (unset: the classifier's images)"
        ),
    ] = None,
    ssim: Annotated[
        float | None,
        About("weight of 1 - SSIM in the decoder's first phase (unset: the schedule's)", least=0),
    ] = None,
    ssim_window: Annotated[
        int | None,
        About("side of SSIM's window, odd (unset: 11, or the largest that fits)", least=1),
    ] = None,
    perceptual: Annotated[
        float | None,
        About(
            "weight of the difference in VGG16's first convolution in all phases but the last "
            "(unset: the schedule's)",
            least=0,
        ),
    ] = None,
    encoder: Annotated[
        Literal["regene", "densenet"],
        About("encoder: the paper's convolutions, or a DenseNet (Figure 5)"),
    ] = "regene",
    depth: Annotated[
        int, About("number of layers of the DenseNet", least=10, of={"encoder": ("densenet",)})
    ] = 100,
    blocks: Annotated[
        int | None,
        About(
            "number of the encoder's blocks, one more than its poolings (unset: 4 at 28 and 32 "
            "pixels, 5 at 64)",
            least=1,
        ),
    ] = None,
    convolutions: Annotated[
        int,
        About(
            "number of convolutions in each block between the first and the last",
            least=1,
            of={"encoder": ("regene",)},
        ),
    ] = 1,
    width: Annotated[int, About("channels of the encoder", least=1)] = 128,
    decoder_width: Annotated[
        int,
        About(
            "channels of the decoder's first convolutions; the others have half as many", least=1
        ),
    ] = 512,
    classifier_rate: Annotated[
        float, About("Adam's learning rate for the classifier", above=0)
    ] = CLASSIFIER_RATE,
    learning_rate: Annotated[
        float | None,
        About(
            "Adam's learning rate in the decoder's first phase, with the others in proportion "
            "(unset: the schedule's)",
            above=0,
        ),
    ] = None,
) -> Plan:
    """A classifier and a decoder of its latents, to combine them (Gopalakrishnan et al., 2021)."""
    if len(facts.classes) < 2:
        raise InputError("regene learns from labels: it needs labelled data of two classes or more")
    if not facts.is_image:
        raise InputError("regene takes images, not vectors")
    if decoder_data is not None and iterations is None:
        raise InputError(
            f"--decoder-data {decoder_data}: give --iterations, too, since the paper's epochs are "
            "of images that are not counted yet"
        )
    name = schedule or schedule_for(facts.shape)
    paper = SCHEDULES[name]
    n = facts.train_images
    own = max(2, n // BATCHES)
    first_batch = batch_size or min(paper.batch_size, own)
    second_batch = batch_size or min(paper.decoder_batch_size, own)
    per_epoch = max(1, n // first_batch)
    first = paper.epochs * per_epoch
    second = sum(p.length for p in paper.phases) * max(1, n // second_batch)
    if iterations is not None and classifier_iterations is None:
        first = max(1, round(iterations * first / (first + second)))
    first = classifier_iterations or first
    total = iterations or first + second
    check_left(total, first, "the classifier's", "the decoder")
    laid = schedule_iterations or total - first
    phases = laid_phases(paper.phases, laid, ssim=ssim, perceptual=perceptual, rate=learning_rate)
    window = ssim_window or similarity_window(facts.shape)
    if any(p.ssim for p in phases) and (window % 2 == 0 or window > min(facts.shape[1:])):
        raise InputError(
            f"--ssim-window {window} must be odd, and no larger than the images of "
            f"{facts.shape[1]}x{facts.shape[2]} pixels"
        )
    nets = ReGeneNets(facts.shape, width, decoder_width, blocks, convolutions, paper.last_kernels)
    if encoder == "densenet":
        body, dim = densenet(facts.shape, depth)
        decoder = nets.decoder(dim)
    else:
        body, dim = nets.encoder(), nets.latent_dim
        decoder = nets.decoder()
    head = nn.Linear(dim, len(facts.classes))
    vgg = FirstConvolution() if any(p.perceptual for p in phases) else None
    model = ReGene(body, head, decoder, dim, phases, window=window, features=vgg)
    net = nn.Sequential(body, head)
    classifier = Classifier(net, rate=classifier_rate, loss=loss, loss_of=loss_of)

    def latents(images: Images) -> Part:
        own = model.latents(images)
        if decoder_data is None:
            return own
        x = _other_images(decoder_data, facts.shape)
        return Part(codes(model, x).cpu(), x)

    def begin() -> None:
        if decoder_data is not None and (decoder_data in NAMED or not Path(decoder_data).exists()):
            raise InputError(
                f"--decoder-data {decoder_data} is no folder of images and no .npy or .npz file"
            )
        if vgg is not None:
            try:
                path, _ = checked_weights("vgg16")
            except InputError as error:
                raise InputError(f"{error}; --perceptual 0 leaves that term out") from error
            vgg.take(read_state(path))

    return Plan(
        model,
        (
            Stage(classifier, first, first_batch, rate=paper.rate(per_epoch), data=known_training),
            Stage(model, total - first, second_batch, rate=model.rate, data=latents),
        ),
        found={
            "iterations": total,
            "classifier_iterations": first,
            "schedule_iterations": laid,
            "schedule": name,
            "blocks": len(nets.sides),
            "ssim_window": window,
        },
        begin=begin,
    )


def schedule_for(shape: tuple[int, ...]) -> Literal["mnist", "cifar10", "celeba"]:
    """The default key of `SCHEDULES` for images of a shape (C, H, W)."""
    if shape[0] == 1:
        return "mnist"
    return "cifar10" if max(shape[1:]) <= 32 else "celeba"


def _other_images(data: str, shape: tuple[int, ...]) -> Tensor:
    """All images of a folder or an array file, converted to a shape (C, H, W)."""
    size: Any = shape[1] if shape[1] == shape[2] else None
    whole, _ = load_whole(data, image_size=size, channels=shape[0])
    own = tuple(whole.x.shape[1:])
    if own != shape:
        raise InputError(f"--decoder-data {data} has images of shape {own}, the data's is {shape}")
    return whole.x


def laid_phases(
    phases: tuple[Phase, ...],
    iterations: int,
    *,
    ssim: float | None = None,
    perceptual: float | None = None,
    rate: float | None = None,
) -> list[Phase]:
    """The phases with lengths in iterations, and with the weights and the rate that are given."""
    epochs = [sum(p.length for p in phases[:i]) for i in range(len(phases) + 1)]
    starts = [round(iterations * done / epochs[-1]) for done in epochs]
    laid: list[Phase] = []
    for i, p in enumerate(phases):
        last = i == len(phases) - 1
        laid.append(
            Phase(
                starts[i + 1] - starts[i],
                p.mae,
                p.ssim if ssim is None or i else ssim,
                p.perceptual if perceptual is None or last else perceptual,
                p.rate if rate is None else rate * p.rate / phases[0].rate,
            )
        )
    return laid

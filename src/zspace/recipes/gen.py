"""The recipe of `zspace train gen`."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch

from zspace.data.images import Images, Part, withhold
from zspace.errors import InputError
from zspace.methods.gen import GEN
from zspace.options import About
from zspace.recipes import shared
from zspace.recipes.base import Facts, Plan, Stage, networks
from zspace.samplers.kde import least_samples, optimal_bandwidths
from zspace.samplers.mixture import Mixture

GENLatentDim = Annotated[
    int | None,
    About(
        "size of a code (unset: 8 for grey images, 25 for colour ones, 40 for colour above 32 "
        "pixels, 2 for vectors or a mixture)",
        least=1,
    ),
]
GENArchitecture = Annotated[
    Literal["conv", "fc"] | None,
    About(
        "networks: the FlexAE paper's, or fully connected ones (unset: conv for colour, else fc)"
    ),
]


def gen(
    facts: Facts,
    *,
    iterations: shared.Iterations = 20_000,
    batch_size: shared.BatchSize = 100,
    latent_dim: GENLatentDim = None,
    target: Annotated[
        Literal["normal", "mixture"],
        About("distribution that the codes are matched to: N(0, I), or a ring of unit Gaussians"),
    ] = "normal",
    components: shared.Components = None,
    separation: shared.Separation = 6.0,
    labelled: Annotated[
        int | None,
        About(
            "number of training images whose labels are used, so that each class gets its own "
            "component of the mixture (unset: none)",
            least=1,
        ),
    ] = None,
    centres: Annotated[
        int | None,
        About(
            "number m of images set aside for the kernel density (unset: 10,000, or 20,000 for "
            "colour above 32 pixels, but at most half of the training images)",
            least=2,
        ),
    ] = None,
    bandwidth: Annotated[
        float | None,
        About(
            "bandwidth h of the kernel density, below 1 (unset: an estimate of the optimum)",
            least=0.001,
        ),
    ] = None,
    weight: Annotated[
        float,
        About("weight lambda of the divergence, relative to the mean error of a pixel", least=0),
    ] = 0.01,
    form: Annotated[
        Literal["jsd", "non-saturating"] | None,
        About(
            "form of the divergence: the paper's, or one that also attracts distant codes (unset: "
            "non-saturating for a mixture, else jsd)"
        ),
    ] = None,
    lag: Annotated[int, About("iterations between encodings of the centres", least=1)] = 10,
    floor: Annotated[
        bool, About("keep the kernel density above the target's density at its 99.9% edge")
    ] = True,
    arch: GENArchitecture = None,
    width: shared.Width = 64,
    hidden: shared.Hidden = None,
    learning_rate: shared.LearningRate = 2e-4,
) -> Plan:
    """An autoencoder whose codes are matched to a known density (Saha et al., 2020)."""
    if labelled is not None and target != "mixture":
        raise InputError("--labelled gives each class a component of its own: --target mixture")
    if labelled is not None and len(facts.classes) < 2:
        raise InputError("--labelled needs data with labels, of two classes or more")
    if labelled is not None and labelled < len(facts.classes):
        raise InputError(
            f"--labelled {labelled}: there are {len(facts.classes)} classes, each needs one"
        )
    if labelled is not None and components not in (None, len(facts.classes)):
        raise InputError(
            f"--labelled: the mixture has a component for each of the {len(facts.classes)} "
            f"classes: leave out --components {components}"
        )
    if target == "mixture":
        count = components or len(facts.classes) or 10
        dim = latent_dim or 2
        density = ring(count, dim, separation, labelled=labelled is not None)
    else:
        dim = latent_dim or code_size(facts)
        density = Mixture(dim, components=1)
    large = facts.is_image and facts.shape[0] == 3 and facts.shape[1] > 32
    m = centres or max(2, min(20_000 if large else 10_000, facts.train_images // 2))
    if m + batch_size > facts.train_images > 0:
        raise InputError(
            f"{facts.train_images} training images are too few to set {m} aside for the kernel "
            f"density (--centres) and leave a batch of {batch_size} (--batch-size)"
        )
    h = bandwidth or find_bandwidth(density, m)
    arch = arch or default_architecture(facts)
    nets = networks(facts, arch, dim, width, hidden)
    model = GEN(
        nets.encoder(),
        nets.decoder(),
        density,
        dim,
        centres=m,
        bandwidth=h,
        weight=weight,
        lag=lag,
        form=form or ("non-saturating" if target == "mixture" else "jsd"),
        floor=floor,
        rate=learning_rate,
    )

    def partly_labelled(images: Images) -> Part:
        y = withhold(images.train, images.classes, labelled) if labelled else images.train.y
        return Part(images.train.x, y)

    stage = Stage(model, iterations, batch_size, reserve=m, data=partly_labelled)
    found = {"centres": m, "bandwidth": h, "latent_dim": dim, "arch": arch}
    return Plan(model, (stage,), found)


def code_size(facts: Facts) -> int:
    """The paper's size of a code: 8 for MNIST, 25 for SVHN, 40 for CelebA (GEN, section 5.3)."""
    if not facts.is_image:
        return 2
    if facts.shape[0] == 1:
        return 8
    return 25 if facts.shape[1] <= 32 else 40


def default_architecture(facts: Facts) -> Literal["conv", "fc"]:
    """The architecture for some data unless another is chosen: convolutions for colour images."""
    return "conv" if facts.is_image and facts.shape[0] == 3 else "fc"


def ring(components: int, dim: int, separation: float, *, labelled: bool = False) -> Mixture:
    """A mixture of unit Gaussians of equal weight on a circle in the first two dimensions.

    Their means are evenly spaced on the circle, or on a line in one dimension; that of a single one
    is 0.

    Args:
        components: the number of Gaussians.
        dim: D, the size of a code.
        separation: the distance between neighbours.
        labelled: whether component k belongs to the label k.
    """
    means = torch.zeros(components, dim)
    if dim == 1:
        means[:, 0] = separation * (torch.arange(components) - (components - 1) / 2)
    else:
        angle = torch.arange(components) * (2 * math.pi / components)
        radius = separation / (2 * math.sin(math.pi / components)) if components > 1 else 0.0
        means[:, 0], means[:, 1] = radius * angle.cos(), radius * angle.sin()
    weights, covariances = torch.ones(components), torch.eye(dim).expand(components, dim, dim)
    return Mixture.of(weights, means, covariances, labelled=labelled)


def find_bandwidth(target: Mixture, centres: int) -> float:
    """The optimal bandwidth h_opt of a target, the mean of three trials to four digits.

    Args:
        target: the target density.
        centres: the number of centres.

    Raises:
        InputError: h_opt is not below 1; the message says what to change.
    """
    components, dim = target.means.shape
    found = optimal_bandwidths(target, centres, trials=3, queries=min(centres, 4000))
    h = float(found.nanmean())
    if h < 1:
        return round(h, 4)
    if components > 1:
        raise InputError(
            f"{centres} centres are too few for {components} Gaussians in {dim} dimensions: the "
            f"optimal bandwidth is {h:.3g}, and only below 1 are codes more than points: raise "
            "--centres, or lower --components or --latent-dim"
        )
    least = least_samples(dim)
    more = "no number of centres" if least is None else f"--centres {least}"
    raise InputError(
        f"--latent-dim {dim} is too large for {centres} centres: the optimal bandwidth is {h:.3g}, "
        f"and only below 1 are codes more than a point: {more} would do"
    )

"""Images generated from convex combinations of codes, their combinations, and data sets of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from zspace.core import SILENT, LatentModel, Progress, codes, decoded
from zspace.data.images import Images, Part, join
from zspace.functional.tensors import BLOCK
from zspace.generation.files import DATA, IMAGES, LABELS, Block, write_folder, write_npz
from zspace.generation.fit import read_sampler, refit_sampler
from zspace.recipes.catalogue import check_drawing
from zspace.samplers import Convex
from zspace.samplers.convex import Combined, ExhaustedError, joined


@dataclass(frozen=True)
class Generation:
    """Images generated from combined codes of one class.

    Attributes:
        label: the label of the class.
        combined: the codes, their sources and the trials.
        x: the images, uint8 (n, C, H, W), or vectors, float32 (n, D).
    """

    label: int
    combined: Combined
    x: Tensor


def generation_blocks(
    model: LatentModel,
    convex: Convex,
    n: int,
    label: int,
    *,
    generations: int = 1,
    origin: Literal["latents", "images"] = "latents",
    generator: torch.Generator | None = None,
) -> Iterator[tuple[int, Generation]]:
    """What `generate` returns, in blocks of 256 images, each with its generation's number, from 1.

    The trials are those of the generation up to then. Of a generation that is combined again, the
    codes are held.
    """
    for number in range(1, generations + 1):
        sources: list[Tensor] = []
        for combined in convex.blocks(n, label, generator=generator):
            x = decoded(model, combined.codes)
            if number < generations:
                sources.append(combined.codes if origin == "latents" else codes(model, x))
            yield number, Generation(label, combined, x)
        if number < generations:
            z = torch.cat(sources)
            convex = convex.over(z, torch.full((len(z),), label, device=z.device))


def generate(
    model: LatentModel,
    convex: Convex,
    n: int,
    label: int,
    *,
    generations: int = 1,
    origin: Literal["latents", "images"] = "latents",
    generator: torch.Generator | None = None,
) -> list[Generation]:
    """Several generations of n images of a class, each combined from the one before it.

    Args:
        model: the model that decodes.
        convex: the sampler, fitted to the codes of training images, which are the sources of the
            first generation.
        n: the number of images in each generation.
        label: the label of the class.
        generations: the number of generations.
        origin: the codes that a further generation combines: "latents", those that were decoded to
            the last generation's images, gives siblings; "images", those to which these images are
            encoded again, gives children.
        generator: the random generator.

    Returns the generations in order. The sources of the first are rows of the training images,
    those of another are rows of the generation before it.
    Raises:
        InputError: too few candidates pass the judges (see `Convex.combined`), or n is below the
            number of codes that are combined.
    Reference: ReGene, section 6.5.
    """
    blocks = generation_blocks(
        model, convex, n, label, generations=generations, origin=origin, generator=generator
    )
    made: list[Generation] = []
    for _, own in groupby(blocks, key=itemgetter(0)):
        parts = [part for _, part in own]
        whole = joined([part.combined for part in parts])
        made.append(Generation(label, whole, torch.cat([part.x for part in parts])))
    return made


def shares(n: int, classes: int) -> list[int]:
    """The number of images of each class if n images are divided as evenly as possible."""
    return [n // classes + (label < n % classes) for label in range(classes)]


def missing(train: Part, classes: int) -> list[int]:
    """The number of images by which each class has fewer than the largest, by label."""
    counts = train.counts(classes)
    return (counts.max() - counts).tolist()


def augmented_blocks(
    model: LatentModel,
    convex: Convex,
    counts: Sequence[int],
    *,
    further: bool = False,
    generator: torch.Generator | None = None,
    progress: Progress = SILENT,
) -> Iterator[Part]:
    """What `augmented` returns, in blocks of 256 images."""
    for label, count in enumerate(counts):
        given = 0
        try:
            for made in _of_class(model, convex, count, label, generator):
                given += len(made)
                yield made
        except ExhaustedError:
            if not further:
                raise
            progress.say(
                f"{convex.name_of(label)}: after {given} images all combinations of "
                f"{convex.combine} of its codes are used; the other {count - given} are drawn with "
                "--weights dirichlet"
            )
            other = convex.changed(weights="dirichlet", combine=convex.combine)
            yield from _of_class(model, other, count - given, label, generator)


def _of_class(
    model: LatentModel, convex: Convex, count: int, label: int, generator: torch.Generator | None
) -> Iterator[Part]:
    if count:
        for _, made in generation_blocks(model, convex, count, label, generator=generator):
            yield Part(made.x, torch.full((len(made.x),), label))


def augmented(
    model: LatentModel,
    convex: Convex,
    counts: Sequence[int],
    *,
    further: bool = False,
    generator: torch.Generator | None = None,
    progress: Progress = SILENT,
) -> Part:
    """Generated images of several classes, with their labels.

    Args:
        model: the model that decodes.
        convex: the sampler, fitted to the codes of training images.
        counts: the number of images of each class, by label.
        further: whether a class of which all combinations are used goes on with weights that are
            drawn at random, of which a message tells.
        generator: the random generator.
        progress: told that message.

    Raises:
        InputError: too few candidates of a class pass the judges.
    """
    blocks = augmented_blocks(
        model, convex, counts, further=further, generator=generator, progress=progress
    )
    return join([*blocks])


def labelled(parts: Iterable[Part], ending: str = "") -> Iterator[Block]:
    """The blocks by which `write_labelled` writes samples and their labels.

    Args:
        parts: the samples, all with labels.
        ending: "", "_validation" or "_test", for the part of the data set that they belong to.
    """
    for part in parts:
        assert part.y is not None
        for x, y in zip(part.x.split(BLOCK), part.y.split(BLOCK), strict=True):
            yield {(IMAGES if x.ndim == 4 else DATA) + ending: x, LABELS + ending: y}


def write_labelled(
    out: Path, blocks: Iterable[Block], classes: Sequence[str], parts: Sequence[str] = ("",)
) -> None:
    """Write a labelled data set that `--data` reads.

    Args:
        out: an .npz file, or else a folder that gets a sub-folder for each class.
        blocks: the samples and labels of the parts, which `labelled` makes, and further arrays by
            name; a folder gets these as NAME.csv, a line for each row.
        classes: the names of the labels.
        parts: the endings of the parts that there are.

    Raises:
        InputError: vectors can't go to a folder, or the classes can't name folders.
    """
    if out.suffix.lower() == ".npz":
        write_npz(out, blocks, {"classes": np.array(classes)})
    else:
        write_folder(out, blocks, classes, parts)


def convex_of(
    run: str | Path,
    model: LatentModel,
    options: Mapping[str, Any],
    images: Images | None = None,
    *,
    data_dir: str | None = None,
) -> Convex:
    """The sampler of convex combinations of a run, with given options.

    It is fitted and stored if the run does not have it.

    Args:
        run: the run.
        model: the run's model.
        options: options that replace those of the stored sampler.
        images: the run's data, if they have been read already.
        data_dir: the folder in which the run's data are now.

    Raises:
        InputError: an option is not allowed or has no effect, or the data have no labels.
    """
    held = read_sampler(run, "convex", model)
    fitted = held or refit_sampler(run, "convex", model, images=images, data_dir=data_dir)
    assert isinstance(fitted, Convex)
    check_drawing(fitted, options)
    return fitted.changed(**options)

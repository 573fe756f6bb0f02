"""Images generated from convex combinations of codes, their combinations, and data sets of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from zspace.core import LatentModel, codes, decoded
from zspace.data import Images
from zspace.data.images import Part
from zspace.display import plots
from zspace.errors import InputError
from zspace.generation.fit import read_sampler, refit_sampler
from zspace.samplers import Convex
from zspace.samplers.convex import Combined
from zspace.storage.files import atomic, write_text


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
    made: list[Generation] = []
    for _ in range(generations):
        if made:
            last = made[-1]
            z = last.combined.codes if origin == "latents" else codes(model, last.x)
            convex = convex.over(z, torch.full((len(z),), label, device=z.device))
        combined = convex.combined(n, label, generator=generator)
        made.append(Generation(label, combined, decoded(model, combined.codes)))
    return made


def shares(n: int, classes: int) -> list[int]:
    """The number of images of each class if n images are divided as evenly as possible."""
    return [n // classes + (label < n % classes) for label in range(classes)]


def augmented(
    model: LatentModel,
    convex: Convex,
    per_class: int,
    classes: Sequence[str],
    *,
    generator: torch.Generator | None = None,
) -> Part:
    """Generated images of every class, with their labels.

    Args:
        model: the model that decodes.
        convex: the sampler, fitted to the codes of training images.
        per_class: the number of images of each class.
        classes: the names of the classes.
        generator: the random generator.

    Raises:
        InputError: too few candidates of a class pass the judges.
    """
    made = [
        generate(model, convex, per_class, label, generator=generator)[0]
        for label in range(len(classes))
    ]
    y = torch.arange(len(classes)).repeat_interleave(per_class)
    return Part(torch.cat([g.x for g in made]), y)


def beside(images: Images, generated: Part) -> dict[str, Part]:
    """The parts of a labelled data set by name, with generated images in the training part, too."""
    assert images.train.y is not None
    assert generated.y is not None
    x = torch.cat([images.train.x, generated.x])
    y = torch.cat([images.train.y, generated.y])
    return {"train": Part(x, y), "validation": images.validation, "test": images.test}


def write_labelled(
    out: Path,
    parts: Mapping[str, Part],
    classes: Sequence[str],
    more: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a labelled data set that `--data` reads.

    Args:
        out: an .npz file, or else a folder that gets a sub-folder for each class.
        parts: the parts by name, "train" and possibly "validation" and "test".
        classes: the names of the labels.
        more: further arrays by name; a folder gets them as NAME.csv, a line for each row.

    Raises:
        InputError: vectors can't go to a folder, or the classes can't name folders.
    """
    if out.suffix == ".npz":
        arrays: dict[str, Any] = {"classes": np.array(classes)}
        for name, part in parts.items():
            ending = "" if name == "train" else f"_{name}"
            kind = "images" if part.x.ndim == 4 else "data"
            arrays[kind + ending] = plots.to_uint8(part.x) if part.x.ndim == 4 else part.x.numpy()
            assert part.y is not None
            arrays["labels" + ending] = part.y.numpy()
        arrays |= {
            k: plots.to_uint8(v) if v.ndim == 4 else v.cpu().numpy()
            for k, v in (more or {}).items()
        }
        with atomic(out) as partial:
            np.savez(partial, **arrays)
        return
    folders = _folder_names(classes)
    with atomic(out) as partial:
        partial.mkdir()
        for name, part in parts.items():
            if part.x.ndim != 4:
                raise InputError("vectors go to an .npz file, not to a folder of images")
            root = partial if len(parts) == 1 else partial / name
            for folder in folders:
                (root / folder).mkdir(parents=True)
            assert part.y is not None
            for i, (image, label) in enumerate(zip(part.x, part.y.tolist(), strict=True)):
                picture = plots.to_uint8(image[None])[0]
                Image.fromarray(picture).save(root / folders[label] / f"{i:06d}.png")
        for name, rows in (more or {}).items():
            lines = [",".join(str(v) for v in np.atleast_1d(row)) for row in rows.cpu().numpy()]
            write_text(partial / f"{name}.csv", "".join(f"{line}\n" for line in lines))
        if out.exists():
            out.rmdir()


def _folder_names(classes: Sequence[str]) -> list[str]:
    """The names of the classes' folders, without slashes and leading dots."""
    names = [c.replace("/", "-").replace("\\", "-").lstrip(".") or "-" for c in classes]
    taken = {"train", "test", "validation", "valid", "val"}
    if len(set(names)) < len(names) or all(name in taken for name in names):
        raise InputError(f"the classes {', '.join(classes)} can't name folders: write an .npz file")
    return names


def convex_of(run: str | Path, model: LatentModel, options: Mapping[str, Any]) -> Convex:
    """The sampler of convex combinations of a run, with given options.

    It is fitted and stored if the run does not have it.

    Args:
        run: the run.
        model: the run's model.
        options: options that replace those of the stored sampler.

    Raises:
        InputError: an option is not allowed, or the data have no labels.
    """
    fitted = read_sampler(run, "convex", model) or refit_sampler(run, "convex", model)
    assert isinstance(fitted, Convex)
    return fitted.changed(**options)

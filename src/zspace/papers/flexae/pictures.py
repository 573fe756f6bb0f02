"""FlexAE's figures that show images: samples, interpolations, attributes and neighbours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from zspace import api
from zspace.core import codes, decoded
from zspace.data.given import images_of
from zspace.display import plots
from zspace.display.pictures import interpolation_rows, reconstruction_rows
from zspace.errors import InputError
from zspace.evaluation.measurement import GENERATION, Measurement, Subject
from zspace.evaluation.neighbours import neighbours
from zspace.functional import as_float, blockwise
from zspace.metrics import mean_figure
from zspace.papers.entries import Entry, part_of
from zspace.papers.flexae.trained import ATTRIBUTES, error, measured_by, seeded, shown, trained
from zspace.papers.lab import Lab
from zspace.papers.ways import ways
from zspace.storage.run import Run


def fig4(lab: Lab) -> list[Entry]:
    """Figure 4: test images, with each row of reconstructions below them, and generated images."""
    run, x, model = shown(lab, 32)
    plots.save_sheet(lab.picture("fig4-reconstructions"), *reconstruction_rows(model, x))
    plots.save_sheet(lab.picture("fig4-samples"), model.sample(64, generator=seeded(model)))
    return error(lab, run)


def samples(lab: Lab) -> list[Entry]:
    """Figures 6 to 9: a sheet of 225 generated images."""
    run, _, model = shown(lab, 1)
    plots.save_sheet(lab.picture("samples"), model.sample(225, generator=seeded(model)), 15)
    return error(lab, run)


def interpolations(lab: Lab) -> list[Entry]:
    """Figure 10: rows of interpolations between the codes of two test images, all decoded.

    On CIFAR-10, the two images of a row are of one class. How evenly images change, and whether
    they look real, is measured (`zspace.papers.ways`).
    """
    run, a, b, model = pairs(lab, 10)
    rows = model.interpolate(a, b, 9)
    plots.save_sheet(lab.picture("interpolations"), rows.flatten(0, 1), 9)
    held = measured_by(lab, run)
    return [*error(lab, run), *ways(held, part_of(held.images), by_class=lab.data == "cifar10")]


def pairs(lab: Lab, n: int) -> tuple[Run, Tensor, Tensor, Any]:
    """The run of FlexAE-SR, n pairs of test images, and the model."""
    run, x, model = shown(lab, 2 * n)
    test = lab.images(run).test
    if lab.data != "cifar10" or test.y is None:
        return run, x[:n], x[n:], model
    labels = [label % (int(test.y.max()) + 1) for label in range(n)]
    rows = torch.stack([(test.y == label).nonzero()[:2, 0] for label in labels])
    a, b = (as_float(test.x[own].to(x.device)) for own in rows.T)
    return run, a, b, model


def direction(
    lab: Lab, run: Run, attribute: str, part: str = "test"
) -> tuple[Tensor, Tensor, Tensor]:
    """The direction of an attribute in latent space, and images without and with it.

    The direction is the difference between the mean codes of training images with and without the
    attribute, which training itself does not use.

    Args:
        lab: the experiment's surroundings.
        run: the run of the model.
        attribute: the name of a CelebA attribute.

        part: the part of the data that the images are from.

    Returns the direction (D,), up to two images without the attribute, and up to two with it.
    Raises:
        InputError: no image of the part has the attribute, or all have it.
    """
    labelled = {**run.config, "label_attribute": attribute}
    images = images_of(run.config["data"], labelled)
    model = api.load(run.folder, device=lab.device)
    z, y = codes(model, images.train.x), images.train.y
    assert y is not None
    y = y.to(z.device)
    way = z[y == 1].mean(0) - z[y == 0].mean(0)
    shown_part = images.test if part == "test" else images.train
    labels = shown_part.y
    assert labels is not None
    without, having = (as_float(shown_part.x[labels == label][:2]) for label in (0, 1))
    if not len(without) or not len(having):
        raise InputError(f"the {part} images have none without, or none with {attribute}")
    return way, without.to(z.device), having.to(z.device)


def attribute_grid(name: str, letters: Sequence[str]) -> Callable[[Lab], list[Entry]]:
    """One of Figures 11 to 15: the experiment that moves faces along an attribute's direction.

    Args:
        name: the attribute.
        letters: the letters of the four pictures.
    """

    def figure(lab: Lab) -> list[Entry]:
        """Draw a grid for each of two images without the attribute and of two with it.

        In reading order, the image's code is moved by -2 to 2 times the attribute's direction; the
        image itself is in the middle. Where the judge of the features knows the attribute, the
        entries say how many of 500 test images have it when they are moved (`moved`).
        """
        run = trained(lab, "FlexAE-SR")
        way, without, having = direction(lab, run, name)
        model = api.load(run.folder, device=lab.device)
        steps = torch.linspace(-2, 2, 25, device=way.device)[:, None] * way
        letter = iter(letters)
        with torch.no_grad():
            for x in (*without, *having):
                grid = blockwise(model.decode, model.encode(x[None]) + steps)
                plots.save_sheet(lab.picture(f"{name}-{next(letter)}"), grid, 5, (12,))
        return [*error(lab, run), *moved(measured_by(lab, run), way, name)]

    return figure


def moved(held: Measurement, way: Tensor, name: str) -> list[Entry]:
    """The entries for how many faces have an attribute, by the judge, as their codes are moved.

    Args:
        held: the measurement; its features may be of a judge that knows other attributes alone,
            and then there are no entries.
        way: the attribute's direction (D,).
        name: the attribute's name.
    """
    classes = held.extractor.classes or ()
    own = torch.tensor([i for i, known in enumerate(classes) if name in known.split("+")])
    if not len(own):
        return []
    z, entries = held.means[:500], []
    for shift in (-2, -1, 0, 1, 2):
        what = f"{shift} times {name}"
        x = Subject(what, GENERATION, decoded(held.model, z + shift * way.cpu()))
        share = mean_figure(torch.isin(held.features(x, "logits").argmax(1), own).float())
        by, data, part = held.extractor.name, f"{held.images.name} test", part_of(held.images)
        entries.append(Entry(what, "share with the attribute", share, by, data, len(z), part=part))
    return entries


def fig5(lab: Lab) -> list[Entry]:
    """Figure 5: interpolations, attributes of faces, and nearest training images.

    The first and last image of a row of interpolations are real, those between them are decoded
    from points on the line between the codes. There is a row for each attribute, with a training
    image that has it in the middle. The four nearest training images of each generated image are
    those by pixels and those by features. How evenly images change from one to another, and
    whether those between look real, is measured (`zspace.papers.ways`).
    """
    run, x, model = shown(lab, 20)
    plots.save_sheet(lab.picture("interpolations"), *interpolation_rows(model, x[:10], x[10:]))
    if lab.data == "celeba":
        rows: list[Tensor] = []
        for name in ATTRIBUTES:
            way, _, having = direction(lab, run, name, "training")
            steps = torch.linspace(-2, 2, 9, device=way.device)[:, None] * way
            with torch.no_grad():
                row = model.decode(model.encode(having[:1]) + steps)
            row[4] = having[0]
            rows.append(row)
        plots.save_sheet(lab.picture("attributes"), torch.cat(rows), 9)
    _neighbours(lab, run, 5, 4, both=True)
    held = measured_by(lab, run)
    return [*error(lab, run), *ways(held, part_of(held.images))]


def nearest(which: str) -> Callable[[Lab], list[Entry]]:
    """One of Figures 16 to 19: the experiment that shows the nearest training images.

    Args:
        which: "features" compares images by features, "pixels" by pixels.
    """

    def figure(lab: Lab) -> list[Entry]:
        """Draw generated images, each beside its fourteen nearest training images."""
        run = trained(lab, "FlexAE-SR")
        _neighbours(lab, run, 15, 14, both=False, by_features=which == "features")
        return error(lab, run)

    return figure


def _neighbours(
    lab: Lab, run: Run, n: int, k: int, *, both: bool, by_features: bool = False
) -> None:
    held = measured_by(lab, run)
    found = neighbours(held, "prior", n, k)
    training = held.images.train.x
    if both:
        plots.save_sheet(lab.picture("neighbours"), *found.rows(training))
        return
    rows = found.by_features if by_features else found.by_pixels
    pairs = zip(found.images, rows, strict=True)
    lines = [torch.cat([image[None], training[row]]) for image, row in pairs]
    plots.save_sheet(lab.picture("neighbours"), as_float(torch.cat(lines)), k + 1)

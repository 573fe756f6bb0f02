"""FlexAE's figures of images: samples, interpolations, attributes, neighbours."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from zspace import api
from zspace.core import codes
from zspace.display import plots
from zspace.display.pictures import interpolation_rows, reconstruction_rows
from zspace.errors import InputError
from zspace.evaluation.measurement import measure_run
from zspace.evaluation.neighbours import neighbours
from zspace.functional import as_float, blockwise
from zspace.papers.base import Entry, Lab
from zspace.papers.flexae.trained import ATTRIBUTES, error, seeded, shown, trained
from zspace.storage.run import Run


def fig4(lab: Lab) -> list[Entry]:
    """Reconstructions of test images, each row below its images, and generated images."""
    run, x, model = shown(lab, 32)
    plots.save_sheet(lab.picture("fig4-reconstructions"), *reconstruction_rows(model, x))
    plots.save_sheet(lab.picture("fig4-samples"), model.sample(64, generator=seeded(model)))
    return error(lab, run)


def samples(lab: Lab) -> list[Entry]:
    """225 generated images."""
    run, _, model = shown(lab, 1)
    plots.save_sheet(lab.picture("samples"), model.sample(225, generator=seeded(model)), 15)
    return error(lab, run)


def interpolations(lab: Lab) -> list[Entry]:
    """Rows between two test images: the first and last are real, the middle one is decoded from the
    mid-point of their codes."""
    run, x, model = shown(lab, 20)
    sheet = interpolation_rows(model, x[:10], x[10:])
    plots.save_sheet(lab.picture("interpolations"), *sheet)
    return error(lab, run)


def direction(lab: Lab, run: Run, attribute: str) -> tuple[Tensor, Tensor, Tensor]:
    """mean(z | attribute) - mean(z | none) over the training images, and images without and with.

    The attribute is asked for after training, which knows none.
    """
    labelled = {**run.config, "label_attribute": attribute}
    images = api.images_of(run.config["data"], labelled)
    model = api.load(run.folder, device=lab.device)
    z, y = codes(model, images.train.x), images.train.y
    assert y is not None
    y = y.to(z.device)
    way = z[y == 1].mean(0) - z[y == 0].mean(0)
    test_y = images.test.y
    assert test_y is not None
    without, having = (as_float(images.test.x[test_y == label][:2]) for label in (0, 1))
    if not len(without) or not len(having):
        raise InputError(f"the test images have none without, or none with {attribute}")
    return way, without.to(z.device), having.to(z.device)


def attribute_grid(name: str, letters: Sequence[str]) -> Callable[[Lab], list[Entry]]:
    def figure(lab: Lab) -> list[Entry]:
        """A grid for each of two images without the attribute, and of two with: reading order, the
        image in the middle, moved along the attribute's direction by -2 to 2 of its length."""
        run = trained(lab, "FlexAE-SR")
        way, without, having = direction(lab, run, name)
        model = api.load(run.folder, device=lab.device)
        steps = torch.linspace(-2, 2, 25, device=way.device)[:, None] * way
        letter = iter(letters)
        with torch.no_grad():
            for x in (*without, *having):
                grid = blockwise(model.decode, model.encode(x[None]) + steps)
                plots.save_sheet(lab.picture(f"{name}-{next(letter)}"), grid, 5, (12,))
        return error(lab, run)

    return figure


def fig5(lab: Lab) -> list[Entry]:
    """Interpolations; for faces a row for each attribute, from an image that has it; and the four
    nearest training images of what is generated, by pixels and by features."""
    entries = interpolations(lab)
    run = trained(lab, "FlexAE-SR")
    model = api.load(run.folder, device=lab.device)
    if lab.data == "celeba":
        rows: list[Tensor] = []
        for name in ATTRIBUTES:
            way, _, having = direction(lab, run, name)
            steps = torch.linspace(-2, 2, 9, device=way.device)[:, None] * way
            with torch.no_grad():
                row = model.decode(model.encode(having[:1]) + steps)
            row[4] = having[0]
            rows.append(row)
        plots.save_sheet(lab.picture("attributes"), torch.cat(rows), 9)
    _neighbours(lab, run, 5, 4, both=True)
    return entries


def nearest(which: str) -> Callable[[Lab], list[Entry]]:
    def figure(lab: Lab) -> list[Entry]:
        """Generated images, and the fourteen nearest training images of each."""
        run = trained(lab, "FlexAE-SR")
        _neighbours(lab, run, 15, 14, both=False, by_features=which == "features")
        return error(lab, run)

    return figure


def _neighbours(
    lab: Lab, run: Run, n: int, k: int, *, both: bool, by_features: bool = False
) -> None:
    held = measure_run(
        run.folder, features=lab.settings["features"], n=lab.settings.get("n"), device=lab.device
    )
    found = neighbours(held, "prior", n, k)
    training = held.images.train.x
    if both:
        plots.save_sheet(lab.picture("neighbours"), *found.rows(training))
        return
    rows = found.by_features if by_features else found.by_pixels
    pairs = zip(found.images, rows, strict=True)
    lines = [torch.cat([image[None], training[row]]) for image, row in pairs]
    plots.save_sheet(lab.picture("neighbours"), as_float(torch.cat(lines)), k + 1)

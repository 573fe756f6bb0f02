"""Images that a model of the zoo draws, which stand for its data where these are not here."""

from __future__ import annotations

import torch

from zspace import api
from zspace.core import LatentModel, Progress, Sampler, decoded
from zspace.data import Images
from zspace.data.images import Part
from zspace.errors import InputError
from zspace.generation.drawing import draw_codes
from zspace.generation.fit import read_sampler
from zspace.storage.published import usual_sampler
from zspace.storage.run import Run

DRAWN = "images that it draws"
"""The name of such data."""

MANY = 128
"""The number of images that are drawn, of which every eighth is called a test image."""


def images_or_drawn(run: Run, model: LatentModel, progress: Progress, *, alone: bool) -> Images:
    """The data of a run or, of a model of the zoo, images that it draws where these are not here.

    Args:
        run: the run.
        model: its model.
        progress: told that images are drawn.
        alone: whether nobody said where the data are; otherwise they are needed.

    Raises:
        InputError: the data can't be read, and none are drawn.
    """
    try:
        return api.run_images(run)
    except InputError:
        name = usual_sampler(run.folder)
        sampler = None
        if alone and name is not None:
            sampler = read_sampler(run.folder, name, model)
        if sampler is None:
            raise
        progress.say(
            f"{run.config['data']}, the data of {run.folder.name}, are not here: {MANY} images "
            "that it draws stand in their place (--data-dir names the folder of its data)"
        )
        return _drawn(model, sampler, str(name), run.facts.classes)


@torch.no_grad()
def _drawn(model: LatentModel, sampler: Sampler, name: str, classes: tuple[str, ...]) -> Images:
    """Images that a model draws by seed 0, as many of each class if its sampler knows them."""
    sampler = sampler.quick()
    random = torch.Generator(next(model.parameters()).device).manual_seed(0)
    classes = classes if sampler.labels else ()
    y = torch.arange(MANY) * len(classes) // MANY if classes else None
    counts = [MANY] if y is None else torch.bincount(y).tolist()
    z = [
        draw_codes(sampler, name, count, label if classes else None, random)
        for label, count in enumerate(counts)
    ]
    whole = Part(decoded(model, torch.cat(z)), y)
    of_test = torch.arange(MANY) % 8 == 0
    train, test = (whole.take(rows.nonzero()[:, 0]) for rows in (~of_test, of_test))
    return Images(DRAWN, train, whole.take(torch.arange(0)), test, classes)

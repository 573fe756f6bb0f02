"""The pictures of a run: samples, reconstructions, interpolations and losses."""

from __future__ import annotations

import torch
from torch import Tensor

from zspace.core import LatentModel, Sampler, codes
from zspace.data import Images
from zspace.data.images import choose_rows
from zspace.display import plots
from zspace.functional import as_float, blockwise
from zspace.recipes import catalogue
from zspace.storage.run import Run

ENCODED = 10_000
"""The number of random training images that a sampler is fitted to for a picture of samples."""


def draw(run: Run, model: LatentModel, images: Images, *, missing: bool = False) -> None:
    """Draw samples.png, reconstructions.png, interpolation.png and losses.png of a finished run.

    The codes of the samples come from the model's prior or, if it has none, from the model's usual
    sampler, fitted for the purpose without any check of its quality.

    Args:
        run: the run, whose folder gets the pictures.
        model: its trained model.
        images: its data set.
        missing: whether to draw only if a picture is missing.
    """
    names = ("samples", "reconstructions", "interpolation", "losses")
    paths = {name: run.folder / f"{name}.png" for name in names}
    if missing and all(path.exists() for path in paths.values()):
        return
    if losses := run.losses():  # a model that was trained elsewhere has none
        plots.losses(paths["losses"], losses)
    generator = torch.Generator(next(model.parameters()).device).manual_seed(0)
    if model.prior is None:
        fitted = catalogue.make(model.usual[0], model.latent_dim)
        order = torch.randperm(len(images.train), generator=torch.Generator().manual_seed(0))
        some = images.train.take(order[:ENCODED])
        fitted.fit(codes(model, some.x).cpu(), some.y)
        model_sampler: Sampler = fitted.to(generator.device)
    else:
        model_sampler = model.prior
    with torch.no_grad():
        n = 64 if images.is_image else 2000
        samples = blockwise(model.decode, model_sampler.draw(n, generator=generator))
    chosen = choose_rows(len(images.test), n, 0)
    x = as_float(images.test.x[chosen].to(generator.device))
    if not images.is_image:
        plots.scatters(paths["samples"], {"test": x, "samples": samples})
        plots.scatters(paths["reconstructions"], {"test": x, "reconstructed": model.reconstruct(x)})
        half = len(x) // 2
        middle = model.interpolate(x[:half], x[half : 2 * half], 3)[:, 1]
        plots.scatters(paths["interpolation"], {"test": x, "mid-points": middle})
        return
    plots.save_sheet(paths["samples"], samples)
    plots.save_sheet(paths["reconstructions"], *reconstruction_rows(model, x[:32]))
    plots.save_sheet(paths["interpolation"], *interpolation_rows(model, x[:8], x[8:16]))


def reconstruction_rows(model: LatentModel, x: Tensor, columns: int = 8) -> tuple[Tensor, int]:
    """The images of a sheet with rows of images, each above the row of their reconstructions.

    Args:
        model: the model that reconstructs.
        x: images (N, C, H, W) in [0, 1].
        columns: the number of images in a row.

    Returns images (M, C, H, W), and the number of columns.
    """
    rows: list[Tensor] = []
    for block, rebuilt in zip(x.split(columns), model.reconstruct(x).split(columns), strict=True):
        blank = torch.zeros(columns - len(block), *x.shape[1:], device=x.device)
        rows += [block, blank, rebuilt, blank]
    return torch.cat(rows), columns


def interpolation_rows(
    model: LatentModel, a: Tensor, b: Tensor, steps: int = 9
) -> tuple[Tensor, int]:
    """The images of a sheet with an interpolation between two images in each row.

    The first and the last image of a row are the given ones; those between them are decoded from
    equally spaced codes on the line between their codes (FlexAE, Figure 5).

    Args:
        model: the model that encodes and decodes.
        a, b: images (N, C, H, W) and (M, C, H, W) in [0, 1]; there are min(N, M) rows.
        steps: the number of images in a row.

    Returns images, and the number of columns.
    """
    n = min(len(a), len(b))
    rows = model.interpolate(a[:n], b[:n], steps)
    rows[:, 0], rows[:, -1] = a[:n], b[:n]
    return rows.flatten(0, 1), steps

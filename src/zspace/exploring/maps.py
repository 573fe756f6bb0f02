"""Maps of a latent space, and the colours of their points: long work, a step at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zspace.errors import InputError
from zspace.evaluation.novelty import error_variance, log_densities
from zspace.exploring.pictures import packed
from zspace.exploring.requests import Answer
from zspace.exploring.space import Space
from zspace.exploring.work import Steps
from zspace.functional import as_float
from zspace.functional.tensors import BLOCK
from zspace.generation.maps import LEAST

CURVED = 5000
"""The number of points of a t-SNE or UMAP map, at most."""

SCORED = 1000
"""The number of images whose novelty is computed, at most."""

Method = Literal["pca", "tsne", "umap"]
Colour = Literal["density", "error", "novelty"]

STAGE = 250
"""The iterations of a stage of t-SNE, after which the map is shown; scikit-learn's least."""

STAGES = 4
"""The number of stages."""


def methods() -> list[str]:
    """The methods by which a map can be made here: UMAP only where it is installed."""
    return ["pca", "tsne", *(["umap"] if find_spec("umap") else [])]


def encoded(space: Space, count: int) -> Steps:
    """Encode the first images; returns their codes (n, D)."""
    for share in space.encode(count):
        yield share, None
    return space.codes(count)


def placed(space: Space, method: Method, count: int) -> Steps:
    """The places (n, 2), float32, of the first images' codes on a map.

    t-SNE runs in stages, each of which begins where the one before it ended and can be shown: the
    first with exaggerated attraction, as usual, the others without.

    Args:
        space: the latent space.
        method: "pca", "tsne" or "umap".
        count: the number of images; a curved map has `CURVED` at most.

    Raises:
        InputError: the method is not installed, or there are too few codes.
    Reference: van der Maaten and Hinton (2008) for t-SNE.
    """
    if method not in methods():
        raise InputError("UMAP is not installed: pip install umap-learn")
    z: Tensor = yield from encoded(space, count if method == "pca" else min(count, CURVED))
    if method == "pca":
        return space.axes.project(z)
    if len(z) < LEAST:
        raise InputError(f"{len(z)} codes are too few for this map: {LEAST} at least")
    places = space.axes.project(z).numpy()
    places = places / max(float(places[:, 0].std()), 1e-9) * 1e-4
    stages = STAGES if method == "tsne" else 1
    for stage in range(stages):
        make = _stage(z.numpy(), places, stage) if method == "tsne" else _umap(z.numpy())
        made = _beside(make)  # of NumPy alone, beside the thread that owns models
        while not made.done():
            time.sleep(0.02)
            yield stage / stages, None
        places = made.result()
        yield (stage + 1) / stages, torch.from_numpy(places)
    return torch.from_numpy(places)


def _beside(make: Callable[[], npt.NDArray[Any]]) -> Future[npt.NDArray[Any]]:
    """The future result of a function in a thread of its own, for which no exit waits."""
    made: Future[npt.NDArray[Any]] = Future()

    def work() -> None:
        try:
            made.set_result(make())
        except Exception as error:
            made.set_exception(error)

    threading.Thread(target=work, name="zspace map", daemon=True).start()
    return made


def _stage(
    z: npt.NDArray[Any], start: npt.NDArray[Any], stage: int
) -> Callable[[], npt.NDArray[Any]]:
    from sklearn.manifold import TSNE

    made = TSNE(
        perplexity=min(30.0, (len(z) - 1) / 3),
        init=start,  # pyright: ignore[reportArgumentType]
        early_exaggeration=12.0 if stage == 0 else 1.0,
        max_iter=STAGE,
        random_state=0,
    )
    return lambda: np.asarray(made.fit_transform(z), np.float32)


def _umap(z: npt.NDArray[Any]) -> Callable[[], npt.NDArray[Any]]:
    import umap  # pyright: ignore[reportMissingImports]

    return lambda: np.asarray(umap.UMAP(random_state=0, n_jobs=1).fit_transform(z), np.float32)


def coloured(space: Space, by: Colour, count: int) -> Steps:
    """A number (n,), float32, for each of the first images, by which its point is coloured.

    Args:
        space: the latent space.
        by: "density", log p(z) in nats of the image's code; "error", the mean squared error of its
            reconstruction; or "novelty", GEN's outlier score -log p(x) in nats, which is known for
            `SCORED` images at most.
        count: the number of images.
    """
    z: Tensor = yield from encoded(space, count)
    parts: list[Tensor] = []
    if by == "novelty":
        z = z[:SCORED]
    size = 32 if by == "novelty" else BLOCK
    density = None if by == "error" else space.density[1]
    held_out = space.x(torch.arange(min(len(z), BLOCK)))
    variance = error_variance(space.trained, held_out) if by == "novelty" else 0.0
    for start in range(0, len(z), size):
        block = z[start : start + size].to(space.device)
        with torch.no_grad():
            x = space.x(torch.arange(start, start + len(block)))
            if density is None:
                wrong = space.trained.decode(block) - as_float(x.to(space.device))
                parts.append(wrong.square().flatten(1).mean(1))
            elif by == "density":
                parts.append(density.log_prob(block))
            else:
                parts.append(log_densities(space.trained, x, density, variance).score)
        yield (start + len(block)) / len(z), None
    return torch.cat([part.cpu().float() for part in parts])


def told_of(space: Space, values: Tensor | None, share: float, done: bool) -> Answer:
    """What the page is told of long work about the first images.

    Args:
        space: the latent space.
        values: what is known for each image (n, ...), or None.
        share: the share that is done.
        done: whether all is.
    """
    told: Answer = {"share": 1.0 if done else share, "done": done}
    if values is not None:
        n = len(values)
        told["values"] = packed(values)
        told["labels"] = None if space.y is None else packed(space.y[:n])
        told["test"] = packed(space.of_test[:n])
        if "axes" in vars(space):  # known by now; only the thread that owns the model finds them
            squares = space.axes.deviations.square()
            told["variance"] = float(squares[:2].sum() / squares.sum().clamp(min=1e-30))
    return told

"""Which sampler draws from which model's latents: found out by doing it.

python -m tests.matrix writes docs/matrix.md; tests/test_matrix.py holds it against the code.
"""

from __future__ import annotations

from pathlib import Path

import torch

import zspace
from tests.conftest import small
from tests.samplers.shared import made
from zspace.core import Classifying, Density, LatentModel, Sampler, Variational, codes
from zspace.data import Images, load
from zspace.display.tables import Table
from zspace.recipes import RECIPES
from zspace.recipes.catalogue import kinds

DOCS = Path(__file__).parent.parent / "docs" / "matrix.md"
HEADER = ["recipe", "a code of an image", "own prior", *kinds()]
ITERATIONS = 60
FIRST = {"regene": ("classifier_iterations",), "lsrgan": ("vae_iterations",)}
"""The options for the iterations of a first stage, which are half of all."""


def row(recipe: str, images: Images, iterations: int = ITERATIONS) -> list[str]:
    """What a model of this recipe is, after a few iterations, and what its images are drawn by."""
    options = {**small(recipe), **dict.fromkeys(FIRST.get(recipe, ()), iterations // 2)}
    model = zspace.train(recipe, images, iterations=iterations, device="cpu", **options)
    some = images.train.take(torch.arange(400))
    z = codes(model, some.x)
    cells = [drawn(made(name, model.latent_dim).fit(z, some.y), model) for name in kinds()]
    own = "none" if model.prior is None else drawn(model.prior, model)
    return [f"`{recipe}`", kind(model), own, *cells]


def kind(model: LatentModel) -> str:
    if isinstance(model, Variational):
        return "drawn from q(z | x)"
    return "a classifier's" if isinstance(model, Classifying) else "one"


def drawn(sampler: Sampler, model: LatentModel) -> str:
    """What the sampler can do, once it has drawn codes that were decoded to images."""
    label = 1 if sampler.labels else None
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        x = model.decode(sampler.sample(3, label, generator=generator))
        if isinstance(sampler, Density):
            assert sampler.log_prob(sampler.sample(2)).shape == (2,)
    assert x.shape == (3, 1, 8, 8)
    assert bool(torch.isfinite(x).all())
    what = [*(["density"] if isinstance(sampler, Density) else []), *(["class"] if label else [])]
    return ", ".join(what) or "yes"


def matrix() -> Table:
    images = load("digits")
    notes = [
        "one: an image has one code; yes: it can be drawn from; none: the model has no prior of "
        "its own; density: log p(z) is known, so that `zspace novelty` can use it; class: codes of "
        "a class can be asked for (`--label`), which needs labels in the data. Every prior and "
        "sampler was drawn from: a model trained for some iterations on the digits, the sampler "
        "fitted to its codes, three codes drawn and decoded. Made by `python -m tests.matrix`; a "
        "test holds it against the code."
    ]
    return Table(HEADER, [row(recipe, images) for recipe in RECIPES], notes=notes)


if __name__ == "__main__":
    title = "# Methods and samplers\n\n"
    DOCS.write_text(title + matrix().markdown(), encoding="utf-8")

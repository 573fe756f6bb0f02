"""zspace: train, shape, sample and measure the latent spaces of image models.

import zspace
model = zspace.train("flexae-sr", "digits", out="runs/digits", iterations=1000)
images = model.sample(16)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from zspace.api import load, resume, train
    from zspace.core import Progress, Sampler
    from zspace.evaluation.compare import compare
    from zspace.evaluation.evaluate import evaluate
    from zspace.evaluation.novelty import novelty
    from zspace.exploring.page import explore
    from zspace.generation.fit import fit_sampler
    from zspace.generation.tuning import tune
    from zspace.wrapping import wrap

PLACES = {
    "Progress": "zspace.core",
    "Sampler": "zspace.core",
    "compare": "zspace.evaluation.compare",
    "evaluate": "zspace.evaluation.evaluate",
    "explore": "zspace.exploring.page",
    "fit_sampler": "zspace.generation.fit",
    "load": "zspace.api",
    "novelty": "zspace.evaluation.novelty",
    "resume": "zspace.api",
    "train": "zspace.api",
    "tune": "zspace.generation.tuning",
    "wrap": "zspace.wrapping",
}
"""The modules that define the names of this package."""

ROOMS = ("core", "data", "functional", "metrics", "samplers")
"""The packages that are imported when they are first used as attributes of this one."""

__all__ = [
    "Progress",
    "Sampler",
    "__version__",
    "compare",
    "evaluate",
    "explore",
    "fit_sampler",
    "load",
    "novelty",
    "resume",
    "train",
    "tune",
    "wrap",
]


def __dir__() -> list[str]:
    return sorted({*__all__, *ROOMS})


def __getattr__(name: str) -> Any:
    # imported only when used, since PyTorch takes seconds that `zspace --help` need not wait
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("zspace")
        except PackageNotFoundError:
            return "0"
    if name in PLACES:
        return getattr(import_module(PLACES[name]), name)
    if name in ROOMS:
        return import_module(f"zspace.{name}")
    raise AttributeError(f"module 'zspace' has no attribute '{name}'")

"""zspace: train, shape, sample and measure the latent spaces of image models.

import zspace
model = zspace.train("flexae-sr", "digits", out="runs/digits", iterations=1000)
images = model.sample(16)
"""

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zspace.api import fit_sampler, load, resume, train

try:
    __version__ = version("zspace")
except PackageNotFoundError:
    __version__ = "0"

__all__ = ["__version__", "fit_sampler", "load", "resume", "train"]


def __getattr__(name: str) -> Any:
    # torch takes seconds to import: `zspace --help` does without
    if name in ("fit_sampler", "load", "resume", "train"):
        from zspace import api

        return getattr(api, name)
    raise AttributeError(f"module 'zspace' has no attribute '{name}'")

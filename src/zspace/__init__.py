"""zspace: train, shape, sample and measure the latent spaces of image models.

import zspace
model = zspace.train("flexae-sr", "digits", out="runs/digits", iterations=1000)
images = model.sample(16)
"""

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zspace.api import load, resume, train
    from zspace.generation.fit import fit_sampler

try:
    __version__ = version("zspace")
except PackageNotFoundError:
    __version__ = "0"

__all__ = ["__version__", "fit_sampler", "load", "resume", "train"]


def __getattr__(name: str) -> Any:
    # torch takes seconds to import: `zspace --help` does without
    if name in __all__:
        from zspace import api
        from zspace.generation import fit as fitting

        return getattr(fitting if name == "fit_sampler" else api, name)
    raise AttributeError(f"module 'zspace' has no attribute '{name}'")

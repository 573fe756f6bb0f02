"""What help and completion say of recipes, samplers and their like, known without PyTorch.

The modules that declare them import PyTorch, which takes seconds. So `known.json` holds what their
signatures and tables say; `make known` writes it, and a test holds it equal to them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from zspace.options import Option, options_of
from zspace.plugins import RECIPES, SAMPLERS, entries

if TYPE_CHECKING:
    from zspace.core import Sampler
    from zspace.recipes import Recipe

FILE = Path(__file__).with_suffix(".json")
"""The file that `make known` writes."""


@dataclass(frozen=True)
class KnownRecipe:
    """What is known of a recipe: the first line of its docstring, and its own options."""

    about: str | None
    options: dict[str, Option]

    @classmethod
    def of(cls, recipe: Recipe) -> KnownRecipe:
        """What the function itself says."""
        lines = (recipe.__doc__ or "").strip().splitlines()
        return cls(lines[0] if lines else None, options_of(recipe))


@dataclass(frozen=True)
class KnownSampler:
    """What is known of a sampler: its options, and what its class says that it can do."""

    options: dict[str, Option]
    drawing: tuple[str, ...]
    by_label: bool
    exportable: bool
    density: bool

    @classmethod
    def of(cls, kind: type[Sampler]) -> KnownSampler:
        """What the class itself says."""
        from zspace.core import Density

        density = issubclass(kind, Density)
        return cls(options_of(kind), kind.drawing, kind.by_label, kind.exportable, density)

    def drawing_options(self) -> dict[str, Option]:
        """The options that affect how codes are drawn, but not the fit."""
        return {name: option for name, option in self.options.items() if name in self.drawing}


@dataclass(frozen=True)
class Known:
    """What is known of zspace's own recipes, samplers, features, metrics and pictures.

    Attributes:
        recipes: the recipes by name.
        data, training, classifier: the options of the data, of any training, and of the neutral
            classifier.
        samplers: the samplers by name.
        tunable: the samplers that `zspace tune` searches.
        searches: the search methods.
        features: the features that images can be compared by.
        metrics: the metrics by name, with descriptions.
        pictures: the kinds of pictures of `zspace gallery`, with descriptions.
    """

    recipes: dict[str, KnownRecipe]
    data: dict[str, Option]
    training: dict[str, Option]
    classifier: dict[str, Option]
    samplers: dict[str, KnownSampler]
    tunable: tuple[str, ...]
    searches: tuple[str, ...]
    features: tuple[str, ...]
    metrics: dict[str, str]
    pictures: dict[str, str]


def declared() -> Known:
    """What signatures and tables say, whose modules are imported."""
    from zspace import api
    from zspace.data import DataOptions
    from zspace.evaluation.metrics import METRICS
    from zspace.features import FEATURES, neutral_classifier
    from zspace.generation.gallery import SHEETS
    from zspace.generation.maps import MAPS
    from zspace.generation.tuning.lines import SPACES, Search
    from zspace.recipes import RECIPES
    from zspace.recipes.catalogue import SAMPLERS

    return Known(
        recipes={name: KnownRecipe.of(recipe) for name, recipe in RECIPES.items()},
        data=options_of(DataOptions),
        training=options_of(api.train),
        classifier=options_of(neutral_classifier),
        samplers={name: KnownSampler.of(kind) for name, kind in SAMPLERS.items()},
        tunable=tuple(SPACES),
        searches=get_args(Search),
        features=tuple(FEATURES),
        metrics={name: metric.about for name, metric in METRICS.items()},
        pictures={name: about for name, (_, about) in {**SHEETS, **MAPS}.items()},
    )


@cache
def own() -> Known:
    """What `known.json` holds."""
    kinds = {kind.__name__: kind for kind in (int, float, bool, str)}
    return msgspec.json.decode(FILE.read_bytes(), type=Known, dec_hook=lambda _, name: kinds[name])


def as_json(held: Known) -> str:
    """What is known as JSON, with each option on a line of its own."""
    return _lines(msgspec.to_builtins(held, enc_hook=lambda kind: kind.__name__), "\n") + "\n"


def _lines(value: Any, start: str) -> str:
    if not isinstance(value, dict):
        return json.dumps(value)
    if "kind" in value:
        about = {key: part for key, part in value["about"].items() if part not in (None, {})}
        return json.dumps({**value, "about": about})
    inner = start + " "
    each = (f"{inner}{json.dumps(key)}: {_lines(part, inner)}" for key, part in value.items())
    return "{" + ",".join(each) + start + "}"


def write() -> None:
    """Write `known.json` anew."""
    from zspace.storage.files import write_text

    write_text(FILE, as_json(declared()))


def recipe_names() -> list[str]:
    """The names of all recipes, including those of other packages."""
    known = own().recipes
    return [*known, *sorted(entries(RECIPES).keys() - known.keys())]


def recipe(name: str) -> KnownRecipe:
    """What is known of a recipe, which is imported if it is another package's.

    Raises:
        InputError: the name is unknown, or another package's recipe can't be loaded.
    """
    known = own().recipes
    if name in known:
        return known[name]
    from zspace.recipes import find

    return KnownRecipe.of(find(name))


def run_options(name: str) -> dict[str, Option]:
    """The options of a training by a recipe, as `zspace.api.run_options` has them."""
    return own().data | own().training | recipe(name).options


def samplers() -> dict[str, KnownSampler]:
    """What is known of all samplers that can be fitted, by name.

    Only those of other packages are imported, and left out if they can't be.
    """
    if not entries(SAMPLERS):
        return own().samplers
    from zspace.recipes.catalogue import kinds

    return {name: KnownSampler.of(kind) for name, kind in kinds().items()}


def sampler_faults() -> dict[str, str]:
    """The reasons why other packages' samplers can't be loaded, by name; empty if all can."""
    if not entries(SAMPLERS):
        return {}
    from zspace.recipes.catalogue import faults

    return faults()


def sampler_names() -> list[str]:
    """The names of all samplers that can be fitted, including those that can't be loaded."""
    return [*samplers(), *sampler_faults()]


def samplers_with(what: str) -> Callable[[], list[str]]:
    """A function that lists the samplers of which something is true: an attribute's name."""
    return lambda: [name for name, held in samplers().items() if getattr(held, what)]

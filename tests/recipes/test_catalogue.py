"""What samplers say of themselves is so; the lists that people see are made of it."""

from __future__ import annotations

import inspect

import pytest

from tests.conftest import Cli
from zspace.core import Density, Sampler
from zspace.recipes import catalogue


def every_kind() -> list[type[Sampler]]:
    """Every concrete sampler of zspace, priors of models among them."""
    found: list[type[Sampler]] = []
    waiting = [Sampler]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__.startswith("zspace.") and not inspect.isabstract(kind):
            found.append(kind)
    return found


@pytest.mark.parametrize("kind", every_kind(), ids=lambda kind: kind.__name__)
def test_a_class_says_truly_whether_it_can_be_exported(kind: type[Sampler]) -> None:
    makes_codes_of_noise = kind.of_noise is not Sampler.of_noise
    assert kind.exportable == makes_codes_of_noise
    assert (kind.noise_dim is not Sampler.noise_dim) == makes_codes_of_noise


def test_lists_are_what_the_classes_say() -> None:
    assert catalogue.densities() == [
        name for name, kind in catalogue.SAMPLERS.items() if issubclass(kind, Density)
    ]
    labelled = catalogue.which(lambda kind: kind.by_label)
    assert labelled == ["convex", "simple", "medium1", "medium2", "flow-matching"]
    assert catalogue.listed(["kde"]) == "kde"
    assert catalogue.listed(["kde", "flow"], "and") == "kde and flow"


@pytest.mark.parametrize(
    "command, names",
    [
        ("sample", catalogue.names()),
        ("fit-sampler", catalogue.names()),
        ("evaluate", catalogue.names()),
        ("novelty", catalogue.densities()),
        ("export", [name for name in catalogue.names() if name != "convex"]),
    ],
)
def test_help_has_every_sampler(command: str, names: list[str], cli: Cli) -> None:
    status, out, _ = cli(command, "--help")
    assert status == 0
    assert ",".join(names) in "".join(out.split())  # help breaks lines behind hyphens

"""GEN's options: what is found, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import zspace
from tests.conftest import small
from zspace import api
from zspace.methods.gen import GEN
from zspace.recipes.gen import ring


def test_what_was_found_stands_in_the_configuration(tmp_path: Path) -> None:
    options = {"iterations": 1, "device": "cpu", **small("gen")}
    model = zspace.train("gen", "digits", out=tmp_path / "r", **options)
    config = api.Run(tmp_path / "r").config
    assert isinstance(model, GEN)
    assert config["bandwidth"] == model.bandwidth
    assert config["centres"] == len(model.centres) == 647
    assert (config["latent_dim"], config["arch"]) == (3, "fc")


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_neighbours_on_the_ring_have_their_distance(dim: int) -> None:
    assert torch.equal(ring(1, dim, 6.0).means, torch.zeros(1, dim))
    for components in (2, 3, 10):
        means = ring(components, dim, 6.0).means
        torch.testing.assert_close(
            (means[1:] - means[:-1]).norm(dim=1), torch.full((components - 1,), 6.0)
        )


@pytest.mark.parametrize(
    "options, words",
    [
        ({"latent_dim": 40, "centres": 100}, "--latent-dim 40 is too large for 100 centres"),
        ({"bandwidth": 1.5}, "below 1, the least"),
        ({"centres": 1290}, "1295 training images are too few to set 1290 aside"),
        ({"components": 900, "target": "mixture"}, "raise --centres, or lower --components"),
        ({"separation": 1e9, "target": "mixture"}, "--separation must be"),
        ({"width": 16}, "--width 16 has no effect with --arch fc: it belongs to --arch conv"),
        ({"labelled": 50}, "--target mixture"),
        ({"labelled": 9, "target": "mixture"}, "there are 10 classes, each needs one"),
        ({"labelled": 50, "target": "mixture", "components": 4}, "leave out --components"),
        ({"labelled": 5000, "target": "mixture"}, "1295 training images at most"),
        ({"labelled": 1, "target": "mixture", "classes": "3"}, "two classes or more"),
    ],
)
def test_what_gen_refuses(
    tmp_path: Path, refused: Callable[..., str], options: dict[str, object], words: str
) -> None:
    given = [f"--{k.replace('_', '-')}={v}" for k, v in options.items()]
    assert words in refused("train", "gen", *given, "--out", tmp_path / "r", "--iterations=2")
    assert not (tmp_path / "r").exists()

"""What ladders degrade, and by what rule they are judged."""

from __future__ import annotations

import math

import pytest
import torch

from zspace.data import load
from zspace.data.images import Part
from zspace.evaluation.ladder import (
    LEVELS,
    Rung,
    by_ladder,
    climb,
    degraded,
    ladders_of,
    most_frequent,
    step,
    verdict,
)
from zspace.features.extract import Extractor, find_extractor
from zspace.metrics import frechet_distance

DIGITS = load("digits").test


@pytest.mark.parametrize("ladder", LEVELS)
def test_each_level_is_worse(ladder: str) -> None:
    before = torch.zeros(())
    for level in LEVELS[ladder]:
        x = degraded(DIGITS, ladder, level)
        assert x.dtype == torch.uint8
        assert x.shape == DIGITS.x.shape
        assert torch.equal(x, degraded(DIGITS, ladder, level)), "the same each time"
        apart = (x.float() - DIGITS.x.float()).square().mean()
        assert apart > before
        before = apart


def test_what_images_are_replaced_by() -> None:
    assert DIGITS.y is not None
    kept = DIGITS.x[most_frequent(DIGITS.y) == DIGITS.y]
    whole = degraded(DIGITS, "one class", 1.0)
    assert {bytes(x.numpy()) for x in whole} == {bytes(x.numpy()) for x in kept}
    half = degraded(DIGITS, "one class", 0.5)
    changed = (half != DIGITS.x).flatten(1).any(1)
    more = (degraded(DIGITS, "one class", 0.75) != DIGITS.x).flatten(1).any(1)
    assert bool((more | ~changed).all()), "what one level replaces, all worse ones do"
    few = degraded(DIGITS, "duplicates", 0.9)
    assert len(few.flatten(1).unique(dim=0)) == len(DIGITS) - round(0.9 * len(DIGITS))
    one = degraded(Part(DIGITS.x[:3]), "duplicates", 0.99)
    assert len(one.flatten(1).unique(dim=0)) == 1


def test_colour_and_other_channels_are_stored_as_jpeg() -> None:
    x = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    assert degraded(Part(x), "JPEG", 50).shape == x.shape
    assert degraded(Part(x[:, :2]), "JPEG", 50).shape == (2, 2, 16, 16)


def test_without_labels_there_is_no_class() -> None:
    assert "one class" in ladders_of(DIGITS)
    assert "one class" not in ladders_of(Part(DIGITS.x))
    assert "one class" not in ladders_of(Part(DIGITS.x, torch.full((len(DIGITS),), -1)))


def not_asked(task: str, arch: str) -> None:
    raise AssertionError


def test_distances_are_those_of_the_metric() -> None:
    pixels = find_extractor("pixels", not_asked, "cpu")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    training = load("digits").train.x[:200]
    rungs = climb(pixels, training, Part(DIGITS.x[:100]))
    assert len(rungs) == 1 + 5 * 6
    x, y = (images.flatten(1).float() / 255 for images in (training, DIGITS.x[:100]))
    with pytest.warns(match="biased upwards"):
        assert math.isclose(rungs[0].value, frechet_distance(x, y), rel_tol=1e-6)
    assert rungs[0].figure.error > 0
    assert verdict(rungs[0], by_ladder(rungs)["blur"]) == "monotone"


def test_copies_are_left_out_with_their_originals(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of the distance of 100 images, each four times, is that of the 100."""
    monkeypatch.setattr("zspace.evaluation.ladder.LEVELS", {"duplicates": (0.75,)})
    x = torch.randint(0, 256, (9000, 1, 2, 2), dtype=torch.uint8)
    few = Extractor("few", "0", lambda x: x.flatten(1))
    found = [climb(few, x[:1000], Part(part))[1].figure for part in x[1000:].split(400)]
    true = float(torch.tensor([f.value for f in found]).std())
    told = float(torch.tensor([f.error for f in found]).mean())
    assert 0.6 * true < told < 1.7 * true
    two = climb(few, x[:1000], Part(x[:4]))[1]
    assert math.isnan(two.figure.error), "without the one image that is left, there is none"


def rungs_of(*values: float, spread: float = 0.01) -> list[Rung]:
    """Rungs whose steps have about the error spread * sqrt(2)."""
    noise = torch.randn(len(values), 20, generator=torch.Generator().manual_seed(0))
    noise *= spread / math.sqrt(19)
    return [
        Rung("x", None if i == 0 else float(i), value, tuple((value + noise[i]).tolist()))
        for i, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    "values, expected",
    [
        ((1.0, 1.1, 1.2, 1.5), "monotone"),
        ((1.0, 1.0, 1.2, 1.5), "weakly monotone"),
        ((1.0, 1.2, 1.199, 1.5), "weakly monotone"),
        ((1.0, 1.2, 1.1, 1.5), "broken"),
        ((1.0, 1.0, 1.0, 1.0), "unseen"),
        ((1.0, 0.9, 1.2, 1.5), "broken"),
    ],
)
def test_the_rule(values: tuple[float, ...], expected: str) -> None:
    floor, *rungs = rungs_of(*values)
    assert verdict(floor, rungs) == expected


def test_the_error_of_a_step_is_of_pairs() -> None:
    a, b = rungs_of(1.0, 2.0)
    same = Rung("x", 1.0, 2.0, tuple(v + 1 for v in a.without if v is not None))
    assert step(a, same).error == pytest.approx(0, abs=1e-9)
    assert step(a, b).error > 0

"""Random changes of training images."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import zspace
from tests.conftest import SMALL, Cli, Refused, random_images
from zspace.core import Batches
from zspace.errors import InputError
from zspace.functional.augmentation import Augmentation, coloured, mirrored, shifted


def test_half_of_the_images_are_mirrored() -> None:
    x = torch.rand(4, 3, 5, 6)
    out = mirrored(x, torch.tensor([0.0, 0.49, 0.5, 0.99]))
    assert torch.equal(out[:2], x[:2])
    assert torch.equal(out[2:], x[2:].flip(3))


def test_shifts_are_of_every_size_and_fill_with_zeros() -> None:
    x = torch.rand(1, 2, 6, 7) + 1
    padded = F.pad(x, (2, 2, 2, 2))
    windows = [padded[..., i : i + 6, j : j + 7] for i in range(5) for j in range(5)]
    for i in range(5):
        for j in range(5):
            draws = torch.tensor([[(i + 0.5) / 5, (j + 0.5) / 5]])
            assert torch.equal(shifted(x, draws, 2), windows[5 * i + j]), (i, j)


def test_colours_are_those_of_the_formulas() -> None:
    x = 0.3 + 0.4 * torch.rand(2, 3, 4, 4, dtype=torch.float64)
    factors = torch.tensor([[1.1, 0.9, 1.2], [0.85, 1.15, 0.8]], dtype=torch.float64)
    for image, (b, c, s), out in zip(x, factors, coloured(x, factors), strict=True):
        image = image * b
        light = 0.299 * image[0] + 0.587 * image[1] + 0.114 * image[2]
        image = c * image + (1 - c) * light.mean()
        light = 0.299 * image[0] + 0.587 * image[1] + 0.114 * image[2]
        expected = (s * image + (1 - s) * light).clamp(0, 1)
        torch.testing.assert_close(out, expected, atol=1e-7, rtol=0)
    grey = x[:, :1]
    assert torch.equal(coloured(grey, torch.ones(2, 3, dtype=torch.float64)), grey)


@pytest.mark.parametrize("text", ["", "flip,", "crop", "crop0", "crop9999", "mirror", "flip,flip"])
def test_names_that_are_unknown(text: str) -> None:
    with pytest.raises(InputError, match=f"--augment {text}"):
        Augmentation.of(text)


def test_batches_are_changed_and_no_two_epochs_alike() -> None:
    x = torch.arange(64, dtype=torch.uint8).view(1, 1, 8, 8).repeat(16, 1, 1, 1)
    plain = Batches(x, size=8)
    changed = Batches(x, size=8, augmentation=Augmentation.of("flip,crop2"))
    first, _ = next(changed)
    assert not torch.equal(first, next(plain)[0])
    assert first.shape == (8, 1, 8, 8)
    assert len({tuple(image.flatten().tolist()) for image in first}) > 4
    again = Batches(x, size=8, augmentation=Augmentation.of("flip,crop2"))
    assert torch.equal(next(again)[0], first)
    # the order of the samples is that without changes
    assert torch.equal(changed._order_of(0), plain._order_of(0))


def noisy(image: Tensor) -> Tensor:
    """A transform that draws random numbers of three kinds."""
    some = torch.rand(()) + float(np.random.rand()) + random.random()
    return (image * some / 3).clamp(0, 1)


@pytest.mark.parametrize(
    ("augment", "transform"), [("flip,crop2,colour", None), (None, noisy), ("flip", noisy)]
)
def test_a_run_that_is_resumed_stays_exact(
    tmp_path: Path, augment: str | None, transform: Callable[[Tensor], Tensor] | None
) -> None:
    options: dict[str, Any] = {**SMALL, "augment": augment, "transform": transform}
    images = random_images(60, 8, 8)
    whole = zspace.train("ae", images, iterations=9, **options)

    def stop(done: int, *_: object) -> None:
        if done == 6:
            raise KeyboardInterrupt

    run = tmp_path / "run"
    told: dict[str, Any] = {"log_every": 1, "checkpoint_every": 1}
    with pytest.raises(KeyboardInterrupt):
        zspace.train("ae", images, out=run, iterations=9, progress=stop, **options, **told)
    state = random.getstate(), torch.random.get_rng_state()
    resumed = zspace.resume(run, transform=transform)
    assert state[0] == random.getstate()
    assert torch.equal(state[1], torch.random.get_rng_state())
    again = tmp_path / "again"
    other = zspace.train("ae", images, out=again, iterations=9, **options, **told)
    for name, value in other.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name])
    plain = zspace.train("ae", images, iterations=9, **SMALL)
    assert any(not torch.equal(v, plain.state_dict()[n]) for n, v in whole.state_dict().items())


def test_a_transform_must_be_given_again(cli: Cli, refused: Refused, tmp_path: Path) -> None:
    run = tmp_path / "run"
    zspace.train("ae", "digits", out=run, iterations=2, transform=noisy, **SMALL)
    message = refused("resume", run, "--iterations=4")
    assert "this training has a transform, which Python gives: zspace.train(" in message
    zspace.train("ae", "digits", out=tmp_path / "b", iterations=2, **SMALL)
    with pytest.raises(InputError, match="was trained without a transform"):
        zspace.resume(tmp_path / "b", iterations=4, transform=noisy)
    status, _, _ = cli("sample", run, "--sampler", "normal", "--out", tmp_path / "x.png")
    assert status == 0
    other = tmp_path / "c"
    assert "which Python gives" in refused("train", "ae", "--augment=transform", "--out", other)


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (lambda x: x[:, 1:], r"makes \(1, 7, 8\) of an image \(1, 8, 8\)"),
        (lambda x: x.numpy(), "makes ndarray of an image"),
        (lambda x: 3 * x + 1, r"values from 1 to 4: expected \[0, 1\]"),
        (lambda x: x * float("nan"), "values from nan"),
        (lambda x: x.to_sparse(), "the transform failed"),
        (lambda x: 1 / 0, "the transform failed: ZeroDivisionError: division by zero"),
    ],
)
def test_transforms_that_can_not_be_used(transform: Callable[[Tensor], Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        zspace.train("ae", "digits", iterations=2, transform=transform, **SMALL)


def test_vectors_are_not_augmented(refused: Refused, tmp_path: Path) -> None:
    message = refused("train", "ae", "--data=mog2", "--augment=flip", "--out", tmp_path / "run")
    assert "holds vectors: leave out --augment" in message


def test_what_is_compared_with_unchanged_images_is_not_augmented(
    refused: Refused, tmp_path: Path
) -> None:
    message = refused("train", "gen", "--augment=flip", "--out", tmp_path / "run")
    assert "does not change: leave --augment out" in message
    assert not (tmp_path / "run").exists()


def test_a_transform_may_use_one_buffer() -> None:
    x = torch.arange(8, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 8, 8).contiguous()
    buffer = torch.empty(1, 8, 8)
    given, _ = next(Batches(x, size=8, transform=buffer.copy_))
    assert sorted((255 * given[:, 0, 0, 0]).round().tolist()) == list(range(8))


def test_a_transform_is_the_same_in_several_processes() -> None:
    x = torch.randint(0, 256, (32, 1, 8, 8)).to(torch.uint8)
    whole, _ = next(Batches(x, size=8, transform=noisy))
    parts = [next(Batches(x, size=8, transform=noisy, rank=r, world=2))[0] for r in range(2)]
    assert torch.equal(torch.cat(parts), whole)


def test_shifts_out_of_sight_are_refused(refused: Refused, tmp_path: Path) -> None:
    message = refused("train", "ae", "--augment=crop8", "--out", tmp_path / "run")
    assert "--augment crop8 shifts images of 8x8 pixels out of sight" in message

"""Conversion between stored data and the floats that networks take, block by block; seeds."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zspace.errors import InputError, ModelError

BLOCK = 256
"""The number of images or codes that pass through a network at a time outside training."""

HELD = 1 << 24
"""The number of intermediate numbers to hold at a time: 64 MiB in single precision."""

DRAWN = 256 * BLOCK
"""The number of codes that are drawn at a time where any number can be asked for."""


def stream(*numbers: int) -> int:
    """A seed for one of several independent random streams, derived from whole numbers >= 0.

    Numbers below 2^32 and as many of them tell streams apart; (5) and (5, 0) are the same.
    """
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


@contextmanager
def own_random(seed: int, device: torch.device | None = None) -> Generator[None]:
    """A context in which PyTorch's global random numbers follow from a seed alone.

    After it they go on as if it had not been.

    Args:
        seed: the seed.
        device: the device on which numbers are drawn besides the CPU; None if there is none. Other
            devices' generators are left alone, whereas `torch.manual_seed` sets all of them.
    """
    with torch.random.fork_rng([device] if device is not None and device.type == "cuda" else []):
        if device is None or device.type == "cpu":
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)
        yield


@contextmanager
def all_random(seed: int) -> Generator[None]:
    """A context in which the random numbers of PyTorch, NumPy and Python follow from a seed alone.

    After it they go on as if it had not been. PyTorch's are those of the CPU.
    """
    python, numpy = random.getstate(), np.random.get_state()
    try:
        random.seed(seed)
        np.random.seed(seed % (1 << 32))
        with own_random(seed):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


WITHOUT_FLOAT64 = frozenset({"mps"})
"""The types of devices that have no float64."""


def where_exact(x: Tensor) -> Tensor:
    """x where its numbers can be float64: itself, or on the CPU if its device has no float64."""
    return x.cpu() if x.device.type in WITHOUT_FLOAT64 else x


def doubled(x: Tensor) -> Tensor:
    """x as float64: where it lies, or on the CPU if its device has no float64."""
    return where_exact(x).double()


def as_float(x: Tensor) -> Tensor:
    """Stored data as networks take them: uint8 as float32 in [0, 1], other types unchanged.

    Images (N, C, H, W) come in PyTorch's channels-last memory format.
    """
    if x.dtype == torch.uint8:
        x = x.float().div_(255)
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def as_stored(x: Tensor) -> Tensor:
    """The inverse of `as_float`: images in [0, 1] as uint8, rounded; vectors (N, D) unchanged.

    Raises:
        InputError: x holds NaN or infinite numbers, which uint8 would hide.
    """
    check_finite(x, "images" if x.ndim == 4 else "vectors")
    return x.float().clamp(0, 1).mul(255).round().byte() if x.ndim == 4 else x


def full_precision(x: Tensor) -> Tensor:
    """x as float32 if it is in half precision (bfloat16 or float16), else x itself."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


@contextmanager
def kept_precision() -> Generator[None]:
    """A context at whose end float32 products and convolutions are as precise as before.

    PyTorch has two ways to say how precise they are; the older one can't be asked what the newer
    one (from PyTorch 2.9 on) has set.
    """
    backends: Any = torch.backends
    try:
        products, convolutions = torch.get_float32_matmul_precision(), backends.cudnn.allow_tf32
    except RuntimeError:
        parts = [backends.cuda.matmul, backends.mkldnn.matmul]
        parts += [backends.cudnn.conv, backends.cudnn.rnn]
        before = [part.fp32_precision for part in parts]

        def restore() -> None:
            for part, precision in zip(parts, before, strict=True):
                part.fp32_precision = precision
    else:

        def restore() -> None:
            torch.set_float32_matmul_precision(products)
            backends.cudnn.allow_tf32 = convolutions

    try:
        yield
    finally:
        restore()


@contextmanager
def exact(x: Tensor) -> Generator[None]:
    """A context of float32 products where x lies, even under autocast or where TF32 is allowed.

    Differences of products and squares, such as distances, keep few digits of less.
    """
    with kept_precision(), torch.autocast(x.device.type, enabled=False):
        torch.set_float32_matmul_precision("highest")
        yield


def one_hot(y: Tensor, classes: int) -> Tensor:
    """One-hot vectors (N, classes), float32, of labels (N,) from 0.

    Nothing is read from the labels, as PyTorch's function of that name does on the CPU.
    """
    return (y[:, None] == torch.arange(classes, device=y.device)).float()


def check_floats(x: Tensor) -> Tensor:
    """x itself, after a check that it is a tensor of floats.

    Raises:
        InputError: x is no tensor, or not of a float type.
    """
    if not isinstance(x, Tensor) or not x.is_floating_point():  # pyright: ignore[reportUnnecessaryIsInstance]
        kind = x.dtype if isinstance(x, Tensor) else type(x).__name__  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(
            f"expected a torch tensor of floats (images in [0, 1]), not {kind}: "
            "zspace.functional.as_float converts stored images"
        )
    return x


def all_finite(x: Tensor) -> bool:
    """Whether no number of a tensor of real numbers is NaN or infinite, found without a copy of it.

    Such a number is the least or the greatest; `isfinite(x)` would hold as much again as x.
    """
    return not x.numel() or bool(torch.isfinite(torch.stack(torch.aminmax(x))).all())


def check_finite(x: Tensor, what: str) -> Tensor:
    """x itself, after a check that none of its numbers is NaN or infinite.

    Args:
        x: what a model has computed.
        what: what it is, in the plural, for the message.

    Raises:
        ModelError: a number is NaN or infinite.
    """
    if not all_finite(x):
        raise ModelError(
            f"the model's {what} hold NaN or infinite numbers, for which its weights or its data "
            "are to blame: choose another checkpoint, or train it anew"
        )
    return x


def check_range(x: Tensor) -> Tensor:
    """x itself, after a check that it is what networks take: floats, and in [0, 1] if images.

    Args:
        x: images (N, C, H, W) or vectors (N, D).

    Raises:
        InputError: x is no tensor of floats, or its images reach beyond [0, 1].
    """
    check_floats(x)
    if x.ndim == 4 and len(x) and not bool(((x >= 0) & (x <= 1)).all()):
        low, high = (float(v) for v in x.aminmax())
        raise InputError(
            f"images must lie in [0, 1], these reach from {low:.3g} to {high:.3g}: (x + 1) / 2 "
            "converts from [-1, 1], x / 255 from [0, 255]"
        )
    return x


def rows_at_once(numbers: int, most: int | None = None) -> int:
    """The number of rows to compute at a time, at least 1, if each takes some numbers of memory.

    Args:
        numbers: the intermediate numbers that a row takes, of which `HELD` are held at a time.
        most: the largest number of rows; None sets no limit.
    """
    rows = max(1, HELD // max(1, numbers))
    return rows if most is None else min(most, rows)


def blockwise(function: Callable[[Tensor], Tensor], x: Tensor, block: int = BLOCK) -> Tensor:
    """function(x), computed on `block` rows of x at a time, which bounds the memory."""
    return torch.cat([function(part) for part in x.split(block)])


@torch.no_grad()
def of_stored(function: Callable[[Tensor], Tensor], x: Tensor, device: torch.device) -> Tensor:
    """function(x) for stored data x, moved to a device and converted to floats block by block.

    No graph for gradients is kept.
    """
    return blockwise(lambda block: function(as_float(block.to(device))), x)


def in_eval_mode(net: nn.Module, x: Tensor) -> Tensor:
    """net(x) with batch norm's running statistics and without dropout, whatever mode net is in.

    In training, call it after the passes in train mode, since these update the statistics.
    """
    mode = net.training
    net.eval()
    try:
        out: Tensor = net(x)
    finally:
        net.train(mode)
    return out

"""Stored data as networks take them, block by block, and the seeds of independent streams."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from zspace.errors import InputError

BLOCK = 256
"""Images or codes that pass through a network at a time outside training: bounds the memory."""


def stream(*numbers: int) -> int:
    """A seed for one of several independent streams."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


def as_float(x: Tensor) -> Tensor:
    """Stored data as networks take it: uint8 images to float32 in [0, 1], vectors as they are."""
    if x.dtype == torch.uint8:
        x = x.float().div_(255)
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def as_stored(x: Tensor) -> Tensor:
    """`as_float`'s inverse: images in [0, 1] as the nearest of 256 levels, vectors as they are."""
    return x.float().clamp(0, 1).mul(255).round().byte() if x.ndim == 4 else x


def full_precision(x: Tensor) -> Tensor:
    """x in float32 where autocast left it in half precision."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def check_floats(x: Tensor) -> Tensor:
    """x itself, where it is a tensor of floats as networks take it."""
    if not isinstance(x, Tensor) or not x.is_floating_point():  # pyright: ignore[reportUnnecessaryIsInstance]
        kind = x.dtype if isinstance(x, Tensor) else type(x).__name__  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(
            f"expected a torch tensor of floats (images in [0, 1]), not {kind}: "
            "zspace.functional.as_float converts stored images"
        )
    return x


def check_range(x: Tensor) -> Tensor:
    """x itself, where it is floats as networks take them: images in [0, 1], vectors as they are."""
    check_floats(x)
    if x.ndim == 4 and len(x) and not bool(((x >= 0) & (x <= 1)).all()):
        low, high = (float(v) for v in x.aminmax())
        raise InputError(
            f"images must lie in [0, 1], these reach from {low:.3g} to {high:.3g}: (x + 1) / 2 "
            "converts from [-1, 1], x / 255 from [0, 255]"
        )
    return x


def blockwise(function: Callable[[Tensor], Tensor], x: Tensor, block: int = BLOCK) -> Tensor:
    """function(x), computed on `block` rows at a time: memory stays bounded."""
    return torch.cat([function(part) for part in x.split(block)])


@torch.no_grad()
def of_stored(function: Callable[[Tensor], Tensor], x: Tensor, device: torch.device) -> Tensor:
    """function(x) of stored data, taken blockwise as floats on a device; no graph is kept."""
    return blockwise(lambda block: function(as_float(block.to(device))), x)


def in_eval_mode(net: nn.Module, x: Tensor) -> Tensor:
    """net(x) with batch norm by its running statistics and no dropout, whatever mode net is in.

    In train mode it is called after the passes in that mode: they move the statistics.
    """
    mode = net.training
    net.eval()
    try:
        out: Tensor = net(x)
    finally:
        net.train(mode)
    return out

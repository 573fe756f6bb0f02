"""Codes drawn from a sampler, checked, at once or in blocks."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from zspace.core import Sampler
from zspace.errors import ModelError
from zspace.functional.tensors import BLOCK, DRAWN, all_finite
from zspace.recipes import catalogue


@torch.no_grad()
def draw_codes(
    sampler: Sampler, name: str, n: int, label: int | None, generator: torch.Generator
) -> Tensor:
    """n codes (n, D) of a sampler, which are checked.

    Args:
        sampler: the sampler.
        name: its name, for messages.
        n: the number of codes.
        label: the label that they are to have; None leaves it open.
        generator: on the sampler's device.

    Raises:
        InputError: another package's sampler fails.
        ModelError: the codes are NaN or infinite.
    """
    with catalogue.whose_fault(name):
        z = sampler.draw(n, label, generator=generator)
    if not all_finite(z):
        raise ModelError(f"the sampler {name} drew codes that are NaN or infinite")
    return z


def draw_labelled(
    sampler: Sampler, name: str, labels: Tensor, generator: torch.Generator
) -> Tensor:
    """Codes (n, D) of labels (n,), those of a label drawn together, from the smallest on.

    Args:
        sampler: a fitted sampler that knows the labels.
        name: its name.
        labels: the labels, on the CPU.
        generator: on the sampler's device.

    Raises:
        InputError, ModelError: what `draw_codes` raises.
    """
    present, counts = labels.unique(return_counts=True)
    pairs = zip(present.tolist(), counts.tolist(), strict=True)
    z = torch.cat([draw_codes(sampler, name, n, label, generator) for label, n in pairs])
    return z[labels.argsort(stable=True).argsort().to(z.device)]


def code_blocks(
    sampler: Sampler, name: str, n: int, label: int | None, generator: torch.Generator
) -> Iterator[Tensor]:
    """Codes of a sampler in blocks for a decoder, (256, D) each but the last.

    They are drawn 65,536 (`DRAWN`) at a time: up to that number they are those of `draw_codes`.

    Args:
        sampler, name, n, label, generator: what `draw_codes` takes.

    Raises:
        InputError: what `draw_codes` raises, be it after some blocks.
    """
    for start in range(0, n, DRAWN):
        count = min(DRAWN, n - start)
        z = draw_codes(sampler, name, count, label, generator)
        for i in range(0, count, BLOCK):
            yield z[i : i + BLOCK].clone()  # none holds the whole draw while the next is made
        del z

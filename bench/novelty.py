"""Novelty scores: the decoder's Jacobian against as many passes of the decoder.

    python bench/novelty.py

For codes of D dimensions it takes D forward-mode derivatives beside the decoding itself, so that
D + 1 passes are what it can hardly beat. They take turns with the Jacobian, of the decoder as it
was trained and of the same function with batch norm as part of its layers
(`zspace.nets.layers.fused`).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from zspace.functional import jacobian_log_determinant
from zspace.nets.layers import fused
from zspace.recipes import Facts, find

SHAPES = (1, 28, 28), (3, 32, 32), (3, 64, 64)
DIM, IMAGES, ROUNDS = 8, 64, 7


def seconds(function: Callable[[], object]) -> float:
    """The processor's time, which other work on the machine changes least."""
    began = time.process_time()
    function()
    return time.process_time() - began


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"| image | {DIM + 1} passes, ms | Jacobian | fused | of the limit | images a second |")
    print("|---|---:|---:|---:|---:|---:|")
    for shape in SHAPES:
        plan = find("ae")(Facts(shape, ("0", "1"), True, 1000), latent_dim=DIM, width=16)  # type: ignore[call-arg]
        model = plan.model.eval().requires_grad_(False)
        for layer in model.modules():  # statistics that are not those of the start
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                nn.init.uniform_(layer.running_var, 0.5, 2)
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        quick = fused(model)
        z = torch.randn(IMAGES, DIM)
        many = z.repeat(DIM + 1, 1)
        ways: list[Callable[[], object]] = [
            partial(model.decode, many),
            partial(jacobian_log_determinant, model.decode, z),
            partial(jacobian_log_determinant, quick.decode, z),
        ]
        rounds = [[seconds(way) for way in ways] for _ in range(ROUNDS + 1)][1:]
        limit, before, after = (1000 * statistics.median(t) for t in zip(*rounds, strict=True))
        print(
            f"| {'x'.join(map(str, shape))} | {limit:.0f} | {before:.0f} | {after:.0f} | "
            f"{limit / before:.2f} -> {limit / after:.2f} | {1000 * IMAGES / after:.0f} |"
        )


if __name__ == "__main__":
    main()

"""The state of optimisers, as checkpoints hold it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


def owned(optimizer: Optimizer) -> list[nn.Parameter]:
    """The parameters that an optimiser updates, in its order."""
    return [p for group in optimizer.param_groups for p in group["params"]]


def optimizer_state(
    tensors: Mapping[str, Tensor], prefix: str, p: nn.Parameter, adam: bool
) -> dict[str, Tensor]:
    """An optimiser's state for one parameter, in the parameter's memory layout and device."""
    state: dict[str, Tensor] = {}
    for key, value in tensors.items():
        if not key.startswith(prefix):
            continue
        if value.shape not in (p.shape, ()) or not value.is_floating_point():
            raise ValueError(f"{key} has shape {tuple(value.shape)}, dtype {value.dtype}")
        whole = value.shape == p.shape
        state[key[len(prefix) :]] = (
            torch.empty_like(p).copy_(value) if whole else value.to(p.device)
        )
    if adam and {"step", "exp_avg", "exp_avg_sq"} - state.keys():
        raise ValueError(f"{prefix}* is not complete")
    for name in ("exp_avg", "exp_avg_sq"):
        if name in state and state[name].shape != p.shape:
            raise ValueError(f"{prefix}{name} has shape {tuple(state[name].shape)}")
    return state

"""`Frozen`, a trained module in the hands of another method."""

from __future__ import annotations

from typing import Any, Self

from torch import nn


class Frozen(nn.Module):
    """A trained module that another method uses, without gradients and always in eval mode.

    If an earlier stage of the same plan trains the module, `zspace.training.fit` lets its
    parameters require gradients as long as that stage lasts.

    Args:
        module: the module.

    >>> frozen = Frozen(nn.Linear(2, 1))
    >>> frozen.train().module.training, any(p.requires_grad for p in frozen.parameters())
    (False, False)
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.module.eval()
        return self

    def forward(self, *args: Any) -> Any:
        return self.module(*args)

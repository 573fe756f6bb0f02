"""The classifier of rotations: what it is trained on, and what it then tells."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zspace.core import Batches
from zspace.functional.augmentation import turned
from zspace.methods.rotation import Rotation, told_turns

X = torch.randint(0, 256, (6, 3, 8, 8), dtype=torch.uint8)


def test_the_loss_is_that_of_the_paper() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 4))
    batches = Batches(X, None, size=6, seed=0)
    x, _ = next(Batches(X, None, size=6, seed=0))
    (name, terms), *more = Rotation(net).objectives(batches)
    assert (name, more) == ("classifier", [])
    logs = [net(torch.rot90(x, y, (2, 3))).log_softmax(1)[:, y] for y in range(4)]
    by_hand = -torch.stack(logs).mean(0).mean()  # Eq. 3 for each image, Eq. 2 over them
    torch.testing.assert_close(terms["cross-entropy"], by_hand)


def test_turns_are_told() -> None:
    x = torch.rand(5, 1, 8, 8)
    images, turns = turned(x)
    assert torch.equal(images[10:15].rot90(2, (2, 3)), x)
    assert turns.tolist() == [0] * 5 + [1] * 5 + [2] * 5 + [3] * 5

    def never(x: Tensor) -> Tensor:
        return torch.tensor([[1.0, 0, 0, 0]]).expand(len(x), 4)

    net = nn.Module()
    net.forward = never  # type: ignore[method-assign] # pyright: ignore[reportAttributeAccessIssue]
    assert told_turns(net, x).tolist() == [0.25] * 5
    net.forward = lambda x: torch.eye(4)[turns]  # type: ignore[method-assign] # pyright: ignore[reportAttributeAccessIssue]
    assert told_turns(net, x).tolist() == [1.0] * 5

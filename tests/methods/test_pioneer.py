"""Pioneer's codes lie on the sphere."""

from __future__ import annotations

import torch
from torch import nn

from tests.conftest import seeded
from zspace.methods.pioneer import Pioneer
from zspace.samplers.sphere import Sphere


def test_pioneers_codes_lie_on_the_sphere() -> None:
    model = Pioneer(nn.Linear(5, 3), nn.Linear(3, 5), Sphere(3), 3)
    torch.testing.assert_close(model.encode(torch.randn(9, 5)).norm(dim=1), torch.ones(9))
    z = Sphere(3).sample(20_000, generator=seeded())
    torch.testing.assert_close(z.norm(dim=1), torch.ones(20_000))
    # uniform: no direction is preferred, and so E z z^T = I / D
    torch.testing.assert_close(z.T @ z / 20_000, torch.eye(3) / 3, atol=0.01, rtol=0)
    x = torch.randn(3, 3)
    torch.testing.assert_close(model.decode(x), model.decode(5 * x))

"""The autoregressive prior of discrete codes."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from tests.conftest import seeded
from zspace.samplers.autoregressive import Autoregressive


def every_grid() -> Tensor:
    return torch.tensor(list(itertools.product(range(3), repeat=4))).view(-1, 2, 2)


def test_the_autoregressive_likelihood_is_normalised_and_drawn_from() -> None:
    torch.manual_seed(0)
    prior = Autoregressive(3, 2, (2, 2), width=8, blocks=2)
    for p in prior.net.parameters():
        p.data += 0.4 * torch.randn(p.shape, generator=seeded(p.numel()))
    grids = every_grid()
    with torch.no_grad():
        logs = torch.stack([-prior.negative_log_likelihood(k[None]) for k in grids])
        z = prior.sample(20_000, generator=seeded())
    assert float(logs.exp().sum()) == pytest.approx(1, abs=1e-5)
    assert float(logs.exp().max()) > 2 / 81  # not uniform: the test means something
    embedded = prior.embed(grids).flatten(1).detach()
    counts = torch.cdist(z, embedded).argmin(1).bincount(minlength=81)
    expected = logs.exp() * 20_000
    chi = float(((counts - expected) ** 2 / expected).sum())
    assert chi < 80 + 5 * math.sqrt(160)


def test_an_index_depends_on_those_before_it_alone() -> None:
    torch.manual_seed(0)
    net = Autoregressive(5, 2, (4, 4), width=8, blocks=3).net
    k = torch.randint(0, 5, (1, 4, 4), generator=seeded())
    other = k.clone()
    other[0, 2, 1] = (other[0, 2, 1] + 1) % 5
    with torch.no_grad():
        differs = (net(k) != net(other)).any(1)[0].flatten()
    place = 2 * 4 + 1
    assert not differs[: place + 1].any()
    assert differs[place + 1 :].any()

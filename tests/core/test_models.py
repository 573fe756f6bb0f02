"""The latent model's own functions, frozen parts, posteriors, codes block by block."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import zspace
from zspace.core import Frozen, Variational
from zspace.data import load
from zspace.errors import InputError


def test_frozen_stays_frozen() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    outer = nn.Sequential(Frozen(net), nn.Linear(3, 1))
    outer.train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    outer(torch.randn(8, 3)).sum().backward()
    assert not net.training
    assert all(p.grad is None for p in net.parameters())
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


def test_sample_is_seeded_by_its_generator(runs: dict[str, Path]) -> None:
    model = zspace.load(runs["flexae-sr"])
    a, b = (model.sample(4, generator=torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(a, b)
    assert not a.requires_grad
    assert len(model.sample(np.int64(2))) == 2  # pyright: ignore[reportArgumentType]
    for n in (0, 1.5, True, "2"):
        with pytest.raises(InputError, match="n must be a whole number from 1"):
            model.sample(n)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="steps must be a whole number from 2"):
        model.interpolate(a, b, 1)
    with pytest.raises(InputError, match=r"images must lie in \[0, 1\]"):
        model.interpolate(a, 2 * b + 1)
    with pytest.raises(InputError, match="give as many of each"):
        model.interpolate(a, b[:2])


def test_posterior_of_a_vae(runs: dict[str, Path]) -> None:
    from zspace.core import Variational

    model = zspace.load(runs["vae"])
    assert isinstance(model, Variational)
    posterior = model.posterior(torch.rand(5, 1, 8, 8))
    assert posterior.batch_shape == (5,)
    assert posterior.event_shape == (3,)
    assert posterior.log_prob(torch.zeros(5, 3)).shape == (5,)


def test_float64_codes_of_a_batch(runs: dict[str, Path]) -> None:
    """Blocks do not change what an image's code is."""
    from zspace.core import codes

    model = zspace.load(runs["ae"])
    images = load("digits")
    x: Tensor = images.train.x[:300]
    together = codes(model, x)
    alone = torch.cat([codes(model, x[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(together[:5], alone, rtol=1e-5, atol=1e-5)


def test_an_image_range_that_does_not_fit(rendered_runs: Path) -> None:
    model = zspace.load(rendered_runs / "lsrgan")
    assert isinstance(model, Variational)
    for x in (2 * torch.rand(3, 1, 8, 8) - 1, 255 * torch.rand(3, 1, 8, 8)):
        for use in (model.imagine, model.reconstruct):
            with pytest.raises(InputError, match=r"images must lie in \[0, 1\], these reach from"):
                use(x)  # type: ignore[operator]
    with pytest.raises(InputError, match=r"must lie in \[0, 1\]"):
        model.imagine(torch.full((1, 1, 8, 8), math.nan))
    with pytest.raises(InputError, match="draws must be a whole number from 1"):
        model.imagine(torch.rand(1, 1, 8, 8), 0)


def test_draws_are_of_the_posterior(rendered_runs: Path) -> None:
    model = zspace.load(rendered_runs / "vae")
    assert isinstance(model, Variational)
    x = torch.rand(3, 1, 8, 8)
    z = model.draw(x, 4000)
    q: Any = model.posterior(x)
    torch.testing.assert_close(z.mean(1), q.mean, rtol=0, atol=0.08)
    torch.testing.assert_close(z.std(1), q.stddev, rtol=0.08, atol=0)
    assert torch.equal(z[:, :1], model.draw(x, 4000)[:, :1])
    assert not torch.equal(model.draw(x, 1, seed=1), model.draw(x, 1))

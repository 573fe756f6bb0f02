"""Classwise samplers: moments, averages, theta."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp, kstest

from tests.samplers.shared import classes
from zspace.errors import InputError
from zspace.functional import tensors
from zspace.samplers import Medium1, Medium2, Simple, as_text


def test_moments_of_each_class() -> None:
    z, y = classes()
    fitted = Simple(2, theta=0.5).fit(z, y)
    for label in range(3):
        own = z[y == label].double().numpy()
        drawn = fitted.sample(50_000, label, generator=torch.Generator().manual_seed(1)).numpy()
        np.testing.assert_allclose(drawn.mean(0), own.mean(0), atol=0.02)
        np.testing.assert_allclose(drawn.std(0), 0.5 * own.std(0), rtol=0.02)
        one = (drawn[:, 0] - own[:, 0].mean()) / (0.5 * own[:, 0].std())
        assert kstest(one, "norm").pvalue > 0.01


@pytest.mark.parametrize("average", [2, 3, 5])
def test_an_average_of_n_is_one_draw_with_theta_over_root_n(average: int) -> None:
    z, y = classes()
    averaged = Simple(2, theta=0.8, average=average).fit(z, y)
    single = Simple(2, theta=0.8 / average**0.5).fit(z, y)
    other = Simple(2, theta=0.8 / average).fit(z, y)
    drawn = [
        s.sample(20_000, 1, generator=torch.Generator().manual_seed(seed))
        for seed, s in enumerate((averaged, single, other))
    ]
    for d in range(2):
        assert ks_2samp(drawn[0][:, d], drawn[1][:, d]).pvalue > 0.01
        assert ks_2samp(drawn[0][:, d], drawn[2][:, d]).pvalue < 1e-6


def test_theta_scales_each_dimension_and_each_class() -> None:
    z, y = classes()
    one = Medium1(2, theta="0,1").fit(z, y)
    drawn = one.sample(4000, 1, generator=torch.Generator().manual_seed(0))
    assert float(drawn[:, 0].std()) < 1e-5
    assert float(drawn[:, 1].std()) == pytest.approx(float(z[y == 1][:, 1].std()), rel=0.05)
    two = Medium2(2, theta="0,1;1,0;0.5,0.5").fit(z, y)
    for label, factors in enumerate(((0, 1), (1, 0), (0.5, 0.5))):
        drawn = two.sample(4000, label, generator=torch.Generator().manual_seed(0))
        expected = torch.tensor(factors) * z[y == label].std(0)
        torch.testing.assert_close(drawn.std(0), expected, rtol=0.05, atol=1e-4)


def test_without_a_label_classes_come_by_their_shares() -> None:
    z, y = classes()
    keep = (y != 1) | (torch.arange(len(y)) < 300)
    drawn = Simple(2, theta=0.1).fit(z[keep], y[keep]).sample(20_000)
    share = float(((drawn[:, 0] - 10).abs() < 4).float().mean())
    assert share == pytest.approx(float((y[keep] == 1).float().mean()), abs=0.01)


def test_labels_that_can_not_be_drawn() -> None:
    z, y = classes()
    fitted = Simple(2, classes=5).fit(z[y != 1], y[y != 1])
    fitted.with_names(["cat", "dog", "owl", "hen", "cow"])
    for label, name in ((1, "dog"), (4, "cow")):
        with pytest.raises(InputError, match=f"class {name} has no training image"):
            fitted.sample(3, label)
    with pytest.raises(InputError, match="label 5 is none of the 5"):
        fitted.sample(3, 5)
    assert fitted.labels == 5
    with pytest.raises(InputError, match="the data have no labels"):
        Simple(2).fit(z)
    with pytest.raises(InputError, match="the data have no labels"):
        Simple(2).fit(z, torch.full_like(y, -1))


@pytest.mark.parametrize(
    "kind, theta, message",
    [
        (Medium1, "0.1,1.5", r"numbers in \[0, 1\], not 1.5"),
        (Medium1, "0.1,nan", r"numbers in \[0, 1\], not nan"),
        (Medium1, "0.1,-0.2", r"numbers in \[0, 1\], not -0.2"),
        (Medium1, "0.1", "has 1 numbers, codes have 2 dimensions"),
        (Medium1, "0.1,x", "must be numbers with commas"),
        (Medium1, "0.1,0.2;0.3,0.4", "has 2 rows: medium1 has one"),
        (Medium2, "0.1,0.2;0.3", "has rows of 2 and of 1 numbers"),
        (Medium1, None, "medium1 has no theta: 'zspace tune"),
        (Medium2, None, "medium2 has no theta: 'zspace tune"),
    ],
)
def test_thetas_that_make_no_sense(kind: Any, theta: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        kind(2, theta=theta)


def test_rows_of_theta_are_the_classes() -> None:
    with pytest.raises(InputError, match="theta has 2 rows, the data have 3 classes"):
        Medium2(2, theta="0,1;1,0").fit(*classes())
    assert as_text([[0.1, 1], [0.25, 0]]) == "0.1,1;0.25,0"


def test_noise_in_many_blocks_is_that_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    z = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    sampler = Simple(3, average=6).fit(z, torch.arange(60) % 2)
    drawn: list[torch.Tensor] = []
    for held in (tensors.HELD, 16 * 3 * 6):
        monkeypatch.setattr(tensors, "HELD", held)
        drawn.append(sampler.sample(100, generator=torch.Generator().manual_seed(1)))
    torch.testing.assert_close(drawn[1], drawn[0], rtol=0, atol=0)


def test_more_labels_than_were_asked_for() -> None:
    z, y = torch.randn(30, 2), torch.arange(30) % 3
    with pytest.raises(InputError, match="--classes 2: the data have a label 2"):
        Simple(classes=2).fit(z, y)
    sampler = Simple().fit(z, y)
    assert sampler.fit(z[:20], y[:20] % 2).labels == 2  # what an earlier fit has found is no limit

"""Novelty by densities, against closed forms and counting."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from zspace.data.images import Part
from zspace.errors import InputError
from zspace.evaluation.novelty import PERFECT, Novelty, Scores, auroc, log_densities
from zspace.methods.gen import GEN
from zspace.samplers import Mixture, Normal


def test_scores_of_a_linear_model_are_known() -> None:
    """x = W z: log p(x) in closed form."""
    torch.manual_seed(0)
    net = nn.Linear(2, 5)
    model = GEN(Toy(), net, Mixture(2, components=1), 2, centres=5, bandwidth=0.5).eval()
    x = torch.randn(7, 5)
    found = log_densities(model, x, Normal(2), 0.3)
    z = x[:, :2]
    with torch.no_grad():
        volume = 0.5 * torch.logdet(net.weight.T @ net.weight)
        residual = MultivariateNormal(net(z), 0.3 * torch.eye(5)).log_prob(x)
    expected = Normal(2).log_prob(z) - volume + residual
    torch.testing.assert_close(-found.score.float(), expected)
    with pytest.raises(InputError, match="codes of size 2 are larger than the data, which have 1"):
        log_densities(model, x[:, :1], Normal(2), 0.3)


def test_perfect_reconstructions_have_no_residual_but_outliers_have() -> None:
    """What rounding leaves of an error of 0, in float32, is no evidence against an image."""
    net = nn.Linear(2, 5, bias=False)
    with torch.no_grad():
        net.weight.zero_()
        net.weight[:2] = torch.eye(2)
    model = GEN(Toy(), net, Mixture(2, components=1), 2, centres=5, bandwidth=0.5).eval()
    x = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [1, 1, 0, 0, 0]
    )
    x[0, 2], x[1, 2] = 5e-7, 0.1
    residual = log_densities(model, x, Normal(2), PERFECT).residual
    assert residual[[0, 2, 3, 4, 5]].tolist() == [0.0] * 5
    assert float(residual[1]) == pytest.approx(-0.5 * (0.01 - 5 * PERFECT) / PERFECT, rel=1e-6)


class Toy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, :2]


def test_auroc_against_counting() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randint(0, 9, (k,), generator=generator).double() for k in (50, 70))
    b += 1
    wins = (b[None] > a[:, None]).double() + 0.5 * (b[None] == a[:, None])
    figure = auroc(a, b)
    assert figure.value == pytest.approx(float(wins.mean()))
    assert 0 < figure.error < 0.1


def test_auroc_where_a_density_vanishes() -> None:
    """An infinite score is above every other; NaN is refused."""
    inf = math.inf
    inliers, outliers = torch.tensor([0.0, 1.0, inf]), torch.tensor([0.5, inf, inf])
    # of nine pairs, an outlier is above in 5, level in 2
    assert auroc(inliers, outliers).value == pytest.approx((5 + 2 / 2) / 9)
    with pytest.raises(InputError, match="some scores are NaN"):
        auroc(inliers, torch.tensor([math.nan]))


def test_images_of_unknown_label_are_neither_known_nor_others() -> None:
    y = torch.tensor([1, 1, 1, 1, 0, 0, 0, 0, -1, -1])
    score = torch.tensor([1.0, 2, 3, 4, 5, 6, 7, 8, -9, -9])
    zero = torch.zeros(10)
    scores = Scores(-score, zero, zero, zero)
    found = Novelty(scores, Part(torch.zeros(10, 2), y), ("0", "1"), y == 1, 1.0, 2, "prior")
    area = found.auroc()
    assert area is not None
    assert area.value == 1.0
    assert found.others is not None
    assert int(found.others.sum()) == 4

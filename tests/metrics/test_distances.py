"""Distances between two sets, against SciPy, definitions and laws."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.stats import wasserstein_distance as scipy_w1
from torch import Tensor

from tests.metrics.shared import normal
from zspace import metrics
from zspace.errors import InputError
from zspace.functional import whitening
from zspace.metrics import BiasWarning

pytestmark = pytest.mark.filterwarnings("ignore::zspace.metrics.BiasWarning")


def scipy_frechet(x: Tensor, y: Tensor) -> float:
    """The definition, with SciPy's matrix root of the product of the covariances."""
    a, b = np.cov(x.numpy().T), np.cov(y.numpy().T)
    root = np.real(sqrtm(a @ b))
    mean = np.square(x.numpy().mean(0) - y.numpy().mean(0)).sum()
    return float(mean + np.trace(a) + np.trace(b) - 2 * np.trace(root))


@pytest.mark.parametrize(
    "n, m, d, rel",
    [
        (500, 510, 6, 1e-6),
        (900, 700, 200, 1e-6),
        (20, 30, 30, 1e-4),
        (20, 500, 30, 1e-4),
        (500, 20, 30, 1e-4),
    ],
)
def test_frechet_against_scipys_matrix_root(n: int, m: int, d: int, rel: float) -> None:
    mix = normal(d, d, 5) / math.sqrt(d)
    x, y = normal(n, d) @ mix, 1 + 2 * normal(m, d, 1)
    assert metrics.frechet_distance(x, y) == pytest.approx(scipy_frechet(x, y), rel=rel)


def test_frechet_of_codes_that_never_vary_somewhere() -> None:
    """A singular covariance of many samples: the eigenvalue form."""
    x, y = normal(300, 5), 1 + normal(300, 5, 1)
    wide = torch.cat([x, torch.zeros(300, 2)], 1), torch.cat([y, torch.zeros(300, 2)], 1)
    assert metrics.frechet_distance(*wide) == pytest.approx(metrics.frechet_distance(x, y), 1e-6)


def test_frechet_of_a_set_with_itself_is_zero() -> None:
    x = normal(300, 5)
    assert metrics.frechet_distance(x, x) == pytest.approx(0, abs=1e-9)


def test_frechet_of_known_normals() -> None:
    """Sets with exactly these moments: ||m||^2 + sum (s_1 - s_2)^2."""
    x = normal(400, 4)
    mean, white = whitening(x)
    x = (x - mean) @ white
    scales = torch.tensor([1.0, 2, 3, 0.5], dtype=torch.float64)
    expected = 4 * 3**2 + float((scales - 1).square().sum())
    assert metrics.frechet_distance(x, x * scales + 3) == pytest.approx(expected, rel=1e-9)


def test_frechet_warns_of_few_samples() -> None:
    with pytest.warns(BiasWarning, match=r"of 40 samples in 10 dimensions is biased upwards: 50"):
        metrics.frechet_distance(normal(40, 10), normal(60, 10, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metrics.frechet_distance(normal(50, 10), normal(60, 10, 1))


def test_the_limit_has_less_bias_than_the_distance() -> None:
    """Of samples of one distribution, whose true distance is 0."""
    reference = normal(20_000, 30, 9)
    plain, limit = [], []
    for seed in range(4):
        x = normal(600, 30, seed)
        plain.append(metrics.frechet_distance(reference, x))
        limit.append(metrics.frechet_distance(reference, x, limit=True, seed=seed))
    assert abs(np.mean(limit)) < np.mean(plain) / 4
    with pytest.raises(InputError, match="20 generated samples or more, not 19"):
        metrics.frechet_distance(reference, reference[:19], limit=True)


def test_wasserstein_against_scipy_in_one_dimension() -> None:
    x, y = normal(200, 1), normal(200, 1, 1).abs() * 3
    expected = scipy_w1(x[:, 0].numpy(), y[:, 0].numpy())
    assert metrics.wasserstein_distance(x, y) == pytest.approx(expected, rel=1e-9)
    assert float(metrics.wasserstein_distance_1d(x, y)) == pytest.approx(expected, rel=1e-9)
    assert metrics.sliced_wasserstein_distance(x, y) == pytest.approx(expected, rel=1e-9)


def test_wasserstein_of_a_translation_is_its_length() -> None:
    x, shift = normal(100, 4), torch.tensor([3.0, 0, 4.0, 0])
    assert metrics.wasserstein_distance(x, x + shift) == pytest.approx(5, rel=1e-6)
    far = x.double() + 1e6
    assert metrics.wasserstein_distance(far, far) == 0
    assert metrics.wasserstein_distance(far, far + 1e-3) == pytest.approx(2e-3, rel=1e-6)
    # a random direction sees |u . shift| of it: for D = 4 its mean is 4 / (3 pi) of the length
    sliced = metrics.sliced_wasserstein_distance(x, x + shift, projections=2000)
    assert sliced == pytest.approx(5 * 4 / (3 * math.pi), rel=0.05)


def test_kid_against_its_definition() -> None:
    """One subset of everything: the unbiased squared MMD, by a double loop in NumPy."""
    x, y = normal(40, 6), normal(40, 6, 1) + 0.5

    def kernel(a: Tensor, b: Tensor) -> np.ndarray:
        return ((a @ b.T).numpy() / 6 + 1) ** 3

    xx, yy, xy = kernel(x, x), kernel(y, y), kernel(x, y)
    np.fill_diagonal(xx, 0)
    np.fill_diagonal(yy, 0)
    expected = xx.sum() / (40 * 39) + yy.sum() / (40 * 39) - 2 * xy.mean()
    mean, deviation = metrics.kernel_inception_distance(x, y, subsets=3, size=40)
    assert mean == pytest.approx(expected, rel=1e-4)
    assert deviation == pytest.approx(0, abs=1e-4)


def test_kid_of_pairs_has_no_bias() -> None:
    """Of images and their perfect reconstructions, which as unpaired sets are below 0."""
    draws = [normal(60, 4, seed) for seed in range(60)]

    def each(*, paired: bool) -> Tensor:
        kid = metrics.kernel_inception_distance
        return torch.tensor([kid(x, x, subsets=5, size=30, paired=paired)[0] for x in draws])

    paired, alone = each(paired=True), each(paired=False)
    assert abs(float(paired.mean())) < 4 * float(paired.std()) / 60**0.5
    assert float(alone.mean()) < -4 * float(alone.std()) / 60**0.5
    for x, y in ((normal(3, 2), normal(3, 2)), (normal(8, 2), normal(9, 2))):
        with pytest.raises(InputError, match=f"one size, 4 or more, not {len(x)} and {len(y)}"):
            metrics.kernel_inception_distance(x, y, size=2, paired=True)


def test_kid_far_from_0() -> None:
    """A small difference of large numbers, which float32 gets wrong by a tenth and more."""
    x, y = normal(300, 64).float() + 30, 1.2 * normal(300, 64, 1).float() + 30
    value, _ = metrics.kernel_inception_distance(x, y, subsets=1, size=300)
    xx, yy, xy = ((a.double() @ b.double().T / 64 + 1).pow(3) for a, b in ((x, x), (y, y), (x, y)))
    within = sum(float(k.sum() - k.trace()) / (300 * 299) for k in (xx, yy))
    assert value == pytest.approx(within - 2 * float(xy.mean()), rel=1e-6)


def test_the_limit_s_error_is_of_the_samples() -> None:
    """And not of the subsets' choice, which would more than double it."""
    figures = [
        metrics.frechet_limit(normal(400, 6, seed), normal(400, 6, seed + 100) + 0.3, groups=10)
        for seed in range(30)
    ]
    true = float(torch.tensor([f.value for f in figures]).std())
    told = float(torch.tensor([f.error for f in figures]).mean())
    assert 0.7 * true < told < 1.7 * true


def test_the_limit_says_where_it_is_none() -> None:
    x, y = normal(4000, 32), 1.2 * normal(3200, 32, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert metrics.frechet_distance(x, y, limit=True) == pytest.approx(1.28, rel=0.15)
    for measure in (partial(metrics.frechet_distance, limit=True), metrics.frechet_limit):
        with pytest.warns(BiasWarning, match="320 samples in 32 dimensions .* 640 samples"):
            measure(x, y[:320])


def test_the_limit_of_as_few_as_it_takes() -> None:
    figure = metrics.frechet_limit(normal(40, 1), normal(20, 1, 1), groups=10)
    assert math.isfinite(figure.value)
    assert figure.error > 0
    with pytest.raises(InputError, match="20 generated samples or more, not 19"):
        metrics.frechet_limit(normal(40, 1), normal(19, 1, 1), groups=9)


def test_the_parts_of_an_inception_score_are_equal() -> None:
    """91 samples are 10 parts of 9: a part of one would have the score 1, the least."""
    one_of_two = torch.zeros(91, 2)
    one_of_two[:46, 0] = one_of_two[46:, 1] = 100
    for seed in range(5):
        mean, deviation = metrics.inception_score(one_of_two, seed=seed)
        assert mean > 1.8
        assert deviation < 0.15


def test_inception_score_against_its_definition() -> None:
    logits = 3 * normal(500, 7)
    p = torch.softmax(logits, 1)
    expected = float((p * (p / p.mean(0)).log()).sum(1).mean().exp())
    value, _ = metrics.inception_score(logits, splits=1)
    assert value == pytest.approx(expected, rel=1e-5)
    certain = torch.eye(7).repeat(20, 1) * 100
    assert metrics.inception_score(certain, splits=1)[0] == pytest.approx(7, rel=1e-4)
    with pytest.raises(InputError, match="20 logits"):
        metrics.inception_score(logits[:19])


def test_no_metric_moves_the_global_generator() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    metrics.inception_score(normal(40, 3))
    metrics.kernel_inception_distance(normal(40, 3), normal(40, 3, 1), subsets=2, size=10)
    metrics.precision_recall_distributions(normal(40, 3), normal(40, 3, 1), runs=1)
    assert torch.equal(before, torch.get_rng_state())


PAIRS: list[Callable[[Tensor, Tensor], object]] = [
    metrics.frechet_distance,
    metrics.wasserstein_distance,
    metrics.sliced_wasserstein_distance,
    metrics.wasserstein_distance_1d,
    metrics.kernel_inception_distance,
    metrics.prior_gap,
    metrics.precision_recall_distributions,
]


@pytest.mark.parametrize("measure", PAIRS, ids=lambda f: f.__name__)
def test_bad_sets(measure: Callable[[Tensor, Tensor], object]) -> None:
    for a, b in (((5, 2), (5, 3)), ((5,), (5,)), ((1, 2), (5, 2))):
        with pytest.raises(InputError, match="expected two sets"):
            measure(torch.zeros(a), torch.zeros(b))
    holes = torch.randn(30, 2)
    holes[3, 1] = math.nan
    with pytest.raises(InputError, match="the second set holds NaN"):
        measure(torch.randn(30, 2), holes)


@pytest.mark.parametrize("measure", PAIRS, ids=lambda f: f.__name__)
def test_sets_of_other_types(measure: Callable[[Tensor, Tensor], object]) -> None:
    x = normal(60, 3)
    for wrong in (x.tolist(), x > 0, x + 0j, x.numpy() > 0):
        with pytest.raises(InputError, match="tensor or a NumPy array of real numbers"):
            measure(x, wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="expected two sets"):
        measure(x[:, :0], x[:, :0])
    measure(x.bfloat16(), (10 * x).int())


@pytest.mark.parametrize("measure", PAIRS, ids=lambda f: f.__name__)
def test_arrays_are_measured_like_tensors(measure: Callable[[Any, Any], Any]) -> None:
    x, y = normal(60, 3), normal(60, 3, seed=1)
    backwards = np.ascontiguousarray(y.numpy()[::-1])[::-1]
    wide, other = x.double().numpy(), y.double().numpy()
    for of_tensors, of_arrays in (
        (measure(x, y), measure(x.numpy(), backwards)),
        (measure(wide, other), measure(wide.astype(">f8"), other.astype(np.longdouble))),
    ):
        parts = of_tensors if type(of_tensors) is tuple else (of_tensors,)
        found = of_arrays if type(of_arrays) is tuple else (of_arrays,)
        for a, b in zip(parts, found, strict=True):
            assert not isinstance(b, Tensor)
            assert np.array_equal(np.asarray(a), np.asarray(b))


def test_sets_of_unequal_size_have_no_pairing() -> None:
    with pytest.raises(InputError, match="of equal size"):
        metrics.wasserstein_distance(torch.zeros(3, 1), torch.zeros(4, 1))


def test_the_limit_of_whole_numbers_is_that_of_the_same_numbers() -> None:
    random = torch.Generator().manual_seed(0)
    x, y = (torch.randint(0, 9, (400, 3), generator=random) for _ in range(2))
    y = y.sort(0).values  # as data are, which often come class by class
    assert metrics.frechet_limit(x, y) == metrics.frechet_limit(x.double(), y.double())


def test_frechet_of_numbers_whose_squares_are_too_large() -> None:
    x = torch.randn(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for rows in (x, x[:3]):
        with pytest.raises(InputError, match="the first set holds numbers that are too large"):
            metrics.frechet_distance(rows * 1e155, x)


def test_a_small_frechet_distance_has_its_digits() -> None:
    random = torch.Generator().manual_seed(0)
    scales = torch.logspace(-4, 2, 40, dtype=torch.float64)
    x = torch.randn(500, 40, dtype=torch.float64, generator=random) * scales
    # of a set that is a little wider: (s - 1)^2 times the sum of the variances
    wider = 1.0001
    mean, variance = x.mean(0), x.var(0).sum()
    expected = float((wider - 1) ** 2 * (variance + mean.square().sum()))
    assert metrics.frechet_distance(x, wider * x) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "measure, message",
    [
        (lambda x: metrics.inception_score(x, splits=0), "a split or more, not 0"),
        (lambda x: metrics.kernel_inception_distance(x, x, size=1), "not 100 of 1"),
        (lambda x: metrics.kernel_inception_distance(x, x, subsets=0), "not 0 of 1000"),
        (lambda x: metrics.differential_entropy(x, bandwidth=0.0), "above 0 and finite, not 0.0"),
        (
            lambda x: metrics.linear_probe(x, torch.arange(9), x, torch.arange(40)),
            "40 codes can't be held",
        ),
    ],
)
def test_options_that_make_no_sense(measure: Callable[[Tensor], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        measure(torch.randn(40, 3, generator=torch.Generator().manual_seed(0)))

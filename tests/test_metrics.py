"""Metrics against SciPy, scikit-learn, torchmetrics, transcriptions of their definitions, laws."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from scipy.stats import wasserstein_distance as scipy_w1
from sklearn.neighbors import KernelDensity, NearestNeighbors
from torch import Tensor

from zspace import metrics
from zspace.errors import InputError
from zspace.functional import kernel_log_density, whitening
from zspace.metrics import BiasWarning, Figure, jackknife, mean_figure
from zspace.metrics.neighbours import QUERIES, REFERENCES
from zspace.metrics.support import f_scores, precision_recall_curve, precision_recall_figures

pytestmark = pytest.mark.filterwarnings("ignore::zspace.metrics.BiasWarning")


def normal(n: int, d: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.float64)


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


# precision and recall


def transcribed_prd(p: np.ndarray, q: np.ndarray, angles: int) -> list[tuple[float, float]]:
    """Sajjadi et al., Eq. 6-7, one slope and one state at a time."""
    pairs = []
    for i in range(angles):
        angle = 1e-10 + i * (math.pi / 2 - 2e-10) / (angles - 1)
        slope = math.tan(angle)
        alpha = sum(min(slope * a, b) for a, b in zip(p, q, strict=True))
        beta = sum(min(a, b / slope) for a, b in zip(p, q, strict=True))
        pairs.append((alpha, beta))
    return pairs


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=8))
def test_prd_against_a_transcription(weights: list[tuple[float, float]]) -> None:
    p, q = (np.array(side) + 1e-3 for side in zip(*weights, strict=True))
    p, q = p / p.sum(), q / q.sum()
    curve = precision_recall_curve(p, q, angles=51)
    expected = np.array(transcribed_prd(p, q, 51)).T
    np.testing.assert_allclose(curve, expected, rtol=1e-6, atol=1e-9)
    swapped = precision_recall_curve(q, p, angles=51)
    np.testing.assert_allclose(curve, swapped[::-1, ::-1], rtol=1e-4, atol=1e-6)


UNIFORM = np.full(4, 0.25)


def test_prd_of_a_dropped_and_of_an_added_mode() -> None:
    """The properties of Sajjadi et al., Theorem 1: recall falls alone, precision falls alone."""
    assert f_scores(precision_recall_curve(UNIFORM, UNIFORM)) == (1, 1)
    dropped = precision_recall_curve(UNIFORM, np.array([0.5, 0.5, 0, 0]))
    assert dropped[0].max() == pytest.approx(1)
    assert dropped[1].max() == pytest.approx(0.5)
    added = precision_recall_curve(np.array([0.5, 0.5, 0, 0]), UNIFORM)
    assert added[0].max() == pytest.approx(0.5)
    assert added[1].max() == pytest.approx(1)
    f8, f18 = f_scores(dropped)
    assert f8 < 0.6
    assert f18 > 0.9
    assert f_scores(precision_recall_curve([1, 0], [0, 1])) == (0, 0)


def modes(labels: list[int], n: int, seed: int) -> Tensor:
    """n samples around far-apart centres, as many of each label."""
    chosen = torch.tensor(labels)[torch.arange(n) % len(labels)]
    return 20 * torch.eye(10, dtype=torch.float64)[chosen] + normal(n, 10, seed)


def test_prd_of_samples() -> None:
    data, again = modes([0, 1, 2, 3], 800, 0), modes([0, 1, 2, 3], 800, 1)
    f8, f18, curve = metrics.precision_recall_distributions(data, again)
    assert min(f8, f18) > 0.97
    assert curve.shape == (2, 1001)
    f8, f18, _ = metrics.precision_recall_distributions(data, modes([0, 1], 800, 1))
    assert f8 < 0.65
    assert f18 > 0.9
    f8, f18, _ = metrics.precision_recall_distributions(modes([0, 1], 800, 0), again)
    assert f8 > 0.9
    assert f18 < 0.65


def test_prd_takes_as_many_of_both_and_repeats_itself() -> None:
    x, y = modes([0, 1], 300, 0), modes([0, 1], 150, 1)
    first = metrics.precision_recall_distributions(x, y, runs=2)
    assert first[:2] == metrics.precision_recall_distributions(x, y, runs=2)[:2]
    f8, f18 = precision_recall_figures(x, y)
    assert 0 < f8.error < 0.05
    assert 0 < f18.error < 0.05
    with pytest.raises(InputError, match="5 and 5 samples are too few for 20 clusters"):
        metrics.precision_recall_distributions(x, y[:5])


def test_improved_precision_and_recall_against_scikit_learn() -> None:
    x, y = normal(200, 3), 1.5 * normal(150, 3, 1)
    precise, recalled = metrics.improved_precision_recall(x, y, k=3)
    for centres, queries, found in ((x, y, precise), (y, x, recalled)):
        trees = NearestNeighbors().fit(centres.numpy())
        radii = trees.kneighbors(n_neighbors=3)[0][:, -1]
        distances = np.linalg.norm(queries[:, None].numpy() - centres[None].numpy(), axis=2)
        expected = (distances <= radii[None]).any(1)
        assert np.mean(expected != found.numpy().astype(bool)) < 0.01
    density, covered = metrics.density_coverage(x, y, k=5)
    radii = NearestNeighbors().fit(x.numpy()).kneighbors(n_neighbors=5)[0][:, -1]
    inside = np.linalg.norm(y[:, None].numpy() - x[None].numpy(), axis=2) <= radii[None]
    assert float(density.mean()) == pytest.approx(inside.sum(1).mean() / 5, abs=0.02)
    assert float(covered.mean()) == pytest.approx(inside.any(0).mean(), abs=0.02)


def test_support_of_a_model_that_repeats_itself() -> None:
    """Duplicates lie exactly on the radii: float32 products would miss them."""
    z = 100 + normal(10, 64).float()
    generated, reference = z.repeat(30, 1), z.repeat(20, 1)
    precise, recalled = metrics.improved_precision_recall(reference, generated)
    density, covered = metrics.density_coverage(reference, generated, k=5)
    assert float(precise.min()) == float(recalled.min()) == float(covered.min()) == 1
    assert float(density.mean()) == pytest.approx(20 / 5)


def test_support_of_dropped_and_added_modes() -> None:
    data = modes([0, 1, 2, 3], 400, 0)
    precise, recalled = metrics.improved_precision_recall(data, modes([0, 1], 400, 1))
    assert float(precise.mean()) > 0.85
    assert 0.35 < float(recalled.mean()) < 0.52
    precise, recalled = metrics.improved_precision_recall(modes([0, 1], 400, 0), data)
    assert float(precise.mean()) < 0.52
    _, covered = metrics.density_coverage(data, modes([0, 1], 400, 1))
    assert 0.35 < float(covered.mean()) < 0.52


# neighbours


@pytest.mark.parametrize("n, m", [(30, 50), (QUERIES + 3, REFERENCES + 5)])
def test_neighbours_by_brute_force(n: int, m: int) -> None:
    # far from the origin: float32 products alone would cancel
    x, y = (100 + normal(k, 4, s).float() for k, s in ((n, 0), (m, 1)))
    distances, indices = metrics.nearest(x, y, 3)
    expected, where = (
        NearestNeighbors(n_neighbors=3).fit(y.double().numpy()).kneighbors(x.double().numpy())
    )
    np.testing.assert_allclose(distances, expected, rtol=1e-4, atol=1e-5)
    assert np.mean(indices.numpy() != where) < 1e-3


def test_no_sample_is_its_own_neighbour() -> None:
    x = normal(40, 3).float()
    distances, indices = metrics.nearest(x, x, 2, itself=False)
    assert bool((indices[:, 0] != torch.arange(40)).all())
    assert float(distances.min()) > 0
    assert float(metrics.nearest(x, x)[0].max()) == 0
    with pytest.raises(InputError, match="no 40 neighbours among 40"):
        metrics.nearest(x, x, 40, itself=False)
    with pytest.raises(InputError, match="have no neighbours among samples of shape"):
        metrics.nearest(x, x[:, :2])


def test_memorisation_score_by_brute_force() -> None:
    """PMS of uint8 images: in the unit of pixels in [0, 1]."""
    generator = torch.Generator().manual_seed(0)
    a, b = (
        torch.randint(0, 256, (n, 1, 6, 6), generator=generator, dtype=torch.uint8)
        for n in (20, 30)
    )
    score = metrics.memorisation_score(a, b)
    for i in range(20):
        best = min(float((a[i].double() / 255 - r.double() / 255).norm()) for r in b)
        assert float(score[i]) == pytest.approx(best, rel=1e-5)


def test_a_model_that_memorises_is_caught() -> None:
    """Copies of training samples, with a little noise, against fresh samples."""
    training, test = normal(500, 8), normal(500, 8, 1)
    copies = training[:400] + 0.02 * normal(400, 8, 2)
    gen = mean_figure(metrics.memorisation_score(copies, training))
    tr_te = mean_figure(metrics.memorisation_score(test, training))
    fresh = mean_figure(metrics.memorisation_score(normal(400, 8, 3), training))
    assert gen.value < 0.1 * tr_te.value
    assert abs(fresh.value - tr_te.value) < 4 * math.hypot(fresh.error, tr_te.error)


# images


def test_errors_and_similarity_of_images() -> None:
    x = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    y = (x + 0.1).clamp(max=1)
    mse, mae = metrics.mean_squared_error(x, y), metrics.mean_absolute_error(x, y)
    np.testing.assert_allclose(mse, ((x - y) ** 2).reshape(6, -1).mean(1), rtol=1e-6)
    np.testing.assert_allclose(mae, (x - y).abs().reshape(6, -1).mean(1), rtol=1e-6)
    from torchmetrics.image import StructuralSimilarityIndexMeasure

    theirs = StructuralSimilarityIndexMeasure(data_range=1.0)(x, y)
    ours = metrics.structural_similarity(x, y)
    assert float(ours.mean()) == pytest.approx(float(theirs), rel=1e-5)
    assert float(metrics.structural_similarity(x, x).min()) == pytest.approx(1)
    small = metrics.structural_similarity(x[:, :, :8, :8], y[:, :, :8, :8])
    assert bool((small < 1).all())
    assert bool(torch.isfinite(small).all())
    with pytest.raises(InputError, match="5 pixels or more"):
        metrics.structural_similarity(x[:, :, :4, :4], x[:, :, :4, :4])
    with pytest.raises(InputError, match="two sets of one shape"):
        metrics.mean_squared_error(x, y[:3])


def test_sharpness_by_hand() -> None:
    """3 by 3: one pixel counts, |-4 x 1| over the mean 1/9."""
    dot = torch.zeros(1, 1, 3, 3)
    dot[0, 0, 1, 1] = 1
    assert float(metrics.sharpness(dot)) == pytest.approx(36)
    assert float(metrics.sharpness(torch.zeros(1, 1, 5, 5))) == 0
    grey = torch.rand(2, 1, 9, 9)
    assert torch.allclose(
        metrics.sharpness(grey), metrics.sharpness(grey.expand(-1, 3, -1, -1)), rtol=1e-4
    )
    brighter = metrics.sharpness(0.5 * grey)
    assert torch.allclose(metrics.sharpness(grey), brighter, rtol=1e-4)  # no unit of light


def test_a_blurred_image_is_less_sharp() -> None:
    x = torch.rand(8, 1, 20, 20, generator=torch.Generator().manual_seed(0))
    blurred = torch.nn.functional.avg_pool2d(x, 3, 1, 1)
    assert float(metrics.sharpness(blurred).mean()) < 0.5 * float(metrics.sharpness(x).mean())


def test_class_cosine_by_a_double_loop() -> None:
    x, y = normal(12, 5), torch.tensor([0, 1, 2] * 4)
    found = metrics.class_cosine(x, y)
    for label in range(3):
        own = x[y == label]
        pairs = [
            float(torch.cosine_similarity(own[i], own[j], dim=0))
            for i in range(4)
            for j in range(4)
            if i != j
        ]
        assert found[label] == pytest.approx(np.mean(pairs), rel=1e-9)
    assert metrics.class_cosine(x[:1], y[:1]) == {}


# latents


def test_kernel_density_against_scikit_learn_and_a_loop() -> None:
    z, centres = normal(30, 4), normal(50, 4, 1)
    expected = KernelDensity(bandwidth=0.7).fit(centres.numpy()).score_samples(z.numpy())
    np.testing.assert_allclose(kernel_log_density(z, centres, 0.7), expected, rtol=1e-8)
    loo = kernel_log_density(centres, centres, 0.7, leave_one_out=True)
    for i in range(5):
        others = torch.cat([centres[:i], centres[i + 1 :]])
        alone = kernel_log_density(centres[i : i + 1], others, 0.7)
        assert float(loo[i]) == pytest.approx(float(alone), rel=1e-9)


def test_kernel_density_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    z = normal(70, 3)
    whole = kernel_log_density(z, z, 0.5, leave_one_out=True)
    monkeypatch.setattr("zspace.functional.kernels.BLOCK", 100)
    assert torch.allclose(whole, kernel_log_density(z, z, 0.5, leave_one_out=True))


def test_entropy_of_known_densities() -> None:
    exact = 1.5 * math.log(2 * math.pi * math.e)
    found = metrics.differential_entropy(normal(1500, 3), whiten=False)
    assert found.value == pytest.approx(exact, abs=0.15)
    # scaling by s adds D log s; whitening takes it away again
    wide = metrics.differential_entropy(3 * normal(1500, 3), whiten=False)
    assert wide.value - found.value == pytest.approx(3 * math.log(3), abs=1e-3)
    assert metrics.differential_entropy(3 * normal(1500, 3)).value == pytest.approx(exact, abs=0.15)
    # two far-apart modes: log 2 more
    two = torch.cat([normal(750, 3), 50 + normal(750, 3, 1)])
    both = metrics.differential_entropy(two, whiten=False)
    assert both.value == pytest.approx(exact + math.log(2), abs=0.15)
    with pytest.raises(InputError, match="do not vary in 1 of 3"):
        metrics.differential_entropy(torch.cat([normal(50, 2), torch.ones(50, 1)], 1))


def test_the_normal_has_the_largest_entropy_of_whitened_codes() -> None:
    gauss = metrics.differential_entropy(normal(2000, 2))
    square = metrics.differential_entropy(torch.rand(2000, 2).double())
    assert gauss.value > square.value + 3 * math.hypot(gauss.error, square.error)


@pytest.mark.parametrize("dim", [2, 32])
def test_jensen_shannon_of_equal_and_of_disjoint_codes(dim: int) -> None:
    x = normal(1200, dim)
    assert abs(metrics.jensen_shannon_divergence(x, normal(1200, dim, 1)).value) < 0.02
    apart = metrics.jensen_shannon_divergence(x, normal(1200, dim, 1) + 30)
    assert apart.value == pytest.approx(math.log(2), abs=0.01)
    narrower = [
        metrics.jensen_shannon_divergence(x, normal(1200, dim, 1) * s).value
        for s in (0.8, 0.6, 0.4)
    ]
    assert narrower == sorted(narrower)
    assert narrower[0] > 0.01


def test_jensen_shannon_is_below_its_exact_value() -> None:
    """Of N(0, 1) and N(2, 1), by a sum over a fine grid."""
    grid = torch.linspace(-10, 12, 40_001, dtype=torch.float64)
    p, q = (torch.distributions.Normal(m, 1.0).log_prob(grid) for m in (0.0, 2.0))
    both = torch.logaddexp(p, q) - math.log(2)
    density = 0.5 * (p.exp() * (p - both) + q.exp() * (q - both))
    exact = float(density.sum() * (grid[1] - grid[0]))
    found = metrics.jensen_shannon_divergence(normal(3000, 1), normal(3000, 1, 1) + 2)
    assert exact - 0.05 < found.value < exact + 2 * found.error


def test_no_figure_of_sorted_data_differs_for_being_sorted() -> None:
    x, y = modes([0, 1, 2, 3], 400, 0), modes([0, 1, 2, 3], 400, 1)
    x, y = (z[z.argmax(1).argsort()] for z in (x, y))
    assert abs(metrics.jensen_shannon_divergence(x, y).value) < 0.03


def test_codes_that_repeat_one_another_have_no_bandwidth() -> None:
    z = normal(40, 3).repeat(5, 1)
    with pytest.raises(InputError, match="repeat one another"):
        metrics.differential_entropy(z)


def test_activity_and_dead_dimensions() -> None:
    z = normal(2000, 4) * torch.tensor([1.0, 0.05, 2.0, 0.0])
    used = metrics.active_dimensions(metrics.activity(z))
    assert used.tolist() == [True, False, True, False]
    assert metrics.active_dimensions(metrics.activity(100 * z)).tolist() == [True] * 3 + [False]
    relative = metrics.active_dimensions(metrics.activity(100 * z), relative=True)
    assert relative.tolist() == [True, False, True, False]


def test_the_gap_between_prior_and_codes() -> None:
    x = normal(2000, 3)
    assert metrics.prior_gap(x, normal(2000, 3, 1)) < 0.05
    assert metrics.prior_gap(x, 5 * normal(2000, 3, 1)) > 2
    a, b = metrics.prior_gap(x, x + 1), metrics.prior_gap(10 * x, 10 * x + 10)
    assert a == pytest.approx(b)


def test_a_linear_probe_of_separable_codes() -> None:
    z, y = modes([0, 1, 2], 300, 0), torch.arange(300) % 3
    test = modes([0, 1, 2], 90, 1)
    assert float(metrics.linear_probe(z, y, test, torch.arange(90) % 3).mean()) == 1
    shuffled = y[torch.randperm(300, generator=torch.Generator().manual_seed(0))]
    chance = metrics.linear_probe(z, shuffled, test, torch.arange(90) % 3).mean()
    assert float(chance) < 0.6
    with pytest.raises(InputError, match="two classes or more"):
        metrics.linear_probe(z, torch.zeros(300), test, torch.zeros(90))


# uncertainty


def test_jackknife_of_a_mean_is_its_standard_error() -> None:
    x = normal(500, 1)[:, 0]
    found = jackknife(lambda v: float(v.mean()), x, groups=250)
    exact = mean_figure(x)
    assert found.value == exact.value
    assert found.error == pytest.approx(exact.error, rel=0.05)
    assert found == jackknife(lambda v: float(v.mean()), x, groups=250)
    twice = jackknife(lambda v, w: float(v.mean() - w.mean()), x, normal(500, 1, 1)[:, 0])
    assert twice.error == pytest.approx(exact.error * math.sqrt(2), rel=0.5)
    alike = jackknife(lambda v, w: float((v - w).mean()), x, x, paired=True)
    assert alike.error == 0
    with pytest.raises(InputError, match="twice as many samples"):
        jackknife(lambda v: 0.0, x[:39])


def test_errors_of_the_frechet_distance_are_those_of_repeated_draws() -> None:
    values, errors = [], []
    for seed in range(30):
        x, y = normal(300, 8, seed), normal(300, 8, 100 + seed) + 0.3
        found = jackknife(metrics.frechet_distance, x, y)
        values.append(found.value)
        errors.append(found.error)
    assert 0.6 < np.mean(errors) / np.std(values, ddof=1) < 2


def test_errors_of_prd_are_those_of_repeated_draws() -> None:
    values, errors = [], []
    for seed in range(20):
        f8, _ = precision_recall_figures(normal(300, 4, seed), normal(300, 4, 50 + seed) + 0.7)
        values.append(f8.value)
        errors.append(f8.error)
    assert 0.5 < np.mean(errors) / np.std(values, ddof=1) < 2


@pytest.mark.parametrize(
    "figure, text",
    [
        (Figure(12.345, 0.2), "12.35 ± 0.20"),
        (Figure(1234, 30), "1234 ± 30"),
        (Figure(0.5, 0), "0.5"),
        (Figure(3, math.nan), "3"),
        (Figure(2e-5, 1e-6), "0.0000200 ± 0.0000010"),
    ],
)
def test_how_figures_read(figure: Figure, text: str) -> None:
    assert str(figure) == text


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
        with pytest.raises(InputError, match="expected a torch tensor of real numbers"):
            measure(x, wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="expected two sets"):
        measure(x[:, :0], x[:, :0])
    measure(x.bfloat16(), (10 * x).int())


@pytest.mark.parametrize("measure", PAIRS, ids=lambda f: f.__name__)
def test_arrays_are_measured_like_tensors(measure: Callable[[Any, Any], Any]) -> None:
    x, y = normal(60, 3), normal(60, 3, seed=1)
    of_tensors, of_arrays = measure(x, y), measure(x.numpy(), y.numpy()[::-1][::-1])
    parts = of_tensors if type(of_tensors) is tuple else (of_tensors,)
    for a, b in zip(parts, of_arrays if type(of_arrays) is tuple else (of_arrays,), strict=True):
        assert not isinstance(b, Tensor)
        assert np.array_equal(np.asarray(a), np.asarray(b))


def test_samples_without_numbers_have_no_neighbours() -> None:
    x = normal(5, 2)
    with pytest.raises(InputError, match="hold NaN"):
        metrics.nearest(x, x.index_fill(0, torch.tensor(2), math.nan))
    with pytest.raises(InputError, match="have no neighbours"):
        metrics.nearest(x[:, 0], x[:, 0])
    with pytest.raises(InputError, match="hold NaN"):
        metrics.inception_score(torch.full((40, 3), math.inf))


def test_sets_of_unequal_size_have_no_pairing() -> None:
    with pytest.raises(InputError, match="of equal size"):
        metrics.wasserstein_distance(torch.zeros(3, 1), torch.zeros(4, 1))

"""Measures of latent codes: normality, separability, dimensions in use, distance from the prior."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zspace.errors import InputError
from zspace.functional import kernel_entropy, kernel_log_density, whitened, whitening
from zspace.metrics.arrays import of_arrays
from zspace.metrics.distances import check_pair, sliced_wasserstein_distance
from zspace.metrics.figure import Figure, jackknife, mean_figure
from zspace.samplers.kde import likeliest_bandwidth

ACTIVE = 0.01
"""The variance, or share of the largest variance, above which a code's dimension is in use."""


@of_arrays
def differential_entropy(
    z: Tensor, *, whiten: bool = True, bandwidth: float | None = None, seed: int = 0
) -> Figure:
    """The kernel estimate of the codes' differential entropy in nats, with its standard error.

        H = -(1/m) sum_i log (1/(m-1)) sum_(j != i) N(z_i; z_j, h^2 I)

    Of all distributions with the identity as covariance, N(0, I) has the largest entropy,
    D/2 log(2 pi e): the entropy of whitened codes tells how normal they are.

    Args:
        z: codes (m, D), m at least 2. The cost is m^2 distances for each of some 15 bandwidths.
        whiten: whether to centre and whiten the codes first.
        bandwidth: h, above 0; None takes the bandwidth of the largest likelihood.
        seed: the seed of the jackknife's groups.

    The error comes from a jackknife of 10 groups at the same h, each reduced set whitened by
    itself. Since a code is left out of the queries and of the kernels' centres, it is too large
    where either would do, for few codes in few dimensions by up to a half; it is NaN for fewer than
    20 codes, or too few to whiten nine tenths of them.
    Raises:
        InputError: wrong shapes, NaN or infinite values, codes that can't be whitened, or a
            bandwidth that is not above 0.

    Reference: Saha et al., GEN, supplement, Eq. 4 and 5.
    """
    z = _codes(z)
    if bandwidth is not None and not 0 < bandwidth < math.inf:
        raise InputError(f"a bandwidth must be above 0 and finite, not {bandwidth}")

    prepared = whitened if whiten else _codes
    h = likeliest_bandwidth(prepared(z)) if bandwidth is None else bandwidth

    def entropy(z: Tensor) -> float:
        return kernel_entropy(prepared(z), h)

    if len(z) < 20 or (whiten and len(z) * 9 // 10 <= z.shape[1]):
        return Figure(entropy(z), math.nan)
    return jackknife(entropy, z, groups=10, seed=seed)


@of_arrays
def jensen_shannon_divergence(x: Tensor, y: Tensor, *, seed: int = 0) -> Figure:
    """A lower bound on the Jensen-Shannon divergence of two sets of codes, in nats, with its error.

        JSD = 1/2 E_x log(2 p / (p + q)) + 1/2 E_y log(2 q / (p + q))
           >= log 2 + 1/2 E_x log D + 1/2 E_y log(1 - D)

    D is a logistic regression on two features, the kernel log-densities log p and log q estimated
    from the first half of either set; it is fitted and judged by cross-validation on the second
    halves. The bound is 0 (or a little less) for equal distributions and log 2 for disjoint ones.
    The plain estimate, with p / (p + q) for D, is far below 0 in more than some 8 dimensions, where
    the densities' noise exceeds their difference.

    Args:
        x, y: codes (N, D) and (M, D), 40 or more of each. Both are first whitened by the mean and
            covariance of x, and the larger set is reduced to the size of the smaller.
        seed: the seed of the division into halves.

    Raises:
        InputError: wrong shapes, too few codes, NaN or infinite values, or codes x that can't be
            whitened.

    Reference: Saha et al., GEN, Eq. 2, for the kernel densities; Goodfellow et al. (2014),
    Theorem 1, for the bound by a classifier.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    check_pair(x, y, least=40)
    generator = torch.Generator().manual_seed(seed)
    n = min(len(x), len(y))
    x, y = (_codes(z)[torch.randperm(len(z), generator=generator)[:n]] for z in (x, y))
    mean, matrix = whitening(x)
    x, y = (x - mean) @ matrix, (y - mean) @ matrix
    half = n // 2
    queries = torch.cat([x[half:], y[half:]])
    logs = [kernel_log_density(queries, c[:half], likeliest_bandwidth(c[:half])) for c in (x, y)]
    # the log density of a code that is far from all kernels is too low to be of use
    features = torch.stack(logs, 1).clamp(min=-1e4).numpy()
    features = (features - features.mean(0)) / features.std(0).clip(1e-12)
    labels = np.repeat([1, 0], n - half)
    order = np.random.default_rng(seed).permutation(len(labels))
    share = np.empty(len(labels))
    judged: Any = cross_val_predict(
        LogisticRegression(), features[order], labels[order], cv=5, method="predict_proba"
    )
    share[order] = judged[:, 1]
    right = torch.from_numpy(np.where(labels == 1, share, 1 - share)).clamp(min=1e-12).log()
    a, b = mean_figure(right[: n - half]), mean_figure(right[n - half :])
    return Figure(math.log(2) + (a.value + b.value) / 2, math.hypot(a.error, b.error) / 2)


@of_arrays
def activity(z: Tensor) -> Tensor:
    """The activity of each dimension of the codes: their variance over the data.

    If the codes are a posterior's means, this is A_u of Burda et al. (2016), section 5.2.

    Args:
        z: codes (N, D), N above 1.

    Returns (D,), float64 on the CPU.
    Raises:
        InputError: wrong shape, NaN or infinite values.
    """
    return _codes(z).var(0)


@of_arrays
def active_dimensions(variances: Tensor, *, relative: bool = False) -> Tensor:
    """Which dimensions of the codes are in use, that is, have a variance above 0.01: (D,) booleans.

    Args:
        variances: the result of `activity`, (D,).
        relative: whether the threshold is 0.01 of the largest variance, for codes whose scale no
            prior sets.

    Reference: Burda et al. (2016), section 5.2.
    """
    return variances > ACTIVE * (variances.max() if relative else 1.0)


@of_arrays
def prior_gap(codes: Tensor, drawn: Tensor, *, seed: int = 0) -> float:
    """The sliced Wasserstein distance W_1 of the data's codes from codes that a prior has drawn.

    The unit is the square root of the codes' mean variance: 1 means that the two sets are as far
    apart as the codes are wide.

    Args:
        codes, drawn: (N, D) and (M, D), N and M above 1.
        seed: the seed of the directions.

    Raises:
        InputError: wrong shapes, NaN or infinite values.
    """
    check_pair(codes, drawn)
    scale = float(_codes(codes).var(0).mean().sqrt())
    return sliced_wasserstein_distance(codes, drawn, seed=seed) / max(scale, 1e-12)


@of_arrays
def linear_probe(z: Tensor, y: Tensor, test_z: Tensor, test_y: Tensor) -> Tensor:
    """Whether a linear classifier of codes is right, for each test code: (M,) of 0 and 1.

    The classifier is scikit-learn's logistic regression with C = 1, fitted to codes that are
    standardised by their own means and deviations. The mean of the result is the probe's accuracy.

    Codes whose label is unknown, -1, are left out.

    Args:
        z, y: the codes (N, D) and labels (N,) to fit to.
        test_z, test_y: the codes (M, D) and labels (M,) to judge by.

    Raises:
        InputError: wrong shapes, NaN or infinite values, not as many labels as codes, or fewer than
            two classes in y.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    (z, y), (test_z, test_y) = _labelled(z, y), _labelled(test_z, test_y)
    check_pair(z, test_z)
    if len(y.unique()) < 2:
        raise InputError("a linear probe needs two classes or more")
    z, test_z = _codes(z), _codes(test_z)
    mean, deviation = z.mean(0), z.std(0).clamp(min=1e-12)
    model = LogisticRegression(max_iter=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(((z - mean) / deviation).numpy(), y.cpu().numpy())
    predicted = torch.from_numpy(model.predict(((test_z - mean) / deviation).numpy()))
    return (predicted == test_y.cpu()).float()


def _labelled(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The codes whose label is known, and their labels, on the CPU."""
    if len(z) != len(y):
        raise InputError(f"{len(z)} codes can't be held against {len(y)} labels")
    known = y.cpu() >= 0
    return z.cpu()[known], y.cpu()[known]


def _codes(z: Tensor) -> Tensor:
    if z.ndim != 2 or len(z) < 2:
        raise InputError(f"codes must be (N, D) with N at least 2, not {tuple(z.shape)}")
    if not bool(torch.isfinite(z).all()):
        raise InputError("the codes hold NaN or infinite values")
    return z.detach().cpu().double()

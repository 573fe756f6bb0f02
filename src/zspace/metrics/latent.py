"""Figures of latent codes: how normal, how separable, how used, how well the prior meets them."""

from __future__ import annotations

import math
import warnings

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from zspace.errors import InputError
from zspace.functional import kernel_log_density, whitening
from zspace.metrics.distances import check_pair, sliced_wasserstein_distance
from zspace.metrics.figure import Figure, mean_figure

ACTIVE = 0.01
"""Variance (or share of the largest variance) above which a dimension of the code is in use."""


def best_bandwidth(z: Tensor) -> float:
    """The h that maximises the leave-one-out likelihood of codes (N, D), in the codes' unit.

    The same h as the fixed point of GEN's supplement, Eq. 5: there the derivative in h is zero.
    """
    z = z.double()
    scale = float(z.std(0).square().mean().sqrt())
    if not scale > 0:
        raise InputError("the codes are all the same: they have no density")

    def entropy(log_h: float) -> float:
        return -float(kernel_log_density(z, z, math.exp(log_h), leave_one_out=True).mean())

    low, high = math.log(0.02 * scale), math.log(2 * scale)
    return math.exp(minimize_scalar(entropy, bounds=(low, high), options={"xatol": 1e-3}).x)


def differential_entropy(
    z: Tensor, *, whiten: bool = True, bandwidth: float | None = None
) -> Figure:
    """H = -(1/m) sum_i log (1/(m-1)) sum_(j != i) N(z_i; z_j, h^2 I) in nats, and its error.

    Of all distributions with the identity as covariance, N(0, I) has the largest entropy,
    D/2 log(2 pi e): that of whitened codes tells how normal they are.

    Args:
        z: codes (m, D); costs m^2 distances for each of some 15 bandwidths.
        whiten: centre and whiten the codes first.
        bandwidth: h; unset: the one with the largest likelihood.

    Reference: Saha et al., GEN, supplement, Eq. 4 and 5.
    """
    z = _codes(z)
    if whiten:
        mean, matrix = whitening(z)
        z = (z - mean) @ matrix
    h = bandwidth or best_bandwidth(z)
    log_density = kernel_log_density(z, z, h, leave_one_out=True)
    return Figure(-float(log_density.mean()), mean_figure(log_density).error)


def jensen_shannon_divergence(x: Tensor, y: Tensor, *, bandwidth: float | None = None) -> Figure:
    """JSD = 1/2 E_x log(p / (p/2 + q/2)) + 1/2 E_y log(q / (p/2 + q/2)) in nats, and its error.

    p and q are Gaussian kernel density estimates, each on one half of its set; the expectations
    are taken over the other halves. 0 for equal distributions, log 2 for disjoint ones; the
    estimate is a little below or above 0 for equal ones.

    Args:
        x, y: codes (N, D), (M, D), whitened together before.
        bandwidth: of both; unset: the likeliest for the pooled codes.

    Reference: Saha et al., GEN, Eq. 2 (by samples on both sides, so that any prior will do).
    """
    check_pair(x, y, least=4)
    n = min(len(x), len(y))
    x, y = _codes(x)[:n], _codes(y)[:n]
    mean, matrix = whitening(torch.cat([x, y]))
    x, y = (x - mean) @ matrix, (y - mean) @ matrix
    half = n // 2
    h = bandwidth or best_bandwidth(torch.cat([x[: half // 2 + 1], y[: half // 2 + 1]]))

    def side(queries: Tensor, own: Tensor, other: Tensor) -> Tensor:
        p, q = (kernel_log_density(queries, c, h) for c in (own, other))
        return p - torch.logaddexp(p, q) + math.log(2)

    a = mean_figure(side(x[half:], x[:half], y[:half]))
    b = mean_figure(side(y[half:], y[:half], x[:half]))
    return Figure((a.value + b.value) / 2, math.hypot(a.error, b.error) / 2)


def activity(z: Tensor) -> Tensor:
    """The variance of the codes over the data, in each dimension: (N, D) to (D,).

    For a posterior's means this is A_u of Burda et al. (2016), section 5.2.
    """
    return _codes(z).var(0)


def active_dimensions(variances: Tensor, *, relative: bool = False) -> Tensor:
    """Which dimensions (D,) of a code are in use: variance above 0.01.

    Args:
        variances: what `activity` gives.
        relative: above 0.01 of the largest variance, for codes that no prior gives a scale.

    Reference: Burda et al. (2016), section 5.2.
    """
    return variances > ACTIVE * (variances.max() if relative else 1.0)


def prior_gap(codes: Tensor, drawn: Tensor, *, seed: int = 0) -> float:
    """The sliced W_1 between codes of data and codes that a prior drew, in units of the former.

    The unit is the root of the codes' mean variance: 1 means as far apart as the codes' width.
    """
    check_pair(codes, drawn)
    scale = float(_codes(codes).var(0).mean().sqrt())
    return sliced_wasserstein_distance(codes, drawn, seed=seed) / max(scale, 1e-12)


def linear_probe(z: Tensor, y: Tensor, test_z: Tensor, test_y: Tensor) -> Tensor:
    """Whether a linear classifier of codes is right, for each test code: (M,) of 0 and 1.

    Logistic regression (scikit-learn's, C = 1) on codes (N, D) standardised by their own moments.
    The mean is the probe's accuracy.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

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


def _codes(z: Tensor) -> Tensor:
    if z.ndim != 2 or len(z) < 2:
        raise InputError(f"codes must be (N, D) with N at least 2, not {tuple(z.shape)}")
    if not bool(torch.isfinite(z).all()):
        raise InputError("the codes hold NaN or infinite values")
    return z.detach().cpu().double()

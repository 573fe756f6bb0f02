"""Formulas on tensors, each with its source: losses, kernels, geometry, discrepancies, similarity.

The functions here know nothing of models, files or data sets.
"""

from zspace.functional.discrepancy import gaussian_mmd, multiquadratic_mmd
from zspace.functional.geometry import great_circle, jacobian_log_determinant, whitened, whitening
from zspace.functional.integration import Solver, integral
from zspace.functional.kernels import (
    kernel_entropy,
    kernel_entropy_slopes,
    kernel_jsd,
    kernel_jsd_slope,
    kernel_log_density,
    log_share,
)
from zspace.functional.losses import (
    ClassLoss,
    LossOf,
    absolute_error,
    batch_kl,
    bernoulli_error,
    classification_error,
    convex,
    fake_loss,
    gradient_penalty,
    jacobian_norm,
    log_squared_error,
    normal_kl,
    real_loss,
    squared_error,
)
from zspace.functional.similarity import similarity_window, structural_similarity
from zspace.functional.tensors import (
    as_float,
    as_stored,
    blockwise,
    check_finite,
    check_floats,
    check_range,
    exact,
    full_precision,
    in_eval_mode,
    of_stored,
    one_hot,
    stream,
)

__all__ = [
    "ClassLoss",
    "LossOf",
    "Solver",
    "absolute_error",
    "as_float",
    "as_stored",
    "batch_kl",
    "bernoulli_error",
    "blockwise",
    "check_finite",
    "check_floats",
    "check_range",
    "classification_error",
    "convex",
    "exact",
    "fake_loss",
    "full_precision",
    "gaussian_mmd",
    "gradient_penalty",
    "great_circle",
    "in_eval_mode",
    "integral",
    "jacobian_log_determinant",
    "jacobian_norm",
    "kernel_entropy",
    "kernel_entropy_slopes",
    "kernel_jsd",
    "kernel_jsd_slope",
    "kernel_log_density",
    "log_share",
    "log_squared_error",
    "multiquadratic_mmd",
    "normal_kl",
    "of_stored",
    "one_hot",
    "real_loss",
    "similarity_window",
    "squared_error",
    "stream",
    "structural_similarity",
    "whitened",
    "whitening",
]

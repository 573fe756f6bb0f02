"""The geometry of latent spaces: whitened codes, and the volume that a decoder gives them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from zspace.errors import InputError
from zspace.functional.tensors import doubled


def whitening(z: Tensor) -> tuple[Tensor, Tensor]:
    """The mean (D,) and a matrix W (D, D) such that (z - mean) W has the identity as covariance.

    W = V diag(1 / sqrt(l)), with V the eigenvectors and l the eigenvalues of the codes' covariance.

    Args:
        z: codes (N, D) of any float type.

    Returns the mean and W in float64.
    Raises:
        InputError: the codes span fewer than D dimensions.
    """
    z = doubled(z)
    values, vectors = torch.linalg.eigh(z.T.cov().reshape(z.shape[1], z.shape[1]))
    if not float(values[0]) > 1e-10 * float(values[-1]):
        flat = int((values <= 1e-10 * values[-1]).sum())
        raise InputError(
            f"the codes can't be whitened: they do not vary in {flat} of {z.shape[1]} dimensions"
        )
    return z.mean(0), vectors / values.sqrt()


def whitened(z: Tensor) -> Tensor:
    """Codes (N, D) centred and whitened by their own mean and covariance, in float64.

    Raises:
        InputError: the codes span fewer than D dimensions.
    """
    z = doubled(z)
    mean, matrix = whitening(z)
    return (z - mean) @ matrix


def great_circle(a: Tensor, b: Tensor, steps: int) -> Tensor:
    """Points on the way from a to b along a great circle, equally spaced in angle and in length.

        c_k = ((1 - t_k) |a| + t_k |b|) (sin((1 - t_k) w) a / |a| + sin(t_k w) b / |b|) / sin w,
        t_k = k / (steps - 1)

    with w the angle between a and b; vectors that are nearly parallel are joined by a straight
    line. Points on the line between others are shorter, down to 0 between opposite ones.

    Args:
        a, b: vectors (N, D).
        steps: the number of points, at least 2.

    Returns (N, steps, D); the first point is a, the last is b.
    Reference: Shoemake, Animating Rotation with Quaternion Curves (1985), section 3.3; White,
    Sampling Generative Networks (2016), section 2.1. They are for vectors of one length: applied to
    others as it is, the formula without lengths runs off to infinity as w approaches 180 degrees.

    >>> great_circle(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), 3)[0, 1]
    tensor([0.7071, 0.7071])
    """
    t = torch.linspace(0, 1, steps, device=a.device)[None, :, None]
    a, b = a[:, None], b[:, None]
    lengths = torch.lerp(a.norm(dim=2, keepdim=True), b.norm(dim=2, keepdim=True), t)
    a, b = (torch.nn.functional.normalize(x, dim=2) for x in (a, b))
    w = (a * b).sum(2, keepdim=True).clamp(-1, 1).acos()
    flat = w.sin() < 1e-4
    safe = w.sin().where(~flat, 1.0)
    first = torch.where(flat, 1 - t, ((1 - t) * w).sin() / safe)
    second = torch.where(flat, t, (t * w).sin() / safe)
    return lengths * (first * a + second * b)


FLAT = 1e-12
"""The least eigenvalue of J^T J, relative to the largest, that float32 tells from zero."""


def jacobian_log_determinant(
    function: Callable[[Tensor], Tensor], z: Tensor, *, directions: int | None = None
) -> tuple[Tensor, Tensor]:
    """1/2 log det(J^T J) in nats and the rank of J, the Jacobian of a function at each code.

    The first is the log of the volume in data space to which a unit of latent space is mapped.

    Args:
        function: maps codes (N, D) to data (N, ...), each sample independently of the others
            (batch norm in eval mode).
        z: codes (N, D).
        directions: the number of derivatives to compute at a time, which bounds the memory; None
            computes all D.

    Returns two tensors (N,) on the CPU: the float64 logarithms and the ranks.

    J is computed by D forward-mode derivatives, the eigenvalues of J^T J in float64. Eigenvalues
    below 1e-12 of the largest are raised to that value, so that a direction that the function
    ignores counts as 1e-6 of the widest one; the rank is the number of the other eigenvalues.

    Raises:
        InputError: the function is constant around one of the codes, or its derivatives there are
            NaN or infinite.

    Reference: Saha et al., GEN, Eq. 10 and 11.
    """

    def column(direction: Tensor) -> Tensor:
        slope = torch.func.jvp(function, (z,), (direction.expand_as(z),))[1]  # pyright: ignore[reportPrivateImportUsage]
        return slope.flatten(1)

    along = torch.func.vmap(column, chunk_size=directions)  # pyright: ignore[reportPrivateImportUsage]
    columns = along(torch.eye(z.shape[1], dtype=z.dtype, device=z.device))
    jacobian = columns.movedim(0, 1)
    if not bool(torch.isfinite(jacobian).all()):
        raise InputError("the decoder's derivatives are NaN or infinite about some of the codes")
    jacobian = jacobian.cpu().double()
    values = torch.linalg.eigvalsh(jacobian @ jacobian.mT)
    largest = values[:, -1:]
    if not bool((largest > 0).all()):
        raise InputError("the decoder is constant about some of the codes: they have no density")
    floor = FLAT * largest
    return 0.5 * values.maximum(floor).log().sum(1), (values > floor).sum(1)

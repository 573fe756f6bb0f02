"""The geometry of latent spaces: whitened codes, and the volume that a decoder gives them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from zspace.errors import InputError


def whitening(z: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (D,) and W (D, D) such that (z - mean) W has covariance I: codes (N, D), float64.

    W = V diag(1 / sqrt(l)) of the covariance's eigenvectors V and values l.

    Raises:
        InputError: the codes span fewer than D dimensions.
    """
    z = z.double()
    values, vectors = torch.linalg.eigh(z.T.cov().reshape(z.shape[1], z.shape[1]))
    if not float(values[0]) > 1e-10 * float(values[-1]):
        flat = int((values <= 1e-10 * values[-1]).sum())
        raise InputError(
            f"the codes can't be whitened: they do not vary in {flat} of {z.shape[1]} dimensions"
        )
    return z.mean(0), vectors / values.sqrt()


def whitened(z: Tensor) -> Tensor:
    """Codes (N, D) centred and whitened by their own moments, float64. Errors: `whitening`'s."""
    mean, matrix = whitening(z)
    return (z.double() - mean) @ matrix


FLAT = 1e-12
"""Eigenvalue of J^T J, in units of the largest, below which float32 knows no direction."""


def jacobian_log_determinant(
    function: Callable[[Tensor], Tensor], z: Tensor
) -> tuple[Tensor, Tensor]:
    """1/2 log det(J^T J) (N,) in nats, J the Jacobian of a function at each code; and the rank.

    The log volume that a unit of latent space takes in data space (GEN, Eq. 10 and 11).

    Args:
        function: codes (N, D) to data (N, ...), each sample by itself (batch norm in eval mode).
        z: (N, D).

    J comes from D forward-mode derivatives; eigenvalues are of float64. Where J is singular, its
    eigenvalues below 1e-12 of the largest are raised to that: a direction that the function ignores
    counts as 1e-6 of the widest one. The second tensor counts the others. Both are on the CPU.

    Raises:
        InputError: the function is constant about one of the codes.
    """

    def column(direction: Tensor) -> Tensor:
        slope = torch.func.jvp(function, (z,), (direction.expand_as(z),))[1]  # pyright: ignore[reportPrivateImportUsage]
        return slope.flatten(1)

    columns = torch.func.vmap(column)(torch.eye(z.shape[1], dtype=z.dtype, device=z.device))  # pyright: ignore[reportPrivateImportUsage]
    jacobian = columns.movedim(0, 1)
    if not bool(torch.isfinite(jacobian).all()):
        raise InputError("the decoder's derivatives are NaN or infinite about some of the codes")
    # on the CPU: not every device knows float64
    values = torch.linalg.eigvalsh((jacobian @ jacobian.mT).cpu().double())
    largest = values[:, -1:]
    if not bool((largest > 0).all()):
        raise InputError("the decoder is constant about some of the codes: they have no density")
    floor = FLAT * largest
    return 0.5 * values.maximum(floor).log().sum(1), (values > floor).sum(1)

"""Measures of single images and pairs of images, whose means are reported."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from zspace.errors import InputError
from zspace.functional import as_float
from zspace.functional.tensors import BLOCK, own_random, rows_at_once
from zspace.metrics.arrays import of_arrays

LUMINANCE = (0.299, 0.587, 0.114)
"""The weights of red, green and blue in the luminance (ITU-R BT.601)."""

LAPLACIAN = ((0.0, 1.0, 0.0), (1.0, -4.0, 1.0), (0.0, 1.0, 0.0))
"""The discrete Laplacian of the four neighbours."""


@of_arrays
def mean_squared_error(x: Tensor, y: Tensor) -> Tensor:
    """The squared error of each sample, (x - y)^2 averaged over its elements.

    Args:
        x, y: images (N, C, H, W), floats in [0, 1] or uint8, or vectors (N, D), of one shape.

    Returns (N,), at least 0.
    Raises:
        InputError: the shapes differ, or the sets are empty.
    """
    return _of_pairs(lambda a, b: (a - b).square().flatten(1).mean(1), x, y)


@of_arrays
def mean_absolute_error(x: Tensor, y: Tensor) -> Tensor:
    """The absolute error of each sample, |x - y| averaged over its elements.

    Args:
        x, y: images (N, C, H, W), floats in [0, 1] or uint8, or vectors (N, D), of one shape.

    Returns (N,), at least 0.
    Raises:
        InputError: the shapes differ, or the sets are empty.
    """
    return _of_pairs(lambda a, b: (a - b).abs().flatten(1).mean(1), x, y)


@of_arrays
def structural_similarity(x: Tensor, y: Tensor) -> Tensor:
    """The structural similarity index (SSIM) of each pair of images; 1 for equal images.

    This is torchmetrics' form: a Gaussian window of standard deviation 1.5 pixels (11 by 11), and
    images mirrored at their borders, whereas the original leaves the border out. For images of
    fewer than 11 pixels, which have no room for that window, the standard deviation is 0.5 pixels
    (5 by 5).

    Args:
        x, y: images (N, C, H, W) of one shape, floats in [0, 1] or uint8, of 5 pixels or more in
            height and width.

    Returns (N,), in [-1, 1].
    Raises:
        InputError: the shapes differ, the sets are empty, or the images are too small.

    Reference: Wang et al. (2004), Eq. 13, with its constants.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    side = min(x.shape[2:]) if x.ndim == 4 else 0
    if side < 5:
        raise InputError(f"SSIM needs images of 5 pixels or more, not {tuple(x.shape[1:])}")
    sigma = 1.5 if side >= 11 else 0.5

    def similarity(a: Tensor, b: Tensor) -> Tensor:
        result = structural_similarity_index_measure(
            a, b, sigma=sigma, reduction="none", data_range=1.0
        )
        assert isinstance(result, Tensor)
        return result.reshape(-1)

    return _of_pairs(similarity, x, y)


@of_arrays
def sharpness(x: Tensor) -> Tensor:
    """The sharpness of each image: |Laplacian of the luminance / its local mean| over the pixels.

    The Laplacian is that of the 4 neighbours, and the local mean that of the 3 by 3 pixels around.
    The mean is over all pixels but those at the border and those whose local mean is 0; an image
    that has no others has sharpness 0. The measure does not depend on the unit of light, and so not
    on the range of pixels.

    Args:
        x: images (N, C, H, W), floats in [0, 1] or uint8, of 3 pixels or more in height and width.

    Returns (N,), at least 0.
    Raises:
        InputError: no images, or images that are too small.

    Reference: the LSR-GAN paper's sharpness, as it is read here.

    >>> checkers = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(1, 1, 4, 4)
    >>> sharpness(checkers) > sharpness(0.5 + 0.1 * checkers)
    tensor([True])
    """
    x = as_float(x).float()
    if x.ndim != 4 or not len(x) or min(x.shape[2:]) < 3:
        raise InputError(
            f"sharpness needs images (N, C, H, W) of 3 pixels or more, not {tuple(x.shape)}"
        )
    if x.shape[1] == 3:
        x = (x * torch.tensor(LUMINANCE, device=x.device)[:, None, None]).sum(1, keepdim=True)
    laplacian = conv2d(x, torch.tensor(LAPLACIAN, device=x.device)[None, None])
    mean = conv2d(x, torch.full((1, 1, 3, 3), 1 / 9, device=x.device))
    counted = mean > 0
    ratio = torch.where(counted, (laplacian / mean.where(counted, 1)).abs(), 0)
    return ratio.flatten(1).sum(1) / counted.flatten(1).sum(1).clamp(min=1)


@of_arrays
def inception_score(logits: Tensor, *, splits: int = 10, seed: int = 0) -> tuple[float, float]:
    """The Inception Score exp(mean of KL(p(y | x) || p(y))), as torchmetrics computes it.

    Args:
        logits: (N, K) from any classifier, whose name belongs beside the score.
        splits: the number of equal parts of which the score is taken; up to splits - 1 samples,
            chosen at random, are left out to make them equal.
        seed: the seed of the order in which the samples are split.

    Returns the mean and the standard deviation over the splits; a score is from 1 to K.
    Raises:
        InputError: no split, fewer than 2 samples per split, NaN or infinite logits.

    Reference: Salimans et al. (2016), section 4.
    """
    from torchmetrics.image.inception import InceptionScore

    if splits < 1:
        raise InputError(f"an Inception Score needs a split or more, not {splits}")
    if logits.ndim != 2 or len(logits) < 2 * splits:
        raise InputError(
            f"an Inception Score over {splits} splits needs {2 * splits} logits (N, K) or more, "
            f"not {tuple(logits.shape)}"
        )
    if not bool(torch.isfinite(logits).all()):
        raise InputError("the logits hold NaN or infinite values: no Inception Score can be given")
    with own_random(seed), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchmetrics warns that it keeps all logits
        if rest := len(logits) % splits:
            logits = logits[torch.randperm(len(logits))[rest:]]
        score = InceptionScore(nn.Identity(), splits=splits)
        score.update(logits.cpu().float())
        mean, deviation = score.compute()
    return float(mean), float(deviation)


@of_arrays
def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Whether each sample's largest logit is that of its label, (N,) of 0 and 1.

    Args:
        logits: (N, K).
        labels: (N,), whole numbers from 0 to K - 1.

    Raises:
        InputError: there are not as many labels as logits.
    """
    if len(logits) != len(labels):
        raise InputError(f"{len(logits)} predictions can't be held against {len(labels)} labels")
    return (logits.argmax(1).cpu() == labels.cpu()).float()


@of_arrays
def class_cosine(x: Tensor, labels: Tensor) -> dict[int, float]:
    """The mean cosine of the angle between two different samples of a class, for each class.

    With u the n samples' unit vectors: (||sum u||^2 - n) / (n (n - 1)), which is the mean over all
    n (n - 1) ordered pairs.

    Args:
        x: images (N, C, H, W), floats in [0, 1] or uint8, or codes (N, D).
        labels: (N,), whole numbers.

    Returns the mean, in [-1, 1], by label; classes of fewer than two samples are left out.
    Raises:
        InputError: there are not as many labels as samples.

    Reference: the categorical-generation paper's diversity measure (its Table 4).

    >>> class_cosine(torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0, 1]))
    {0: 1.0}
    """
    if len(x) != len(labels):
        raise InputError(f"{len(x)} samples have no {len(labels)} labels")
    result: dict[int, float] = {}
    for label in labels.unique().tolist():
        rows = (labels == label).nonzero()[:, 0]
        n = len(rows)
        if n < 2:
            continue
        total, squares = torch.zeros(x[0].numel(), dtype=torch.float64, device=x.device), 0.0
        for some in rows.split(rows_at_once(x[0].numel())):
            own = as_float(x[some.to(x.device)]).flatten(1).double()
            u = own / own.norm(dim=1, keepdim=True).clamp(min=1e-12)
            total += u.sum(0)
            squares += float(u.square().sum())
        result[int(label)] = (float(total.square().sum()) - squares) / (n * (n - 1))
    return result


def _of_pairs(measure: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    """A measure of pairs of samples, as floats, computed on some of them at a time."""
    if x.shape != y.shape or not len(x):
        raise InputError(
            f"expected two sets of one shape, not {tuple(x.shape)} and {tuple(y.shape)}"
        )
    pairs = zip(x.split(BLOCK), y.split(BLOCK), strict=True)
    return torch.cat([measure(as_float(a).float(), as_float(b).float()) for a, b in pairs])

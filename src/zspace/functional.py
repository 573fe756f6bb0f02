"""Formulas on tensors, each with its source. Reductions: sums over a sample, means over a batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import binary_cross_entropy, cross_entropy, logsigmoid, one_hot

from zspace.errors import InputError

BLOCK = 1 << 24
"""Distances that are held at a time: 64 MiB in single precision."""


SINGLE = 1e4
"""Squared distances, in units of h^2, up to which float32 products give kernels to 0.1%."""

LIMIT = 1e12
"""Likewise for float64."""


def squared_error(x: Tensor, y: Tensor) -> Tensor:
    """(1/N) sum_i ||x_i - y_i||^2, summed over what a sample consists of, mean over the batch.

    Args:
        x, y: (N, ...) of one shape; computed in float32 at least.

    Reference: Mondal et al., FlexAE (2021), Eq. 5.

    >>> squared_error(torch.ones(2, 3), torch.zeros(2, 3))
    tensor(3.)
    """
    return (full_precision(x) - full_precision(y)).square().flatten(1).sum(1).mean()


def log_squared_error(x: Tensor, y: Tensor) -> Tensor:
    """(d/2) log((1/(N d)) sum_i ||x_i - y_i||^2), the error pooled over the whole batch.

    Up to a constant the negative log-likelihood, per sample, of a Gaussian whose variance is the
    batch's mean squared error, the one that makes it most likely. Its gradient is that of
    sum_i ||x_i - y_i||^2 / (2 s^2 N) with s^2 at that variance. Another range of pixels adds a
    constant.

    Args:
        x, y: (N, ...) of one shape, d numbers each; computed in float32 at least.

    Reference: Imagining the latent space of a VAE (LSR-GAN, 2020), Appendix A, there summed over
    the batch: N times as much, as the KL divergence beside it is.

    >>> log_squared_error(torch.ones(2, 3), torch.zeros(2, 3))
    tensor(0.)
    """
    error = (full_precision(x) - full_precision(y)).square().mean()
    # where all is exact the logarithm has no bound
    return x[0].numel() / 2 * error.clamp(min=1e-12).log()


def absolute_error(x: Tensor, y: Tensor) -> Tensor:
    """The mean of |x - y| over samples and what they consist of; in float32 at least.

    Reference: ReGene, Eq. 6, MAE.
    """
    return (full_precision(x) - full_precision(y)).abs().mean()


def structural_similarity(x: Tensor, y: Tensor, window: int = 11, deviation: float = 1.5) -> Tensor:
    """SSIM of pairs of images (N, C, H, W) in [0, 1]: (N,), 1 for equal images.

        (2 m_x m_y + c1) (2 s_xy + c2) / ((m_x^2 + m_y^2 + c1) (s_x^2 + s_y^2 + c2))

    with means m, variances s^2 and covariance s_xy under a Gaussian window, c1 = 0.01^2 and
    c2 = 0.03^2; the mean over channels and over all places where the window lies within the image.
    Can be differentiated.

    Args:
        window: its side in pixels, odd.
        deviation: of the Gaussian, in pixels.

    Raises:
        InputError: the window is larger than the image, or even.

    Reference: Wang et al. (2004), Eq. 13.
    """
    height, width = x.shape[2:]
    if window % 2 == 0 or not 1 <= window <= min(height, width):
        raise InputError(
            f"SSIM's window must be odd and have no more pixels than the image's {height}x{width} "
            f"sides, not {window} (--ssim-window)"
        )
    # a convolution with the window is a product with a banded matrix from either side
    rows, columns = (_band(side, window, deviation) for side in (height, width))

    def blur(image: Tensor) -> Tensor:
        return rows @ image @ columns.mT

    with torch.autocast(x.device.type, enabled=False):
        x, y = full_precision(x), full_precision(y)
        rows, columns = rows.to(x), columns.to(x)
        mean_x, mean_y = blur(x), blur(y)
        xx, yy, xy = mean_x.square(), mean_y.square(), mean_x * mean_y
        deviations = blur(x.square()) - xx + blur(y.square()) - yy + 0.03**2
        similarity = (2 * xy + 0.01**2) * (2 * (blur(x * y) - xy) + 0.03**2)
        return (similarity / ((xx + yy + 0.01**2) * deviations)).flatten(1).mean(1)


def similarity_window(shape: Sequence[int]) -> int:
    """SSIM's window for images (..., H, W): 11 pixels, or the largest odd number that fits.

    >>> similarity_window((3, 32, 32)), similarity_window((1, 8, 9))
    (11, 7)
    """
    return min(11, (min(shape[-2:]) + 1) // 2 * 2 - 1)


def _band(side: int, window: int, deviation: float) -> Tensor:
    """(side - window + 1, side), float64: a Gaussian window at each place that has room for it."""
    places = torch.arange(side - window + 1, dtype=torch.float64)[:, None]
    offset = torch.arange(side) - places - window // 2
    weights = torch.exp(-0.5 * (offset / deviation).square()) * (offset.abs() <= window // 2)
    return weights / weights.sum(1, keepdim=True)


ClassLoss = Literal["cross-entropy", "hinge", "cosine", "mse"]


def classification_error(logits: Tensor, y: Tensor, loss: ClassLoss = "cross-entropy") -> Tensor:
    """The mean over a batch of an error of p = softmax(logits), (N, K), at labels y (N,).

        cross-entropy  -log p_y
        hinge          max(0, 1 + max_(j != y) p_j - p_y)
        cosine         1 - p_y / ||p||
        mse            (1/K) ||p - e_y||^2

    Reference: ReGene, Eq. 3 and section 6.7. The paper's networks end in a softmax whatever the
    loss (its Tables A.5 to A.7), and so the multi-class hinge is taken of probabilities, too, as
    the common libraries' losses of that name do.
    """
    logits = full_precision(logits)
    if loss == "cross-entropy":
        return cross_entropy(logits, y)
    p = logits.softmax(1)
    truth = one_hot(y, p.shape[1]).to(p)
    right = (p * truth).sum(1)
    if loss == "hinge":
        return (1 + (p - 2 * truth).max(1).values - right).clamp(min=0).mean()
    if loss == "cosine":
        return (1 - right / p.norm(dim=1)).mean()
    return (p - truth).square().mean()


def bernoulli_error(x: Tensor, y: Tensor) -> Tensor:
    """-(1/N) sum_i log p(y_i | x_i) in nats, every pixel a Bernoulli of mean x.

    Args:
        x: means in [0, 1], (N, ...).
        y: data in [0, 1], (N, ...).

    Reference: Kingma and Welling, Auto-Encoding Variational Bayes (2014), appendix C.1.
    PyTorch holds the logarithms above -100 and the gradient finite, also at means of 0 and 1.
    """
    # not allowed under autocast, where means may come in half precision
    with torch.autocast(x.device.type, enabled=False):
        error = binary_cross_entropy(full_precision(x), full_precision(y), reduction="none")
    return error.flatten(1).sum(1).mean()


def normal_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """(1/N) sum_i KL(N(mean_i, exp(log_variance_i)) || N(0, I)) in nats; arguments (N, D).

    1/2 sum_d (mean^2 + variance - 1 - log variance). Reference: Kingma and Welling (2014),
    appendix B.

    >>> normal_kl(torch.zeros(4, 2), torch.zeros(4, 2))
    tensor(0.)
    """
    mean, log_variance = full_precision(mean), full_precision(log_variance)
    kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
    return kl.sum(1).mean()


def gaussian_mmd(x: Tensor, y: Tensor, variance: float) -> Tensor:
    """The squared maximum mean discrepancy of two distributions, estimated without bias.

        (1/(N(N-1))) sum_(i != j) k(x_i, x_j) + (1/(M(M-1))) sum_(i != j) k(y_i, y_j)
            - (2/(N M)) sum_(i, j) k(x_i, y_j)        with k(a, b) = exp(-||a - b||^2 / (2 w^2))

    Args:
        x, y: draws (N, D) and (M, D), two of each at least.
        variance: w^2, above 0.

    An estimate: where the distributions agree, it is as often below 0 as above.
    Reference: Gretton et al., A Kernel Two-Sample Test (2012), Eq. 3; the categorical-generation
    paper's Eq. 2.

    >>> gaussian_mmd(torch.zeros(3, 2), torch.zeros(4, 2), 1.0)
    tensor(0.)
    """
    return _mmd(x, y, lambda squares: (-squares / (2 * variance)).exp())


SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Of the inverse multiquadratic kernels whose sum the authors of the WAE use."""


def multiquadratic_mmd(x: Tensor, y: Tensor, variance: float) -> Tensor:
    """`gaussian_mmd` with the kernel k(a, b) = sum_s C_s / (C_s + ||a - b||^2), C_s = s 2 D w^2.

    It falls off slowly, so that codes far from the prior have a gradient, too.

    Args:
        x, y: draws (N, D) and (M, D), two of each at least.
        variance: w^2, of a dimension of the prior: 2 D w^2 is the expected squared distance of two
            of its draws.

    Reference: Tolstikhin et al., Wasserstein Auto-Encoders (2018), Algorithm 2 and section 4; the
    scales s, 0.1 to 10, are the authors' code's.
    """
    expected = 2 * x.shape[1] * variance

    def kernel(squares: Tensor) -> Tensor:
        each = (s * expected / (s * expected + squares) for s in SCALES)
        return torch.stack(list(each)).sum(0)

    return _mmd(x, y, kernel)


def _mmd(x: Tensor, y: Tensor, kernel: Callable[[Tensor], Tensor]) -> Tensor:
    """The unbiased estimate of MMD^2 by a kernel of squared distances."""
    if min(len(x), len(y)) < 2:
        raise InputError(f"an MMD needs two draws of each at least, not {len(x)} and {len(y)}")

    def gram(a: Tensor, b: Tensor) -> Tensor:
        return kernel((a[:, None] - b[None]).square().sum(2))

    def within(z: Tensor) -> Tensor:
        kernels = gram(z, z)
        return (kernels.sum() - kernels.diagonal().sum()) / (len(z) * (len(z) - 1))

    x, y = full_precision(x), full_precision(y)
    return within(x) + within(y) - 2 * gram(x, y).mean()


def batch_kl(z: Tensor) -> Tensor:
    """KL(N(m, diag(s^2)) || N(0, I)) in nats, with the mean m and deviation s of codes (N, D).

        sum_d (m_d^2 + s_d^2 - 1) / 2 - log s_d

    Reference: Ulyanov et al., It Takes (Only) Two (2018), Eq. 7, there for codes on a sphere, where
    N(0, I / D) is nearly uniform: scale them by sqrt(D).

    >>> round(float(batch_kl(torch.tensor([[-1.0], [1.0]]))), 6)
    0.0
    """
    z = full_precision(z)
    variance = z.var(0, unbiased=False).clamp(min=1e-12)
    return 0.5 * (z.mean(0).square() + variance - 1 - variance.log()).sum()


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor
) -> Tensor:
    """(1/N) sum_i (||grad critic(u_i)|| - 1)^2 at u_i = a_i real_i + (1 - a_i) fake_i.

    Args:
        critic: (N, ...) to (N, 1).
        real, fake: (N, ...) of one shape, without graphs.
        mix: the a, (N, 1), drawn from U[0, 1], one for each sample.

    Returns a scalar that can be differentiated in the critic's parameters.
    Reference: Gulrajani et al. (2017), Eq. 3; in FlexAE the last term of Eq. 6 and 9.
    """
    u = convex(real, fake, mix).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(u).sum(), u, create_graph=True)
    # a norm of exactly zero has no gradient: a floor far below any that matters keeps NaN away
    norm = full_precision(gradient).flatten(1).square().sum(1).clamp(min=1e-24).sqrt()
    return (norm - 1).square().mean()


def jacobian_norm(y: Tensor, z: Tensor, direction: Tensor) -> Tensor:
    """(1/N) sum_i ||v_i^T dy_i/dz_i||^2: on average over v ~ N(0, I), the squared Frobenius norm of
    the Jacobian (Hutchinson's estimate).

    Args:
        y: (N, ...), computed from z, (N, D), sample by sample.
        direction: v, of y's shape.

    Returns a scalar that can be differentiated in what y was computed by.
    """
    (gradient,) = torch.autograd.grad(y, z, direction.to(y), create_graph=True)
    return full_precision(gradient).square().sum(1).mean()


def convex(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """weight a + (1 - weight) b for a, b (N, ...) and one weight for each sample, (N, 1)."""
    return torch.lerp(b.to(weight), a.to(weight), weight.reshape(-1, *[1] * (a.ndim - 1)))


def full_precision(x: Tensor) -> Tensor:
    """x in float32 where autocast left it in half precision."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def kernel_log_density(
    z: Tensor, centres: Tensor, bandwidth: float | Tensor, *, leave_one_out: bool = False
) -> Tensor:
    """log (1/m) sum_i N(z; c_i, h^2 I) in nats: queries (N, D), centres (m, D) to (N,).

    Can be differentiated once in the queries and in the bandwidth; the centres are constants.

    Args:
        bandwidth: h, above 0; a tensor () where a gradient in it is wanted.
        leave_one_out: queries and centres are one set; a query's own kernel is left out, and the
            mean is over m - 1.

    Computed in log space, in float32 or, where the queries are or the bandwidth is too small for
    that, float64; `BLOCK` distances at a time, with a gradient and without.

    Raises:
        InputError: h is not above 0, or too small for double precision and codes so far apart;
            there are no centres, or of one set two.

    Reference: Saha et al., GEN, Eq. 1; supplement, Eq. 4, for the sum without i.
    """
    if len(centres) <= leave_one_out or (leave_one_out and len(z) != len(centres)):
        raise InputError(
            f"{len(centres)} centres for {len(z)} codes: expected one or more, and the codes "
            "themselves, two or more, where each one's own kernel is left out"
        )
    h = bandwidth if isinstance(bandwidth, Tensor) else torch.tensor(bandwidth, dtype=torch.float64)
    value: Tensor = _KernelLogDensity.apply(  # pyright: ignore[reportAssignmentType]
        full_precision(z), centres.detach(), h, leave_one_out
    )
    return value


class _KernelLogDensity(torch.autograd.Function):
    """`kernel_log_density`; its gradients are made on the way, or each block would be kept.

    With w_i the share of centre i in the density at z: the gradient in z is sum_i w_i (c_i - z)
    / h^2, that in h is (sum_i w_i ||z - c_i||^2 / h^2 - D) / h (GEN, supplement, Eq. 2).
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, centres: Tensor, bandwidth: Tensor, own: bool) -> Tensor:
        wanted = ctx.needs_input_grad[0] or ctx.needs_input_grad[2]
        logs, means, squares = _kernel_moments(z, centres, float(bandwidth), own, wanted)
        if wanted:
            h = float(bandwidth)
            ctx.save_for_backward((means - z) / h**2, (squares / h**2 - z.shape[1]) / h)
        return logs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        in_z, in_h = ctx.saved_tensors
        return gradient[:, None] * in_z, None, (gradient * in_h).sum(), None


def _kernel_moments(
    z: Tensor, centres: Tensor, h: float, leave_one_out: bool = False, moments: bool = True
) -> tuple[Tensor, Tensor, Tensor]:
    """log p(z) (N,), and with w_i the share of centre i in it: sum_i w_i c_i (N, D) and
    sum_i w_i ||z - c_i||^2 (N,), which are empty where no moments are wanted."""
    # about the centres' mean, where squares and products cancel least
    middle = centres.mean(0).to(z)
    queries, points = z - middle, centres.to(z) - middle
    norms = points.square().sum(1)
    spread = float(torch.maximum(norms.max(), queries.square().sum(1).max()))
    if not 0 < h < math.inf or spread > LIMIT * h * h:
        raise InputError(
            f"a bandwidth of {h:.3g} can't be used for codes of up to {math.sqrt(spread):.3g} from "
            "their mean: expected a number above 0 that is not so small"
        )
    if z.dtype == torch.float32 and spread > SINGLE * h**2:
        found = _kernel_moments(z.double(), centres.double(), h, leave_one_out, moments)
        return found[0].float(), found[1].float(), found[2].float()
    held = torch.cat([points, norms[:, None]], 1)
    count = len(points) - leave_one_out
    constant = 0.5 * z.shape[1] * math.log(2 * math.pi * h**2) + math.log(count)
    logs: list[Tensor] = []
    sums: list[Tensor] = []
    start = 0
    # products in full precision under autocast, too
    with torch.autocast(z.device.type, enabled=False):
        for block in queries.split(max(1, BLOCK // len(points))):
            weights = torch.addmm(norms, block, points.T, beta=-0.5 / h**2, alpha=1 / h**2)
            if leave_one_out:
                own = torch.arange(len(block), device=z.device)
                weights[own, own + start] = -torch.inf
                start += len(block)
            top = weights.max(1, keepdim=True).values
            total = weights.sub_(top).exp_().sum(1)
            logs.append(top[:, 0] + total.log() - block.square().sum(1) / (2 * h**2) - constant)
            if moments:
                sums.append(weights @ held / total[:, None])
    if not moments:
        return torch.cat(logs), z[:0], z[:0, 0]
    means, mean_norms = torch.cat(sums).split([z.shape[1], 1], 1)
    squares = queries.square().sum(1) - 2 * (queries * means).sum(1) + mean_norms[:, 0]
    return torch.cat(logs), means + middle, squares.clamp(min=0)


def kernel_entropy(z: Tensor, bandwidth: float) -> float:
    """H = -(1/m) sum_i log (1/(m-1)) sum_(j != i) N(z_i; z_j, h^2 I) in nats, of codes (m, D).

    Reference: Saha et al., GEN, Eq. 9; supplement, Eq. 4.
    """
    return -float(kernel_log_density(z, z, bandwidth, leave_one_out=True).mean())


def log_share(log_p: Tensor, log_q: Tensor) -> Tensor:
    """log p / (p + q), from log p and log q: finite wherever these are."""
    return logsigmoid(log_p - log_q)


def kernel_jsd(
    z: Tensor,
    target: Tensor,
    centres: Tensor,
    bandwidth: float | Tensor,
    log_target: Callable[[Tensor], Tensor],
) -> Tensor:
    """JSD(p_e, p_t) = log 2 + 1/2 E_z' log p_e/(p_e + p_t) + 1/2 E_z'' log p_t/(p_e + p_t).

    p_e is the kernel density of the centres. An estimate in nats: near 0 where the distributions
    agree (below it where the kernels are too few for the dimension), log 2 where they are apart.
    Can be differentiated in z' and h.

    Args:
        z: z', draws (N, D) of the distribution that the centres are drawn from.
        target: z'', draws (M, D) of p_t.
        centres: (m, D): no z' may be among them, or the estimate grows without bound as h -> 0.
        bandwidth: h.
        log_target: log p_t, (N, D) to (N,).

    Reference: Saha et al., GEN, Eq. 2, which leaves out the constants log 2 and 1/2.
    """
    mine = log_share(kernel_log_density(z, centres, bandwidth), log_target(z))
    theirs = log_share(log_target(target), kernel_log_density(target, centres, bandwidth))
    return math.log(2) + (mine.mean() + theirs.mean()) / 2


def kernel_jsd_slope(
    z: Tensor,
    target: Tensor,
    centres: Tensor,
    bandwidth: float,
    log_target: Callable[[Tensor], Tensor],
) -> tuple[float, float]:
    """The derivative of `kernel_jsd` in h, and the h to which its fixed point leads.

    With s(z) = p_e / (p_e + p_t) and S(z) = sum_i w_i ||z - c_i||^2, w_i the share of centre i in
    p_e(z):

        A = E_z'[(1 - s) S] - E_z''[s S]        B = E_z'[1 - s] - E_z''[s]
        dJSD/dh = (A / h^2 - D B) / (2 h)       h^2 <- A / (D B), NaN where that is negative

    Reference: Saha et al., GEN, supplement, Eq. 2 (without the constant 1/2) and Eq. 3.
    """
    a = b = 0.0
    for codes, sign in ((z, 1), (target, -1)):
        logs, _, squares = _kernel_moments(codes, centres, bandwidth)
        share = torch.sigmoid(sign * (log_target(codes) - logs))
        a += sign * float((share * squares).double().mean())
        b += sign * float(share.double().mean())
    dim = z.shape[1]
    ratio = a / (dim * b) if b else math.nan
    slope = (a / bandwidth**2 - dim * b) / (2 * bandwidth)
    return slope, math.sqrt(ratio) if ratio > 0 else math.nan


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

"""Flow matching, which carries noise to codes by a velocity that a small network learns."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping
from copy import copy
from typing import Annotated, Any, Literal

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from zspace.core import Batches, Terms
from zspace.errors import InputError
from zspace.functional import Solver, exact
from zspace.nets.maps import map_shape
from zspace.nets.velocity import MapVelocity, Velocity, VelocityField
from zspace.options import About
from zspace.samplers.continuous_flow import ContinuousFlow
from zspace.samplers.learned import FitBatch, FitSeed, LearnedDensity, seeded
from zspace.samplers.normal import highest_label, learned_label
from zspace.training import adam, half_cosine

LATEST = 0.999
"""The latest time in training, since rounding leaves nothing of the noise beyond it."""

AVERAGE, MAP_AVERAGE = 0.99, 0.999
"""The decay of the weights' moving average, for codes that are vectors and for maps."""

PASSES, LEAST, MOST = 100, 250, 4000
"""The passes through the codes by default, and the least and the largest number of iterations.

Of 2,000 codes in 20 dimensions, more than 130 passes are learned by heart: held-out codes become
less likely.
"""

UNLABELLED = 0.2
"""The share of labels that training hides, to learn the velocity without a label, too."""


class FlowMatching(LearnedDensity[ContinuousFlow]):
    """Conditional flow matching: a velocity that carries noise to codes along straight paths.

        min over v of E ||v(x_t, t, y) - (x_1 - (1 - s) x_0)||^2,  x_t = (1 - (1 - s) t) x_0 + t x_1

    with x_0 ~ N(0, I), x_1 a standardised code, y its label, t = sigmoid(m + n), n ~ N(0, 1), and
    s = `noise`. For vectors m = 1: times from 0.5 to 0.9, at which there is most to learn, are
    drawn most often; for maps m = 0. It draws codes with noise of deviation s, by a moving average
    of the network's weights.

    The codes of some models are maps (C, H, W) that are flattened (`LatentModel.code_shape`). Given
    their shape, v is a U-Net of convolutions and attention (`zspace.nets.velocity.MapVelocity`);
    otherwise it is fully connected.

    If codes have labels, v learns the velocity of each label and, by hiding a share of the labels,
    also that without a label.

    The `pairing` "random" is the formula above. "mean" replaces x_1 - (1 - s) x_0 of a single pair
    by its mean over the pairs whose paths lead through x_t, among all codes of the batch (of the
    same label): this keeps the expectation, and therefore the minimum, with less variance. "ot" is
    the formula with a batch's noise assigned to its codes such that the sum of their squared
    distances is least, so that paths cross less.

    Args:
        dim: D, the size of a code; None takes it from the codes that it is fitted to.

    Reference: Lipman et al., Flow Matching for Generative Modeling (2023), Eq. 20 to 23; Esser et
    al., Scaling Rectified Flow Transformers (2024), section 3.1, for the times; Xu et al., Stable
    Target Field for Reduced Variance Score Estimation in Diffusion Models (2023), Eq. 6, for
    "mean"; Tong et al., Improving and Generalizing Flow-Based Generative Models with Minibatch
    Optimal Transport (2024), section 3.2, for "ot".
    """

    by_label = True
    drawing = "steps", "solver", "guidance"
    counts: Tensor

    def __init__(
        self,
        dim: int | None = None,
        *,
        iterations: Annotated[
            int | None,
            About(
                f"training iterations (unset: {PASSES} passes through the codes, from {LEAST} to "
                f"{MOST:,})",
                least=1,
            ),
        ] = None,
        batch_size: FitBatch = 512,
        code_shape: Annotated[
            str | None,
            About(
                "channels, height and width of codes that are maps, such as 4,8,8, for which the "
                "network is a U-Net (unset: the model's; codes alone are vectors)"
            ),
        ] = None,
        width: Annotated[
            int | None,
            About(
                "units of a residual block, or channels of a U-Net (unset: 256, or as many as a "
                "code has numbers where these are more; 48 for maps)",
                least=1,
                most=1e5,
            ),
        ] = None,
        blocks: Annotated[
            int | None,
            About(
                "number of residual blocks, at each size of a U-Net (unset: 3, or 2 for maps)",
                least=1,
                most=1000,
            ),
        ] = None,
        learning_rate: Annotated[
            float | None, About("learning rate of Adam (unset: 0.003, or 0.001 for maps)", above=0)
        ] = None,
        noise: Annotated[
            float,
            About(
                "deviation of the noise in drawn codes, in units of the codes' deviation",
                least=0,
                below=1,
            ),
        ] = 0.0,
        pairing: Annotated[
            Literal["mean", "random", "ot"],
            About(
                "pairing of noise and codes in training: the mean over all pairs, random pairs, or "
                "minibatch optimal transport"
            ),
        ] = "mean",
        steps: Annotated[
            int | None,
            About(
                "number of steps of Heun's method (unset: 8, or 24 for maps)",
                least=1,
                most=100_000,
                of={"solver": ("heun",)},
            ),
        ] = None,
        solver: Annotated[Solver, About("solver of the differential equation")] = "heun",
        guidance: Annotated[
            float,
            About(
                "weight of a label: 1 for its own distribution, more for clearer examples of it",
                least=0,
                most=1000,
            ),
        ] = 1.0,
        classes: Annotated[
            int | None,
            About(
                "number of labels to learn, 0 for none (unset: as many as the data have)",
                least=0,
                most=1e5,
            ),
        ] = None,
        seed: FitSeed = 0,
    ) -> None:
        super().__init__(iterations=iterations or MOST, batch_size=batch_size, seed=seed)
        self.unset = iterations is None
        self.shape = map_shape(code_shape)
        maps = self.shape is not None
        self.width, self.blocks = width or (48 if maps else None), blocks or (2 if maps else 3)
        self.rate = learning_rate or (1e-3 if maps else 3e-3)
        self.noise, self.pairing = noise, pairing
        self.steps, self.guidance = steps or (24 if maps else 8), guidance
        self.solver: Solver = solver
        self.classes = classes
        self.of_size(dim)

    def build(self, dim: int) -> None:
        if self.shape is not None and math.prod(self.shape) != dim:
            shape = "x".join(map(str, self.shape))
            raise InputError(f"codes of {dim} numbers are no maps of {shape}")
        super().build(dim)
        self._know(self.classes or 0)

    def _know(self, labels: int) -> None:
        """Make the networks, which know so many labels."""
        dim = len(self.mean)
        # fewer units than numbers could not even carry a normal's covariance (docs/design.md)
        width = self.width or max(256, dim)
        with seeded(self.seed):
            self.velocity: VelocityField = (
                Velocity(dim, width, self.blocks, labels)
                if self.shape is None
                else MapVelocity(self.shape, width, self.blocks, labels)
            )
        self.inner = ContinuousFlow(
            AveragedModel(self.velocity),
            dim,
            labels=labels,
            steps=self.steps,
            solver=self.solver,
            guidance=self.guidance,
        )
        self.register_buffer("counts", torch.zeros(labels, dtype=torch.int64))
        self.to(self.mean)

    def grow(self, state: Mapping[str, Tensor]) -> None:
        super().grow(state)
        counts = state.get("counts")
        if not self.dim or self.classes is not None or counts is None:
            return
        if counts.shape != self.counts.shape:
            self._know(len(counts))

    def changed(self, **drawing: Any) -> FlowMatching:
        other = copy(self)
        other._modules = {**self._modules, "inner": copy(self.inner)}  # the networks are shared
        for name, value in drawing.items():
            setattr(other, name, value)
            setattr(other.inner, name, value)
        other.options = {**self.options, **drawing}
        return other

    def standardised(self, z: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """The standardised codes (N, D), and labels (N,) if they are learned.

        Unless `classes` is set, as many labels are learned as there are in y, if at least two.

        Raises:
            InputError: a label is not below `classes`.
        """
        highest = highest_label(y, self.classes)
        if self.classes is None:
            known = highest + 1 if highest > 0 else 0
            self.found = {"classes": known}
            self._know(known)
        if self.inner.labels:
            assert y is not None
            self.counts.copy_(torch.bincount(y[y >= 0], minlength=len(self.counts)))
        if self.unset:
            size = min(self.batch_size, len(z))
            self.iterations = min(MOST, max(LEAST, PASSES * len(z) // size))
            self.found = {**self.found, "iterations": self.iterations}
        return super().standardised(z, y if self.inner.labels else None)

    @property
    def labels(self) -> int:
        return max(len(self.names), self.inner.labels) if self.inner.labels else 0

    def draw(
        self, n: int, label: int | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        if label is not None and self.labels:
            learned_label(self, label)
        return super().draw(n, label, generator=generator)

    def learned(self) -> list[int]:
        return self.counts.nonzero()[:, 0].tolist()

    def schedule(self, iteration: int) -> float:
        """Half a cosine, from 1 to 0."""
        return half_cosine(self.iterations)(iteration)

    def optimizers(self) -> dict[str, Optimizer]:
        return {"velocity": adam(self.velocity.parameters(), self.rate)}

    def repeats(self, batches: Batches) -> Hashable:
        return self.pairing != "ot" or None  # optimal pairs are found on the CPU

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        x_1, y = next(batches)
        x_0 = batches.normal(x_1.shape[1])
        t = ((self.shape is None) + batches.normal(1)).sigmoid().clamp(max=LATEST)
        kept, told, own = torch.ones_like(t[:, 0]), None, None
        if self.pairing == "ot":
            x_0 = x_0[paired(x_0, x_1, y)]
        if y is not None:
            hidden = batches.uniform(1)[:, 0] < UNLABELLED
            # codes without a label count as often as codes whose label is hidden
            kept = (hidden | (y >= 0)).to(t)
            told = y.masked_fill(hidden | (y < 0), self.inner.labels)
            own = (told[:, None] == self.inner.labels) | (told[:, None] == y)
        x_t = (1 - (1 - self.noise) * t) * x_0 + t * x_1
        line = x_1 - (1 - self.noise) * x_0
        if self.pairing == "mean":
            line = mean_line(x_t, t, x_1, own, self.noise)
        error = (self.velocity(x_t, t, told) - line).square().sum(1)
        yield "velocity", {"matching": (kept * error).sum() / kept.sum().clamp(min=1)}
        decay = AVERAGE if self.shape is None else MAP_AVERAGE
        _average(self.inner.velocity, self.velocity, decay)


@torch.no_grad()
def mean_line(x_t: Tensor, t: Tensor, codes: Tensor, own: Tensor | None, noise: float) -> Tensor:
    """The expectation E[x_1 - (1 - s) x_0 | x_t], (N, D), if x_1 is uniform over given codes.

    The weights of the codes are proportional to N(x_t; t x_1, (1 - (1 - s) t)^2 I).

    Args:
        x_t: points (N, D) on the paths.
        t: their times (N, 1).
        codes: the codes (M, D).
        own: which codes x_1 may be, booleans (N, M) with at least one in each row; None allows all.
        noise: s.
    """
    with exact(x_t):
        width = 1 - (1 - noise) * t
        distance = (
            x_t.square().sum(1, keepdim=True)
            - 2 * t * (x_t @ codes.T)
            + t.square() * codes.square().sum(1)
        )
        logits = -distance / (2 * width.square())
        if own is not None:
            logits = logits.masked_fill(~own, -math.inf)
        x_1 = logits.softmax(1) @ codes
        return x_1 - (1 - noise) * (x_t - t * x_1) / width


@torch.no_grad()
def _average(average: AveragedModel, now: nn.Module, decay: float) -> None:
    """Move averaged weights, all at once, towards those of now: by less from then to then.

    The first time they become those of now. `AveragedModel.update_parameters` does the same layer
    by layer, and reads its count from the device.
    """
    count = average.n_averaged
    share = (1 - ((1 + count) / (10 + count)).clamp(max=decay)).where(count > 0, 1.0)
    ours, theirs = (list[Tensor](net.parameters()) for net in (average.module, now))
    # PyTorch's optimisers use these functions, too; its stubs lack them
    apart = torch._foreach_sub(theirs, ours)  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]
    torch._foreach_mul_(apart, share)  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]
    torch._foreach_add_(ours, apart)  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]
    count += 1


def paired(noise: Tensor, codes: Tensor, labels: Tensor | None) -> Tensor:
    """The assignment of noise to codes with the least sum of squared distances.

    Args:
        noise, codes: (N, D) each.
        labels: labels (N,), within each of which noise is assigned; None assigns it freely.

    Returns the row of the noise for each code, (N,).
    """
    rows = torch.arange(len(codes), device=codes.device)
    groups = [rows.clone()] if labels is None else [rows[labels == k] for k in labels.unique()]
    for own in groups:
        cost = torch.cdist(codes[own], noise[own]).square()
        _, chosen = linear_sum_assignment(cost.cpu().numpy())
        rows[own] = own[torch.from_numpy(chosen).to(own)]
    return rows

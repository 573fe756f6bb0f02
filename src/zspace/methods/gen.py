"""GEN, an autoencoder whose codes are matched to a known density by kernel density estimates."""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import deepcopy
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import update_bn

from zspace.core import Batches, LatentModel, Sampler, Terms, codes
from zspace.errors import ModelError
from zspace.functional import (
    as_float,
    exact,
    full_precision,
    kernel_log_density,
    log_share,
    squared_error,
)
from zspace.functional.tensors import BLOCK
from zspace.samplers.mixture import Mixture
from zspace.training import adam

BETAS = (0.5, 0.999)
"""Adam's decay rates (section 5.3 gives the first)."""

WARM_UP = 100
"""The number of iterations after which the centres may lag by one iteration more."""

RANGE = 5.0
"""The distance of the codes from the target's mean, in its deviations, at which training stops."""


class GEN(LatentModel):
    """A generative encoding network, whose codes are matched to a target density.

        min over E, D of  (1/d) E||x - D(E(x))||^2 + lambda E_x log[ p_e(z') / (p_t(z') + p_e(z')) ]

    with z' = E(x), d the number of elements of a sample, p_t the target, and p_e a Gaussian kernel
    density of bandwidth h. Its m centres are lagged codes: codes of images that the epoch's
    gradient steps do not use, encoded again every k_b iterations (Eq. 3). Line 1 of the paper's
    algorithm, which finds h, is `zspace.samplers.kde.optimal_bandwidths`.

    At the optimum, the codes convolved with the kernel have the target's distribution, so that the
    codes are N(0, (1 - h^2) I) for the target N(0, I) (Eq. 8). That is the prior from which codes
    are drawn; the target is available as a sampler as well.

    If some images have labels (semi-supervised, section 5.4), a third term matches the codes of
    each class to the mixture's component of that class, p_t(z'|y), by the kernel density p_e(z'|y)
    of the lagged codes whose label is known to be y:

        lambda E_(x,y) -log[ p_t(z'|y) / (p_t(z'|y) + p_e(z'|y)) ]

    The paper does not give this term. It has the form "non-saturating", which can be chosen for the
    second term, too. Both forms move a code along grad log p_e - grad log p_t, so both are at rest
    where p_e is p_t; but the form of Eq. 3 weighs that gradient by p_t / (p_t + p_e), which
    vanishes for codes that the target does not reach, so that codes between the modes of a mixture
    stay there. Goodfellow et al. (2014, section 3) have the same two forms for a generator.

    Args:
        encoder: E, which maps data to codes (N, l). It needs batch norm in its hidden layers (see
            below).
        decoder: D, which maps codes to data.
        target: p_t, a Gaussian mixture, which may have a single component.
        latent_dim: l, the size of a code.
        centres: m, the number of lagged codes; their images come from `Batches.set_aside`.
        bandwidth: h, above 0.
        weight: lambda; 0.005 to 0.01 in the paper.
        form: "jsd", the form of Eq. 3, or "non-saturating".
        lag: k_b, 10 in the paper.
        floor: whether p_e is kept above the density that the target has at the edge of its
            innermost 99.9%.
        rate: the learning rate of Adam.

    Departures: the reconstruction error is the mean over pixels (the paper's Eq. 3 has the sum, but
    its reported loss of 0.02 and its lambda fit the mean). The centres are also encoded again when
    an epoch begins, so that no centre is ever a code of an image that the epoch uses. At the
    beginning of training they lag by 1 iteration, by 2 after 100, and so on up to k_b, since codes
    that move far in ten iterations are pushed away by their own former places. Codes may still
    diverge: log p_e - log(p_t + p_e) has no lower bound in the tails, where the kernels decay
    faster than the target. Batch norm in hidden layers and a floor under p_e hold them back
    (without the floor, codes of MNIST's ones alone diverged after 3,050 iterations); if they do
    not, training stops with an error.

    Raises:
        InputError: h is not below the least deviation of the target's components.

    Reference: Saha, Elhabian and Whitaker, GENs: Generative Encoding Networks, Algorithm 1.
    """

    centres: Tensor
    labels: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        target: Mixture,
        latent_dim: int,
        *,
        centres: int,
        bandwidth: float,
        weight: float = 0.01,
        form: Literal["jsd", "non-saturating"] = "jsd",
        lag: int = 10,
        floor: bool = True,
        rate: float = 2e-4,
    ) -> None:
        super().__init__(encoder, decoder, target.deconvolved(bandwidth), latent_dim)
        self.target, self.bandwidth, self.weight = target, bandwidth, weight
        self.form, self.lag, self.rate = form, lag, rate
        self.floored = floor
        self.register_buffer("centres", torch.zeros(centres, latent_dim))
        self.register_buffer("labels", torch.full((centres,), -1))

    def samplers(self) -> dict[str, Sampler]:
        return {**super().samplers(), "target": self.target}

    def optimizers(self) -> dict[str, Optimizer]:
        return {"gen": adam(self.parameters(), self.rate, BETAS)}

    # no iteration is said to repeat another: each reads how far the codes lie apart, on which the
    # precision of the kernels depends
    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        lag = min(self.lag, 1 + batches.step // WARM_UP)
        if batches.step % lag == 0 or batches.begins:
            self._encode_centres(batches)
        x, y = next(batches)
        z = self.encode(x)
        log_e, log_t = (
            self._log_density(z, self.centres),
            self.target.log_density(full_precision(z)),
        )
        terms = {
            "reconstruction": squared_error(self.decode(z), x) / x[0].numel(),
            "divergence": self.weight * self._mismatch(log_e, log_t).mean(),
        }
        if y is not None and self.target.labelled:
            terms["labelled"] = self.weight * self._labelled(z, y)
        yield "gen", terms

    def _mismatch(self, log_e: Tensor, log_t: Tensor) -> Tensor:
        if self.form == "jsd":
            return log_share(log_e, log_t)
        return -log_share(log_t, log_e)

    def _log_density(self, z: Tensor, centres: Tensor) -> Tensor:
        log_e = kernel_log_density(z, centres, self.bandwidth)
        return torch.logaddexp(log_e, log_e.new_tensor(self.floor)) if self.floored else log_e

    @cached_property
    def floor(self) -> float:
        """The log density, in nats, below which 0.1% of the target's samples lie."""
        target = deepcopy(self.target).cpu()
        drawn = target.draw(100_000, generator=torch.Generator().manual_seed(0))
        with exact(drawn):
            return float(target.log_density(drawn).quantile(0.001))

    def _labelled(self, z: Tensor, y: Tensor) -> Tensor:
        """The mean of -log[p_t(z'|y) / (p_t(z'|y) + p_e(z'|y))] over images of known label y."""
        each = self.target.component_log_probs(full_precision(z))
        parts = [z.new_zeros(0)]
        for label in y[y >= 0].unique().tolist():
            own, mine = y == label, self.labels == label
            if bool(mine.any()):
                log_e = self._log_density(z[own], self.centres[mine])
                parts.append(-log_share(each[label, own], log_e))
        terms = full_precision(torch.cat(parts))
        return terms.sum() / max(1, len(terms))

    def _encode_centres(self, batches: Batches) -> None:
        """Encode the centres (lines 3 and 13 of Algorithm 1), with batch norm's running statistics.

        No gradient is taken.
        """
        x, y = batches.set_aside()
        if batches.step == 0:
            # initial running statistics would give centres that are far from all codes
            device = self.centres.device
            parts = x.tensor_split(math.ceil(len(x) / BLOCK))  # none of a single image
            update_bn((as_float(part.to(device)) for part in parts), self.encoder)
        self.eval()
        self.centres.copy_(codes(self, x))
        self.train()
        if y is not None:
            self.labels.copy_(y)
        off = (self.centres - self.target.mean()) / self.target.deviation()
        reach = float(off.square().mean().sqrt())
        if not reach < RANGE:
            raise ModelError(
                f"the codes ran away from the target at iteration {batches.step}: they lie "
                f"{reach:.3g} of its deviations from its mean, on average (a lower --weight, "
                "--floor, or batch norm in the encoder's hidden layers keeps them)"
            )

"""The regularised autoencoder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import nn
from torch.optim import Optimizer

from zspace.core import Batches, LatentModel, Terms, always
from zspace.functional import full_precision, in_eval_mode, jacobian_norm, squared_error
from zspace.training import adam

Regulariser = Literal["l2", "gradient-penalty", "spectral-norm", "none"]


class RAE(LatentModel):
    """A deterministic autoencoder with regularised codes and a regularised decoder.

        min over E, D of E||x - D(z)||^2 + (beta / 2) E||z||^2 + lambda L_reg,  z = E(x)

    L_reg is ||theta||^2 of the decoder's weights (L2), or E||dD/dz||^2, the squared Frobenius norm
    of the decoder's Jacobian (GP); with spectral norm in the decoder's layers it is 0 (SN). There
    is no prior: a mixture is fitted to the codes after training.

    Args:
        encoder: E, which maps data to codes (N, D).
        decoder: D, which maps codes to data; for "spectral-norm", with spectral norm in its layers.
        latent_dim: the size of a code.
        regulariser: "l2", "gradient-penalty", "spectral-norm" or "none".
        beta: the weight of the codes' norm, 1e-4 in the authors' code.
        weight: lambda, 1e-7 in the authors' code.
        rate: the learning rate of Adam.

    Reference: Ghosh et al., From Variational to Deterministic Autoencoders (2020), Eq. 9 to 12 and
    section 4. Departure: the Jacobian's norm is replaced by an unbiased estimate from one random
    direction for each image.
    """

    usual = ("mixture", "normal")

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent_dim: int,
        *,
        regulariser: Regulariser = "l2",
        beta: float = 1e-4,
        weight: float = 1e-7,
        rate: float = 1e-3,
    ) -> None:
        super().__init__(encoder, decoder, None, latent_dim)
        self.regulariser: Regulariser = regulariser
        self.beta, self.weight, self.rate = beta, weight, rate

    def optimizers(self) -> dict[str, Optimizer]:
        return {"rae": adam(self.parameters(), self.rate)}

    repeats = always

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        x, _ = next(batches)
        z = full_precision(self.encode(x))
        rebuilt = self.decode(z)
        terms = {
            "reconstruction": squared_error(rebuilt, x),
            "codes": self.beta / 2 * z.square().sum(1).mean(),
        }
        if self.regulariser == "l2":
            squares = [p.square().sum() for p in self.decoder.parameters()]
            terms["weights"] = self.weight * torch.stack(squares).sum()
        elif self.regulariser == "gradient-penalty" and self.weight:
            # batch norm's running statistics give each image's own Jacobian, as in later decoding
            direction = batches.normal(*rebuilt.shape[1:])
            apart = in_eval_mode(self.decoder, z)
            terms["jacobian"] = self.weight * jacobian_norm(apart, z, direction)
        yield "rae", terms

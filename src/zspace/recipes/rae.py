"""The recipe of `zspace train rae`."""

from __future__ import annotations

from typing import Annotated

from zspace.methods.rae import RAE, Regulariser
from zspace.nets.spectral import spectrally_normalised
from zspace.options import About
from zspace.recipes import shared
from zspace.recipes.base import Facts, Plan, one_stage, plain_networks


def rae(
    facts: Facts,
    *,
    iterations: shared.Iterations = 20_000,
    batch_size: shared.BatchSize = 100,
    latent_dim: shared.LatentDim = None,
    regulariser: Annotated[
        Regulariser,
        About("regulariser of the decoder: its weights' norm, its Jacobian's, or spectral norm"),
    ] = "l2",
    beta: Annotated[
        float, About("beta; half of it is the weight of the codes' squared norm", least=0)
    ] = 1e-4,
    weight: Annotated[
        float,
        About(
            "weight lambda of the regulariser",
            least=0,
            of={"regulariser": ("l2", "gradient-penalty")},
        ),
    ] = 1e-7,
    arch: shared.PlainArchitecture = "conv",
    width: shared.Width = 64,
    hidden: shared.Hidden = None,
    learning_rate: Annotated[float, About("learning rate of Adam", above=0)] = 1e-3,
) -> Plan:
    """A regularised autoencoder with FlexAE's networks and a mixture (Ghosh et al., 2020)."""
    nets = plain_networks(facts, arch, latent_dim, width, hidden)
    decoder = nets.decoder()
    if regulariser == "spectral-norm":
        spectrally_normalised(decoder)
    model = RAE(
        nets.encoder(),
        decoder,
        nets.latent_dim,
        regulariser=regulariser,
        beta=beta,
        weight=weight,
        rate=learning_rate,
    )
    return one_stage(model, iterations, batch_size)

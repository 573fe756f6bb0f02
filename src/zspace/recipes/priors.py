"""The recipes of `zspace train vampprior`, `vae-flow` and `vae-iop`, with learned distributions."""

from __future__ import annotations

from typing import Annotated, Literal

from torch import Tensor, nn
from zuko.flows import MAF

from zspace.functional import in_eval_mode
from zspace.methods.iop import IOP
from zspace.methods.vae import VAE, moments_of
from zspace.nets.layers import latent_net
from zspace.options import About
from zspace.recipes import shared
from zspace.recipes.base import Facts, Plan, checked_likelihood, one_stage, plain_networks
from zspace.samplers import Normal
from zspace.samplers.flow import Flow
from zspace.samplers.implicit import ImplicitPrior
from zspace.samplers.vamp import VampPrior


def vampprior(
    facts: Facts,
    *,
    iterations: shared.Iterations = 20_000,
    batch_size: shared.BatchSize = 100,
    latent_dim: shared.LatentDim = None,
    pseudo_inputs: Annotated[
        int, About("number K of the prior's components", least=1, most=100_000)
    ] = 500,
    beta: shared.Beta = 1.0,
    likelihood: shared.VAELikelihood = "squared-error",
    arch: shared.PlainArchitecture = "conv",
    width: shared.Width = 64,
    hidden: shared.Hidden = None,
    learning_rate: shared.LearningRate = 5e-4,
) -> Plan:
    """A VAE whose prior mixes posteriors of learned pseudo-inputs (Tomczak and Welling, 2018)."""
    nets = plain_networks(facts, arch, latent_dim, width, hidden)
    dim = nets.latent_dim
    encoder = nets.encoder(2 * dim)

    def moments(u: Tensor) -> tuple[Tensor, Tensor]:
        # pseudo-inputs must not affect batch norm's statistics, which are those of the data
        return moments_of(in_eval_mode(encoder, u))

    model = VAE(
        encoder,
        nets.decoder(),
        VampPrior(facts.shape, pseudo_inputs, moments),
        dim,
        beta=beta,
        likelihood=checked_likelihood(likelihood, facts),
        rate=learning_rate,
    )
    return one_stage(model, iterations, batch_size)


def vae_flow(
    facts: Facts,
    *,
    iterations: shared.Iterations = 20_000,
    batch_size: shared.BatchSize = 128,
    latent_dim: shared.LatentDim = None,
    place: Annotated[
        Literal["posterior", "prior"],
        About(
            "distribution that is a flow: the posterior, by an inverse autoregressive flow, or "
            "the prior, by a spline flow"
        ),
    ] = "posterior",
    transforms: Annotated[
        int, About("number of successive transformations of the flow", least=1, most=100)
    ] = 2,
    flow_hidden: Annotated[
        int, About("units in each of the flow's two hidden layers", least=1)
    ] = 128,
    beta: shared.Beta = 1.0,
    likelihood: shared.VAELikelihood = "squared-error",
    arch: shared.PlainArchitecture = "conv",
    width: shared.Width = 64,
    hidden: shared.Hidden = None,
    learning_rate: shared.LearningRate = 2e-4,
) -> Plan:
    """A VAE with a normalising flow (Kingma et al., 2016) as its posterior, or as its prior."""
    nets = plain_networks(facts, arch, latent_dim, width, hidden)
    dim = nets.latent_dim
    inverse = place == "posterior"
    flow = None
    if inverse:
        units = (flow_hidden, flow_hidden)
        flow = MAF(dim, context=dim, transforms=transforms, hidden_features=units).transform
    prior = Normal(dim) if inverse else Flow(dim, transforms=transforms, hidden=flow_hidden)
    model = VAE(
        nets.encoder((3 if inverse else 2) * dim),
        nets.decoder(),
        prior,
        dim,
        beta=beta,
        likelihood=checked_likelihood(likelihood, facts),
        flow=flow,
        rate=learning_rate,
    )
    return one_stage(model, iterations, batch_size)


def vae_iop(
    facts: Facts,
    *,
    iterations: shared.Iterations = 20_000,
    batch_size: shared.BatchSize = 128,
    latent_dim: shared.LatentDim = None,
    likelihood: shared.VAELikelihood = "squared-error",
    arch: shared.PlainArchitecture = "conv",
    width: shared.Width = 64,
    hidden: shared.Hidden = None,
    ratio_hidden: Annotated[
        int, About("units in each of the two hidden layers of the density ratio", least=1)
    ] = 256,
    dropout: Annotated[
        float, About("dropout in the hidden layers of the density ratio", least=0, most=0.9)
    ] = 0.5,
    learning_rate: shared.LearningRate = 2e-4,
    ratio_rate: Annotated[
        float, About("learning rate of Adam for the density ratio", above=0)
    ] = 1e-3,
) -> Plan:
    """A VAE with the implicit optimal prior, a learned density ratio (Takahashi et al., 2019)."""
    nets = plain_networks(facts, arch, latent_dim, width, hidden)
    dim = nets.latent_dim
    first, relu, second, also, last = latent_net(dim, 1, ratio_hidden, 2)
    ratio = nn.Sequential(first, relu, nn.Dropout(dropout), second, also, nn.Dropout(dropout), last)
    model = IOP(
        nets.encoder(2 * dim),
        nets.decoder(),
        ImplicitPrior(ratio, dim),
        dim,
        likelihood=checked_likelihood(likelihood, facts),
        rate=learning_rate,
        ratio_rate=ratio_rate,
    )
    return one_stage(model, iterations, batch_size)

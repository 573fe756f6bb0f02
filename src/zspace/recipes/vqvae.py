"""The recipe of `zspace train vq-vae`."""

from __future__ import annotations

from typing import Annotated

from zspace.methods.vqvae import VQVAE
from zspace.nets.vqvae import VQVAENets
from zspace.options import About
from zspace.recipes import shared
from zspace.recipes.base import Facts, Plan, one_stage
from zspace.samplers.autoregressive import Autoregressive


def vq_vae(
    facts: Facts,
    *,
    iterations: shared.Iterations = 20_000,
    batch_size: shared.BatchSize = 128,
    codebook: Annotated[int, About("number K of embeddings", least=2)] = 512,
    embedding: Annotated[int, About("size of an embedding", least=1)] = 64,
    commitment: Annotated[
        float,
        About("weight beta of the distance of the encoder's output from the embeddings", least=0),
    ] = 0.25,
    width: Annotated[int, About("channels of the convolutions", least=2)] = 128,
    prior_width: Annotated[int, About("channels of the PixelCNN", least=2)] = 64,
    prior_blocks: Annotated[int, About("residual blocks of the PixelCNN", least=1)] = 4,
    learning_rate: shared.LearningRate = 2e-4,
) -> Plan:
    """A VAE of discrete codes with an autoregressive prior (van den Oord et al., 2017)."""
    nets = VQVAENets(facts.shape, embedding, width)
    prior = Autoregressive(codebook, embedding, nets.grid, width=prior_width, blocks=prior_blocks)
    model = VQVAE(
        nets.encoder(),
        nets.decoder(),
        prior,
        nets.latent_dim,
        commitment=commitment,
        rate=learning_rate,
    )
    return one_stage(model, iterations, batch_size)

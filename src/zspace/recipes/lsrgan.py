"""The recipe of `zspace train lsrgan`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from zspace.core import LatentModel, Variational
from zspace.errors import InputError
from zspace.methods.lsrgan import BETAS, LSRGAN
from zspace.methods.vae import VAE, Likelihood
from zspace.nets.resnet import LSRGANNets
from zspace.options import About, checked, options_of
from zspace.recipes import shared
from zspace.recipes.base import Facts, Plan, Stage, check_left
from zspace.samplers import Normal
from zspace.storage.files import Plain, decoded, load_state
from zspace.storage.run import Run

VAE_EPOCHS, GAN_EPOCHS = 100, 500
"""The paper's epochs of the VAE and of the GAN on CIFAR-10."""


def lsrgan(
    facts: Facts,
    *,
    encoder: Annotated[
        str | None,
        About(
            "run of a model with a posterior, whose encoder is frozen and rendered (unset: a VAE "
            "is trained first)"
        ),
    ] = None,
    encoder_config: Annotated[
        str | None,
        About("recipe and options of the encoder's run, as JSON (unset: read from the run)"),
    ] = None,
    iterations: Annotated[
        int | None,
        About(
            "training iterations of the VAE and the GAN together (unset: the paper's 100 and 500 "
            "epochs)",
            least=2,
        ),
    ] = None,
    vae_iterations: Annotated[
        int | None, About("training iterations of the VAE alone (unset: a sixth of all)", least=1)
    ] = None,
    batch_size: Annotated[
        int, About("images in a batch, at least 2 because of batch norm", least=2)
    ] = 32,
    latent_dim: Annotated[int | None, About("size of the VAE's code (unset: 128)", least=1)] = None,
    beta: Annotated[
        float | None, About("weight of the VAE's KL divergence (unset: 1)", least=0)
    ] = None,
    likelihood: Annotated[
        Likelihood | None,
        About(
            "likelihood of the VAE's reconstruction, summed over pixels (unset: log-mse, a "
            "Gaussian with the likeliest variance)"
        ),
    ] = None,
    blocks: Annotated[
        Literal["residual", "plain"] | None,
        About(
            "blocks of the VAE's networks: residual ones, or the same without their shortcuts, a "
            "plain CNN (unset: residual)"
        ),
    ] = None,
    renderer: Annotated[
        Literal["copy", "resnet"],
        About("renderer: a copy of the autoencoder's decoder, or a new residual network"),
    ] = "copy",
    weight: Annotated[
        float, About("weight lambda of -log q(z | g(z)), relative to the GAN's loss", least=0)
    ] = 1.0,
    reduction: Annotated[
        Literal["mean", "sum"],
        About(
            "reduction of log q over a code's dimensions: the mean, as in the authors' code, or "
            "the sum, as in the paper's formula"
        ),
    ] = "mean",
    width: Annotated[
        int, About("channels of the residual networks' first block, an even number", least=2)
    ] = 64,
    learning_rate: shared.LearningRate = 2e-4,
) -> Plan:
    """A GAN that renders images from the codes of a frozen VAE encoder (LSR-GAN, 2020)."""
    # imported here, since the table of recipes contains this one
    from zspace.recipes import plan_of

    nets = LSRGANNets(facts.shape, latent_dim or 128, width, blocks != "plain")
    own = {
        "latent_dim": latent_dim,
        "beta": beta,
        "likelihood": likelihood,
        "blocks": blocks,
        "vae_iterations": vae_iterations,
    }
    per_epoch = max(1, facts.train_images // batch_size)
    if encoder is None:
        if encoder_config is not None:
            raise InputError("--encoder-config belongs to --encoder, which is not given")
        first = VAE_EPOCHS * per_epoch
        if iterations is not None:
            first = max(1, iterations * VAE_EPOCHS // (VAE_EPOCHS + GAN_EPOCHS))
        first = vae_iterations or first
        total = iterations or first + GAN_EPOCHS * per_epoch
        check_left(total, first, "the VAE's", "the renderer")
        found: dict[str, Any] = {
            "latent_dim": nets.latent_dim,
            "beta": 1.0 if beta is None else beta,
            "likelihood": likelihood or "log-mse",
            "blocks": blocks or "residual",
            "iterations": total,
            "vae_iterations": first,
        }
        dim = nets.latent_dim
        trained: LatentModel = VAE(
            nets.encoder(2 * dim),
            nets.decoder(),
            Normal(dim),
            dim,
            beta=found["beta"],
            likelihood=found["likelihood"],
            rate=learning_rate,
            betas=BETAS,
        )
    else:
        for name, value in own.items():
            if value is not None:
                raise InputError(
                    f"--{name.replace('_', '-')} {value} belongs to the VAE that lsrgan trains "
                    f"itself: with --encoder {encoder} leave it out"
                )
        described = _described(encoder, encoder_config, facts)
        trained = plan_of(described, facts).model
        first, total = 0, iterations or GAN_EPOCHS * per_epoch
        found = {"iterations": total, "encoder_config": json.dumps(described, sort_keys=True)}
        nets = LSRGANNets(facts.shape, trained.latent_dim, width)
    # the model of another LSR-GAN gives the model that it renders
    vae = trained.vae if isinstance(trained, LSRGAN) else trained
    if not isinstance(vae, Variational):
        raise InputError(
            f"the model of {encoder} has no posterior q(z | x): lsrgan renders the encoder of a "
            "run such as vae or vae-mlp"
        )
    model = LSRGAN(
        vae,
        None if renderer == "copy" else nets.decoder(),
        nets.discriminator(),
        weight=weight,
        reduction=reduction,
        rate=learning_rate,
    )
    if encoder is None:
        stages = (
            Stage(vae, first, batch_size),
            Stage(model, total - first, batch_size, data=model.begun),
        )
        return Plan(model, stages, found)

    def begin() -> None:
        run = Run(encoder)
        path = run.weights_file()
        load_state(trained, run.weights(path, trained), path)
        model.begin()

    return Plan(model, (Stage(model, total, batch_size),), found, begin, (Path(encoder),))


def _described(encoder: str, config: str | None, facts: Facts) -> dict[str, Any]:
    """The recipe and options of the encoder's run, from a configuration or from the run itself."""
    if not encoder:
        raise InputError("--encoder must be the folder of a run, not an empty text")
    if config is None:
        run = Run(encoder)
        theirs = run.facts
        if theirs.shape != facts.shape:
            raise InputError(
                f"the encoder of {encoder} takes samples of shape {theirs.shape}, these data have "
                f"{facts.shape}"
            )
        described: Any = run.config
    else:
        described = decoded(config, dict[str, Plain], "--encoder-config")
    if not isinstance(described.get("recipe"), str):
        raise InputError(f"the configuration of the encoder {encoder} names no recipe")
    from zspace.recipes import find, recipes

    if described["recipe"] not in recipes():
        raise InputError(
            f"no recipe that is known here builds the encoder of {encoder}, which is of "
            f"'{described['recipe']}': lsrgan renders the encoder of a run such as vae or vae-mlp"
        )
    known = options_of(find(described["recipe"]))
    given = {k: described[k] for k in known if k in described}
    return {"recipe": described["recipe"], **checked(known, given)}

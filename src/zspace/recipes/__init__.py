"""Recipes: for each method a function that builds it with its paper's defaults, and their table.

A recipe is a function `(facts: Facts, *, ...options) -> Plan`. Its annotated keywords are its
hyper-parameters, and become the options of `zspace train NAME`. Other packages add recipes through
the entry-point group `zspace.recipes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zspace.errors import InputError, shown, unknown
from zspace.options import options_of
from zspace.plugins import RECIPES as GROUP
from zspace.plugins import entries, load_plugin
from zspace.recipes.aae import aae
from zspace.recipes.ae import ae
from zspace.recipes.alae import alae
from zspace.recipes.base import Facts, Plan, Recipe, Stage
from zspace.recipes.cvae import cvae
from zspace.recipes.flexae import flexae, flexae_sr
from zspace.recipes.gan import dcgan, sngan, wgan_gp
from zspace.recipes.gen import gen
from zspace.recipes.latent_flow import latent_flow
from zspace.recipes.lsrgan import lsrgan
from zspace.recipes.maskaae import mask_aae
from zspace.recipes.pioneer import pioneer
from zspace.recipes.priors import vae_flow, vae_iop, vampprior
from zspace.recipes.rae import rae
from zspace.recipes.regene import regene
from zspace.recipes.two_stage import two_stage_vae
from zspace.recipes.vae import vae, vae_mlp
from zspace.recipes.vqvae import vq_vae
from zspace.recipes.wae import wae, wae_gan

RECIPES: dict[str, Recipe] = {
    "ae": ae,
    "vae": vae,
    "flexae": flexae,
    "flexae-sr": flexae_sr,
    "gen": gen,
    "aae": aae,
    "regene": regene,
    "vae-mlp": vae_mlp,
    "lsrgan": lsrgan,
    "wae": wae,
    "wae-gan": wae_gan,
    "rae": rae,
    "two-stage-vae": two_stage_vae,
    "vampprior": vampprior,
    "vae-flow": vae_flow,
    "vae-iop": vae_iop,
    "vq-vae": vq_vae,
    "mask-aae": mask_aae,
    "cvae": cvae,
    "dcgan": dcgan,
    "wgan-gp": wgan_gp,
    "sngan": sngan,
    "alae": alae,
    "pioneer": pioneer,
    "latent-flow": latent_flow,
}


def recipes() -> list[str]:
    """The names of all recipes, including those of other packages."""
    return [*RECIPES, *sorted(entries(GROUP).keys() - RECIPES.keys())]


def find(name: str) -> Recipe:
    """The recipe of a given name.

    Raises:
        InputError: the name is unknown (the message suggests the most similar one), or another
            package's recipe can't be loaded.
    """
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"a recipe is named by a text, not by {shown(name)}")
    if name in RECIPES:
        return RECIPES[name]
    entry = entries(GROUP).get(name)
    if entry is None:
        raise unknown("recipe", name, recipes())
    recipe: Recipe = load_plugin(entry, "recipe")
    return recipe


def plan_of(config: Mapping[str, Any], facts: Facts) -> Plan:
    """The plan that a recipe makes from a run's configuration.

    Args:
        config: the configuration, with all options of its recipe.
        facts: what is known of the data.

    Raises:
        InputError: the recipe is unknown, or refuses its options or the data.
    """
    build = find(config["recipe"])
    plan = build(facts, **{k: config[k] for k in options_of(build)})  # type: ignore[call-arg]
    model = plan.model
    model.sample_shape = facts.shape
    if model.prior is not None and model.prior.labels:
        model.prior.with_names(facts.classes)
    return plan


__all__ = ["RECIPES", "Facts", "Plan", "Recipe", "Stage", "find", "plan_of", "recipes"]

"""The way from codes to images: fitting and tuning samplers, combining codes, galleries, export."""

from zspace.generation.fit import fit_sampler

__all__ = ["fit_sampler"]

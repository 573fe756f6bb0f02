"""ReGene's plans on data of any shape."""

from __future__ import annotations

from zspace.recipes import Facts, find

TEN = tuple("0123456789")


def regene(shape: tuple[int, ...] = (1, 28, 28), images: int = 51_200, **options: object) -> object:
    return find("regene")(Facts(shape, TEN, True, images), **options)  # type: ignore[call-arg]

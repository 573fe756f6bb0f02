"""What the page can ask for: one class for each request, whose fields are checked as they are read.

The page does the arithmetic of codes that needs no model, such as moving one along a direction; a
request says which codes to decode, and what else only the model, its samplers or its data know.
Nothing about a tab is kept here: codes and small images travel with the requests.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
import torch
from msgspec import Meta
from torch import Tensor

from zspace import metrics
from zspace.core import Classifying, Variational, codes, decoded, reconstructions
from zspace.errors import InputError
from zspace.exploring.pictures import packed, sprite
from zspace.exploring.requests import (
    Answer,
    Codes,
    Count,
    Name,
    Number,
    Numbers,
    Request,
    Source,
    checked_items,
    checked_label,
    codes_of,
    pictured,
)
from zspace.exploring.space import Space
from zspace.functional import as_float, great_circle
from zspace.generation.drawing import draw_codes


class Show(Request):
    """Images of the data, their reconstructions and their codes."""

    items: Numbers

    def answer(self, space: Space) -> Answer:
        items = checked_items(space, self.items)
        x = space.x(items)
        z = codes(space.trained, x).cpu()
        y = space.y
        return {
            "images": sprite(x),
            "labels": None if y is None else y[items].tolist(),
            "test": space.of_test[items].tolist(),
            **pictured(space, z),
        }


class At(Request):
    """What the code at a place of the linear map decodes to."""

    x: Annotated[float, Meta(gt=-1e6, lt=1e6)]
    y: Annotated[float, Meta(gt=-1e6, lt=1e6)]

    def answer(self, space: Space) -> Answer:
        return pictured(space, space.axes.code_at(torch.tensor([[self.x, self.y]])))


class Draw(Request):
    """Images of codes that a sampler draws.

    With a temperature t, the noise of which codes are made is multiplied by t; where they are not a
    continuous function of noise, the codes move towards or away from the mean code by that factor.
    A sampler that solves an equation takes `steps` steps: images of the zoo's fashion-flow and
    faces by 8 lie closer to those by 96 than 1% of their range (root mean square).
    """

    sampler: Name
    n: Count = 64
    seed: Number = 0
    label: Number | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] = 1.0
    guidance: Annotated[float, Meta(ge=0, le=20)] | None = None
    steps: Annotated[int, Meta(ge=1, le=100)] = 8
    decoder: Name | None = None

    @torch.no_grad()
    def answer(self, space: Space) -> Answer:
        sampler = space.sampler(self.sampler).quick(self.steps)
        if self.guidance is not None:
            if "guidance" not in sampler.drawing:
                raise InputError(f"the sampler {self.sampler} knows no guidance")
            sampler = sampler.changed(guidance=self.guidance)
        label = self.label
        if label is not None:
            checked_label(space, label)
            if not sampler.labels:
                raise InputError(f"the sampler {self.sampler} knows no classes")
        random = torch.Generator(space.device).manual_seed(self.seed)
        t = self.temperature
        if t == 1 or not sampler.noise_dim or sampler.jumps:
            z = draw_codes(sampler, self.sampler, self.n, label, random)
            if t != 1:
                mean = space.axes.mean.to(z)
                z = mean + t * (z - mean)
        else:
            noise = torch.randn(self.n, sampler.noise_dim, generator=random, device=random.device)
            y = None if label is None else torch.full((self.n,), label, device=random.device)
            z = sampler.of_noise(t * noise, y)
        return pictured(space, z, self.decoder)


class Decode(Request):
    """What codes decode to."""

    codes: Codes
    decoder: Name | None = None

    def answer(self, space: Space) -> Answer:
        z = codes_of(space, self.codes)
        return {"sprite": sprite(decoded(space.trained.with_decoder(self.decoder), z))}


class Around(Request):
    """Images of a Gaussian around a code, in units of each dimension's standard deviation."""

    code: Codes
    n: Count = 16
    seed: Number = 0
    width: Annotated[float, Meta(ge=0, le=2)] = 0.3

    def answer(self, space: Space) -> Answer:
        z = codes_of(space, self.code)[:1].cpu()
        random = torch.Generator().manual_seed(self.seed)
        noise = torch.randn(self.n, z.shape[1], generator=random)
        return pictured(space, z + self.width * space.deviations * noise)


class Near(Request):
    """The nearest training images of an image, by pixels or by codes."""

    of: Source
    by: Literal["pixels", "codes"] = "pixels"
    k: Annotated[int, Meta(ge=1, le=32)] = 8

    def answer(self, space: Space) -> Answer:
        x = self.of.x(space)
        if self.by == "pixels":
            k = min(self.k, len(space.images.train))
            distances, rows = metrics.nearest(x, space.images.train.x, k)
            test = len(space.images.test)
            items = torch.cat([(space.order == test + row).nonzero()[:, 0] for row in rows[0]])
        else:
            space.codes()  # of which none may be known yet
            mine = (~space.of_test[: space.encoded]).nonzero()[:, 0]
            z = codes(space.trained, x).cpu()
            known = space.codes(space.encoded)[mine]
            distances, rows = metrics.nearest(z, known, min(self.k, len(mine)))
            items = mine[rows[0]]
        return {
            "items": items.tolist(),
            "distances": [round(float(d), 4) for d in distances[0]],
            "sprite": sprite(space.x(items)),
        }


class Walk(Request):
    """Images on the way between two codes, or on the square between four, in rows of `steps`."""

    codes: Codes
    way: Literal["line", "sphere"] = "line"
    steps: Annotated[int, Meta(ge=2, le=33)] = 17

    def answer(self, space: Space) -> Answer:
        ends = codes_of(space, self.codes)
        if len(ends) not in (2, 4):
            raise InputError(f"a walk leads between 2 or 4 codes, not {len(ends)}")
        if len(ends) == 4 and self.steps > 11:
            raise InputError("the square between 4 codes has at most 11 steps a side")
        z = _between(ends[0::2], ends[1::2], self.steps, self.way)
        z = z[0] if len(ends) == 2 else _between(z[0], z[1], self.steps, self.way).movedim(1, 0)
        z = z.reshape(-1, ends.shape[1])
        return {"codes": packed(z), "sprite": sprite(decoded(space.trained, z), self.steps)}


def _between(a: Tensor, b: Tensor, steps: int, way: str) -> Tensor:
    """Codes (N, steps, D) on lines or great circles from a to b, both (N, D)."""
    if way == "sphere":
        return great_circle(a, b, steps)
    return torch.lerp(
        a[:, None], b[:, None], torch.linspace(0, 1, steps, device=a.device)[None, :, None]
    )


class Arithmetic(Request):
    """Images of z + s (mean of one class - mean of another), for strengths s from -1 to 2."""

    code: Codes
    plus: Number
    minus: Number
    steps: Annotated[int, Meta(ge=2, le=33)] = 13

    def answer(self, space: Space) -> Answer:
        means = space.class_means()
        for label in (checked_label(space, self.plus), checked_label(space, self.minus)):
            if label not in means:
                raise InputError(f"no image of class {space.images.classes[label]} is encoded")
        strengths = torch.linspace(-1, 2, self.steps)
        way = means[self.plus] - means[self.minus]
        z = codes_of(space, self.code)[:1].cpu() + strengths[:, None] * way
        return {"strengths": strengths.tolist(), **pictured(space, z)}


class Directions(Request):
    """The most active dimensions, or the principal directions, and what each of them changes.

    A strip shows the code moved by -3 to 3 standard deviations along a direction; without a code,
    the mean code is moved.
    """

    kind: Literal["dimensions", "principal"] = "dimensions"
    count: Annotated[int, Meta(ge=1, le=32)] = 12
    code: Codes | None = None

    def answer(self, space: Space) -> Answer:
        axes, dim = space.axes, space.trained.latent_dim
        if self.kind == "dimensions":
            order = space.deviations.argsort(descending=True, stable=True)
            vectors, deviations, used = torch.eye(dim), space.deviations, space.active
        else:
            order = torch.arange(dim)
            vectors, deviations = axes.vectors.T, axes.deviations
            used = metrics.active_dimensions(deviations.double().square(), relative=True)
        order = order[: self.count]
        way = vectors[order] * deviations[order, None]
        base = axes.mean if self.code is None else codes_of(space, self.code)[0].cpu()
        steps = torch.linspace(-3, 3, 7)
        z = base + steps[None, :, None] * way[:, None]
        return {
            "numbers": order.tolist(),
            "deviations": deviations[order].tolist(),
            "used": used[order].tolist(),
            "all_used": int(used.sum()),
            "vectors": packed(way),
            "base": packed(base),
            "strips": sprite(decoded(space.trained, z.flatten(0, 1).to(space.device)), 7),
        }


class Members(Request):
    """The numbers of random images of a class, among those that are encoded."""

    label: Number
    n: Count = 6
    seed: Number = 0

    def answer(self, space: Space) -> Answer:
        label = checked_label(space, self.label)
        own = (space.labels()[: len(space.codes())] == label).nonzero()[:, 0]
        random = torch.Generator().manual_seed(self.seed)
        items = own[torch.randperm(len(own), generator=random)[: self.n]].tolist()
        if not items:
            raise InputError(f"no image of class {space.images.classes[label]} is encoded")
        return {"items": items, **Show(items).answer(space)}


class Combine(Request):
    """A convex combination of codes of one class, and what both judges of ReGene say of it."""

    codes: Codes
    weights: Annotated[list[Annotated[float, Meta(ge=0, le=1)]], Meta(min_length=1, max_length=32)]
    label: Number

    @torch.no_grad()
    def answer(self, space: Space) -> Answer:
        sources, label = codes_of(space, self.codes), checked_label(space, self.label)
        weights = torch.tensor(self.weights, device=sources.device)
        if len(weights) != len(sources) or not float(weights.sum()) > 0:
            raise InputError("give a weight for each code, and not 0 for all of them")
        z = (weights / weights.sum()) @ sources
        return {**pictured(space, z[None]), "judges": _verdicts(space, z[None], label)}


def _verdicts(space: Space, z: Tensor, label: int) -> list[Answer]:
    """What each judge says of a code (1, D) that is intended for a class; empty without judges."""
    model = space.trained
    if not isinstance(model, Classifying):
        return []
    seen = {"latent space": z, "image space": model.encode(model.decode(z))}
    told: list[Answer] = []
    for name, judge in model.judges().items():
        confidence = float(model.probabilities(seen[name])[0, label]) if name in seen else None
        told.append({"judge": name, "passes": bool(judge(z, label)[0]), "confidence": confidence})
    return told


class Imagine(Request):
    """Images of codes drawn from the posterior q(z | x) of an image, a row for each decoder."""

    of: Source
    n: Annotated[int, Meta(ge=1, le=32)] = 8
    seed: Number = 0

    def answer(self, space: Space) -> Answer:
        model = space.trained
        if not isinstance(model, Variational):
            raise InputError(space.refusals()["imagine"])
        x = self.of.x(space)
        z = model.draw(as_float(x), self.n, seed=self.seed)[0]
        rows = {name: sprite(decoded(m, z), self.n) for name, m in model.decoders().items()}
        return {"image": sprite(x), "rows": rows, "codes": packed(z)}


class Restore(Request):
    """Reconstructions of images of the data by this model, for comparison with others."""

    items: Numbers

    def answer(self, space: Space) -> Answer:
        x = space.x(checked_items(space, self.items))
        return {"images": sprite(x), "sprite": sprite(reconstructions(space.trained, x))}


class Save(Request):
    """A file .npz of codes and what they decode to."""

    codes: Codes

    def answer(self, space: Space) -> Answer:
        z = codes_of(space, self.codes)
        file = io.BytesIO()
        np.savez(file, codes=z.cpu().numpy(), images=decoded(space.trained, z).numpy())
        return {"file": base64.b64encode(file.getvalue()).decode()}


REQUESTS: Mapping[str, type[Request]] = {
    kind.__name__.lower(): kind
    for kind in (
        Show,
        At,
        Draw,
        Decode,
        Around,
        Near,
        Walk,
        Arithmetic,
        Directions,
        Members,
        Combine,
        Imagine,
        Restore,
        Save,
    )
}
"""The requests by the last part of their address."""

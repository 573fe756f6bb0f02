"""`Space`, what the page knows of one run: its model, its data, their codes and its samplers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zspace import api, metrics
from zspace.core import (
    SILENT,
    Classifying,
    Density,
    LatentModel,
    Progress,
    Sampler,
    Variational,
    codes,
)
from zspace.data import Images
from zspace.data.given import check_there, images_of, moved
from zspace.data.levels import Levels
from zspace.errors import InputError, unknown
from zspace.exploring.drawn import DRAWN, images_or_drawn
from zspace.functional.tensors import BLOCK
from zspace.generation.fit import read_sampler
from zspace.options import options_of
from zspace.recipes import catalogue
from zspace.samplers import Convex
from zspace.storage.published import usual_sampler
from zspace.storage.run import Run

FIRST = 2000
"""The number of images that are encoded before anything is shown, in random order."""

MOST = 50_000
"""The number of images that are encoded, at most."""

VIEWS = ("map", "generate", "walk", "dimensions", "combine", "imagine", "compare", "train")
"""The views of the page, in the order of its tabs."""


@dataclass
class Axes:
    """The linear map of a latent space: the principal axes of its codes.

    Attributes:
        mean: the mean code (D,).
        vectors: the principal directions (D, D) in its columns, of unit length, widest first.
        deviations: the standard deviations (D,) of the codes along them.
    """

    mean: Tensor
    vectors: Tensor
    deviations: Tensor

    @classmethod
    def of(cls, z: Tensor) -> Axes:
        """The axes of codes (N, D)."""
        mean = z.double().mean(0)
        covariance = (z.double() - mean).T.cov().reshape(z.shape[1], z.shape[1])
        values, vectors = torch.linalg.eigh(covariance)
        signs = vectors.gather(0, vectors.abs().argmax(0, keepdim=True)).sign()
        vectors = (vectors * signs).flip(1)
        deviations = values.clamp(min=0).sqrt().flip(0)
        return cls(mean.float(), vectors.float(), deviations.float())

    def project(self, z: Tensor) -> Tensor:
        """The places (N, 2) of codes on the map."""
        flat = (z - self.mean) @ self.vectors[:, :2]
        return torch.nn.functional.pad(flat, (0, 2 - flat.shape[1]))

    def code_at(self, places: Tensor) -> Tensor:
        """The codes (N, D) of places (N, 2), on the plane that the map shows."""
        axes = self.vectors[:, :2]
        return self.mean + places[:, : axes.shape[1]] @ axes.T


@dataclass
class Space:
    """A latent space that the page shows.

    An image of the data is called by its number in `order`, a fixed random order of the test and
    training images, so that the first of them are a fair choice.

    Attributes:
        name: what the page calls it, which is no path.
        run: the run; None for a model and data that Python gave.
        model: the model, in eval mode; None while a run has no weights yet.
        images: the data.
        device_name: the device that was asked for.
        newest: the last checkpoint that the training view has looked at, and its samples.
    """

    name: str
    run: Run | None
    model: LatentModel | None
    images: Images
    device_name: str = "cpu"
    newest: dict[str, Any] = field(default_factory=dict[str, Any])
    _codes: list[Tensor] = field(default_factory=list[Tensor])

    @classmethod
    def of_run(
        cls,
        run: str | Path,
        *,
        data_dir: str | None = None,
        checkpoint: str = "last",
        device: str = "cpu",
        progress: Progress = SILENT,
    ) -> Space:
        """The latent space of a run.

        A run that is being trained and has no checkpoint yet has no model: only its training can
        be followed. A model of the zoo whose data are not here is shown by images that it draws.

        Args:
            run: the run's folder, or `zoo:NAME`.
            data_dir: the folder in which the run's data are now.
            checkpoint: the checkpoint whose weights to use, its iteration or "last".
            device: "auto", "cpu", "cuda" or "mps".
            progress: told what the user should know about the run.

        Raises:
            InputError: the run or its data can't be used.
        """
        existing = Run(run)
        there = Run(existing.folder, config=moved(existing.config, data_dir))
        if checkpoint == "last" and not existing.model_file.exists() and not existing.checkpoints():
            source = there.config["data"]
            if source is None:
                raise InputError(f"{run} has no model yet, and keeps its data until it has one")
            check_there(run, source)
            model, images = None, images_of(source, there.config)
        else:
            model = api.load(run, checkpoint=checkpoint, device=device, progress=progress)
            images = images_or_drawn(there, model, progress, alone=data_dir is None)
        folder = Path(os.path.abspath(existing.folder))  # "." has no name
        return cls(folder.name, Run(folder), model, images, device)

    @cached_property
    def order(self) -> Tensor:
        """The numbers of all test images, then training images, in a fixed random order."""
        total = len(self.images.test) + len(self.images.train)
        return torch.randperm(total, generator=torch.Generator().manual_seed(0))

    @property
    def device(self) -> torch.device:
        """The device that the model is on."""
        return next(self.trained.parameters()).device

    @property
    def trained(self) -> LatentModel:
        """The model.

        Raises:
            InputError: the run has none yet.
        """
        if self.model is None:
            raise InputError(f"{self.name} is being trained and has no checkpoint yet")
        return self.model

    def renew(self, model: LatentModel) -> None:
        """Take the model of the first checkpoint of a run that had none."""
        if self.model is None:
            self.model = model

    def __len__(self) -> int:
        return min(MOST, len(self.order))

    def x(self, items: Tensor) -> Tensor:
        """Images in the stored form, (n, ...), by their numbers (n,)."""
        rows, test = self.order[items], len(self.images.test)
        mine = rows < test
        out = torch.empty(len(rows), *self.images.shape, dtype=self.images.train.x.dtype)
        out[mine] = self.images.test.x[rows[mine]]
        out[~mine] = self.images.train.x[rows[~mine] - test]
        return out

    @cached_property
    def y(self) -> Tensor | None:
        """The labels (N,) of the images by number, -1 if one is unknown; None without labels."""
        test, train = self.images.test.y, self.images.train.y
        if train is None or not self.images.classes:
            return None
        unknown_ = torch.full((len(self.images.test),), -1)
        return torch.cat([unknown_ if test is None else test, train])[self.order]

    @cached_property
    def of_test(self) -> Tensor:
        """Whether each image by number is a test image, booleans (N,)."""
        return self.order < len(self.images.test)

    @property
    def encoded(self) -> int:
        """The number of images whose codes are known."""
        return sum(map(len, self._codes))

    @property
    def ready(self) -> bool:
        """Whether the first images are encoded, on which the linear map depends."""
        return self.encoded >= min(FIRST, len(self))

    def encode(self, count: int) -> Iterator[float]:
        """Encode images in order until `count` are, block by block; yields the share done."""
        count = min(count, len(self))
        while (start := self.encoded) < count:
            rows = torch.arange(start, min(start + BLOCK, count))
            self._codes.append(codes(self.trained, self.x(rows)).cpu())
            yield self.encoded / count

    def codes(self, count: int = FIRST) -> Tensor:
        """The codes (n, D) of the first images, on the CPU, which are encoded if need be."""
        for _ in self.encode(count):
            pass
        if len(self._codes) > 1:
            self._codes = [torch.cat(self._codes)]
        return self._codes[0][: min(count, len(self))]

    @cached_property
    def axes(self) -> Axes:
        """The linear map."""
        return Axes.of(self.codes())

    @cached_property
    def deviations(self) -> Tensor:
        """The standard deviation of each dimension of the codes, (D,)."""
        return metrics.activity(self.codes()).sqrt().float()

    @cached_property
    def active(self) -> Tensor:
        """Which dimensions are in use, booleans (D,), as `zspace diagnose` counts them."""
        relative = not isinstance(self.trained, Variational)
        return metrics.active_dimensions(self.deviations.double().square(), relative=relative)

    def class_means(self) -> dict[int, Tensor]:
        """The mean codes (D,) of the classes of which an image is encoded, by label.

        Raises:
            InputError: the data have no labels.
        """
        z, y = self.codes(), self.labels()[: len(self.codes())]
        return {int(k): z[y == k].mean(0) for k in y.unique() if k >= 0}

    def labels(self) -> Tensor:
        """The labels (N,) of the images by number.

        Raises:
            InputError: the data have none.
        """
        if self.y is None:
            raise InputError(f"the data of {self.name} have no labels, which this needs")
        return self.y

    @cached_property
    def sampler_names(self) -> list[str]:
        """The samplers to draw from: the model's own, the run's, and the usual ones."""
        model = self.trained
        held = [] if self.run is None else [*self.run.samplers()]
        named = [*model.samplers(), *held, *model.usual]
        first = None if self.run is None else usual_sampler(self.run.folder)
        return list(dict.fromkeys([*([first] if first in named else []), *named]))

    @cached_property
    def _samplers(self) -> dict[str, Sampler]:
        return {}

    def sampler(self, name: str) -> Sampler:
        """A sampler by its name.

        One that the run does not hold is fitted to the codes of the first images, and not stored.

        Raises:
            InputError: there is no such sampler, or it can't be fitted.
        """
        if name not in self.sampler_names:
            raise unknown("sampler", name, self.sampler_names)
        if name not in self._samplers:
            self._samplers[name] = self._found(name)
        return self._samplers[name]

    def _found(self, name: str) -> Sampler:
        own = self.trained.samplers()
        if name in own:
            return own[name]
        held = None if self.run is None else read_sampler(self.run.folder, name, self.trained)
        if held is not None:
            return held
        shape = self.trained.code_shape
        options: dict[str, str] = {}
        if shape and "code_shape" in options_of(catalogue.find(name)):
            options["code_shape"] = ",".join(map(str, shape))
        made = catalogue.make(name, self.trained.latent_dim, options)
        z = self.codes()
        with catalogue.whose_fault(name):
            made.fit(z, None if self.y is None else self.y[: len(z)])
        made.with_names(self.images.classes)
        if isinstance(made, Convex) and isinstance(self.trained, Classifying):
            made.with_judges(self.trained.judges())
        return made.to(self.device)

    @cached_property
    def density(self) -> tuple[str, Density]:
        """The density of codes and its name: the first sampler that is one, or else a Gaussian."""
        for name in self.sampler_names:
            if name in self.trained.samplers() or name in catalogue.densities():
                found = self.sampler(name)
                if isinstance(found, Density):
                    return name, found
        fitted = catalogue.make("normal", self.trained.latent_dim).fit(self.codes())
        assert isinstance(fitted, Density)
        return "normal", fitted.to(self.device)

    @property
    def levels(self) -> Levels:
        """How values of uploaded images are converted to those of the data."""
        return Levels.of(None if self.run is None else self.run.config.get("value_range"))

    def refusals(self) -> dict[str, str]:
        """Why views can't be shown, by the name of the view."""
        no: dict[str, str] = {}
        if self.run is None:
            no["train"] = "this model was given by Python: there is no training to follow"
        if self.model is None:
            why = "this run is being trained and has no checkpoint yet"
            return no | dict.fromkeys((v for v in VIEWS if v != "train"), why)
        if not isinstance(self.model, Variational):
            no["imagine"] = "this model has no posterior q(z | x) to draw codes from"
        if self.y is None:
            no["combine"] = "these data have no labels: only codes of one class are combined"
        if not self.images.is_image:
            why = "these data are vectors: only the map and the dimensions are for them"
            no |= dict.fromkeys(("generate", "walk", "combine", "imagine", "compare"), why)
        return no

    def described(self) -> dict[str, Any]:
        """What the page is told at first: names, shapes, and what each sampler can do."""
        model = self.model
        facts: dict[str, Any] = {
            "name": self.name,
            "recipe": "" if self.run is None else str(self.run.config.get("recipe")),
            "data": self.images.name.rpartition("/")[2],
            "drawn": self.images.name == DRAWN,
            "shape": self.images.shape,
            "classes": self.images.classes if self.y is not None else (),
            "refused": self.refusals(),
            "items": len(self),
            "first": min(FIRST, len(self)),
        }
        if model is None:
            return facts | {"dim": 0, "samplers": [], "decoders": []}
        described: list[dict[str, Any]] = []
        for name in self.sampler_names:
            own = model.samplers().get(name)
            options = catalogue.drawing_options(name, model)
            known = own is not None or name not in catalogue.names()
            by_label = bool(own.labels) if own is not None else catalogue.find(name).by_label
            described.append(
                {
                    "name": name,
                    "labels": by_label and (known or self.y is not None),
                    "guidance": "guidance" in options,
                    "steps": "steps" in options,
                }
            )
        return facts | {
            "dim": model.latent_dim,
            "samplers": described,
            "decoders": list(model.decoders()),
        }


def check_alike(spaces: list[Space]) -> None:
    """Check that spaces are of the same data, so that the same images can be shown in each.

    Raises:
        InputError: one is of other data, or has a single image.
    """
    first = spaces[0]
    if len(first.order) < 2:
        raise InputError(f"{first.name} has a single image: a map needs 2 at least")
    for other in spaces[1:]:
        a, b = first.images, other.images
        if a.classes != b.classes or not torch.equal(a.test.x, b.test.x):
            raise InputError(
                f"{other.name} is of other data ({b.name}) than {first.name} ({a.name}): only runs "
                "of the same data are shown together"
            )
        if not torch.equal(a.train.x, b.train.x):  # among which an image is called by its number
            raise InputError(
                f"{other.name} was trained on other images of {b.name} ({len(b.train):,}) than "
                f"{first.name} ({len(a.train):,}): only runs of the same are shown together"
            )

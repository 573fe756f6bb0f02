"""What a run's subjects are, and what they are measured against."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zspace import api
from zspace.core import (
    SILENT,
    LatentModel,
    Progress,
    Sampler,
    Variational,
    codes,
    decoded,
    reconstructions,
)
from zspace.data import NAMED, Images
from zspace.errors import InputError
from zspace.features.classifier import Neutral, neutral_classifier
from zspace.features.extract import Extractor, extract, find_extractor
from zspace.functional import stream
from zspace.generation.fit import read_sampler, refit_sampler
from zspace.options import check_seed
from zspace.recipes import catalogue
from zspace.storage.cache import fingerprint
from zspace.storage.run import Run

LEAST = 20
"""Samples below which no evaluation is made."""

MOST = 10_000
RECONSTRUCTION, GENERATION, DATA, CODES = "reconstruction", "generation", "data", "codes"


@dataclass(frozen=True)
class Subject:
    """What is measured: stored images (or vectors), and the codes that they were decoded from.

    Attributes:
        labels: what generated images were meant to be, where their sampler knows labels.
    """

    name: str
    kind: str
    x: Tensor
    codes: Tensor | None = None
    labels: Tensor | None = None

    @cached_property
    def content(self) -> str:
        """A checksum of what is measured, whatever it is called."""
        return fingerprint(self.x)


@dataclass
class Measurement:
    """What a run's subjects are measured against, and by.

    Attributes:
        test, labels: the n test images (the reference) and their labels.
        training: n training images, which may have been memorised.
        others: as many others, measured like something generated.
        asked: the name that the features were asked for by.
        checkpoint: whose weights the model has.
    """

    run: Run
    model: LatentModel
    images: Images
    test: Tensor
    labels: Tensor | None
    training: Tensor
    others: Subject
    extractor: Extractor
    asked: str
    seed: int
    checkpoint: str
    progress: Progress
    _seen: dict[tuple[str, str], Tensor] = field(default_factory=dict)

    def features(self, subject: Subject, output: str = "features") -> Tensor:
        """A subject's features or logits, computed once."""
        entry = subject.content, output
        if entry not in self._seen:
            self._seen[entry] = extract(
                self.extractor,
                subject.x,
                output=output,
                keep=subject.kind == DATA,
                progress=self.progress,
                what=subject.name,
            )
        return self._seen[entry]

    def sampler(self, name: str) -> Sampler:
        """The run's sampler of that name, which is fitted first where the run has none."""
        run, model = self.run.folder, self.model
        return read_sampler(run, name, model) or refit_sampler(
            run, name, model, images=self.images, progress=self.progress.about(f"fitting {name}")
        )

    @cached_property
    def reference(self) -> Subject:
        return Subject("test images", DATA, self.test)

    @cached_property
    def memorised(self) -> Subject:
        return Subject("training images, the memorised", DATA, self.training)

    @cached_property
    def means(self) -> Tensor:
        """The codes of the test images."""
        return codes(self.model, self.test).cpu()

    @cached_property
    def draws(self) -> Tensor:
        """What the prior has to meet: draws from the posteriors, or the codes."""
        return posterior_codes(self.model, self.test, self.seed)


def posterior_codes(model: LatentModel, x: Tensor, seed: int) -> Tensor:
    """One code for each sample of stored data: drawn from its posterior where there is one."""
    if not isinstance(model, Variational):
        return codes(model, x).cpu()
    return model.draw(x, seed=seed)[:, 0].cpu()


def measure_run(
    run: str | Path,
    *,
    features: str | None = None,
    n: int | None = None,
    seed: int = 0,
    data: api.Data | None = None,
    data_dir: str | None = None,
    checkpoint: str | int = "last",
    device: str = "auto",
    progress: Progress = SILENT,
) -> Measurement:
    """A run's model, and what it is measured against.

    Args:
        features: of `zspace.features.extract.FEATURES`; unset: classifier where the data have
            labels and are images, else pixels.
        n: test images, and generated ones; unset: the smaller of 10,000 and the test set.
        seed: of the choice of images, of what is drawn, and of every estimate.
        data: what the run was trained on, where that was given as an array in Python.
        data_dir: where the run's data lie now.

    Raises:
        InputError: anything that was asked for can't be had.
    """
    check_seed(seed)
    existing = Run(run)
    if data_dir is not None:
        moved = _moved(existing.config["data"], data_dir)
        existing = Run(run, config={**existing.config, **moved})
    model = api.load(run, checkpoint=checkpoint, device=device)
    images = api.run_images(existing) if data is None else api.images_of(data, existing.config)
    if images.shape != existing.facts.shape:
        raise InputError(
            f"{images.name} has samples of shape {images.shape}, the model of {run} is for others"
        )
    count = _count(n, images)
    judged = images.is_image and images.train.y is not None and len(images.classes) > 1
    features = features or ("classifier" if judged else "pixels")
    extractor = find_extractor(
        features, lambda: _neutral(existing, images, data is None, device, progress), device
    )
    if not images.is_image and features == "pixels":
        extractor = replace(extractor, name="vectors")
    test = images.test.take(choose_rows(len(images.test), count, seed))
    mine = min(count, len(images.train) // 2)
    order = choose_rows(len(images.train), 2 * mine, seed)
    others = Subject("training images", DATA, images.train.x[order[mine:]])
    memorised = images.train.x[order[:mine]]
    return Measurement(
        existing,
        model,
        images,
        test.x,
        test.y,
        memorised,
        others,
        extractor,
        features,
        seed,
        str(checkpoint),
        progress,
    )


def own_samplers(measurement: Measurement) -> list[str]:
    """The model's own samplers and the run's; its usual ones where there are none.

    Those of packages that are not installed, or can't be loaded, are left out (`lost_samplers`).
    """
    held = measurement.run.samplers()
    known = [*measurement.model.samplers(), *(s for s in catalogue.kinds() if s in held)]
    return known or list(measurement.model.usual)


def lost_samplers(run: Run) -> list[str]:
    """Why some of the samplers that a run holds can't be used: a line for each."""
    lost: list[str] = []
    for name, path in run.samplers().items():
        try:
            if name in catalogue.names():
                catalogue.find(name)
            else:
                catalogue.check_installed(path)
        except InputError as error:
            lost.append(f"the sampler {name} is left out: {error}")
    return lost


def _count(n: int | None, images: Images) -> int:
    there = len(images.test)
    count = min(MOST, there) if n is None else n
    if count < LEAST:
        raise InputError(
            f"{count} samples are too few for an evaluation: {LEAST} at least "
            f"(the test part of {images.name} has {there})"
        )
    if count > there:
        raise InputError(f"--n {count}: the test part of {images.name} has {there} samples")
    return count


def choose_rows(total: int, count: int, seed: int) -> Tensor:
    """A seeded choice of samples, in random order: data often lie sorted by class.

    Where all are wanted the order is the same for every seed, so that the cache knows them.
    """
    generator = torch.Generator().manual_seed(seed if count < total else 0)
    return torch.randperm(total, generator=generator)[:count]


def _moved(data: Any, folder: str) -> dict[str, Any]:
    """Where a run's data lie now: files of a named set in the folder; a file or folder, or one of
    its old name in it."""
    if not isinstance(data, str) or data in NAMED or data.startswith("hf:"):
        return {"data_dir": folder}
    inside = Path(folder) / Path(data).name
    return {"data": str(inside if inside.exists() else folder)}


def _neutral(
    existing: Run, images: Images, whole: bool, device: str, progress: Progress
) -> Neutral:
    """The neutral classifier of a run's data, whatever part of them the run was trained on."""

    config = {**existing.config, "train_size": None, "train_per_class": None}
    source: Any = config["data"]
    subset = config != existing.config
    return neutral_classifier(
        api.images_of(source, config) if whole and subset else images,
        device=device,
        progress=progress.about("training the neutral classifier"),
    )


def reconstructed(measurement: Measurement, x: Tensor | None = None) -> Subject:
    """The reconstructions of the test images, or of other stored data."""
    x = reconstructions(measurement.model, measurement.test if x is None else x)
    return Subject("reconstructions", RECONSTRUCTION, x)


def generated(
    measurement: Measurement, name: str, n: int | None = None, sampler: Sampler | None = None
) -> Subject:
    """What a sampler's codes are decoded to: as many as there are test images, unless told.

    A sampler that knows labels is asked for those of the test images.

    Args:
        sampler: unset: the run's of that name.
    """
    drawn = sampler or measurement.sampler(name)
    device = next(measurement.model.parameters()).device
    count = n or len(measurement.test)
    labels = None
    with torch.no_grad():
        seeded = torch.Generator(device).manual_seed(stream(measurement.seed, 12))
        if drawn.labels and measurement.labels is not None:
            labels = measurement.labels[torch.arange(count) % len(measurement.labels)]
            z = torch.empty(count, measurement.model.latent_dim, device=device)
            for label in labels.unique().tolist():
                own = labels == label
                z[own.to(device)] = drawn.sample(int(own.sum()), label, generator=seeded)
        else:
            z = drawn.sample(count, generator=seeded)
    return Subject(name, GENERATION, decoded(measurement.model, z), z.cpu(), labels)

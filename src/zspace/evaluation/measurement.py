"""Measurements: the subjects of a run, and the data and features by which they are measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

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
from zspace.data import Images
from zspace.data.given import Data, images_of, moved
from zspace.data.images import choose_rows
from zspace.errors import InputError, shown, unknown
from zspace.features.classifier import Arch, Neutral, Task, neutral_classifier
from zspace.features.extract import Extractor, extract, find_extractor, neutral_name
from zspace.functional import stream
from zspace.generation.drawing import draw_codes, draw_labelled
from zspace.generation.fit import read_sampler, refit_sampler
from zspace.nets.classifiers import SMALLEST
from zspace.options import check_seed
from zspace.recipes import catalogue
from zspace.storage.cache import fingerprint
from zspace.storage.files import read_header
from zspace.storage.run import Run
from zspace.training import keep_freed_memory

LEAST = 20
"""The least number of samples for an evaluation."""

MOST = 10_000
RECONSTRUCTION, GENERATION, DATA, CODES = "reconstruction", "generation", "data", "codes"


@dataclass(frozen=True)
class Subject:
    """Images or vectors that are measured.

    Attributes:
        name: the name of the subject.
        kind: "reconstruction", "generation", "data" or "codes".
        x: images, uint8 (N, C, H, W), or vectors, float32 (N, D).
        codes: the codes (N, D) that they were decoded from, or None.
        labels: the intended labels (N,) of generated images, if their sampler knows labels.
    """

    name: str
    kind: str
    x: Tensor
    codes: Tensor | None = None
    labels: Tensor | None = None

    @cached_property
    def content(self) -> str:
        """A checksum of the images or vectors, which does not depend on the name."""
        return fingerprint(self.x)


@dataclass
class Measurement:
    """A run's model, with the data and the features by which its subjects are measured.

    Attributes:
        run: the run.
        model: its model.
        images: its data set.
        test, labels: the n test images that are the reference, and their labels or None.
        training: n training images, which may have been memorised.
        others: as many other training images, which are measured like generated ones.
        find: finds the feature extractor.
        asked: the name by which the features were asked for.
        seed: the seed of the choice of images, of generated images and of all estimates.
        checkpoint: the checkpoint whose weights the model has.
        progress: told the progress of extraction and fitting.
        part: the part of the data that `test` is of: "test" or "validation".
    """

    run: Run
    model: LatentModel
    images: Images
    test: Tensor
    labels: Tensor | None
    training: Tensor
    others: Subject
    find: Callable[[], Extractor]
    asked: str
    seed: int
    checkpoint: str
    progress: Progress
    part: str = "test"
    _seen: dict[tuple[str, str], Tensor] = field(default_factory=dict)

    @cached_property
    def extractor(self) -> Extractor:
        """The feature extractor; a neutral classifier is trained when it is first asked for."""
        return self.find()

    def features(self, subject: Subject, output: str = "features") -> Tensor:
        """The features or logits of a subject, which are computed once.

        Args:
            subject: the subject.
            output: "features" or "logits".

        Raises:
            InputError: the extractor has no logits, or refuses the images.
        """
        entry = subject.content, output
        head = self.extractor.head
        if entry not in self._seen and output == "logits" and head is not None:
            with torch.no_grad():
                # a copy, since a product's last digits depend on where a file's tensors lie
                self._seen[entry] = head(self.features(subject).clone())
        elif entry not in self._seen:
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
        """The run's sampler of a given name, which is fitted first if the run does not have it.

        Raises:
            InputError: the name is unknown, or the sampler can't be read or fitted.
        """
        run, model = self.run.folder, self.model
        return read_sampler(run, name, model) or refit_sampler(
            run, name, model, images=self.images, progress=self.progress.about(f"fitting {name}")
        )

    @cached_property
    def reference(self) -> Subject:
        """The test images as a subject."""
        return Subject(f"{self.part} images", DATA, self.test)

    @cached_property
    def known(self) -> Tensor:
        """The rows of the test images whose labels are known."""
        assert self.labels is not None
        return (self.labels >= 0).nonzero()[:, 0]

    @cached_property
    def memorised(self) -> Subject:
        """The training images that may have been memorised, as a subject."""
        return Subject("training images, the memorised", DATA, self.training)

    @cached_property
    def means(self) -> Tensor:
        """The codes of the test images, (n, D) on the CPU."""
        return codes(self.model, self.test).cpu()

    @cached_property
    def draws(self) -> Tensor:
        """The codes that the prior should match, (n, D) on the CPU.

        They are drawn from the test images' posteriors or, without such, are their codes.
        """
        return posterior_codes(self.model, self.test, self.seed)


def posterior_codes(model: LatentModel, x: Tensor, seed: int) -> Tensor:
    """One code for each sample, drawn from its posterior if there is one, (N, D) on the CPU.

    Args:
        model: the model.
        x: images, uint8 (N, C, H, W), or vectors, float32 (N, D).
        seed: the seed of the codes.
    """
    if not isinstance(model, Variational):
        return codes(model, x).cpu()
    return model.draw(x, seed=seed)[:, 0].cpu()


def measure_run(
    run: str | Path,
    *,
    features: str | None = None,
    n: int | None = None,
    seed: int = 0,
    data: Data | None = None,
    data_dir: str | None = None,
    checkpoint: str | int = "last",
    device: str = "auto",
    progress: Progress = SILENT,
    part: Literal["test", "validation"] = "test",
    trust: bool = False,
) -> Measurement:
    """The measurement of a run, which loads its model, its data and the features.

    Args:
        run: the run.
        features: a name that `zspace.features.extract.FEATURES` describes; None takes "classifier"
            for labelled images, else "pixels".
        n: the number of test images and of generated images; None takes all test images, but at
            most 10,000.
        seed: the seed of the choice of images, of generated images and of all estimates.
        data: the data that the run was trained on, if Python gave them and the run keeps none.
        data_dir: the folder in which the run's data are now.
        checkpoint: the checkpoint whose weights to use, its iteration or "last".
        device: "auto", "cpu", "cuda" or "mps".
        progress: told the progress of training a classifier, of extraction and of fitting.
        part: the part of the data that serves as test images. Settings are chosen on the validation
            part, so that the test part stays unseen.
        trust: whether features may be computed by a TorchScript file, which is a program.

    Raises:
        InputError: the run, the data or the features can't be used.
    """
    check_seed(seed)
    keep_freed_memory()
    model = api.load(run, checkpoint=checkpoint, device=device, progress=progress)
    existing = Run(run)
    existing = Run(run, config=moved(existing.config, data_dir), facts=existing.facts)
    images = api.run_images(existing, data)
    images.tell_range(progress)
    if part not in ("test", "validation"):
        raise unknown("part of the data", part, ("test", "validation"))
    reference = images.test if part == "test" else images.validation
    count = _count(n, images.name, part, len(reference))
    judged = images.is_image and images.train.y is not None and len(images.classes) > 1
    judged = judged and min(images.shape[1:]) >= SMALLEST
    features = features or ("classifier" if judged else "pixels")

    def find() -> Extractor:
        def neutral(task: Task, arch: Arch) -> Neutral:
            whole = _whole_data(existing, images, data is None)
            return neutral_classifier(
                whole,
                task=task,
                arch=arch,
                device=device,
                progress=progress.about("training the neutral classifier"),
            )

        found = find_extractor(features, neutral, device, trust=trust)
        found.check_shape(images.shape)
        vectors = not images.is_image and features == "pixels"
        return replace(found, name="vectors") if vectors else found

    test = reference.take(choose_rows(len(reference), count, seed))
    mine = min(count, len(images.train) // 2)
    order = choose_rows(len(images.train), 2 * mine, seed)
    others = Subject("training images", DATA, images.train.x[order[mine:]])
    memorised = images.train.x[order[:mine]]
    made = Measurement(
        existing,
        model,
        images,
        test.x,
        test.y,
        memorised,
        others,
        find,
        features,
        seed,
        str(checkpoint),
        progress,
        part,
    )
    if neutral_name(features) is None:  # a bad name is refused at once, a training can wait
        _ = made.extractor
    return made


def own_samplers(measurement: Measurement) -> list[str]:
    """The names of the model's own samplers and the run's, or the usual ones if there are none.

    Samplers that can't be used are left out (see `lost_samplers`).
    """
    held = measurement.run.samplers().keys() - lost_samplers(measurement.run).keys()
    known = [*measurement.model.samplers(), *(s for s in catalogue.kinds() if s in held)]
    return known or list(measurement.model.usual)


def lost_samplers(run: Run) -> dict[str, str]:
    """The reasons why samplers that a run holds can't be used, by their names.

    They are of packages that are not installed or can't be loaded, or their files are damaged.
    """
    lost: dict[str, str] = {}
    for name, path in run.samplers().items():
        try:
            header = read_header(path, catalogue.Header)
            if name in catalogue.names():
                catalogue.find(name)
            else:
                catalogue.check_installed(path, header)
        except InputError as error:
            lost[name] = str(error)
    return lost


def _count(n: int | None, name: str, part: str, there: int) -> int:
    count = min(MOST, there) if n is None else n
    if not isinstance(count, int):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"--n must be a whole number, not {shown(count)}")
    if count < LEAST:
        raise InputError(
            f"{count} samples are too few for an evaluation: {LEAST} at least "
            f"(the {part} part of {name} has {there})"
        )
    if count > there:
        raise InputError(f"--n {count}: the {part} part of {name} has {there} samples")
    return count


def _whole_data(existing: Run, images: Images, whole: bool) -> Images:
    """The whole data that the neutral classifier is of, if a run was trained on a part of them."""
    config = {**existing.config, "train_size": None, "train_per_class": None}
    source: Any = config["data"]
    subset = config != existing.config
    return images_of(source, config) if whole and subset and source is not None else images


def reconstructed(measurement: Measurement, x: Tensor | None = None) -> Subject:
    """The reconstructions of the test images, or of other images or vectors, as a subject."""
    x = reconstructions(measurement.model, measurement.test if x is None else x)
    return Subject("reconstructions", RECONSTRUCTION, x)


def generated(
    measurement: Measurement, name: str, n: int | None = None, sampler: Sampler | None = None
) -> Subject:
    """The images decoded from a sampler's codes, as a subject.

    Args:
        measurement: the measurement.
        name: the name of the subject and, unless a sampler is given, of the run's sampler.
        n: the number of images; None takes that of the test images.
        sampler: the sampler; None takes the run's.

    Raises:
        InputError: the run's sampler can't be read or fitted.
    """
    drawn = sampler or measurement.sampler(name)
    z, labels = drawn_codes(measurement, name, drawn, n or len(measurement.test))
    return Subject(name, GENERATION, decoded(measurement.model, z), z.cpu(), labels)


def drawn_codes(
    measurement: Measurement, name: str, sampler: Sampler, n: int
) -> tuple[Tensor, Tensor | None]:
    """Codes (n, D) of a sampler on the model's device, and their labels (n,) if it knows labels.

    A sampler that knows labels draws codes of the test images' labels, as far as they are known
    and it has learned them.

    Args:
        measurement: the measurement.
        name: the sampler's name, for messages.
        sampler: the sampler.
        n: the number of codes.

    Raises:
        InputError: the codes are NaN or infinite.
    """
    device = next(measurement.model.parameters()).device
    seeded = torch.Generator(device).manual_seed(stream(measurement.seed, 12))
    labels = torch.empty(0, dtype=torch.int64)
    if sampler.labels and measurement.labels is not None:
        labels = measurement.labels[measurement.known]
        labels = labels[torch.isin(labels, torch.tensor(sampler.learned()))]
    if not len(labels):
        return draw_codes(sampler, name, n, None, seeded), None
    labels = labels[torch.arange(n) % len(labels)]
    return draw_labelled(sampler, name, labels, seeded), labels

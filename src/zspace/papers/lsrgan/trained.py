"""The trained models that LSR-GAN's experiments share, and measurements of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from zspace import api
from zspace.core import Variational, decoded
from zspace.evaluation.measurement import RECONSTRUCTION, Measurement, Subject, generated
from zspace.functional import as_float
from zspace.functional.tensors import stream
from zspace.methods.lsrgan import LSRGAN
from zspace.metrics import (
    Figure,
    accuracy,
    active_dimensions,
    activity,
    frechet_distance,
    jackknife,
    mean_figure,
    mean_squared_error,
    sharpness,
)
from zspace.papers.entries import Entry, mean_and_deviation, part_of, published
from zspace.papers.lab import Lab
from zspace.storage.run import Run

BETAS = (0.01, 0.1, 0.5, 1.0, 5.0, 10.0, 15.0, 20.0)
"""The values of beta in the columns of Table 1; those of lambda in Table 2 are the same."""
DRAWS = 10
"""The number of renderings of one latent distribution whose variance is computed."""
DATA = "cifar10 test"
"""The data of the paper's numbers."""
RANGE = 4.0
"""The factor from a squared difference of pixels in [0, 1] to that of pixels in [-1, 1]."""
UNIT = "sum over pixels in [-1, 1]"
SQUARE = "square of the " + UNIT
CODES = "means of q(z | x)"
CLASSIFIER = "classifier of 84%"
DEFAULTS: dict[str, Any] = {
    "beta": 1.0,
    "likelihood": "log-mse",
    "blocks": "residual",
    "weight": 1.0,
    "reduction": "mean",
}
"""The defaults of the options that experiments vary."""
RENDERING = {"weight", "reduction"}
"""Those that decide how a trained VAE is rendered."""
DECODERS = {"VAE": "vae", "LSR-GAN": "renderer"}


@dataclass
class Trained:
    """A trained LSR-GAN with its measurement.

    Attributes:
        run: the run.
        model: the model.
        measurement: the images and features by which it is measured.
    """

    run: Run
    model: LSRGAN
    measurement: Measurement

    @property
    def data(self) -> str:
        """The set and the part of it on which the model is measured."""
        return f"{self.measurement.images.name} test"

    @property
    def training_data(self) -> str:
        """The name of the training images, where the model is measured on some of these."""
        return f"{self.measurement.images.name} train"

    def entry(
        self,
        what: str,
        measure: str,
        ours: Figure,
        by: str,
        n: int,
        theirs: Figure | None = None,
        their_by: str = "",
    ) -> Entry:
        """An entry of this model, with the paper's figure on CIFAR-10 if it prints one.

        Args:
            what, measure, ours, by, n: what `Entry` holds.
            theirs: the paper's figure, its error NaN if none is printed.
            their_by: the features, or the space, of the paper's figure; "" if they are `by`.
        """
        part = part_of(self.measurement.images)
        return beside(Entry(what, measure, ours, by, self.data, n, part=part), theirs, their_by)

    def by(self, name: str) -> Variational:
        """The model with one of its two decoders, a key of `DECODERS`."""
        model = self.model.decoders()[DECODERS[name]]
        assert isinstance(model, Variational)
        return model

    def test(self, n: int) -> Tensor:
        """The first n test images, floats in [0, 1], on the model's device."""
        device = next(self.model.parameters()).device
        return as_float(self.measurement.test[:n].to(device))


def beside(entry: Entry, theirs: Figure | None, by: str = "") -> Entry:
    """An entry with the paper's figure on CIFAR-10; unchanged if there is none or on other data.

    Args:
        entry: the entry.
        theirs: the paper's figure, its error NaN if none is printed.
        by: the features, or the space, of the paper's figure; "" if they are the entry's.
    """
    if theirs is None or entry.data != DATA:
        return entry
    return replace(
        entry,
        published=theirs.value,
        published_error=None if math.isnan(theirs.error) else theirs.error,
        published_by=by or entry.by,
        published_data=DATA,
    )


def options_of(lab: Lab) -> dict[str, Any]:
    """The options of an experiment's LSR-GANs, those of its data set last."""
    return {**lab.settings["options"], **lab.settings.get("of_data", {}).get(lab.data, {})}


def _changed(lab: Lab, options: dict[str, Any]) -> dict[str, Any]:
    """Options that differ from the experiment's: with the others, a run is the same."""
    usual = {**DEFAULTS, **options_of(lab)}
    return {name: value for name, value in options.items() if value != usual[name]}


def trained(lab: Lab, *, seed: int = 0, **options: Any) -> Trained:
    """An LSR-GAN trained with an experiment's settings and further options."""
    settings = {**options_of(lab), **_changed(lab, options)}
    run = lab.trained("lsrgan", str(lab.data), seed=seed, **settings)
    held = lab.measured(run, lab.settings.get("features"))
    assert isinstance(held.model, LSRGAN)
    return Trained(run, held.model, held)


def rerendered(lab: Lab, *, seed: int = 0, **options: Any) -> Trained:
    """An LSR-GAN trained with other options of `RENDERING`, with the VAE of the one without."""
    base = trained(lab, seed=seed)
    if not _changed(lab, options):
        return base
    given = options_of(lab)
    keep = ("width", "batch_size", "precision", "train_size", "image_size", "learning_rate")
    run = lab.trained(
        "lsrgan",
        str(lab.data),
        encoder=str(base.run.folder),
        iterations=base.run.config["iterations"] - base.run.config["vae_iterations"],
        seed=seed,
        **{name: given[name] for name in keep if name in given},
        **options,
    )
    lab.check(run, base.measurement.images)
    model = api.load(run.folder, device=lab.device)
    assert isinstance(model, LSRGAN)
    return Trained(run, model, replace(base.measurement, run=run, model=model))


def rendered(of: Trained, name: str, x: Tensor | None = None) -> Subject:
    """A rendering of each test image, or of training images, from a code drawn from q(z | x).

    Args:
        of: the model.
        name: a key of `DECODERS`.
        x: the training images.
    """
    model, seed = of.by(name), of.measurement.seed
    if x is not None:
        z = model.draw(x, seed=seed + 1)[:, 0]
        return Subject(f"{name}, training images", RECONSTRUCTION, decoded(model, z))
    z = model.draw(of.measurement.test, seed=seed)[:, 0]
    return Subject(f"{name}, test images", RECONSTRUCTION, decoded(model, z))


def squared(x: Tensor, of_x: Tensor) -> Figure:
    """The squared error of images, summed over pixels in [-1, 1]: the mean over the images."""
    return mean_figure(RANGE * mean_squared_error(x, of_x) * of_x[0].numel())


def variance_of(of: Trained, name: str, n: int) -> Figure:
    """The variance among renderings of codes from one q(z | x), summed over pixels.

    It is the mean over n test images, for pixels in [-1, 1].

    Args:
        of: the model.
        name: a key of `DECODERS`.
        n: the number of test images.
    """
    x, model = of.test(n), of.by(name)
    each = [
        # noise of its own for each block: the same for all is an error that their mean keeps
        model.imagine(block, DRAWS, seed=stream(0, i)).var(1).flatten(1).sum(1).cpu()
        for i, block in enumerate(x.split(64))
    ]
    return mean_figure(RANGE * torch.cat(each))


def measured_row(lab: Lab, of: Trained, what: str, name: str) -> list[Entry]:
    """The entries of a row of Table 1 or 2, and the number of active dimensions of the code.

    A dimension is active if its mean under q(z | x) has a variance above 0.01 over the test images
    (`zspace.metrics.active_dimensions`): lambda acts through no other.
    """
    held = of.measurement
    assert held.labels is not None
    x = rendered(of, name)
    logits = held.features(x, "logits")
    raw = held.features(held.reference, "logits")
    n, few = len(held.test), min(lab.settings["variance_images"], len(held.test))
    by = held.extractor.name
    active = float(active_dimensions(activity(held.means)).sum())
    variance = variance_of(of, name, few)
    square = Figure(variance.value**2, 2 * variance.value * variance.error)

    def entry(measure: str, ours: Figure, by: str, n: int) -> Entry:
        return of.entry(f"{what}: {name}", measure, ours, by, n)

    learned: list[Entry] = []
    if name == "VAE":  # the one that was trained on them
        again = squared(rendered(of, name, held.training).x, held.training)
        found = entry("mean squared error of training images", again, UNIT, len(held.training))
        learned = [replace(found, data=of.training_data)]
    return [
        entry("mean squared error", squared(x.x, held.test), UNIT, n),
        *learned,
        entry("variance", variance, UNIT, few),
        entry("squared variance", square, SQUARE, few),
        entry("active dimensions", Figure(active, math.nan), CODES, n),
        entry("absolute accuracy", mean_figure(accuracy(logits, held.labels)), by, n),
        entry("relative accuracy", mean_figure(accuracy(logits, raw.argmax(1))), by, n),
    ]


def root(square: Figure) -> Figure:
    """The square root of a figure."""
    value = math.sqrt(square.value)
    return Figure(value, square.error / (2 * value))


def _share(percent: Figure) -> Figure:
    return Figure(percent.value / 100, percent.error / 100)


KEYS: dict[str, tuple[str, Callable[[Figure], Figure], str]] = {
    "mean squared error": ("mse", lambda f: f, ""),
    "variance": ("variance", root, "root of the printed number"),
    "squared variance": ("variance", lambda f: f, "unit not said"),
    "absolute accuracy": ("absolute accuracy", _share, CLASSIFIER),
    "relative accuracy": ("relative accuracy", _share, CLASSIFIER),
}
"""What the paper prints beside each measure.

These are the name of its numbers in published.json, a function that converts them to our unit, and
the space or the classifier that they are of; "" if that is ours.
"""


def printed(table: str, key: str, value: float) -> Figure | None:
    """The number of Table 1 or 2 for a value of beta or lambda; None if there is none."""
    if value not in BETAS:
        return None
    number, error = (
        published()[f"lsrgan/{part}"][key][BETAS.index(value)] for part in (table, f"{table}-sd")
    )
    return None if number is None else Figure(number, error)


def with_published(entries: list[Entry], table: str, value: float, name: str = "") -> list[Entry]:
    """Entries with the paper's numbers added, if they were measured on its data."""
    found: list[Entry] = []
    for entry in entries:
        if entry.measure in KEYS:
            key, read, by = KEYS[entry.measure]
            theirs = printed(table, f"{key} {name}".strip(), value)
            entry = beside(entry, theirs and read(theirs), by)
        found.append(entry)
    return found


def untouched(of: Trained) -> Entry:
    """The entry for the classifier's accuracy on the test images themselves."""
    held = of.measurement
    assert held.labels is not None
    right = mean_figure(accuracy(held.features(held.reference, "logits"), held.labels))
    by, n, theirs = held.extractor.name, len(held.test), Figure(0.84, math.nan)
    return of.entry("test images", "absolute accuracy", right, by, n, theirs, CLASSIFIER)


def distances(of: Trained, name: str, what: str = "") -> list[Entry]:
    """The entries for the Frechet distances of a decoder's images from the test images.

    One is that of a rendering of each test image, from a code drawn from q(z | x); the other is
    that of renderings of as many codes drawn from N(0, I).

    Args:
        of: the model.
        name: a key of `DECODERS`.
        what: the entries' row; "" takes the name.
    """
    held = replace(of.measurement, model=of.by(name))
    entries: list[Entry] = []
    for seeded, x in (
        ("seeded from test images", rendered(of, name)),
        ("seeded from N(0, I)", generated(held, "prior")),
    ):
        reference, features = held.features(held.reference), held.features(x)
        paired = x.kind == RECONSTRUCTION
        distance = jackknife(frechet_distance, reference, features, groups=8, paired=paired)
        theirs = None
        if not what:
            key = f"FID {seeded.replace(', I', ',I')}"
            theirs = Figure(published()["lsrgan/cifar10"][key][name], math.nan)
        measure, by = f"Frechet distance, {seeded}", held.extractor.name
        entries.append(of.entry(what or name, measure, distance, by, len(x.x), theirs, "inception"))
    return entries


def sharp(of: Trained) -> list[Entry]:
    """The entries for the sharpness of test images and their renderings, mean and deviation."""
    entries: list[Entry] = []
    numbers, spread = published()["lsrgan/cifar10"]["sharpness"], published()["lsrgan/sharpness-sd"]
    means: dict[str, float] = {}
    for name, x in (
        ("test images", of.measurement.test),
        *((n, rendered(of, n).x) for n in DECODERS),
    ):
        figure = mean_and_deviation(sharpness(x).tolist())
        means[name] = figure.value
        theirs = Figure(numbers[name], spread[name]) if name in numbers else None
        entry = of.entry(name, "sharpness", figure, "pixels", len(x), theirs)
        entries.append(replace(entry, repeats=len(x), repeated="image"))
    ratio = Figure(means["LSR-GAN"] / max(means["VAE"], 1e-12), math.nan)
    theirs = Figure(numbers["LSR-GAN"] / numbers["VAE"], math.nan)
    n = len(of.measurement.test)
    return [
        *entries,
        of.entry("LSR-GAN over VAE", "ratio of sharpness", ratio, "pixels", n, theirs),
    ]

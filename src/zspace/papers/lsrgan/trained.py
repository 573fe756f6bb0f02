"""The trained models that LSR-GAN's experiments share, and measurements of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from zspace import api
from zspace.core import Variational, decoded
from zspace.evaluation.measurement import RECONSTRUCTION, Measurement, Subject, measure_run
from zspace.functional import as_float
from zspace.methods.lsrgan import LSRGAN
from zspace.metrics import Figure, accuracy, mean_figure, mean_squared_error, sharpness
from zspace.papers.base import Lab
from zspace.papers.entries import Entry, mean_and_deviation, published
from zspace.storage.run import Run

BETAS = (0.01, 0.1, 0.5, 1.0, 5.0, 10.0, 15.0, 20.0)
"""The values of beta in the columns of Table 1; those of lambda in Table 2 are the same."""
DRAWS = 10
"""The number of renderings of one latent distribution whose variance is computed."""
RANGE = 4.0
"""The factor from a squared difference of pixels in [0, 1] to that of pixels in [-1, 1]."""
UNIT = "sum over pixels in [-1, 1]"
THEIRS = "unit not said"
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
        """The data's name, with the number of training images."""
        n = len(self.measurement.images.train)
        return f"{self.measurement.images.name} test, {n:,} training images"

    def by(self, name: str) -> Variational:
        """The model with one of its two decoders, a key of `DECODERS`."""
        model = self.model.decoders()[DECODERS[name]]
        assert isinstance(model, Variational)
        return model

    def test(self, n: int) -> Tensor:
        """The first n test images, floats in [0, 1], on the model's device."""
        device = next(self.model.parameters()).device
        return as_float(self.measurement.test[:n].to(device))


def trained(lab: Lab, **options: Any) -> Trained:
    """An LSR-GAN trained with an experiment's settings and further options."""
    settings = {"beta": 1.0, **lab.settings["options"], **options}
    run = lab.trained("lsrgan", str(lab.data), **settings)
    held = measure_run(run.folder, features=lab.settings.get("features"), device=lab.device)
    assert isinstance(held.model, LSRGAN)
    return Trained(run, held.model, held)


def weighted(lab: Lab, weight: float) -> Trained:
    """An LSR-GAN trained with a given lambda, with the VAE of the one with lambda = 1."""
    base = trained(lab)
    if weight == 1:
        return base
    options = lab.settings["options"]
    keep = ("width", "batch_size", "precision", "train_size", "image_size", "learning_rate")
    run = lab.trained(
        "lsrgan",
        str(lab.data),
        encoder=str(base.run.folder),
        weight=weight,
        iterations=base.run.config["iterations"] - base.run.config["vae_iterations"],
        **{name: options[name] for name in keep if name in options},
    )
    model = api.load(run.folder, device=lab.device)
    assert isinstance(model, LSRGAN)
    return Trained(run, model, replace(base.measurement, run=run, model=model))


def rendered(of: Trained, name: str) -> Subject:
    """A rendering of each test image, from a code drawn from q(z | x).

    Args:
        of: the model.
        name: a key of `DECODERS`.
    """
    model = of.by(name)
    z = model.draw(of.measurement.test, seed=of.measurement.seed)[:, 0]
    return Subject(f"{name}, test images", RECONSTRUCTION, decoded(model, z))


def variance_of(of: Trained, name: str, n: int) -> Figure:
    """The variance among renderings of codes from one q(z | x), summed over pixels.

    It is the mean over n test images, for pixels in [-1, 1].

    Args:
        of: the model.
        name: a key of `DECODERS`.
        n: the number of test images.
    """
    x, model = of.test(n), of.by(name)
    each = [model.imagine(block, DRAWS).var(1).flatten(1).sum(1).cpu() for block in x.split(64)]
    return mean_figure(RANGE * torch.cat(each))


def measured_row(lab: Lab, of: Trained, what: str, name: str) -> list[Entry]:
    """The entries of a row of Table 1 or 2: error, variance and the classifier's accuracies."""
    held = of.measurement
    assert held.labels is not None
    x = rendered(of, name)
    errors = mean_squared_error(x.x, held.test) * held.test[0].numel()
    logits = held.features(x, "logits")
    raw = held.features(held.reference, "logits")
    n, few = len(held.test), min(lab.settings["variance_images"], len(held.test))
    by = held.extractor.name

    def entry(measure: str, ours: Figure, by: str, n: int) -> Entry:
        return Entry(f"{what}: {name}", measure, ours, by, of.data, n)

    return [
        entry("mean squared error", mean_figure(RANGE * errors), UNIT, n),
        entry("variance", variance_of(of, name, few), UNIT, few),
        entry("absolute accuracy", mean_figure(accuracy(logits, held.labels)), by, n),
        entry("relative accuracy", mean_figure(accuracy(logits, raw.argmax(1))), by, n),
    ]


KEYS = {
    "mean squared error": "mse",
    "variance": "variance",
    "absolute accuracy": "absolute accuracy",
    "relative accuracy": "relative accuracy",
}


def beside(lab: Lab, entries: list[Entry], table: str, value: float, name: str = "") -> list[Entry]:
    """Entries with the paper's numbers added, if they were measured on its data."""
    if lab.data != "cifar10" or value not in BETAS:
        return entries
    column = BETAS.index(value)
    numbers, spread = published()[f"lsrgan/{table}"], published()[f"lsrgan/{table}-sd"]
    found: list[Entry] = []
    for entry in entries:
        key = f"{KEYS[entry.measure]} {name}".strip()
        percent = 100 if "accuracy" in key else 1
        theirs, error = numbers[key][column], spread[key][column]
        if theirs is not None:
            entry = replace(
                entry,
                published=theirs / percent,
                published_error=error / percent,
                published_by=THEIRS if percent == 1 else "classifier of 84%",
                published_data="cifar10 test",
            )
        found.append(entry)
    return found


def untouched(of: Trained) -> Entry:
    """The entry for the classifier's accuracy on the test images themselves."""
    held = of.measurement
    assert held.labels is not None
    right = mean_figure(accuracy(held.features(held.reference, "logits"), held.labels))
    return Entry(
        "test images",
        "absolute accuracy",
        right,
        held.extractor.name,
        of.data,
        len(held.test),
        0.84 if held.images.name == "cifar10" else None,
        None,
        "classifier of 84%",
        "cifar10 test",
    )


def sharp(of: Trained) -> list[Entry]:
    """The entries for the sharpness of test images and their renderings, mean and deviation."""
    entries: list[Entry] = []
    known = of.measurement.images.name == "cifar10"
    numbers, spread = published()["lsrgan/cifar10"]["sharpness"], published()["lsrgan/sharpness-sd"]
    means: dict[str, float] = {}
    for name, x in (
        ("test images", of.measurement.test),
        *((n, rendered(of, n).x) for n in DECODERS),
    ):
        figure = mean_and_deviation(sharpness(x).tolist())
        means[name] = figure.value
        theirs = (numbers[name], spread[name]) if known and name in numbers else (None, None)
        entries.append(
            Entry(
                name,
                "sharpness, ± deviation over images",
                figure,
                "pixels",
                of.data,
                len(x),
                *theirs,
                "pixels",
                "cifar10 test",
            )
        )
    ratio = Figure(means["LSR-GAN"] / max(means["VAE"], 1e-12), float("nan"))
    entries.append(
        Entry(
            "LSR-GAN over VAE",
            "ratio of sharpness",
            ratio,
            "pixels",
            of.data,
            len(of.measurement.test),
            numbers["LSR-GAN"] / numbers["VAE"] if known else None,
            None,
            "pixels",
            "cifar10 test",
        )
    )
    return entries

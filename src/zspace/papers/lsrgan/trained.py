"""What LSR-GAN's experiments share: trained renderers, and figures of them."""

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
from zspace.papers.base import Entry, Lab, mean_and_deviation, published
from zspace.storage.run import Run

BETAS = (0.01, 0.1, 0.5, 1.0, 5.0, 10.0, 15.0, 20.0)
"""Columns of Table 1; those of Table 2, lambda, are the same numbers."""
DRAWS = 10
"""Images of one latent distribution among which the variance is taken."""
RANGE = 4.0
"""A squared difference of pixels in [-1, 1], in units of that in [0, 1]."""
UNIT = "sum over pixels in [-1, 1]"
THEIRS = "unit not said"
DECODERS = {"VAE": "vae", "LSR-GAN": "renderer"}


@dataclass
class Trained:
    """An LSR-GAN, and what it is measured against."""

    run: Run
    model: LSRGAN
    measurement: Measurement

    @property
    def data(self) -> str:
        n = len(self.measurement.images.train)
        return f"{self.measurement.images.name} test, {n:,} training images"

    def by(self, name: str) -> Variational:
        """The model with one of its two decoders."""
        model = self.model.decoders()[DECODERS[name]]
        assert isinstance(model, Variational)
        return model

    def test(self, n: int) -> Tensor:
        """The first test images, in [0, 1], where the model is."""
        device = next(self.model.parameters()).device
        return as_float(self.measurement.test[:n].to(device))


def trained(lab: Lab, **options: Any) -> Trained:
    """The LSR-GAN of an experiment's settings, with further options."""
    settings = {"beta": 1.0, **lab.settings["options"], **options}
    run = lab.trained("lsrgan", str(lab.data), **settings)
    held = measure_run(run.folder, features=lab.settings.get("features"), device=lab.device)
    assert isinstance(held.model, LSRGAN)
    return Trained(run, held.model, held)


def weighted(lab: Lab, weight: float) -> Trained:
    """One whose lambda is another, and whose VAE is that of lambda = 1."""
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
    """One rendering of each test image, of a code drawn from q(z | x)."""
    model = of.by(name)
    z = model.draw(of.measurement.test, seed=of.measurement.seed)[:, 0]
    return Subject(f"{name}, test images", RECONSTRUCTION, decoded(model, z))


def variance_of(of: Trained, name: str, n: int) -> Figure:
    """sum over pixels of the variance among renderings of one q(z | x), mean over n test images."""
    x, model = of.test(n), of.by(name)
    each = [model.imagine(block, DRAWS).var(1).flatten(1).sum(1).cpu() for block in x.split(64)]
    return mean_figure(RANGE * torch.cat(each))


def measured_row(lab: Lab, of: Trained, what: str, name: str) -> list[Entry]:
    """A row of Table 1 or 2: error, variance, and the classifier's two accuracies."""
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
    """The entries beside the paper's numbers, where they are of its data."""
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
    """Sharpness of the test images and of their renderings, mean and deviation over images."""
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

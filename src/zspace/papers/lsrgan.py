"""LSR-GAN's tables and figures (Imagining the Latent Space of a Variational Auto-Encoder, 2020)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from zspace import api, plots
from zspace.bench import RECONSTRUCTION, Bench, Subject, bench_of, generated
from zspace.core import Variational, as_float, decoded
from zspace.methods.lsrgan import LSRGAN
from zspace.metrics import (
    Figure,
    accuracy,
    frechet_distance,
    jackknife,
    mean_figure,
    mean_squared_error,
    sharpness,
)  # fmt: skip
from zspace.papers.base import Entry, Experiment, Scale, Workbench, mean_and_deviation, published
from zspace.run import Run

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
    bench: Bench

    @property
    def data(self) -> str:
        n = len(self.bench.images.train)
        return f"{self.bench.images.name} test, {n:,} training images"

    def by(self, name: str) -> Variational:
        """The model with one of its two decoders."""
        model = self.model.decoders()[DECODERS[name]]
        assert isinstance(model, Variational)
        return model

    def test(self, n: int) -> Tensor:
        """The first test images, in [0, 1], where the model is."""
        device = next(self.model.parameters()).device
        return as_float(self.bench.test[:n].to(device))


def _trained(bench: Workbench, **options: Any) -> Trained:
    """The LSR-GAN of an experiment's settings, with further options."""
    settings = {"beta": 1.0, **bench.settings["options"], **options}
    run = bench.trained("lsrgan", str(bench.data), **settings)
    held = bench_of(run.folder, features=bench.settings.get("features"), device=bench.device)
    assert isinstance(held.model, LSRGAN)
    return Trained(run, held.model, held)


def _weighted(bench: Workbench, weight: float) -> Trained:
    """One whose lambda is another, and whose VAE is that of lambda = 1."""
    base = _trained(bench)
    if weight == 1:
        return base
    options = bench.settings["options"]
    keep = ("width", "batch_size", "precision", "train_size", "image_size", "rate")
    run = bench.trained(
        "lsrgan", str(bench.data), encoder=str(base.run.folder), weight=weight,
        iterations=base.run.config["iterations"] - base.run.config["vae_iterations"],
        **{name: options[name] for name in keep if name in options},
    )  # fmt: skip
    model = api.load(run.folder, device=bench.device)
    assert isinstance(model, LSRGAN)
    return Trained(run, model, replace(base.bench, run=run, model=model))


def _drawn(of: Trained, name: str) -> Subject:
    """One rendering of each test image, of a code drawn from q(z | x)."""
    model = of.by(name)
    z = model.draw(of.bench.test, seed=of.bench.seed)[:, 0]
    return Subject(f"{name}, test images", RECONSTRUCTION, decoded(model, z))


def _variance(of: Trained, name: str, n: int) -> Figure:
    """sum over pixels of the variance among renderings of one q(z | x), mean over n test images."""
    x, model = of.test(n), of.by(name)
    each = [model.imagine(block, DRAWS).var(1).flatten(1).sum(1).cpu() for block in x.split(64)]
    return mean_figure(RANGE * torch.cat(each))


def _measured(bench: Workbench, of: Trained, what: str, name: str) -> list[Entry]:
    """A row of Table 1 or 2: error, variance, and the classifier's two accuracies."""
    held = of.bench
    assert held.labels is not None
    x = _drawn(of, name)
    errors = mean_squared_error(x.x, held.test) * held.test[0].numel()
    logits = held.features(x, "logits")
    raw = held.features(held.reference, "logits")
    n, few = len(held.test), min(bench.settings["variance_images"], len(held.test))
    by = held.extractor.name

    def entry(measure: str, ours: Figure, by: str, n: int) -> Entry:
        return Entry(f"{what}: {name}", measure, ours, by, of.data, n)

    return [
        entry("mean squared error", mean_figure(RANGE * errors), UNIT, n),
        entry("variance", _variance(of, name, few), UNIT, few),
        entry("absolute accuracy", mean_figure(accuracy(logits, held.labels)), by, n),
        entry("relative accuracy", mean_figure(accuracy(logits, raw.argmax(1))), by, n),
    ]


KEYS = {"mean squared error": "mse", "variance": "variance", "absolute accuracy":
        "absolute accuracy", "relative accuracy": "relative accuracy"}  # fmt: skip


def _beside(bench: Workbench, entries: list[Entry], table: str, value: float, name: str = "") -> (
    list[Entry]
):  # fmt: skip
    """The entries beside the paper's numbers, where they are of its data."""
    if bench.data != "cifar10" or value not in BETAS:
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
                entry, published=theirs / percent, published_error=error / percent,
                published_by=THEIRS if percent == 1 else "classifier of 84%",
                published_data="cifar10 test",
            )  # fmt: skip
        found.append(entry)
    return found


def _raw(of: Trained) -> Entry:
    held = of.bench
    assert held.labels is not None
    right = mean_figure(accuracy(held.features(held.reference, "logits"), held.labels))
    return Entry("test images", "absolute accuracy", right, held.extractor.name, of.data,
                 len(held.test), 0.84 if held.images.name == "cifar10" else None, None,
                 "classifier of 84%", "cifar10 test")  # fmt: skip


def table1(bench: Workbench) -> list[Entry]:
    """The measurements for VAEs of different beta, and LSR-GANs of their encoders.

    One code is drawn from q(z | x) for each test image. The error is the sum over an image's pixels
    and channels of the squared difference, pixels in [-1, 1]; the variance is the sum of the
    unbiased variances among 10 renderings of one image's q(z | x). The paper does not say its unit;
    in this one no set of pixels has a variance as large as some of its own.
    """
    entries: list[Entry] = []
    betas = bench.settings["betas"]
    for beta in betas:
        of = _trained(bench, beta=beta)
        entries += [] if entries else [_raw(of)]
        for name in DECODERS:
            row = _measured(bench, of, f"beta = {beta:g}", name)
            entries += _beside(bench, row, "table1", beta, name)
    _curves(bench, "table1", "beta", betas, entries, DECODERS)
    return entries


def fig5(bench: Workbench) -> list[Entry]:
    """Error and absolute accuracy against beta: two columns of Table 1, as curves."""
    entries = [e for e in table1(bench) if e.measure in ("mean squared error", "absolute accuracy")]
    _curves(bench, "fig5", "beta", bench.settings["betas"], entries, DECODERS)
    return entries


def table2(bench: Workbench) -> list[Entry]:
    """The measurements for LSR-GANs of different lambda with one encoder, of beta = 1. Figure 6."""
    entries: list[Entry] = []
    weights = bench.settings["weights"]
    for weight in weights:
        of = _weighted(bench, weight)
        entries += [] if entries else [_raw(of)]
        row = _measured(bench, of, f"lambda = {weight:g}", "LSR-GAN")
        entries += _beside(bench, row, "table2", weight)
    _curves(bench, "fig6", "lambda", weights, entries, ("LSR-GAN",))
    return entries


def _curves(
    bench: Workbench, picture: str, symbol: str, values: Sequence[float], entries: list[Entry],
    names: Sequence[str] | dict[str, str],
) -> None:  # fmt: skip
    """The measures against beta or lambda, with bars of one standard error."""
    measures = list(dict.fromkeys(e.measure for e in entries if e.what != "test images"))
    fig, axes = plots.figure(len(measures), 1, (3.6, 3))
    for axis, measure in zip(axes.flat, measures, strict=True):
        for name in names:
            own = [e.ours for e in entries if e.measure == measure and e.what.endswith(name)]
            axis.errorbar(values, [f.value for f in own], [f.error for f in own], marker=".",
                          label=name)  # fmt: skip
        axis.set_xscale("log")
        if measure in ("mean squared error", "variance"):
            axis.set_yscale("log")
        axis.set_xlabel(symbol)
        axis.set_title(measure, fontsize=9)
        axis.legend(fontsize=7)
    plots.save_figure(bench.picture(picture), fig)


def fig1(bench: Workbench) -> list[Entry]:
    """Eight renderings of each of five test images, drawn from q(z | x); a sheet for each beta."""
    entries: list[Entry] = []
    for beta in bench.settings["betas"]:
        of = _trained(bench, beta=beta)
        x = of.test(5)
        rows = torch.cat([x[:, None], of.model.imagine(x, 8)], 1)
        plots.save_sheet(bench.picture(f"fig1-beta-{beta:g}"), rows.flatten(0, 1), 9)
        few = min(bench.settings["variance_images"], len(of.bench.test))
        entries.append(Entry(f"beta = {beta:g}", "variance", _variance(of, "LSR-GAN", few), UNIT,
                             of.data, few))  # fmt: skip
    return entries


def fig2(bench: Workbench) -> list[Entry]:
    """Pairs: a test image, and its rendering of a code drawn from q(z | x)."""
    of = _trained(bench)
    x = of.test(24)
    pairs = torch.stack([x, of.model.imagine(x, 1)[:, 0]], 1)
    plots.save_sheet(bench.picture("fig2"), pairs.flatten(0, 1), 8)
    return _sharp(of)


def fig3(bench: Workbench) -> list[Entry]:
    """Test images, the VAE's reconstructions, the LSR-GAN's: a row each. The codes are the same."""
    of = _trained(bench)
    x = of.test(10)
    rows = [x, *(of.by(name).imagine(x, 1)[:, 0] for name in DECODERS)]
    plots.save_sheet(bench.picture("fig3"), torch.cat(rows), 10)
    return _sharp(of)


def fig4(bench: Workbench) -> list[Entry]:
    """Test images above their renderings by LSR-GANs of different beta."""
    entries: list[Entry] = []
    rows: list[Tensor] = []
    for beta in bench.settings["betas"]:
        of = _trained(bench, beta=beta)
        x = of.test(10)
        rows += [] if rows else [x]
        rows.append(of.model.imagine(x, 1)[:, 0])
        row = _measured(bench, of, f"beta = {beta:g}", "LSR-GAN")
        entries += _beside(bench, row, "table1", beta, "LSR-GAN")
    plots.save_sheet(bench.picture("fig4"), torch.cat(rows), 10)
    return entries


def fig9(bench: Workbench) -> list[Entry]:
    """What codes drawn from N(0, I) are rendered to (Figures 8 and 9)."""
    of = _trained(bench)
    for name in DECODERS:
        drawn = generated(replace(of.bench, model=of.by(name)), "prior", 64)
        plots.save_sheet(bench.picture(f"fig9-{DECODERS[name]}"), drawn.x)
    return _sharp(of)


def _sharp(of: Trained) -> list[Entry]:
    """Sharpness of the test images and of their renderings, mean and deviation over images."""
    entries: list[Entry] = []
    known = of.bench.images.name == "cifar10"
    numbers, spread = published()["lsrgan/cifar10"]["sharpness"], published()["lsrgan/sharpness-sd"]
    means: dict[str, float] = {}
    for name, x in (("test images", of.bench.test), *((n, _drawn(of, n).x) for n in DECODERS)):
        figure = mean_and_deviation(sharpness(x).tolist())
        means[name] = figure.value
        theirs = (numbers[name], spread[name]) if known and name in numbers else (None, None)
        entries.append(
            Entry(name, "sharpness, ± deviation over images", figure, "pixels", of.data,
                  len(x), *theirs, "pixels", "cifar10 test")
        )  # fmt: skip
    ratio = Figure(means["LSR-GAN"] / max(means["VAE"], 1e-12), float("nan"))
    entries.append(
        Entry("LSR-GAN over VAE", "ratio of sharpness", ratio, "pixels", of.data,
              len(of.bench.test), numbers["LSR-GAN"] / numbers["VAE"] if known else None, None,
              "pixels", "cifar10 test")
    )  # fmt: skip
    return entries


def cifar10(bench: Workbench) -> list[Entry]:
    """Frechet distances to the test images, seeded from them and from N(0, I), and sharpness.

    The first is of a rendering of each test image, of a code drawn from q(z | x); the other of as
    many codes drawn from the prior.
    """
    of = _trained(bench)
    held = of.bench
    reference = held.features(held.reference)
    numbers = published()["lsrgan/cifar10"]
    entries: list[Entry] = []
    for name in DECODERS:
        model = replace(held, model=of.by(name))
        for seeded, x in (
            ("seeded from test images", _drawn(of, name)),
            ("seeded from N(0, I)", generated(model, "prior")),
        ):
            distance = jackknife(frechet_distance, reference, held.features(x), groups=8)
            theirs = numbers[f"FID {seeded.replace(', I', ',I')}"][name]
            entries.append(
                Entry(name, f"Frechet distance, {seeded}", distance, held.extractor.name, of.data,
                      len(x.x), theirs if held.images.name == "cifar10" else None, None,
                      "inception", "cifar10 test")
            )  # fmt: skip
    return [*entries, *_sharp(of)]


_SMOKE: dict[str, Any] = {
    "width": 8, "latent_dim": 8, "iterations": 90, "vae_iterations": 60, "train_size": 500,
}  # fmt: skip
_SMALL: dict[str, Any] = {
    "width": 32, "iterations": 6000, "vae_iterations": 2000, "precision": "bf16",
}  # fmt: skip
_LESS = (
    "residual networks of 32, 64 and 16 channels in place of 64, 128 and 32; 2,000 + 4,000 "
    "iterations of 32 images in bfloat16 in place of 100 + 500 epochs"
)
_TOY = "500 images, networks of 8 channels, 60 + 30 iterations"


def _experiment(
    name: str, about: str, run: Callable[[Workbench], list[Entry]],
    settings: tuple[dict[str, Any], dict[str, Any], dict[str, Any]] | None = None,
    *, less: str = "", cost: str = "8 minutes on a core", paper_cost: str = "",
    data: tuple[str, ...] = ("cifar10", "fashion-mnist", "mnist", "digits"),
) -> Experiment:  # fmt: skip
    """An experiment about one LSR-GAN, or several, at the three scales."""
    smoke, middle, paper = settings or ({}, {}, {})
    return Experiment(
        f"lsrgan/{name}",
        about,
        {
            "smoke": Scale({"options": _SMOKE, "variance_images": 50, **smoke}, _TOY, "a minute"),
            "small": Scale({"options": _SMALL, "variance_images": 500, **middle},
                           f"{_LESS}{less}", cost),
            "paper": Scale(
                {"options": {"iterations": None}, "variance_images": 10_000, **paper}, "",
                paper_cost or "3 hours on a GPU, not measured",
            ),
        },
        run,
        data,
        "the data set's files",
    )  # fmt: skip


_BETAS = {"betas": (1.0, 20.0)}
_SWEEP = ({"betas": (1.0, 20.0)}, {"betas": (0.1, 1.0, 5.0, 20.0)}, {"betas": BETAS})
_EACH: dict[str, Any] = {"cost": "35 minutes on a core", "paper_cost": "a GPU-day, not measured"}

EXPERIMENTS = (
    _experiment("fig1", "LSR-GAN, Figure 1: several renderings of a test image, from q(z | x).",
                fig1, (_BETAS, _BETAS, _BETAS), cost="16 minutes on a core"),
    _experiment("fig2", "LSR-GAN, Figure 2: pairs of a test image and its rendering.", fig2),
    _experiment("fig3", "LSR-GAN, Figure 3: reconstructions of the VAE and of the LSR-GAN.", fig3),
    _experiment("fig4", "LSR-GAN, Figure 4: renderings for different beta.", fig4, _SWEEP,
                less="; four of the eight values of beta", **_EACH),
    _experiment("fig5", "LSR-GAN, Figure 5: error and accuracy against beta.", fig5, _SWEEP,
                less="; four of the eight values of beta", **_EACH),
    _experiment("fig9", "LSR-GAN, Figures 8 and 9: renderings of codes from N(0, I).", fig9,
                data=("mnist", "celeba", "cifar10", "fashion-mnist", "digits")),
    _experiment("table1", "LSR-GAN, Table 1: measurements against beta.", table1, _SWEEP,
                less="; four of the eight values of beta", **_EACH),
    _experiment("table2", "LSR-GAN, Table 2 and Figure 6: measurements against lambda.", table2,
                ({"weights": (0.1, 1.0)}, {"weights": (0.01, 0.1, 1.0, 5.0, 20.0)},
                 {"weights": BETAS}), less="; five of the eight values of lambda", **_EACH),
    _experiment("cifar10", "LSR-GAN, section 2.2: Frechet distances and sharpness.", cifar10,
                ({"features": "pixels"}, {}, {"features": "inception"})),
)  # fmt: skip

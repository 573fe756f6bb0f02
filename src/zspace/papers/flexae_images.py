"""FlexAE's experiments on images: Tables 1 to 4 and Figures 4 to 19 (Mondal et al., 2021)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from zspace import api, plots
from zspace.bench import GENERATION, RECONSTRUCTION, Bench, bench_of, generated
from zspace.core import as_float, blockwise, codes
from zspace.errors import InputError
from zspace.evaluate import measure
from zspace.metrics import Figure, mean_figure, memorisation_score
from zspace.neighbourhood import neighbours
from zspace.papers.base import (
    Entry,
    Experiment,
    Scale,
    Workbench,
    known_to,
    over_seeds,
    published,
)  # fmt: skip
from zspace.pictures import interpolation_rows, reconstruction_rows
from zspace.run import Run
from zspace.samplers import KDE

DATA = ("mnist", "fashion-mnist", "cifar10", "celeba")
"""In the order of the published tables' columns."""

SYSTEMS = {
    "VAE": ("vae", "prior"), "VAE+Flow": ("vae-flow", "prior"),
    "VAE-VampPrior": ("vampprior", "prior"), "VAE-IOP": ("vae-iop", "prior"),
    "VQ-VAE": ("vq-vae", "prior"), "WAE-GAN": ("wae-gan", "prior"),
    "2-Stage VAE": ("two-stage-vae", "prior"), "AE+GMM": ("ae", "mixture"),
    "RAE+GMM": ("rae", "mixture"), "MaskAAE": ("mask-aae", "prior"),
    "Pioneer": ("pioneer", "prior"), "ALAE": ("alae", "prior"), "FlexAE": ("flexae", "prior"),
    "FlexAE-SR": ("flexae-sr", "prior"),
}  # fmt: skip
"""The rows of Table 1: recipe, and what codes are drawn from."""

ATTRIBUTES = ("Big_Nose", "Heavy_Makeup", "Black_Hair", "Smiling", "Male")
"""Of Figures 11 to 15, in their order; 5c shows all."""


def trained(bench: Workbench, system: str, *, seed: int = 0, **more: Any) -> Run:
    """The run of a system with an experiment's settings, as far as its recipe knows them."""
    recipe = SYSTEMS[system][0]
    settings = known_to(recipe, bench.settings["options"])
    if bench.data in ("cifar10", "celeba"):
        settings |= bench.settings["colour"]
    settings |= bench.settings["own"].get(recipe, {})
    return bench.trained(recipe, str(bench.data), seed=seed, **{**settings, **more})


def figures(
    bench: Workbench, run: Run, system: str, metrics: Sequence[str], checkpoint: str | int = "last"
) -> tuple[dict[str, dict[str, Figure]], Bench]:
    """What a run's reconstructions, generations and codes come to: kind, metric, figure."""
    held = bench_of(
        run.folder, features=bench.settings["features"], n=bench.settings.get("n"),
        checkpoint=checkpoint, device=bench.device,
    )  # fmt: skip
    measured = measure(held, metrics=metrics, samplers=[SYSTEMS[system][1]])
    bench.more.setdefault("notes", []).extend(measured["notes"])
    found: dict[str, dict[str, Figure]] = {}
    for row in measured["rows"]:
        values = {k: Figure(f["value"], f["error"]) for k, f in row["figures"].items()}
        found[row["kind"]] = values
    return found, held


def _column(bench: Workbench) -> int | None:
    return DATA.index(str(bench.data)) if bench.data in DATA else None


def _of(bench: Workbench, held: Bench, seeds: int) -> dict[str, Any]:
    """What an entry says of where its figures come from."""
    bench.more["notes"] = list(dict.fromkeys([
        "± is the deviation over trainings; where there was one, the error of the measurement.",
        *bench.more.get("notes", []),
    ]))  # fmt: skip
    plural = "s" if seeds > 1 else ""
    return {
        "by": held.extractor.name, "n": len(held.test),
        "data": f"{held.images.name} test, {seeds} training{plural}",
    }  # fmt: skip


def _theirs(value: float | None) -> dict[str, Any]:
    return {"published": value, "published_by": "inception", "published_data": "the test images"}


def _frechet(
    bench: Workbench, system: str, seeds: int, **more: Any
) -> tuple[dict[str, Figure], dict[str, Any]]:
    """Frechet distances of reconstructions and generations, of the last checkpoint and, where the
    settings ask for it, the least over checkpoints, each by itself, as the authors have it."""
    found: dict[str, list[Figure]] = {}
    kinds = {RECONSTRUCTION: "reconstructed", GENERATION: "generated"}
    about: dict[str, Any] = {}
    for seed in range(seeds):
        first = bench.settings.get("best_from")
        keep = {} if first is None else {"checkpoint_every": 1000, "keep": 0}
        run = trained(bench, system, seed=seed, **more, **keep)
        values, held = figures(bench, run, system, ["fid"])
        about = _of(bench, held, seeds)
        for kind, name in kinds.items():
            found.setdefault(f"Frechet distance, {name}", []).append(values[kind]["fid"])
        if first is None:
            continue
        best: dict[str, Figure] = {}
        # of the last stage: a first one's checkpoints generate nothing yet
        start = first + run.config.get("first_iterations", 0)
        for iteration in run.checkpoints():
            if iteration >= start:
                values, _ = figures(bench, run, system, ["fid"], iteration)
                for kind in kinds:
                    now = values[kind]["fid"]
                    best[kind] = min(best.get(kind, now), now, key=lambda f: f.value)
        for kind, name in kinds.items():
            what = f"Frechet distance, {name}, the best checkpoint"
            found.setdefault(what, []).append(best[kind])
    return {what: over_seeds(each) for what, each in found.items()}, about


def table1(bench: Workbench) -> list[Entry]:
    """Frechet distances of reconstructions and generations to the test images.

    All systems have the same encoder and decoder (VQ-VAE: its own), batch and number of iterations
    (the two-stage VAE: in each stage). Their other options are the recipes' defaults.
    """
    numbers, column = published()["flexae/table1"], _column(bench)
    entries: list[Entry] = []
    for system, seeds in bench.settings["systems"].items():
        values, about = _frechet(bench, system, seeds)
        for i, (what, value) in enumerate(values.items()):
            theirs = None if column is None else numbers[system][column][i % 2]
            entries.append(Entry(system, what, value, **about, **_theirs(theirs)))
    return entries


def table2(bench: Workbench) -> list[Entry]:
    """Precision and recall of Sajjadi et al.: F1/8 weighs precision, F8 recall.

    The paper prints "Precision/Recall"; that these are F1/8 and F8 is inferred.
    """
    numbers, column = published()["flexae/table2"], _column(bench)
    entries: list[Entry] = []
    for system, seeds in bench.settings["systems"].items():
        each: list[dict[str, Figure]] = []
        about: dict[str, Any] = {}
        for seed in range(seeds):
            run = trained(bench, system, seed=seed)
            values, held = figures(bench, run, system, ["prd"])
            about = _of(bench, held, seeds)
            each.append(values[GENERATION])
        for i, (key, name) in enumerate((("f1/8", "precision, F1/8"), ("f8", "recall, F8"))):
            theirs = None if column is None else numbers[system][column][i]
            value = over_seeds([v[key] for v in each])
            entries.append(Entry(system, name, value, **about, **_theirs(theirs)))
    return entries


def table3(bench: Workbench) -> list[Entry]:
    """Frechet distances over the size of the code: m_b, 2 m_b, 4 m_b, for WAE-GAN and FlexAE-SR."""
    numbers, column = published()["flexae/table3"], _column(bench)
    base = bench.settings["base"] or (32 if column in (None, 0, 1) else 64)
    entries: list[Entry] = []
    for factor in bench.settings["factors"]:
        row = "m_b" if factor == 1 else f"{factor}m_b"
        for j, system in enumerate(("WAE-GAN", "FlexAE-SR")):
            values, about = _frechet(
                bench, system, bench.settings["seeds"], latent_dim=factor * base
            )
            for i, (what, value) in enumerate(values.items()):
                theirs = None if column is None else numbers[row][column][2 * (i % 2) + j]
                name = f"{system}, m = {factor * base}"
                entries.append(Entry(name, what, value, **about, **_theirs(theirs)))
    return entries


def table4(bench: Workbench) -> list[Entry]:
    """PMS and IMS: how near generated images are to the nearest training and test images.

    Beside FlexAE-SR a model that is made to memorise: the same, but codes are drawn from kernels of
    hardly any width on the codes of those training images.
    """
    name = {"mnist": "MNIST", "fashion-mnist": "Fashion", "cifar10": "CIFAR-10",
            "celeba": "CelebA"}.get(str(bench.data))  # fmt: skip
    numbers = None if name is None else published()["flexae/table4"][name]
    run = trained(bench, "FlexAE-SR")
    held = bench_of(run.folder, features=bench.settings["features"], n=bench.settings.get("n"),
                    device=bench.device)  # fmt: skip
    memory = KDE(held.model.latent_dim, centres=len(held.training), bandwidth=1e-3)
    memory.fit(codes(held.model, held.training).cpu())
    device = next(held.model.parameters()).device
    drawn = generated(held, "prior")
    copied = generated(held, "memoriser", sampler=memory.to(device))
    pairs = (
        ("Tr-Tr", held.others, held.memorised), ("Gen-Tr", drawn, held.memorised),
        ("Tr-Te", held.memorised, held.reference), ("Gen-Te", drawn, held.reference),
        ("Gen-Tr of a memoriser", copied, held.memorised),
    )  # fmt: skip
    entries: list[Entry] = []
    for i, (what, a, b) in enumerate(pairs):
        pixels = mean_figure(memorisation_score(a.x, b.x))
        features = mean_figure(memorisation_score(held.features(a), held.features(b)))
        theirs = numbers[i] if numbers is not None and i < len(numbers) else (None, None)
        about: dict[str, Any] = {"data": f"{held.images.name}, 1 training", "n": len(a.x)}
        entries.append(Entry(what, "PMS", pixels, by="pixels", **about, published=theirs[0],
                             published_by="pixels", published_data="10,000 images"))  # fmt: skip
        entries.append(Entry(what, "IMS", features, by=held.extractor.name, **about,
                             published=theirs[1], published_by="inception",
                             published_data="10,000 images"))  # fmt: skip
    return entries


def fig4(bench: Workbench) -> list[Entry]:
    """Reconstructions of test images, each row below its images, and generated images."""
    run, x, model = _shown(bench, 32)
    plots.save_sheet(bench.picture("fig4-reconstructions"), *reconstruction_rows(model, x))
    plots.save_sheet(bench.picture("fig4-samples"), model.sample(64, generator=_seeded(model)))
    return _error(bench, run)


def samples(bench: Workbench) -> list[Entry]:
    """225 generated images."""
    run, _, model = _shown(bench, 1)
    plots.save_sheet(bench.picture("samples"), model.sample(225, generator=_seeded(model)), 15)
    return _error(bench, run)


def interpolations(bench: Workbench) -> list[Entry]:
    """Rows between two test images: the first and last are real, the middle one is decoded from the
    mid-point of their codes."""
    run, x, model = _shown(bench, 20)
    sheet = interpolation_rows(model, x[:10], x[10:])
    plots.save_sheet(bench.picture("interpolations"), *sheet)
    return _error(bench, run)


def direction(bench: Workbench, run: Run, attribute: str) -> tuple[Tensor, Tensor, Tensor]:
    """mean(z | attribute) - mean(z | none) over the training images, and images without and with.

    The attribute is asked for after training, which knows none.
    """
    labelled = {**run.config, "label_attribute": attribute}
    images = api.images_of(run.config["data"], labelled)
    model = api.load(run.folder, device=bench.device)
    z, y = codes(model, images.train.x), images.train.y
    assert y is not None
    y = y.to(z.device)
    way = z[y == 1].mean(0) - z[y == 0].mean(0)
    test_y = images.test.y
    assert test_y is not None
    without, having = (as_float(images.test.x[test_y == label][:2]) for label in (0, 1))
    if not len(without) or not len(having):
        raise InputError(f"the test images have none without, or none with {attribute}")
    return way, without.to(z.device), having.to(z.device)


def _attribute(name: str, letters: Sequence[str]) -> Callable[[Workbench], list[Entry]]:
    def figure(bench: Workbench) -> list[Entry]:
        """A grid for each of two images without the attribute, and of two with: reading order, the
        image in the middle, moved along the attribute's direction by -2 to 2 of its length."""
        run = trained(bench, "FlexAE-SR")
        way, without, having = direction(bench, run, name)
        model = api.load(run.folder, device=bench.device)
        steps = torch.linspace(-2, 2, 25, device=way.device)[:, None] * way
        letter = iter(letters)
        with torch.no_grad():
            for x in (*without, *having):
                grid = blockwise(model.decode, model.encode(x[None]) + steps)
                plots.save_sheet(bench.picture(f"{name}-{next(letter)}"), grid, 5, (12,))
        return _error(bench, run)

    return figure


def fig5(bench: Workbench) -> list[Entry]:
    """Interpolations; for faces a row for each attribute, from an image that has it; and the four
    nearest training images of what is generated, by pixels and by features."""
    entries = interpolations(bench)
    run = trained(bench, "FlexAE-SR")
    model = api.load(run.folder, device=bench.device)
    if bench.data == "celeba":
        rows: list[Tensor] = []
        for name in ATTRIBUTES:
            way, _, having = direction(bench, run, name)
            steps = torch.linspace(-2, 2, 9, device=way.device)[:, None] * way
            with torch.no_grad():
                row = model.decode(model.encode(having[:1]) + steps)
            row[4] = having[0]
            rows.append(row)
        plots.save_sheet(bench.picture("attributes"), torch.cat(rows), 9)
    _neighbours(bench, run, 5, 4, both=True)
    return entries


def _nearest(which: str) -> Callable[[Workbench], list[Entry]]:
    def figure(bench: Workbench) -> list[Entry]:
        """Generated images, and the fourteen nearest training images of each."""
        run = trained(bench, "FlexAE-SR")
        _neighbours(bench, run, 15, 14, both=False, by_features=which == "features")
        return _error(bench, run)

    return figure


def _neighbours(
    bench: Workbench, run: Run, n: int, k: int, *, both: bool, by_features: bool = False
) -> None:
    held = bench_of(run.folder, features=bench.settings["features"], n=bench.settings.get("n"),
                    device=bench.device)  # fmt: skip
    found = neighbours(held, "prior", n, k)
    training = held.images.train.x
    if both:
        plots.save_sheet(bench.picture("neighbours"), *found.rows(training))
        return
    rows = found.by_features if by_features else found.by_pixels
    pairs = zip(found.images, rows, strict=True)
    lines = [torch.cat([image[None], training[row]]) for image, row in pairs]
    plots.save_sheet(bench.picture("neighbours"), as_float(torch.cat(lines)), k + 1)


def _seeded(model: torch.nn.Module) -> torch.Generator:
    return torch.Generator(next(model.parameters()).device).manual_seed(0)


def _shown(bench: Workbench, n: int) -> tuple[Run, Tensor, Any]:
    """FlexAE-SR's run, n test images, and the model."""
    run = trained(bench, "FlexAE-SR")
    model = api.load(run.folder, device=bench.device)
    images = api.run_images(run)
    device = next(model.parameters()).device
    return run, as_float(images.test.x[:n].to(device)), model


def _error(bench: Workbench, run: Run) -> list[Entry]:
    """The reconstruction error of the model that a figure is drawn from."""
    values, held = figures(bench, run, "FlexAE-SR", ["mse"])
    return [
        Entry("FlexAE-SR", "mean squared error, reconstructed", values[RECONSTRUCTION]["mse"],
              "pixels", held.images.name, len(held.test))
    ]  # fmt: skip


_SMOKE: dict[str, Any] = {
    "options": {"iterations": 20, "arch": "fc", "hidden": 16, "latent_dim": 3, "batch_size": 16,
                "train_size": 300},
    "colour": {"image_size": 16},
    "own": {"two-stage-vae": {"iterations": 40, "first_iterations": 20, "second_hidden": 16},
            "vampprior": {"pseudo_inputs": 10},
            "vq-vae": {"width": 8, "embedding": 2, "codebook": 16, "prior_width": 8}},
    "features": "pixels", "n": 100,
}  # fmt: skip
_SMALL: dict[str, Any] = {
    "options": {"iterations": 6000, "arch": "fc", "hidden": 256, "latent_dim": 32,
                "batch_size": 128, "precision": "bf16"},
    "colour": {"iterations": 2000, "arch": "conv", "image_size": 32, "width": 16,
               "latent_dim": 64, "batch_size": 64},
    "own": {"two-stage-vae": {"iterations": 12_000, "first_iterations": 6000,
                              "second_hidden": 256},
            "vq-vae": {"width": 32, "embedding": 8, "codebook": 128, "prior_width": 32}},
    "features": "classifier",
}  # fmt: skip
_PAPER: dict[str, Any] = {
    "options": {"iterations": 130_000, "batch_size": 128}, "colour": {},
    "own": {"two-stage-vae": {"iterations": 260_000, "first_iterations": 130_000}},
    "features": "inception",
}  # fmt: skip
_TOY = "300 images, fully connected networks of 16 units, 20 iterations"
_LESS = (
    "fully connected networks of 256 units in place of convolutions of 64 and 128 channels and "
    "1,024 units, m = 32 (Table 3's m_b) in place of 20, 6,000 iterations in place of 130,000, "
    "bfloat16; colour: convolutions of 16 and 32 channels at 32 pixels, 2,000 iterations of 64"
)
_HOURS = "on a GPU, by the paper's 15 hours of a GTX 1080 Ti for FlexAE-SR on MNIST"
_NEEDS = "the data set's files; at scale paper the Inception weights (zspace weights)"
_FEW = ("VAE", "2-Stage VAE", "RAE+GMM", "MaskAAE", "ALAE", "FlexAE", "FlexAE-SR")
"""The rows of Table 2."""
_THRICE = ("VAE", "WAE-GAN", "RAE+GMM", "FlexAE", "FlexAE-SR")
"""Trained with three seeds at scale small."""


def _experiment(
    name: str, about: str, run: Callable[[Workbench], list[Entry]], data: Sequence[str],
    settings: tuple[dict[str, Any], dict[str, Any], dict[str, Any]] = ({}, {}, {}),
    *, less: str = "", cost: str = "10 minutes on a core", paper_cost: str = f"15 hours {_HOURS}",
) -> Experiment:  # fmt: skip
    smoke, small, paper = settings
    return Experiment(
        f"flexae/{name}",
        f"FlexAE, {about}",
        {
            "smoke": Scale({**_SMOKE, **smoke}, _TOY, "a minute"),
            "small": Scale({**_SMALL, **small}, _LESS + less, cost),
            "paper": Scale({**_PAPER, **paper}, "", paper_cost),
        },
        run,
        tuple(data),
        _NEEDS,
    )


def _systems(names: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The systems of a table, and how many trainings of each, at the three scales."""
    return (
        {"systems": dict.fromkeys(names, 1)},
        {"systems": {name: 3 if name in _THRICE else 1 for name in names}},
        {"systems": dict.fromkeys(names, 1), "best_from": 80_000},
    )


_ALL = (*DATA, "digits")
_FACES = ("celeba",)
_COLOUR = ("cifar10", "celeba", "mnist", "fashion-mnist", "digits")
_FACE_COST = "half an hour on a core"

EXPERIMENTS = (
    _experiment("table1", "Table 1: Frechet distances of fourteen systems.", table1, _ALL,
                _systems(tuple(SYSTEMS)), less="; three trainings of five systems",
                cost="2 hours on a core",
                paper_cost=f"about 45 hours for all fourteen {_HOURS}; a training can be stopped "
                "and goes on"),
    _experiment("table2", "Table 2: precision and recall.", table2, _ALL, _systems(_FEW),
                cost="70 minutes on a core (Table 1's runs are reused with --runs)",
                paper_cost=f"about 30 hours {_HOURS}"),
    _experiment("table3", "Table 3: Frechet distances over the size of the code.", table3, _ALL,
                ({"base": 3, "factors": (1, 2), "seeds": 1}, {"base": 32, "factors": (1, 4),
                  "seeds": 3}, {"base": None, "factors": (1, 2, 4), "seeds": 1,
                                "best_from": 80_000}),
                less="; m_b and 4 m_b alone, three trainings", cost="80 minutes on a core",
                paper_cost=f"about 60 hours {_HOURS}"),
    _experiment("table4", "Table 4: PMS and IMS, and a memoriser's.", table4, _ALL),
    _experiment("fig4", "Figure 4: reconstructions and samples of FlexAE-SR.", fig4, _ALL),
    _experiment("fig5", "Figure 5: interpolations, attributes and neighbours.", fig5,
                ("celeba", "mnist", "fashion-mnist", "cifar10", "digits"), cost=_FACE_COST),
    *(_experiment(f"fig{6 + i}", f"Figure {6 + i}: 225 samples of FlexAE-SR.", samples,
                  (data, *(d for d in _ALL if d != data)))
      for i, data in enumerate(DATA)),
    _experiment("fig10", "Figure 10: interpolations of FlexAE-SR.", interpolations, _ALL),
    *(_experiment(f"fig{11 + i}", f"Figure {11 + i}: faces along {name.replace('_', ' ')}.",
                  _attribute(name, "abcd"), _FACES, cost=_FACE_COST)
      for i, name in enumerate(ATTRIBUTES)),
    *(_experiment(f"fig{16 + i}", f"Figure {16 + i}: the nearest training images by {which}.",
                  _nearest(which), (data, *(d for d in _COLOUR if d != data)), cost=_FACE_COST)
      for i, (data, which) in enumerate((("cifar10", "pixels"), ("cifar10", "features"),
                                         ("celeba", "pixels"), ("celeba", "features")))),
)  # fmt: skip

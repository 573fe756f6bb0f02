"""GEN's experiments on images."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zspace import api
from zspace.core import codes
from zspace.display import plots
from zspace.display.pictures import interpolation_rows, reconstruction_rows
from zspace.evaluation.evaluate import measure
from zspace.evaluation.measurement import GENERATION, Measurement, generated, reconstructed
from zspace.evaluation.metrics import METRICS
from zspace.evaluation.novelty import Novelty, auroc, novelty
from zspace.functional import as_float, blockwise
from zspace.generation.maps import class_means
from zspace.methods.gen import GEN
from zspace.metrics import Figure, mean_figure, mean_squared_error
from zspace.papers.entries import Entry, over_trainings, part_of, published, told_apart
from zspace.papers.gen.densities import correlation
from zspace.papers.gen.entropy import METHODS
from zspace.papers.lab import Lab
from zspace.papers.ways import ways
from zspace.samplers import Mixture
from zspace.storage.run import Run


def fig3(lab: Lab) -> list[Entry]:
    """Figure 3: MNIST mapped to ten 2-D Gaussians, without labels and with labels of some images.

    A test image counts as right if the nearest mode is that of its digit or, without labels, if it
    has the commonest digit of that mode. With labels, images are drawn from each mode, and the
    data set's neutral classifier says whether they are of its digit, and whether reconstructions,
    which are as blurred, are of theirs. It was trained on sharp digits; the nearest mean training
    image of a digit, which knows blurred ones better, says so, too.
    """
    entries: list[Entry] = []
    fig, axes = plots.figure(2, 1, (4.5, 4.5))
    for axis, labelled in zip(axes.flat, (None, lab.settings["labelled"]), strict=True):
        run = lab.trained(
            "gen",
            "mnist",
            target="mixture",
            components=10,
            labelled=labelled,
            iterations=lab.settings["iterations"],
            **lab.settings["options"],
        )
        model = api.load(run.folder, device=lab.device)
        assert isinstance(model, GEN)
        test = lab.images(run).test
        assert test.y is not None
        z = codes(model, test.x)
        mode = model.target.component_log_probs(z).argmax(0).cpu()
        if labelled is None:
            counts = torch.zeros(10, 10).index_put_(
                (mode, test.y), torch.ones(len(mode)), accumulate=True
            )
            mode = counts.argmax(1)[mode]
        accuracy = mean_figure((mode == test.y).float())
        what = "no labels" if labelled is None else f"{labelled} labels"
        measure = "accuracy of the nearest mode"
        entries.append(Entry(what, measure, accuracy, "codes", "mnist test", len(mode)))
        axis.scatter(*z.cpu().T, c=test.y, s=2, cmap="tab10", linewidths=0)
        axis.set_title(f"{what}: {accuracy.value:.1%} in their mode", fontsize=10)
        axis.set_aspect("equal")
        if labelled is not None:
            _draw_modes(lab.picture("modes"), model)
            held = lab.measured(run, "classifier")
            for measure, x in (
                ("accuracy of images of a mode", generated(held, "prior")),
                ("accuracy of reconstructions", reconstructed(held)),
            ):
                labels = held.labels if x.labels is None else x.labels
                assert labels is not None
                right, by = METRICS["accuracy"].measure(held, x)[""], held.extractor.name
                near = mean_figure((nearest_mean(held, x.x) == labels).float())
                for name, share, judge in (
                    (what, right, by),
                    (f"{what}, blur allowed for", near, NEAREST),
                ):
                    entries.append(Entry(name, measure, share, judge, "mnist test", len(x.x)))
    plots.save_figure(lab.picture("fig3"), fig)
    return entries


NEAREST = "nearest mean training image of a class"


def nearest_mean(held: Measurement, x: Tensor) -> Tensor:
    """The class (N,) whose training images' mean is nearest to each image, by pixels."""
    train = held.images.train
    assert train.y is not None
    means = class_means(as_float(train.x).flatten(1), train.y, len(held.images.classes))
    return torch.cdist(as_float(x).flatten(1), means).argmin(1)


def _draw_modes(path: Path, model: GEN) -> None:
    """Draw the supplement's Figure 3: the images along each axis of each mode of the prior.

    A row is a mode; its left half follows the first axis, its right half the second.
    """
    assert isinstance(model.prior, Mixture)
    z = along_axes(model.prior)
    with torch.no_grad():
        plots.save_sheet(path, blockwise(model.decode, z.flatten(0, 2)), z.shape[1] * z.shape[2])


def along_axes(mixture: Mixture, steps: int = 9, reach: float = 2.0) -> Tensor:
    """Codes on the lines through the mean of each component along each axis.

    Args:
        mixture: a mixture of K components in D dimensions.
        steps: the number of codes S on a line.
        reach: how far a line goes to either side of the mean, in the component's deviations.

    Returns the codes (K, D, S, D).
    """
    t = torch.linspace(-reach, reach, steps, device=mixture.means.device)
    deviations = mixture.factors.norm(dim=2)
    return mixture.means[:, None, None] + t[:, None] * deviations.diag_embed()[:, :, None]


def fig4(lab: Lab) -> list[Entry]:
    """Figure 4: the novelty scores of test images, by a model of each digit and by one of all.

    The paper predicts outliers "for individual category of digits", which can be read in two ways:
    a GEN is trained on each digit; or one is trained on all, and its scores are ranked within a
    digit. The pictures show the 100 most and the 100 least probable test images of a digit, in
    either reading.

    The paper has no numbers. Ours are areas under the ROC curve of a digit's own model against the
    other digits, by the score and by two of its parts; and how well both readings agree on the
    order of the digit's images, by Spearman's correlation of their scores.
    """
    entries: list[Entry] = []

    def scored(**options: Any) -> Novelty:
        where = {"latent_dim": 8, "iterations": lab.settings["iterations"]}
        run = lab.trained("gen", "mnist", **where, **options)
        return novelty(run.folder, data="mnist", images=lab.images(run), **lab.where(run))

    one = scored()
    assert one.part.y is not None
    for digit in lab.settings["digits"]:
        found = scored(classes=str(digit))
        found.draw(lab.picture(f"fig4-{digit}"))
        known = one.part.y == digit
        replace(one, known=known).draw(lab.picture(f"fig4-{digit}-of-all"))
        s = found.scores
        for what, score in (
            ("-log p(x)", s.score),
            ("-log p(z') + volume alone", s.volume - s.latent),
            ("-log p(x | x') alone", -s.residual),
        ):
            entries.append(
                Entry(
                    f"digit {digit} against the others",
                    f"AUROC of {what}",
                    auroc(score[known], score[~known]),
                    "test images",
                    "mnist test",
                    len(known),
                )
            )
        order = [ranks(scores.score[known]) for scores in (s, one.scores)]
        entries.append(
            Entry(
                f"digit {digit}, its own model and one of all",
                "rank correlation of -log p(x)",
                correlation(order[0], order[1]),
                "test images",
                f"mnist test, {digit}",
                int(known.sum()),
            )
        )
    return entries


def ranks(values: Tensor) -> Tensor:
    """The ranks (N,) of values (N,), from 0; float64."""
    return values.argsort().argsort().double()


def _on_images(lab: Lab, name: str, seed: int = 0) -> Run:
    """A run of one of the three models of Table 3, which all have the same networks."""
    data, where = str(lab.data), lab.settings
    own = where["gen"] if name == "GEN" else {}
    labels = {"label_attribute": "Male"} if data == "celeba" else {}
    latent_dim = where["latent_dim"] or {"svhn": 25, "celeba": 40}[data]
    return lab.trained(
        name.lower(),
        data,
        iterations=where["iterations"],
        batch_size=100,
        arch="conv",
        latent_dim=latent_dim,
        **where["options"],
        **labels,
        **own,
        **({"seed": seed} if seed else {}),
    )


def sheets(lab: Lab) -> list[Entry]:
    """Figure 2 and the supplement's: 64 samples of each model, and 32 reconstructed test images."""
    entries: list[Entry] = []
    for name in METHODS:
        run = _on_images(lab, name)
        model = api.load(run.folder, device=lab.device)
        device = next(model.parameters()).device
        x = as_float(lab.images(run).test.x[:32].to(device))
        seeded = torch.Generator(device).manual_seed(0)
        plots.save_sheet(lab.picture(f"samples-{name}"), model.sample(64, generator=seeded))
        plots.save_sheet(lab.picture(f"reconstructions-{name}"), *reconstruction_rows(model, x))
        error = mean_figure(mean_squared_error(model.reconstruct(x), x))
        entries.append(
            Entry(
                name,
                "mean squared error, reconstructed",
                error,
                "pixels",
                f"{lab.data} test",
                len(x),
            )
        )
    return entries


def interpolations(lab: Lab) -> list[Entry]:
    """The supplement's Figures 5 and 6: interpolations between random codes and test images."""
    run = _on_images(lab, "GEN")
    held = lab.measured(run, lab.settings["features"][0])
    model = held.model
    device = next(model.parameters()).device
    x = as_float(held.test[:16].to(device))
    assert model.prior is not None
    z = model.prior.draw(16, generator=torch.Generator(device).manual_seed(0))
    t = torch.linspace(0, 1, 9, device=device)[None, :, None]
    with torch.no_grad():
        rows = blockwise(model.decode, ((1 - t) * z[:8, None] + t * z[8:, None]).flatten(0, 1))
    plots.save_sheet(lab.picture("random"), rows, 9)
    plots.save_sheet(lab.picture("test-images"), *interpolation_rows(model, x[:8], x[8:]))
    error = mean_figure(mean_squared_error(model.reconstruct(x), x))
    return [
        Entry(
            "GEN", "mean squared error, reconstructed", error, "pixels", f"{lab.data} test", len(x)
        ),
        *ways(held, part_of(held.images)),
    ]


def _spread(held: Measurement) -> list[Entry]:
    """The entries for the variance of GEN's codes, and for what it should be.

    Codes whose kernel density estimate of bandwidth h is N(0, I) are of N(0, (1 - h^2) I). The
    variance is the mean over the dimensions of the code, so that it is necessary alone.
    """
    assert isinstance(held.model, GEN)
    found, h = float(held.means.var(0).mean()), held.model.bandwidth
    data, part, n = f"{held.images.name} test", part_of(held.images), len(held.means)
    return [
        Entry(
            what, "variance of a dimension", Figure(variance, math.nan), "codes", data, n, part=part
        )
        for what, variance in (("GEN's codes", found), ("1 - h^2", 1 - h**2))
    ]


def table3(lab: Lab) -> list[Entry]:
    """Table 3: the Frechet distance of images generated by AAE, VAE and GEN with equal networks.

    GEN draws codes from N(0, (1 - h^2) I), and also from its target. As many images are generated
    as the test part has, at most 10,000, and compared with as many test images. The paper's
    distances are FIDs.
    """
    return over_trainings([_distances(lab, seed) for seed in range(lab.settings["seeds"])])


def _distances(lab: Lab, seed: int) -> list[Entry]:
    """The entries of Table 3 for one training of each model."""
    data, where = str(lab.data), lab.settings
    title = {"svhn": "SVHN", "celeba": "CelebA"}[data]
    theirs, spread = published()["gen/table3"][title], published()["gen/table3-sd"][title]
    entries: list[Entry] = []
    for i, name in enumerate(METHODS):
        run = _on_images(lab, name, seed)
        for features in where["features"]:
            held = lab.measured(run, features)
            if name == "GEN" and features == where["features"][0]:
                entries += _spread(held)
            own = ["prior", "target"] if name == "GEN" else ["prior"]
            measured = measure(held, metrics=["fid"], samplers=own)
            lab.note(*measured["notes"])
            for row in measured["rows"]:
                if row["kind"] != GENERATION:
                    continue
                fid = row["figures"]["fid"]
                entries.append(
                    Entry(
                        name if row["subject"] == "prior" else f"{name}, from its target",
                        "Frechet distance, generated",
                        Figure(fid["value"], fid["error"]),
                        fid["features"],
                        f"{data}{where['size']}",
                        row["n"],
                        theirs[i],
                        spread[i],
                        "inception",
                        data,
                        part=part_of(held.images),
                    )
                )
    return told_apart(entries)

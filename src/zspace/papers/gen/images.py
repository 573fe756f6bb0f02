"""GEN's experiments on images."""

from __future__ import annotations

from pathlib import Path

import torch

from zspace import api
from zspace.core import codes
from zspace.display import plots
from zspace.display.pictures import interpolation_rows, reconstruction_rows
from zspace.evaluation.evaluate import measure
from zspace.evaluation.measurement import GENERATION, measure_run
from zspace.evaluation.novelty import auroc, novelty
from zspace.functional import as_float, blockwise
from zspace.methods.gen import GEN
from zspace.metrics import Figure, mean_figure, mean_squared_error
from zspace.papers.base import Lab
from zspace.papers.entries import Entry, published
from zspace.papers.gen.entropy import METHODS
from zspace.storage.run import Run


def fig3(lab: Lab) -> list[Entry]:
    """Figure 3: MNIST mapped to ten 2-D Gaussians, without labels and with labels of some images.

    A test image counts as right if the nearest mode is that of its digit or, without labels, if it
    has the commonest digit of that mode.
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
        test = api.run_images(run).test
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
        entries.append(
            Entry(what, "accuracy of the nearest mode", accuracy, "codes", "mnist", len(mode))
        )
        axis.scatter(*z.cpu().T, c=test.y, s=2, cmap="tab10", linewidths=0)
        axis.set_title(f"{what}: {accuracy.value:.1%} in their mode", fontsize=10)
        axis.set_aspect("equal")
        if labelled is not None:
            _draw_modes(lab.picture("modes"), model)
    plots.save_figure(lab.picture("fig3"), fig)
    return entries


def _draw_modes(path: Path, model: GEN) -> None:
    """Draw a row of images for each mode of the prior, as in the supplement's Figure 3."""
    seeded = torch.Generator(model.centres.device).manual_seed(0)
    assert model.prior is not None
    with torch.no_grad():
        z = torch.cat([model.prior.sample(12, k, generator=seeded) for k in range(10)])
        plots.save_sheet(path, blockwise(model.decode, z), 12)


def fig4(lab: Lab) -> list[Entry]:
    """Figure 4: the novelty scores of all test images by GENs trained on a single digit.

    The pictures show the 100 most and the 100 least probable test images of the digit. The paper
    has no numbers; ours are areas under the ROC curve against the other digits, by the score and by
    two of its parts.
    """
    entries: list[Entry] = []
    for digit in lab.settings["digits"]:
        run = lab.trained(
            "gen", "mnist", classes=str(digit), latent_dim=8, iterations=lab.settings["iterations"]
        )
        found = novelty(
            run.folder, data="mnist", data_dir=lab.data_dir, label=str(digit), device=lab.device
        )
        found.draw(lab.picture(f"fig4-{digit}"))
        known = found.known
        assert known is not None
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
                    "mnist",
                    len(known),
                )
            )
    return entries


def _on_images(lab: Lab, name: str) -> Run:
    """The run of one of the three models of Table 3, which all have the same networks."""
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
    )


def sheets(lab: Lab) -> list[Entry]:
    """Figure 2 and the supplement's: 64 samples of each model, and 32 reconstructed test images."""
    entries: list[Entry] = []
    for name in METHODS:
        run = _on_images(lab, name)
        model = api.load(run.folder, device=lab.device)
        device = next(model.parameters()).device
        x = as_float(api.run_images(run).test.x[:32].to(device))
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
    model = api.load(run.folder, device=lab.device)
    device = next(model.parameters()).device
    x = as_float(api.run_images(run).test.x[:16].to(device))
    assert model.prior is not None
    z = model.prior.sample(16, generator=torch.Generator(device).manual_seed(0))
    t = torch.linspace(0, 1, 9, device=device)[None, :, None]
    with torch.no_grad():
        rows = blockwise(model.decode, ((1 - t) * z[:8, None] + t * z[8:, None]).flatten(0, 1))
    plots.save_sheet(lab.picture("random"), rows, 9)
    plots.save_sheet(lab.picture("test-images"), *interpolation_rows(model, x[:8], x[8:]))
    error = mean_figure(mean_squared_error(model.reconstruct(x), x))
    return [
        Entry(
            "GEN", "mean squared error, reconstructed", error, "pixels", f"{lab.data} test", len(x)
        )
    ]


def table3(lab: Lab) -> list[Entry]:
    """Table 3: the Frechet distance of images generated by AAE, VAE and GEN with equal networks.

    GEN draws codes from N(0, (1 - h^2) I), and also from its target. As many images are generated
    as the test part has, at most 10,000, and compared with as many test images. The paper's
    distances are FIDs.
    """
    data, where = str(lab.data), lab.settings
    title = {"svhn": "SVHN", "celeba": "CelebA"}[data]
    theirs, spread = published()["gen/table3"][title], published()["gen/table3-sd"][title]
    entries: list[Entry] = []
    for i, name in enumerate(METHODS):
        run = _on_images(lab, name)
        for features in where["features"]:
            measured = measure(
                measure_run(run.folder, features=features, device=lab.device), metrics=["fid"]
            )
            lab.more.setdefault("notes", []).extend(measured["notes"])
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
                    )
                )
    return entries

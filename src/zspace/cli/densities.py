"""The commands `zspace bandwidth` and `zspace novelty`, for densities of codes and of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zspace.cli import known
from zspace.cli.base import (
    CHECKPOINT,
    DEVICE,
    QUIET,
    RUN,
    NamedOption,
    check_part,
    check_writable,
    cli,
    data_options,
    echo,
    positive,
    progress,
    say,
    tell,
)
from zspace.cli.output import check_inputs
from zspace.errors import InputError, unknown
from zspace.options import check_seed


@cli.command()
@click.option("--dim", type=int, required=True, metavar="N", help="size l of a code")
@click.option("--samples", type=int, required=True, metavar="N", help="number m of kernels")
@click.option(
    "--trials", type=int, default=10, show_default=True, help="number of independent trials"
)
@click.option(
    "--route",
    default="root",
    show_default=True,
    help="way to find it: root (of the derivative) or fixed-point",
)
@click.option("--seed", type=int, default=0, show_default=True, help="seed of the samples")
@QUIET
def bandwidth(dim: int, samples: int, trials: int, route: str, seed: int, quiet: bool) -> None:
    """Print GEN's optimal bandwidth h_opt (Table 1), which tells two normal samples apart best.

    Codes that GEN matches with it have the variance 1 - h^2, which is 0 if h reaches 1. The least
    number of samples for which h stays below 1 is printed, too.
    """
    from zspace.samplers.kde import MOST_CENTRES, least_samples, optimal_bandwidths
    from zspace.samplers.normal import Normal

    positive("dim", dim, most=10_000)
    positive("samples", samples, 2, MOST_CENTRES)
    positive("trials", trials, most=10_000)
    if route not in ("root", "fixed-point"):
        raise unknown("route", route, ["root", "fixed-point"])
    check_seed(seed)
    with progress(quiet) as follow:
        every = optimal_bandwidths(
            Normal(dim),
            samples,
            trials=trials,
            route=route,  # type: ignore[arg-type]
            seed=seed,
            progress=follow.about("trials"),
        )
        below = follow.about("the number of samples for h below 1")
        least = least_samples(dim, seed=seed, progress=below)
    found = every[~every.isnan()]
    if len(found):
        spread = f" ± {float(found.std()):.4f}" if len(found) > 1 else ""
        echo(
            f"h_opt({dim}, {samples}) = {float(found.mean()):.4f}{spread}"
            f"  (mean and standard deviation of {len(found)} trials)"
        )
    if len(found) < trials:
        why = "the fixed point did not settle" if route == "fixed-point" else "no maximum was found"
        echo(f"{why} in {trials - len(found)} of {trials} trials")
    if len(found) and float(found.mean()) < 1:
        left = (1 - float(found.mean()) ** 2) ** 0.5
        echo(f"codes matched with it have the standard deviation {left:.3f}")
    elif len(found):
        echo(f"out of reach: in {dim} dimensions h is not below 1 for {samples} samples")
    if least is None:
        echo(f"no number of samples up to {MOST_CENTRES:,} has an h below 1")
    else:
        echo(f"h is below 1 from about {least:,} samples on")


@cli.command()
@RUN
@data_options
@click.option(
    "--part",
    metavar="NAME",
    help="part of the data: train, validation, test or all  [default: test, or all of other "
    "files without parts]",
)
@click.option(
    "--label",
    metavar="NAMES",
    help="known labels, separated by commas  [default: the classes that the run was trained on, "
    "if these are not all]",
)
@click.option(
    "--density",
    metavar="NAME",
    help="density of the codes: prior (or target) if the model's is a density, or one that is "
    "fitted to its training codes: {names}  [default: prior, or the run's only density]",
    cls=NamedOption,
    listing=known.samplers_with("density"),
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="output: FILE.csv; a picture is written beside it",
)
@CHECKPOINT
@DEVICE
@QUIET
def novelty(
    run: Path, part: str | None, density: str | None, out: Path, quiet: bool, **options: Any
) -> None:
    """Score images by -log p(x), computed from the decoder's Jacobian (GEN, section 5.5).

    This works for any trained model whose codes are smaller than the data. If labels are known, the
    area under the ROC curve of images with --label against all others is printed. The picture has
    the 100 most and the 100 least probable images, only those with --label if it is given.
    """
    from zspace.evaluation.novelty import novelty as score
    from zspace.generation.fit import check_sampler

    if out.suffix.lower() != ".csv":
        raise InputError(f"--out must be a .csv file, not {out}")
    for written in (out, out.with_suffix(".png")):
        check_writable(written)
        check_inputs(written, run, options["data"], options["data_dir"])
    if density is not None:
        check_sampler(run, density)
    if part is not None:
        check_part(part)
    with progress(quiet) as follow:
        found = score(run, progress=follow, part=part, density=density, **options)
    found.write(out)
    ignored = found.latent_dim - found.scores.rank
    if bool(ignored.any()) and not quiet:
        say(
            f"the decoder ignores up to {int(ignored.max())} of {found.latent_dim} directions at "
            f"{int((ignored > 0).sum())} codes: their volume is held at its least"
        )
    what = "images" if found.part.x.ndim == 4 else "vectors"
    tell(f"{out}: -log p(x) of {len(found.part)} {what}, by the density {found.density}", quiet)
    if found.part.x.ndim == 4:
        found.draw(out.with_suffix(".png"))
        picture = out.with_suffix(".png")
        tell(f"{picture}: the most probable images on the left, the least on the right", quiet)
    if found.known is None:
        return
    area = found.auroc()
    if area is None:
        which = f"all of the {what} have" if bool(found.known.any()) else f"none of the {what} has"
        if not quiet:
            say(f"no AUROC: {which} a known label (--data names other data, --label what is known)")
    else:
        outside = 0 if found.others is None else int(found.others.sum())
        echo(f"AUROC {area}: {int(found.known.sum())} known against {outside} others")

"""Packing of a run as a model of the zoo: its file, its card, its picture and its entry.

    python -m zspace.zoo.pack RUN NAME --about ... --good-at ... --failures ... --licence ...

The figures are those of the packed model, which is unpacked and measured, and not of the run.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor

from zspace import api
from zspace.core import SILENT, LatentModel, Progress, Sampler, decoded
from zspace.display import plots
from zspace.errors import InputError, unknown
from zspace.evaluation.evaluate import evaluate
from zspace.evaluation.measurement import GENERATION, RECONSTRUCTION
from zspace.evaluation.results import current_evaluation
from zspace.generation.drawing import draw_codes
from zspace.generation.fit import read_sampler, weights_fingerprint
from zspace.storage import published
from zspace.storage.entries import Entry, Shown
from zspace.storage.files import atomic, load_state, read_tensors, write_text
from zspace.storage.packed import MODEL, SAMPLER, Packed, pack, part, read_packed, unpack
from zspace.storage.published import JUDGE
from zspace.storage.reading import sha256_of, size_text
from zspace.storage.run import Run
from zspace.wrapping import RECIPE
from zspace.zoo.card import card
from zspace.zoo.check import LARGEST, distance
from zspace.zoo.commands import commands, public
from zspace.zoo.halves import Stored, averaged, by_prefix, weights_of
from zspace.zoo.index import HALVES, as_json, check_name
from zspace.zoo.told import Told, refusing, told_options

COLUMNS = {
    "fid": "Frechet",
    "f8": "F8 (recall)",
    "f1/8": "F1/8 (precision)",
    "accuracy": "accuracy",
}
"""The figures of an evaluation that a card shows, with their names."""


@dataclass(frozen=True, kw_only=True)
class ToldOfModel(Told):
    """What a run does not know of itself.

    Attributes:
        good_at, failures: what the model is good and bad at.
    """

    good_at: str
    failures: str


def pack_run(
    run: str | Path,
    name: str,
    told: ToldOfModel,
    *,
    out: str | Path = "zoo",
    samplers: Sequence[str] | None = None,
    half: str | None = None,
    replaced: Sequence[str] = (),
    left_out: Sequence[str] = (),
    data_dir: str | None = None,
    n: int | None = None,
    device: str = "cpu",
    progress: Progress = SILENT,
) -> Entry:
    """Pack a finished run as a model of the zoo, and write its entry into the index.

    Args:
        run: the run.
        name: the model's name: small letters, digits and dashes.
        told: what the run does not know.
        out: the folder that gets the folder of the model.
        samplers: the run's samplers to pack, the one to draw from first; None packs all.
        half: "bfloat16" or "float16", in which large weights are stored; None keeps float32.
        replaced: texts FROM=TO: weights whose names begin by FROM become those that begin by TO.
        left_out: beginnings of the names of weights that only training needs: they become zeros.
        data_dir: the folder of the data.
        n: the number of images of the evaluation; None takes what `evaluate` takes.
        device: the device that measures.
        progress: told what is done.

    Returns the entry.
    Raises:
        InputError: the run can't be packed, or what is left out is needed to draw or to encode.
    """
    existing = Run(run)
    folder = _checked_place(existing, name, Path(out))
    model = api.load(run)
    chosen = list(existing.samplers()) if samplers is None else list(samplers)
    held = {each: _held(existing, each, model) for each in chosen}
    state = model.state_dict()
    kind = None if half is None else HALVES[half]
    stored = Stored()
    alike = averaged(state) | by_prefix(state, replaced)
    stored.add(MODEL, state, weights_of(model), kind, alike, left_out)
    headers: dict[str, dict[str, Any]] = {}
    for each, path in ((each, existing.samplers()[each]) for each in chosen):
        own, headers[each] = read_tensors(path, dict[str, Any])
        stored.add(f"{SAMPLER}{each}/", own, weights_of(held[each]), kind, averaged(own))
    config = public(existing.config)
    packed = Packed(
        config,
        existing.facts,
        int(existing.config["iterations"]),
        headers,
        same=stored.same,
        zeros=stored.zeros,
    )
    with tempfile.TemporaryDirectory() as temporary:
        file, unpacked = Path(temporary) / "model.safetensors", Path(temporary) / "run" / name
        # once to know the weights as they will be read, and so their mark
        pack(file, stored.tensors, packed)
        rounded = api.load(run)
        load_state(rounded, part(read_packed(file)[0], MODEL), file)
        mark = weights_fingerprint(rounded)
        headers = {each: {**header, "model": mark} for each, header in headers.items()}
        packed = replace(packed, samplers=headers)
        pack(file, stored.tensors, packed)
        unpacked.mkdir(parents=True)
        unpack(file, unpacked)
        order = [*chosen, *model.samplers()]
        _compare(existing, unpacked, order, exact=half is None, progress=progress)
        evaluation = _measured(existing, unpacked, order, n, data_dir, device, progress)
        pack(file, stored.tensors, replace(packed, evaluation={**evaluation, "run": f"zoo:{name}"}))
        checked = None
        if order and existing.facts.is_image and _small(existing):
            checked = distance(unpacked, order[0], data_dir=data_dir)
        missing = sum(map(_size, stored.zeros.values()))
        entry = Entry(
            sha256=sha256_of(file),
            bytes=file.stat().st_size,
            recipe=str(config["recipe"]),
            data=str(config["data"]),
            facts=existing.facts,
            parameters=sum(p.numel() for p in model.parameters()) - missing,
            samplers=order,
            figures=_shown(evaluation, order),
            checked=checked,
            seed=int(config.get("seed") or 0),
            iterations=packed.iteration,
            commands=commands(name, config, headers),
            precision=half or "float32",
            **asdict(told),
        )
        with atomic(folder / "model.safetensors") as partial:
            shutil.copyfile(file, partial)
        if existing.facts.is_image and order:
            _draw(unpacked, order[0], folder / "samples.png")
    write_text(folder / "card.md", card(name, entry))
    _enter(name, entry)
    return entry


def _size(shape: Sequence[int]) -> int:
    return int(torch.Size(shape).numel())


def _small(run: Run) -> bool:
    return _size(run.facts.shape) <= LARGEST


def _checked_place(run: Run, name: str, out: Path) -> Path:
    """The folder of a model, after a check of the run and of the name."""
    check_name(name)
    if name.startswith(JUDGE):
        raise InputError(f"the name '{name}' is one of a judge: leave out {JUDGE}")
    if not run.model_file.is_file():
        raise InputError(f"{run.folder} is not finished: 'zspace resume {run.folder}' trains it")
    if run.config.get("recipe") == RECIPE:
        raise InputError(
            f"{run.folder} holds a model that was trained elsewhere: expected that of a recipe"
        )
    if run.config.get("data") is None:
        raise InputError(f"{run.folder} was trained on data that Python gave: expected a data set")
    return out / name


def _held(run: Run, name: str, model: LatentModel) -> Sampler:
    """A sampler of a run, fitted to its present weights."""
    if name not in run.samplers():
        raise unknown("sampler of the run", name, run.samplers())
    found = read_sampler(run.folder, name, model)
    if found is None:
        raise InputError(
            f"the sampler {name} of {run.folder} was fitted to other weights: 'zspace fit-sampler "
            f"{run.folder} --sampler {name}' fits it again"
        )
    return found


@torch.no_grad()
def _images(folder: Path, sampler: str, *, rows: int = 8) -> tuple[Tensor, int]:
    """Images of a run's sampler, one class in each column if it knows classes, and the columns."""
    model = api.load(folder)
    drawn = read_sampler(folder, sampler, model)
    assert drawn is not None
    seeded = torch.Generator().manual_seed(0)
    if not drawn.labels:
        return decoded(model, draw_codes(drawn, sampler, 8 * rows, None, seeded)), 8
    columns = min(drawn.labels, 10)
    labels = [i % columns for i in range(columns * rows)]
    z = torch.cat([draw_codes(drawn, sampler, 1, label, seeded) for label in labels])
    return decoded(model, z), columns


def _draw(folder: Path, sampler: str, path: Path) -> None:
    images, columns = _images(folder, sampler)
    plots.save_sheet(path, images, columns)


def _compare(
    run: Run, unpacked: Path, samplers: Sequence[str], *, exact: bool, progress: Progress
) -> None:
    """Compare what a run and its packed model draw, which must agree where nothing is rounded.

    Raises:
        InputError: they differ.
    """
    for each in samplers:
        pairs = [_images(folder, each)[0].float() for folder in (run.folder, unpacked)]
        apart = float((pairs[0] - pairs[1]).abs().mean()) / (255 if run.facts.is_image else 1)
        if exact and apart > 0:
            raise InputError(
                f"the packed model draws other images by {each}: what is replaced or left out is "
                "needed (--replace, --leave-out)"
            )
        progress.say(f"{each}: the packed model's samples differ by {apart:.2g} on the mean")


def _measured(
    run: Run,
    unpacked: Path,
    samplers: Sequence[str],
    n: int | None,
    data_dir: str | None,
    device: str,
    progress: Progress,
) -> dict[str, Any]:
    """The evaluation of the packed model: the run's, where not one weight differs."""
    kept = run.folder / "evaluation.json"
    if kept.is_file():
        shutil.copyfile(kept, unpacked / kept.name)
        held = current_evaluation(unpacked, n=n)
        if held is not None and {*samplers} <= {row["subject"] for row in held["rows"]}:
            return held
    return evaluate(
        unpacked, samplers=samplers, n=n, data_dir=data_dir, device=device, progress=progress
    )


def _shown(evaluation: Mapping[str, Any], samplers: Sequence[str]) -> list[Shown]:
    """The figures of a card: of the samplers in their order, then of reconstructions."""
    rows = {row["subject"]: row for row in evaluation["rows"] if row["kind"] == GENERATION}
    wanted = [(each, rows[each]) for each in samplers if each in rows]
    wanted += [
        ("reconstructions", row) for row in evaluation["rows"] if row["kind"] == RECONSTRUCTION
    ]
    return [
        Shown(
            f"{title}, {subject}",
            float(f"{figure['value']:.6g}"),
            None if figure["error"] is None else float(f"{figure['error']:.3g}"),
            evaluation["n"],
            figure.get("features", ""),
        )
        for subject, row in wanted
        for key, title in COLUMNS.items()
        if (figure := row["figures"].get(key)) is not None and figure["value"] is not None
    ]


def _enter(name: str, entry: Entry) -> None:
    """Write an entry into the index, in the order of the names."""
    held = published.entries() if published.INDEX.is_file() else {}
    write_text(published.INDEX, as_json({**held, name: entry}))


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("run")
@click.argument("name")
@told_options
@click.option("--good-at", required=True, help="what it is good at")
@click.option("--failures", required=True, help="what it is bad at")
@click.option("--samplers", help="samplers to pack, with commas, the usual first  [default: all]")
@click.option("--replace", "replaced", multiple=True, metavar="FROM=TO", help="weights to replace")
@click.option(
    "--leave-out", "left_out", multiple=True, metavar="BEGIN", help="weights to leave out"
)
def main(run: str, name: str, samplers: str | None, **options: Any) -> None:
    """Pack a run as a model of the zoo, and write its entry into the index."""
    from zspace.display.progress import Display

    told = ToldOfModel(**{key: options.pop(key) for key in ToldOfModel.__dataclass_fields__})
    chosen = None if samplers is None else [s for s in samplers.split(",") if s]
    with refusing("zspace.zoo.pack"), Display() as follow:
        entry = pack_run(run, name, told, samplers=chosen, progress=follow, **options)
    click.echo(f"{options['out']}/{name}: {size_text(entry.bytes)}, SHA-256 {entry.sha256}")


if __name__ == "__main__":
    main()

"""Packing of a neutral classifier as a judge of the zoo: its file, its card and its entry.

    python -m zspace.zoo.pack_judge judge-NAME --data ... --about ... --licence ... --hours ...

The classifier is that of the cache, under the options by which `zspace classifier` trained it. The
figures are those of the packed judge, whose weights may be rounded.
"""

from __future__ import annotations

import math
import shlex
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click

from zspace.core import SILENT, Progress
from zspace.data import Images
from zspace.data.images import choose_rows
from zspace.errors import InputError
from zspace.evaluation.ladder import climb
from zspace.evaluation.measurement import MOST
from zspace.features.classifier import Neutral, accuracy_of
from zspace.features.extract import of_classifier
from zspace.features.judges import network_of
from zspace.storage import published
from zspace.storage.config import Facts
from zspace.storage.entries import Judge, Shown
from zspace.storage.files import atomic, read_tensors, write_tensors, write_text
from zspace.storage.published import JUDGE, PREFIX, judges_index
from zspace.storage.reading import sha256_of, size_text
from zspace.training import find_device
from zspace.zoo.card import judge_card
from zspace.zoo.commands import public
from zspace.zoo.halves import rounded, weights_of
from zspace.zoo.index import HALVES, as_json, check_name
from zspace.zoo.told import Told, refusing, told_options


@dataclass(frozen=True)
class _Trained:
    """What the cache says of a classifier."""

    config: dict[str, Any] = field(default_factory=dict[str, Any])


def pack_judge(
    neutral: Neutral,
    images: Images,
    name: str,
    told: Told,
    *,
    out: str | Path = "zoo",
    half: str | None = None,
    n: int | None = None,
    options: Mapping[str, Any] | None = None,
    device: str = "cpu",
    progress: Progress = SILENT,
) -> Judge:
    """Pack a neutral classifier as a judge of the zoo, and write its entry into the index.

    Args:
        neutral: the classifier, as the cache has it.
        images: the data that it was trained on.
        name: the judge's name, which begins with "judge-": small letters, digits and dashes.
        told: what the classifier does not know.
        out: the folder that gets the folder of the judge.
        half: "bfloat16" or "float16", in which large weights are stored; None keeps float32.
            Biases and the statistics of batch norm keep float32.
        n: the number of images of the ladders; None takes all test images, but at most 10,000.
        options: the options of the data, for the command on the card.
        device: the device that measures.
        progress: told what is done.

    Returns the entry.
    Raises:
        InputError: the name is not that of a judge, or the classifier is not in the cache.
    """
    check_name(name)
    if not name.startswith(JUDGE):
        raise InputError(f"the name of a judge begins with {JUDGE}: {JUDGE}{name}")
    if neutral.path is None or not neutral.path.is_file():
        raise InputError(f"the classifier {neutral.name} is not in the cache: train it again")
    state, header = read_tensors(neutral.path, _Trained)
    config = header.config
    data = public({"data": images.name})["data"]
    facts = Facts(images.shape, images.classes, True, len(images.train))
    net = network_of(neutral.name, neutral.task, facts)
    kind, learned = None if half is None else HALVES[half], {*weights_of(net)}
    stored = {key: rounded(t, kind) if key in learned else t for key, t in state.items()}
    where = find_device(device)
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "model.safetensors"
        whose = {"task": neutral.task, "arch": neutral.name, "facts": asdict(facts)}
        write_tensors(file, stored, whose)
        packed = network_of(neutral.name, neutral.task, facts, file).to(where)
        told_right = accuracy_of(packed, images.test, neutral.task, where)
        progress.say(f"test accuracy {told_right}, before it was packed {neutral.accuracy}")
        sha256, size = sha256_of(file), file.stat().st_size
        extractor = of_classifier(packed, PREFIX + name, sha256[:16], where, neutral.task)
        count = min(n or MOST, len(images.test))
        test = images.test.take(choose_rows(len(images.test), count, 0))
        rungs = climb(extractor, images.train.x, test, progress=progress)
        entry = Judge(
            sha256=sha256,
            bytes=size,
            data=data,
            facts=facts,
            parameters=sum(p.numel() for p in net.parameters()),
            figures=[
                _shown(f"Frechet, {each.ladder}{_level(each.level)}", each.figure, count, name)
                for each in rungs
            ],
            seed=config["seed"],
            iterations=config["iterations"],
            commands=[_command(data, neutral, config, options or {})],
            precision=half or "float32",
            task=neutral.task,
            arch=neutral.name,
            augment=config["augment"],
            accuracy=_shown("accuracy", told_right, len(images.test), ""),
            **asdict(told),
        )
        folder = Path(out) / name
        with atomic(folder / "model.safetensors") as partial:
            shutil.copyfile(file, partial)
    write_text(folder / "card.md", judge_card(name, entry))
    write_text(judges_index(), as_json({**published.judges(), name: entry}))
    return entry


def _shown(measure: str, figure: tuple[float, float], n: int, name: str) -> Shown:
    value, error = figure
    by = PREFIX + name if name else ""
    known = float(f"{error:.3g}") if math.isfinite(error) else None
    return Shown(measure, float(f"{value:.6g}"), known, n, by)


def _level(level: float | None) -> str:
    return "" if level is None else f" {level:g}"


def _command(
    data: str, neutral: Neutral, config: Mapping[str, Any], options: Mapping[str, Any]
) -> str:
    """The command that trains the classifier."""
    words = ["zspace", "classifier", "--data", data]
    words += [] if neutral.task == "labels" else ["--task", neutral.task]
    words += ["--arch", neutral.name, "--iterations", str(config["iterations"])]
    words += ["--augment", config["augment"], "--seed", str(config["seed"])]
    for name, value in options.items():
        if name != "data_dir" and value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("name")
@click.option("--data", required=True, help="data set that the classifier was trained on")
@click.option("--image-size", type=int, help="size of its images, as the classifier had them")
@click.option("--label-attribute", help="attributes of CelebA that were its classes")
@click.option("--task", default="labels", show_default=True, help="what it tells")
@click.option("--arch", default="cnn", show_default=True, help="its network")
@click.option("--iterations", type=int, help="iterations of its training  [default: the network's]")
@click.option("--augment", help="random changes of its images  [default: the network's]")
@click.option("--seed", type=int, default=0, show_default=True, help="seed of its training")
@told_options
def main(name: str, data: str, data_dir: str | None, **given: Any) -> None:
    """Pack a data set's neutral classifier as a judge of the zoo, and write its entry.

    The classifier is read from the cache by the options with which `zspace classifier` trained it,
    or trained.
    """
    from zspace.data import load
    from zspace.display.progress import Display
    from zspace.features.classifier import neutral_classifier
    from zspace.options import checked, options_of

    told = Told(**{key: given.pop(key) for key in Told.__dataclass_fields__})
    own = options_of(neutral_classifier)
    chosen = {key: given.pop(key) for key in own if key in given}
    of_data = {key: given.pop(key) for key in ("image_size", "label_attribute")}
    of_data = {key: value for key, value in of_data.items() if value is not None}
    with refusing("zspace.zoo.pack_judge"):
        settings = checked(own, {k: v for k, v in chosen.items() if v is not None})
        images = load(data, data_dir=data_dir, **of_data)
        with Display() as follow:
            neutral = neutral_classifier(
                images, **settings, device=given["device"], progress=follow
            )
            entry = pack_judge(
                neutral, images, name, told, options=of_data, progress=follow, **given
            )
    click.echo(f"{given['out']}/{name}: {size_text(entry.bytes)}, SHA-256 {entry.sha256}")


if __name__ == "__main__":
    main()

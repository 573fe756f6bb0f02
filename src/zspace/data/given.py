"""Data that Python gives: a name, `Images`, or an array of images or vectors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zspace.core import Progress
from zspace.core.given import classes_of
from zspace.data.collected import collected, names_of
from zspace.data.conversion import from_arrays, refit, shape_of_text
from zspace.data.images import PARTS, Images, Part, Raw, select, split
from zspace.data.levels import Levels
from zspace.data.names import class_names
from zspace.data.options import DataOptions
from zspace.data.sets import NAMED, read
from zspace.errors import InputError, encodable, printable
from zspace.functional.tensors import all_finite, full_precision
from zspace.options import comma_names, options_of
from zspace.storage.files import read_tensors, write_tensors
from zspace.storage.reading import kind_of, size_text

Data = str | Path | Images | npt.NDArray[Any] | Tensor | Iterable[Any]
"""The types of data that `train` takes; data sets of other libraries are iterables."""

KEPT = "data.safetensors"
"""The file of a run that holds data which Python gave."""

MOST = 1 << 30
"""The size in bytes up to which a run keeps such data."""

NOT_OF_ARRAYS = ("data_dir", "crop", "label_attribute", "labels", "skip_broken")
"""The options of files, which have no meaning for data that Python gives."""


def images_of(data: Data, settings: Mapping[str, Any]) -> Images:
    """The data set that `train` is given, split into its parts.

    Args:
        data: what `train` takes.
        settings: a run's settings, with all options of the data.

    Raises:
        InputError: the data can't be found or read, or an option does not suit them.
    """
    if isinstance(data, Images):
        if fault := _fault(data):
            raise InputError(
                f"these Images can't be used, since {fault}: expected uint8 images (N, C, H, W) or "
                "float32 vectors (N, D), alike in all parts, and int64 labels (N,), -1 for unknown"
            )
        return data
    if isinstance(data, str | Path):
        return read(str(data), DataOptions.of(settings))
    levels = Levels.of(settings.get("value_range"))
    if isinstance(data, Tensor):
        if data.layout != torch.strided:
            raise InputError(f"the data are a {data.layout} tensor: give data.to_dense()")
        x, labels = full_precision(data.detach().cpu()).numpy(), None
    elif isinstance(data, np.ndarray):
        x, labels = data, None
    elif hasattr(data, "__array__"):
        x, labels = np.asarray(data), None
    else:
        x, labels = collected(data)
    names = names_of(data)
    if labels is not None:
        labels, texts = classes_of(labels)
        names = texts or names
    part = from_arrays(x, labels, levels=levels, shape=shape_of_text(settings.get("shape")))
    count = 0 if part.y is None else int(part.y.max()) + 1
    if names is None or len(names) < count or not count:
        names = [str(i) for i in range(count)]
    seen = levels.notes()
    raw = Raw({"train": part}, class_names(names, "the data"), notes=seen, range_notes=seen)
    raw = refit(raw, settings["image_size"], settings["channels"])
    images = split(raw, "the data", settings.get("validation"))
    return select(
        images,
        comma_names("classes", settings["classes"]),
        settings["train_size"],
        settings["train_per_class"],
    )


def check_options(data: Data, settings: Mapping[str, Any]) -> None:
    """Check that no option of the data is given that does not apply to data of their type.

    Args:
        data: what `train` takes.
        settings: all options of the data.

    Raises:
        InputError: one is given that would be ignored.
    """
    if isinstance(data, str | Path):
        known = NAMED.get(str(data))
        if settings.get("data_dir") and (known is None or known.make is not None):
            raise InputError(
                f"--data-dir is the folder of a named set's files, and {printable(str(data))} has "
                "none: leave it out"
            )
        return
    ready = isinstance(data, Images)
    for name, option in options_of(DataOptions).items():
        applies = not ready and name not in NOT_OF_ARRAYS
        if not applies and settings.get(name, option.default) != option.default:
            hint = "give it to zspace.data.load, or leave it out" if ready else "leave it out"
            raise InputError(f"{name} does not apply to {'Images' if ready else 'arrays'}: {hint}")


def moved(settings: Mapping[str, Any], data_dir: str | None) -> dict[str, Any]:
    """The settings of a run whose data are now in a folder; None leaves them as they are.

    The folder holds the files of a named set, or is the data's file or folder, or holds it under
    its old name, and perhaps the file of its labels, too.

    Raises:
        InputError: there is no such folder or file.
    """
    data = settings.get("data")
    if data_dir is None:
        return {**settings}
    if not _of_ones_own(data):
        return {**settings, "data_dir": data_dir}
    if kind_of(Path(data_dir)) is None:
        raise InputError(f"--data-dir {data_dir}: there is no such folder or file")
    paths = [Path(data_dir) / Path(part).name for part in data.split(",")]
    if not all(path.exists() for path in paths):
        paths = [Path(data_dir)]
    found = {**settings, "data": ",".join(map(str, paths))}
    if isinstance(settings.get("labels"), str):
        folder = Path(data_dir) if Path(data_dir).is_dir() else Path(data_dir).parent
        labels = folder / Path(settings["labels"]).name
        found |= {"labels": str(labels)} if labels.is_file() else {}
    return found


def check_there(run: str | Path, data: Any) -> None:
    """Check that the folders or the file that a run was trained on are there.

    Args:
        run: the run.
        data: its data, which may also be a named set.

    Raises:
        InputError: they are not.
    """
    if not _of_ones_own(data) or kind_of(Path(data)) is not None:
        return
    for part in data.split(","):
        if kind_of(Path(part)) is None:
            kind = "file" if Path(part).suffix.lower() in (".npy", ".npz") else "folder"
            raise InputError(
                f"{run} was trained on the {kind} {part}, which is not here: --data-dir FOLDER "
                "names the folder it now lies in, and a command without --data-dir must be run "
                "where it lies"
            )


def check_apart(out: Path, read: Iterable[Any], *, folder: bool = False) -> None:
    """Check that an output replaces nothing that is read, and does not become a part of it.

    Args:
        out: the file or the folder that is to be written.
        read: data as `--data` names them, and files; named sets are left out.
        folder: whether a folder is written, whatever its name; otherwise a name with no suffix is
            that of one.

    Raises:
        InputError: it is one of the files or folders that are read, or images in one of them.
    """
    for source in filter(_of_ones_own, map(str, filter(None, read))):
        for path in map(Path, dict.fromkeys([source, *source.split(",")])):
            if out.exists() and path.exists() and out.samefile(path):
                raise InputError(f"--out {out} is what is read here: choose another")
            inside = path.resolve() in out.resolve().parents
            if inside and path.is_dir() and (folder or out.suffix.lower() in ("", ".png")):
                raise InputError(
                    f"--out {out} lies in the folder {path}, with whose images it would be read: "
                    "choose another place"
                )


@dataclass(frozen=True)
class _Kept:
    """The header of the data that a run keeps."""

    name: str
    classes: tuple[str, ...]


def keep(images: Images, folder: Path, progress: Progress) -> None:
    """Store data that Python gave in a run's folder, so that its commands find them again.

    Args:
        images: the data.
        folder: the run's folder.
        progress: told if the data are larger than `MOST` and are not stored.
    """
    tensors: dict[str, Tensor] = {}
    for part in PARTS:
        held: Part = getattr(images, part)
        tensors |= {f"{part}.x": held.x} | ({} if held.y is None else {f"{part}.y": held.y})
    size = sum(t.nbytes for t in tensors.values())
    if size > MOST:
        progress.say(
            f"the data are of {size_text(size)}, more than the {size_text(MOST)} that a run keeps: "
            "give them again (data=) to what needs them"
        )
        return
    whose = _Kept(encodable(images.name), tuple(map(encodable, images.classes)))
    # a file has no two views of one tensor
    write_tensors(folder / KEPT, {k: t.clone() for k, t in tensors.items()}, asdict(whose))


def kept(folder: Path) -> Images | None:
    """The data that `keep` stored in a run's folder, None if there are none.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / KEPT
    if not path.exists():
        return None
    tensors, header = read_tensors(path, _Kept)
    try:
        parts = {p: Part(tensors[f"{p}.x"], tensors.get(f"{p}.y")) for p in PARTS}
    except KeyError as error:
        raise InputError(f"{path} is damaged: it has no {error}") from error
    train, validation, test = parts.values()
    images = Images(header.name, train, validation, test, class_names(header.classes, str(path)))
    if fault := _fault(images):
        raise InputError(f"{path} is damaged: {fault}")
    return images


def _fault(images: Images) -> str | None:
    """What is wrong with a data set that was not read here, None if nothing is."""
    parts: list[Part] = [getattr(images, part) for part in PARTS]
    shapes = {tuple(part.x.shape[1:]) for part in parts}
    kinds = {(part.x.dtype, part.x.ndim) for part in parts}
    if len(shapes) != 1 or not kinds <= {(torch.uint8, 4), (torch.float32, 2)}:
        return "its parts are neither images nor vectors alike"
    if not len(images.train):
        return "its training part is empty"
    if not all(part.x.dtype == torch.uint8 or all_finite(part.x) for part in parts):
        return "it holds NaN or infinite numbers"
    labelled = [part.y for part in parts if part.y is not None]
    for part in parts:
        if (part.y is None) != (not labelled) or (
            part.y is not None
            and (part.y.dtype != torch.int64 or tuple(part.y.shape) != (len(part.x),))
        ):
            return "its labels do not fit its samples"
    if any(bool(((y < -1) | (y >= len(images.classes))).any()) for y in labelled):
        return "it has labels without names"
    return None


def _of_ones_own(data: Any) -> TypeGuard[str]:
    return isinstance(data, str) and data not in NAMED and not data.startswith("hf:")

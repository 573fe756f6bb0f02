"""The zoo: its indexes, where its files are looked for, and the runs that its models become.

`zoo:NAME` stands for a run wherever one is taken, or for a judge where features are named. Its file
is looked for in the cache, in a folder or at an address that is given, in a folder `zoo`, and at
the project's releases. The indexes, which are a part of the package, have the SHA-256 of each file,
so that any source may be believed. A model is unpacked once, into the cache, as a run like any
other; a judge is one file there.
"""

from __future__ import annotations

import os
import shutil
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import cast

from zspace.core import SILENT, LatentModel, Progress
from zspace.errors import InputError, cut, shown, unknown
from zspace.storage.cache import alone, cache_folder, home_expanded
from zspace.storage.entries import Entry, Judge, Published
from zspace.storage.fetch import check_address, fetch_any
from zspace.storage.files import atomic, read_json, read_tensors
from zspace.storage.packed import PackedName, unpack
from zspace.storage.reading import kind_of, sha256_of, size_text

PREFIX = "zoo:"
"""The beginning of the names by which models of the zoo are taken as runs."""

INDEX = Path(__file__).parents[1] / "zoo" / "index.json"
"""The index, which `python -m zspace.zoo.pack` writes."""

VARIABLE = "ZSPACE_ZOO"
"""The environment variable that names a folder or an https address of packed models."""

RELEASE = "releases/download/zoo-1"
"""The place of the packed models at the address of the project's repository."""

JUDGE = "judge-"
"""The beginning of the names of judges, which no model's name has."""


def entries() -> dict[str, Entry]:
    """The models of the zoo by name.

    Raises:
        InputError: the index is damaged.
    """
    return dict(read_json(INDEX, dict[PackedName, Entry]))


def judges_index() -> Path:
    """The index of the judges, which `python -m zspace.zoo.pack_judge` writes."""
    return INDEX.with_name("judges.json")


def judges() -> dict[str, Judge]:
    """The judges of the zoo by name.

    Raises:
        InputError: the index is damaged.
    """
    path = judges_index()
    return dict(read_json(path, dict[PackedName, Judge])) if path.is_file() else {}


def entry_of(name: str) -> Entry:
    """The entry of a model, by its name with or without "zoo:".

    Raises:
        InputError: there is no such model; the message has the name that is spelt most alike.
    """
    known, name = entries(), name.removeprefix(PREFIX)
    if name not in known and name in judges():
        raise InputError(f"{PREFIX}{name} is a judge, and no run: --features {PREFIX}{name}")
    if name not in known:
        raise unknown("model of the zoo", name, known)
    return known[name]


def judge_of(name: str) -> Judge:
    """The entry of a judge, by its name with or without "zoo:".

    Raises:
        InputError: there is no such judge; the message has the name that is spelt most alike.
    """
    known, name = judges(), name.removeprefix(PREFIX)
    if name in known:
        return known[name]
    if name in entries():
        raise InputError(
            f"{PREFIX}{name} is a model, and no judge: it stands where a run is taken, and 'zspace "
            "zoo' lists the judges"
        )
    if not known:
        raise InputError(f"unknown judge of the zoo '{cut(name)}': this zspace comes with none")
    raise unknown("judge of the zoo", name, known)


def get_judge(name: str, source: str | None = None, progress: Progress = SILENT) -> Path:
    """The file of a judge, which is brought into the cache unless it is there.

    Args:
        name: its name, with or without "zoo:".
        source: what `get` takes.
        progress: told how far a download is.

    Raises:
        InputError: there is no such judge, its file is damaged or can't be found, or the cache
            can't be written to.
    """
    entry, name = judge_of(name), name.removeprefix(PREFIX)
    held = _cached() / entry.sha256[:16] / f"{name}.safetensors"
    if kind_of(held) == "file" and fault(held, entry) is None:
        return held
    try:
        with alone(held, lambda: progress.say(f"another process is fetching {PREFIX}{name}")):
            file = _found(name, entry, held, source, progress)
            if file != held:
                with atomic(held) as partial:
                    shutil.copyfile(file, partial)
    except OSError as error:
        raise _unwritable(name, "stored", held.parent, error) from error
    return held


def run_folder(run: str | Path, progress: Progress = SILENT) -> Path:
    """The folder of a run, for which `zoo:NAME` may stand: the model is then brought in first.

    Args:
        run: the run.
        progress: told how far a download is.

    Raises:
        InputError: `run` is no path, there is no such model, or its file is damaged or can't be
            found.
    """
    text = str(_checked(run))
    return get(text, progress=progress) if text.startswith(PREFIX) else Path(run)


def _checked(run: object) -> str | os.PathLike[str]:
    """A run as it was given, after a check that it is a path or a name.

    Raises:
        InputError: it is not; it may be a model.
    """
    if isinstance(run, str | os.PathLike):
        return cast(str | os.PathLike[str], run)
    what = "a model" if isinstance(run, LatentModel) else shown(run)
    raise InputError(
        f"expected a run's folder, not {what}: zspace.train(..., out=FOLDER) and zspace.wrap(..., "
        "out=FOLDER) make one"
    )


def check_unfinished(run: str | Path) -> None:
    """Refuse to train a model of the zoo any further.

    Args:
        run: the run that is to be resumed, by its folder or by `zoo:NAME`.

    Raises:
        InputError: it is a model of the zoo; the message has the command that made it.
    """
    if (name := _name_of(run)) is None:
        return
    commands = entry_of(name).commands
    made = f": '{commands[0]}' made it" if commands else ""
    raise InputError(
        f"{name} is a finished model without checkpoints{made}, and --init-from {name} starts a "
        "new training from its weights"
    )


def usual_sampler(run: str | Path) -> str | None:
    """The sampler by which a model of the zoo is drawn from, None for any other run.

    Args:
        run: the run, by its folder or by `zoo:NAME`.
    """
    name = _name_of(run)
    samplers = [] if name is None else entry_of(name).samplers
    return samplers[0] if samplers else None


def _name_of(run: str | Path) -> str | None:
    """`zoo:NAME` for that name, or for a folder of the cache; None for any other run."""
    if str(_checked(run)).startswith(PREFIX):
        return str(run)
    path = Path(run).resolve()
    within = len(path.parents) > 1 and path.parents[1] == _cached().resolve()
    return f"{PREFIX}{path.name}" if within else None


def get(
    name: str, source: str | None = None, progress: Progress = SILENT, *, checked: bool = False
) -> Path:
    """The run of a model of the zoo, which is brought into the cache unless it is there.

    Args:
        name: the model's name, with or without "zoo:".
        source: a folder or an https address that holds packed models, `NAME/model.safetensors` or
            `NAME.safetensors`; None takes the environment variable ZSPACE_ZOO.
        progress: told how far a download is.
        checked: whether weights in the cache are read, and replaced if they are damaged.

    Returns the folder of the run. What commands add to it stays there.
    Raises:
        InputError: there is no such model, its file is damaged, can't be found or does not fit, or
            the cache can't be written to.
    """
    entry, name = entry_of(name), name.removeprefix(PREFIX)
    folder = _cached() / entry.sha256[:16] / name
    if not checked and _whole(folder):
        return folder
    try:
        with alone(
            folder, lambda: progress.say(f"another process is unpacking {PREFIX}{name}: waiting")
        ):
            if not _whole(folder) or (checked and _damaged(folder)):
                fetched = folder.with_name(f"{name}.safetensors")
                file = _found(name, entry, fetched, source, progress)
                shutil.rmtree(folder, ignore_errors=True)
                with atomic(folder) as partial:
                    partial.mkdir()
                    unpack(file, partial)
                fetched.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(name, "unpacked", folder.parent, error) from error
    return folder


def _unwritable(name: str, what: str, folder: Path, error: OSError) -> InputError:
    return InputError(
        f"{PREFIX}{name} can't be {what} in {folder} ({error.strerror or type(error).__name__}): "
        "set ZSPACE_CACHE to a folder that may be written to and has room"
    )


def _cached() -> Path:
    return cache_folder() / "zoo"


def _whole(folder: Path) -> bool:
    return all((folder / name).is_file() for name in ("config.yaml", "model.safetensors"))


def _damaged(folder: Path) -> bool:
    try:
        for path in (folder / "model.safetensors", *(folder / "samplers").glob("*.safetensors")):
            read_tensors(path, dict)
    except InputError:
        return True
    return False


def _found(
    name: str, entry: Published, fetched: Path, source: str | None, progress: Progress
) -> Path:
    """The file of a model or a judge, after a check of its size and checksum."""
    looked = [f"{fetched.parent} (the cache)"]
    if kind_of(fetched) == "file" and fault(fetched, entry) is None:
        return fetched
    given, places = _places(source)
    for place in places:
        if isinstance(place, str):
            try:
                address = f"{place.rstrip('/')}/{name}.safetensors"
                fetch_any([address], fetched, entry.sha256, progress, most=entry.bytes)
                return fetched
            except InputError as error:
                if place == given:
                    raise
                looked.append(str(error))
            continue
        there = [place / name / "model.safetensors", place / f"{name}.safetensors"]
        faults: list[str] = []
        for path in (path for path in there if kind_of(path) == "file"):
            wrong = fault(path, entry)
            if wrong is None:
                return path
            if place == given:
                raise InputError(f"{wrong}: get it again, or name another folder by --from")
            faults.append(wrong)
        looked.append("; ".join(faults) or str(place))
    raise InputError(
        f"the file of {PREFIX}{name} was not found; looked in: {', '.join(looked)}. 'zspace zoo "
        f"--get {name} --from DIR' takes it from a folder with {name}/model.safetensors or "
        f"{name}.safetensors"
    )


def fault(path: Path, entry: Published) -> str | None:
    """What tells a file from the one that the index names; None if it is that file."""
    size = path.stat().st_size
    if size != entry.bytes:
        return f"{path} is of {size_text(size)}, the published file of {size_text(entry.bytes)}"
    sha256 = sha256_of(path)
    if sha256 != entry.sha256:
        return (
            f"{path} has a wrong checksum: SHA-256 {sha256[:16]}..., the published file's is "
            f"{entry.sha256[:16]}..."
        )
    return None


def _places(source: str | None) -> tuple[Path | str | None, list[Path | str]]:
    """What is asked for, None if nothing is, and all places in which files are looked for."""
    text = source if source is not None else os.environ.get(VARIABLE) or None
    whose = VARIABLE if source is None else "--from"
    given: Path | str | None = None
    if text is not None and "://" in text:
        check_address(text)
        given = text
    elif text is not None:
        given = Path(text) if source is not None else home_expanded(whose, text)
        if kind_of(given) != "folder":
            raise InputError(f"{whose} {text} is no folder: name one that holds packed models")
    # a checkout has the folder beside the one that holds the package
    beside = INDEX.parents[3] / "zoo" if INDEX.parents[2].name == "src" else None
    places = [given, beside, Path("zoo"), _releases()]
    return given, [place for place in places if place is not None]


def _releases() -> str | None:
    """The address of the project's releases, if the package's metadata name its repository."""
    try:
        urls = metadata("zspace").get_all("Project-URL") or []
    except PackageNotFoundError:
        return None
    for each in urls:
        label, _, address = each.partition(", ")
        if label.lower() == "repository" and address.startswith("https://"):
            return f"{address.rstrip('/')}/{RELEASE}"
    return None

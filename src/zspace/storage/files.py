"""Atomic writing of files, typed reading of what was stored, and files of tensors without pickle.

Tensors are stored as safetensors, a format that holds numbers and nothing that could be executed.
What belongs to them (recipe, options, shapes) stands in the file's header as JSON, with a checksum
of header and tensors.

Whatever is read has a type, such as a dataclass: what does not have it is refused here, so that no
other code meets a missing key or a text in place of a number.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import shutil
import sys
import tempfile
import zlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar, cast

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from zspace.errors import InputError, cut, encodable, whole_number
from zspace.storage.cache import fingerprint, key
from zspace.storage.reading import ROOM, size_text, whole

T = TypeVar("T")

Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 53) - 1)]
"""The type of a number of things in a stored file."""

Plain = bool | Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)] | float | str | None
"""The type of an option's value in a stored file."""

TIMES = 32
"""How many times the size of its network a file may have, beside `ROOM`.

A checkpoint holds two more copies of a network for each optimiser.
"""

LARGEST = 64 << 20
"""The size in bytes up to which a file of text is read."""


def temporary(path: Path) -> Path:
    """A path beside another one, to be written and then moved there; it does not exist yet.

    It names its process: those of the same path whose process on this machine has ended are
    removed.
    """
    # writers choose the format by the suffix, which is therefore kept
    begin = f".{path.stem[:40]}-{zlib.crc32(platform.node().encode()):08x}-"
    for left in path.parent.iterdir():
        process = left.name.removeprefix(begin).split("-")[0]
        if left.name.startswith(begin) and left.suffix == path.suffix and _ended(process):
            _remove(left)
    return path.parent / f"{begin}{os.getpid()}-{secrets.token_hex(4)}{path.suffix}"


@contextmanager
def folder_beside(partial: Path) -> Generator[Path]:
    """A context that gives a folder for what is needed until a temporary path is written.

    It is named like that path, so that it is removed like it after a kill.
    """
    with tempfile.TemporaryDirectory(partial.suffix, f"{partial.stem}-", partial.parent) as folder:
        yield Path(folder)


def _ended(process: str) -> bool:
    number = whole_number(process)
    if number is None or sys.platform == "win32":
        return False
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:  # of another user
        pass
    return False


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def atomic(path: Path) -> Generator[Path]:
    """A context that gives a temporary path to write to, which replaces `path` if all goes well.

    The temporary path lies in the same folder, which is created if necessary, and has the same
    suffix. If an error occurs, it is removed, and `path` stays as it was. What a process that was
    killed has left is removed by the next one that writes `path`.

    Raises:
        OSError: the file can't be written; the error names `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = temporary(path)
    try:
        try:
            yield partial
        except OSError as error:
            # the error of a full disk names no file, and others name the temporary one
            if error.filename is None or partial.stem in str(error.filename):
                raise OSError(error.errno, error.strerror, str(path)) from error
            raise
        if partial.is_file():
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
        try:
            partial.replace(path)
        except OSError as error:  # there is a folder of that name
            raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        _remove(partial)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, atomically; what UTF-8 can't write is escaped."""
    with atomic(path) as partial:
        partial.write_text(encodable(text), encoding="utf-8")


def read_json(path: Path, kind: type[T]) -> T:
    """The content of a JSON file as a value of a type.

    Args:
        path: the file.
        kind: the type, such as a dataclass or a `TypedDict`. Keys that it does not know are left
            out.

    Raises:
        InputError: the file is missing or too large, is no JSON, or holds something else.
    """
    return decoded(whole(path, LARGEST, "JSON files"), kind, path)


def decoded(content: bytes | str, kind: type[T], where: object) -> T:
    """JSON as a value of a type.

    Args:
        content: the JSON.
        kind: the type.
        where: the file or option that it comes from, for messages.

    Raises:
        InputError: the content is no JSON, or is of another type.
    """
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise InputError(f"{where} is damaged: {cut(str(error))}") from error


@dataclass(frozen=True)
class _Sealed:
    """The header of a file of tensors, as it is stored.

    Attributes:
        header: what belongs to the tensors.
        checksum: that of header and tensors.
    """

    header: dict[str, Any]
    checksum: str


def _checksum(tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> str:
    names = sorted(tensors)
    return key([header, names, fingerprint(*(tensors[name] for name in names))])


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write tensors and a header to one safetensors file, atomically.

    Args:
        path: the file.
        tensors: the tensors by name, on any device.
        header: what belongs to them, as values that JSON knows.

    Raises:
        InputError: the file can't be written.
    """
    check_name(path)
    plain = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    sealed = {"header": header, "checksum": _checksum(plain, header)}
    with atomic(path) as partial:
        # a single key, since the order of several would change from process to process
        metadata = {"zspace": json.dumps(sealed, sort_keys=True)}
        try:
            with folder_beside(partial) as folder:  # the writer has a temporary file of its own
                save_file(plain, folder / path.name, metadata=metadata)
                (folder / path.name).replace(partial)
        except SafetensorError as error:  # such as a full disk or a missing permission
            raise InputError(f"{path} can't be written: {cut(str(error))}") from error
        # the writer makes the file private; give it the permissions of any new file
        mask = os.umask(0)
        os.umask(mask)
        partial.chmod(0o666 & ~mask)


def check_name(path: Path) -> None:
    """Refuse a path that is no UTF-8 or names a model of the zoo, before anything is computed."""
    if str(path).startswith("zoo:"):
        raise InputError(f"{path} names a model of the zoo, and nothing can be stored there")
    if encodable(str(path)) != str(path):  # the writer takes no other
        raise InputError(f"the path {encodable(str(path))} is no UTF-8: rename it")


def check_inside(folder: Path, *names: str) -> None:
    """Check that what is to be written in a folder does not lie elsewhere, by a symbolic link.

    The folder may itself be such a link.

    Args:
        folder: the folder.
        names: the paths of folders and files in it, which need not exist.

    Raises:
        InputError: one of them is a symbolic link.
    """
    for path in (folder / name for name in names):
        if path.is_symlink():
            raise InputError(
                f"{path} is a symbolic link, and writing there would change what lies elsewhere: "
                "remove the link, or put in its place what it leads to"
            )


@contextmanager
def _open(path: Path) -> Generator[tuple[Any, _Sealed]]:
    """A context that gives an open safetensors file and the header that `write_tensors` wrote."""
    if not path.is_file():
        raise InputError(f"{path} is missing" if not path.exists() else f"{path} is no file")
    check_name(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = cast(dict[str, str], file.metadata() or {})
            if "zspace" not in metadata:
                raise InputError(f"{path} was not written by zspace: it has no zspace header")
            yield file, decoded(metadata["zspace"], _Sealed, path)
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror or cut(str(error))}") from error
    except SafetensorError as error:
        reason = cut(str(error))
        raise InputError(f"{path} is truncated or no safetensors file ({reason})") from error


@dataclass(frozen=True)
class Opened(Generic[T]):
    """An open file that `write_tensors` wrote, whose header has been read.

    Attributes:
        path: the file.
        header: the header, as a value of a type.
    """

    path: Path
    header: T
    _file: Any
    _sealed: _Sealed

    @property
    def checksum(self) -> str:
        """The checksum of header and tensors, as the file states it."""
        return self._sealed.checksum

    def tensors(self, like: torch.nn.Module | None = None) -> dict[str, Tensor]:
        """The tensors by name, on the CPU.

        Args:
            like: a network that the tensors are for. A file that is larger than a checkpoint of
                its training can be is refused before it is read; None sets no limit.

        Raises:
            InputError: the file is too large, or its checksum is wrong.
        """
        size = self.path.stat().st_size
        own = 0 if like is None else sum(t.nbytes for t in like.state_dict().values())
        if like is not None and size > TIMES * own + ROOM:
            raise InputError(
                f"{self.path} is of {size_text(size)}, far more than the network of its "
                "configuration: it is damaged, or of another model"
            )
        names = cast(list[str], self._file.keys())
        tensors: dict[str, Tensor] = {name: self._file.get_tensor(name) for name in names}
        if _checksum(tensors, self._sealed.header) != self._sealed.checksum:
            raise InputError(f"{self.path} is damaged: its checksum is wrong")
        return tensors


@contextmanager
def open_tensors(path: Path, kind: type[T]) -> Generator[Opened[T]]:
    """A context that gives an open file that `write_tensors` wrote.

    Args:
        path: the file.
        kind: the type of its header, such as a dataclass.

    Raises:
        InputError: the file is missing, truncated, or was not written by zspace, or its header is
            of another type.
    """
    with _open(path) as (file, sealed):
        try:
            header = msgspec.convert(sealed.header, kind)
        except (msgspec.ValidationError, RecursionError) as error:
            raise InputError(f"{path} has a damaged header: {cut(str(error))}") from error
        yield Opened(path, header, file, sealed)


def read_header(path: Path, kind: type[T]) -> T:
    """The header of a file that `write_tensors` wrote, as a value of a type.

    Args and Raises are those of `open_tensors`.
    """
    with open_tensors(path, kind) as stored:
        return stored.header


def read_tensors(path: Path, kind: type[T]) -> tuple[dict[str, Tensor], T]:
    """The tensors, on the CPU, and the header of a file that `write_tensors` wrote.

    Args are those of `open_tensors`.

    Raises:
        InputError: what `open_tensors` raises, or the checksum is wrong.
    """
    with open_tensors(path, kind) as stored:
        return stored.tensors(), stored.header


def load_state(module: torch.nn.Module, tensors: Mapping[str, Tensor], where: Path) -> None:
    """Load tensors into a module, which must have exactly these names, shapes and types.

    Args:
        module: the module.
        tensors: its state by name.
        where: the file that they come from, for error messages.

    Raises:
        InputError: a name, shape or type does not fit, or `check_numbers` refuses a tensor.
    """
    own = module.state_dict()
    wrong = [f"{n} is missing" for n in own if n not in tensors]
    wrong += [f"{n} is not the model's" for n in tensors if n not in own]
    wrong += [
        f"{n} has shape {tuple(t.shape)}, not {tuple(own[n].shape)}"
        for n, t in tensors.items()
        if n in own and own[n].shape != t.shape
    ]
    wrong += [
        f"{n} is {t.dtype}, not {own[n].dtype}"
        for n, t in tensors.items()
        if n in own and own[n].dtype != t.dtype
    ]
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise InputError(f"{where} is of another model: {wrong[0]}{more}")
    check_numbers(tensors, where)
    module.load_state_dict(dict(tensors))


def check_numbers(tensors: Mapping[str, Tensor], where: Path) -> None:
    """Check that networks can compute with weights.

    Args:
        tensors: the weights by name.
        where: the file that they come from, for error messages.

    Raises:
        InputError: a tensor holds NaN or infinite numbers, or batch norm's variances negative ones.
    """
    for name, value in tensors.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise InputError(f"{where} is damaged: {name} holds NaN or infinite numbers")
        if name.endswith("running_var") and bool((value < 0).any()):
            raise InputError(f"{where} is damaged: {name} holds negative variances")

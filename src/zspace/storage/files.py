"""Atomic writing of files, and files of tensors without pickle.

Tensors are stored as safetensors, a format that holds numbers and nothing that could be executed.
What belongs to them (recipe, options, shapes) stands in the file's header as JSON.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from zspace.errors import InputError


@contextmanager
def atomic(path: Path) -> Generator[Path]:
    """A context that gives a temporary path to write to, which replaces `path` if all goes well.

    The temporary path lies in the same folder, which is created if necessary, and has the same
    suffix. If an error occurs, it is removed, and `path` stays as it was.

    Raises:
        OSError: the file can't be written; the error names `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # writers choose the format by the suffix, which is therefore kept
    partial = path.parent / f".{path.stem[:40]}-{secrets.token_hex(6)}{path.suffix}"
    try:
        try:
            yield partial
        except OSError as error:
            # the error of a full disk names no file, and others name the temporary one
            if error.filename is None or partial.name in str(error.filename):
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
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, atomically."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write tensors and a header to one safetensors file, atomically.

    Args:
        path: the file.
        tensors: the tensors by name, on any device.
        header: what belongs to them, as values that JSON knows.

    Raises:
        InputError: the file can't be written.
    """
    plain = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    with atomic(path) as partial:
        # a single key, since the order of several would change from process to process
        metadata = {"zspace": json.dumps(header, sort_keys=True)}
        try:
            save_file(plain, partial, metadata=metadata)
        except SafetensorError as error:  # such as a full disk or a missing permission
            raise InputError(f"{path} can't be written: {error}") from error
        # the writer makes the file private; give it the permissions of any new file
        mask = os.umask(0)
        os.umask(mask)
        partial.chmod(0o666 & ~mask)


@contextmanager
def _open(path: Path) -> Generator[tuple[Any, dict[str, Any]]]:
    """A context that gives an open safetensors file and the header that `write_tensors` wrote."""
    if not path.is_file():
        raise InputError(f"{path} is missing")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = cast(dict[str, str], file.metadata() or {})
            if "zspace" not in metadata:
                raise InputError(f"{path} was not written by zspace: it has no zspace header")
            header = json.loads(metadata["zspace"])
            if not isinstance(header, dict):
                raise InputError(f"{path} has a damaged zspace header")
            yield file, cast(dict[str, Any], header)
    except (SafetensorError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is truncated or no safetensors file ({error})") from error


def read_header(path: Path) -> dict[str, Any]:
    """The header of a file that `write_tensors` wrote.

    Raises:
        InputError: the file is missing, truncated, or was not written by zspace.
    """
    with _open(path) as (_, header):
        return header


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors, on the CPU, and the header of a file that `write_tensors` wrote.

    Raises:
        InputError: the file is missing, truncated, or was not written by zspace.
    """
    with _open(path) as (file, header):
        names = cast(list[str], file.keys())
        return {name: file.get_tensor(name) for name in names}, header


def load_state(module: torch.nn.Module, tensors: Mapping[str, Tensor], where: Path) -> None:
    """Load tensors into a module, which must have exactly these names, shapes and types.

    Args:
        module: the module.
        tensors: its state by name.
        where: the file that they come from, for error messages.

    Raises:
        InputError: a name, shape or type does not fit, or a tensor holds NaN or infinite values.
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
    for name, value in tensors.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise InputError(f"{where} is damaged: {name} holds NaN or infinite numbers")
    module.load_state_dict(dict(tensors))

"""Files that are whole or absent: atomic writing, and tensors without pickle.

Tensors are stored as safetensors, which holds numbers and nothing that could be executed;
what belongs to them (recipe, options, shapes) stands in the file's header as JSON.
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
    """A path beside `path` to write to; it takes `path`'s place only when all went well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # the suffix stays, since writers choose the format by it
    partial = path.parent / f".{path.stem[:40]}-{secrets.token_hex(6)}{path.suffix}"
    try:
        try:
            yield partial
        except OSError as error:
            # a full disk names no place, others the temporary one: say where
            if error.filename is None or partial.name in str(error.filename):
                raise OSError(error.errno, error.strerror, str(path)) from error
            raise
        if partial.is_file():
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
        try:
            partial.replace(path)
        except OSError as error:  # a folder of that name
            raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Store tensors and a JSON-able header in one safetensors file, atomically."""
    plain = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    with atomic(path) as partial:
        # one key: the order of several would change from process to process
        metadata = {"zspace": json.dumps(header, sort_keys=True)}
        try:
            save_file(plain, partial, metadata=metadata)
        except SafetensorError as error:  # a full disk, a missing permission
            raise InputError(f"{path} can't be written: {error}") from error
        # the writer makes it private; others may read it as they may any new file
        mask = os.umask(0)
        os.umask(mask)
        partial.chmod(0o666 & ~mask)


@contextmanager
def _open(path: Path) -> Generator[tuple[Any, dict[str, Any]]]:
    """An open safetensors file and the header that `write_tensors` gave it."""
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
    """The header that `write_tensors` stored, without the tensors."""
    with _open(path) as (_, header):
        return header


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `write_tensors` stored, on the CPU; `InputError` for a truncated or foreign file."""
    with _open(path) as (file, header):
        names = cast(list[str], file.keys())
        return {name: file.get_tensor(name) for name in names}, header


def load_state(module: torch.nn.Module, tensors: Mapping[str, Tensor], where: Path) -> None:
    """Load exactly these tensors into the module; an `InputError` names what does not fit."""
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

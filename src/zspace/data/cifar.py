"""A reader of CIFAR-10's python batches that executes nothing that a pickle may ask for."""

from __future__ import annotations

import hashlib
import pickletools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from zspace.data.conversion import from_arrays
from zspace.data.images import Part, Raw
from zspace.errors import InputError, cut, printable
from zspace.storage.reading import kind_of, whole

MOST = 1 << 28
"""The size in bytes of a batch that is read, 8 times that of a published one."""
MOST_STEPS = 1_000_000
"""The number of steps that a batch's pickle has at most; published ones have 30,098."""
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
PLAIN = {
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINSTRING", "SHORT_BINSTRING"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
"""The steps of a pickle that make the value that stands in them."""
MADE = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
"""The steps of a pickle that make a value of their own, and that value."""
ARRAYS = {f"numpy.{core}.multiarray _reconstruct" for core in ("core", "_core")}
KNOWN = {*ARRAYS, "numpy ndarray", "numpy dtype", "_codecs encode"}
"""The names that a pickled array refers to. None of them is looked up: they stay texts."""


class _Made:
    """An object that a pickle makes, which is only written down: what of, and with which state."""

    def __init__(self, of: Any, arguments: Any) -> None:
        if not isinstance(of, str):
            raise ValueError("it calls what has no name")
        self.of, self.arguments = of, arguments
        self.state: Any = None


def _plain(content: bytes) -> Any:
    """What a pickle holds, with `_Made` for all that is no plain value. Nothing is executed."""
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}

    def above() -> list[Any]:
        start = marks.pop()
        values = stack[start:]
        del stack[start:]
        return values

    def name(text: Any) -> str:
        if text not in KNOWN:
            what = printable(text.replace(" ", "."))
            raise InputError(f"asks for {what}, which no batch needs: refused")
        return text

    value: Any
    for number, (step, value, _) in enumerate(pickletools.genops(content)):
        if number > MOST_STEPS:
            raise InputError(f"has more than {MOST_STEPS:,} steps, which no batch needs: refused")
        kind = step.name
        if kind in PLAIN:
            stack.append(value)
        elif kind in MADE:
            stack.append(MADE[kind])
        elif kind in ("EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE"):
            stack.append({"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}[kind]())
        elif kind == "MARK":
            marks.append(len(stack))
        elif kind in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if value is None else value] = stack[-1]
        elif kind in ("BINGET", "LONG_BINGET"):
            stack.append(memo[value])
        elif kind in ("TUPLE1", "TUPLE2", "TUPLE3"):
            marks.append(len(stack) - int(kind[-1]))
            stack.append(tuple(above()))
        elif kind == "TUPLE":
            stack.append(tuple(above()))
        elif kind in ("APPEND", "SETITEM"):
            marks.append(len(stack) - (1 if kind == "APPEND" else 2))
            _fill(stack, above())
        elif kind in ("APPENDS", "SETITEMS"):
            _fill(stack, above())
        elif kind == "GLOBAL":
            stack.append(name(value))
        elif kind == "STACK_GLOBAL":
            inner, outer = stack.pop(), stack.pop()
            # a nested tuple could take for ever to write out
            if not isinstance(inner, str) or not isinstance(outer, str):
                raise ValueError("it names what is no text")
            stack.append(name(f"{outer} {inner}"))
        elif kind == "REDUCE":
            arguments, of = stack.pop(), stack.pop()
            stack.append(_encoded(arguments) if of == "_codecs encode" else _Made(of, arguments))
        elif kind == "BUILD":
            state = stack.pop()
            stack[-1].state = state
        elif kind == "STOP":
            return stack.pop()
        elif kind not in ("PROTO", "FRAME"):
            raise InputError(f"has the step {kind}, which no batch needs: refused")
    raise ValueError("it has no end")


def _fill(stack: list[Any], values: list[Any]) -> None:
    held = stack[-1]
    if isinstance(held, list):
        held.extend(values)
    else:
        # only texts are keys: to look a nested tuple up could take for ever
        held.update({str(k): v for k, v in zip(values[::2], values[1::2], strict=True) if _text(k)})


def _text(key: object) -> bool:
    if not isinstance(key, str):
        raise ValueError("a key is no text")
    return True


def _encoded(arguments: Any) -> bytes:
    """Bytes as Python 3 writes them in protocol 2: a text, and how to encode it."""
    text, encoding = arguments
    if encoding not in ("latin1", "latin-1"):
        raise InputError("holds a strange encoding: refused")
    return text.encode("latin1")


def _bytes_of(made: Any) -> npt.NDArray[np.uint8] | None:
    """The array (N, 3072) that a pickled array stands for; None if it is another value."""
    if not isinstance(made, _Made) or made.of not in ARRAYS:
        return None
    try:
        _, (n, width), dtype, fortran, data = made.state
        raw = data.encode("latin1") if isinstance(data, str) else data
        known = dtype.of == "numpy dtype" and dtype.arguments[0] in ("u1", "|u1")
        if not known or width != 3072 or type(n) is not int or n * width != len(raw):
            return None
        return np.frombuffer(raw, np.uint8).reshape((n, width), order="F" if fortran else "C")
    except (TypeError, ValueError, AttributeError, IndexError):
        return None


def read_batch(path: Path, sha256: str | None = None) -> Part:
    """The images and labels of one batch, a pickled dictionary.

    Args:
        path: a file that holds `data`, uint8 (N, 3072), and `labels`, a list of numbers up to 9.
        sha256: the SHA-256 of the file; None accepts any.

    Returns images (N, 3, 32, 32) and labels (N,).
    Raises:
        InputError: the file is empty, truncated, larger than `MOST`, no such batch, or has another
            checksum.
    """
    content = whole(path, MOST, "a python batch")
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise InputError(f"{path} has a wrong checksum: truncated, or not the published file")
    try:
        batch = _plain(content)
    except InputError as error:
        raise InputError(f"{path} {error}") from error
    except Exception as error:  # a damaged pickle can fail in any way, but do nothing else
        raise InputError(f"{path} is truncated or no python batch ({cut(str(error))})") from error
    x = _bytes_of(batch.get("data")) if isinstance(batch, dict) else None
    labels = batch.get("labels") if isinstance(batch, dict) else None
    if x is None or not isinstance(labels, list):
        raise InputError(f"{path} holds no CIFAR-10 batch (data of (N, 3072) bytes, labels)")
    if len(labels) != len(x) or not all(type(y) is int and 0 <= y <= 9 for y in labels):
        raise InputError(
            f"{path} holds no label from 0 to 9 for each image ({len(x)} images, {len(labels)} "
            "labels)"
        )
    return from_arrays(x.reshape(-1, 3, 32, 32).copy(), np.asarray(labels), str(path))


def cifar10(folder: Path, checksums: dict[str, str] | None) -> Raw:
    """CIFAR-10 from the files data_batch_1 to data_batch_5, as far as they exist, and test_batch.

    Args:
        folder: the folder of these files.
        checksums: the SHA-256 of each file by its name; None accepts any.

    Raises:
        InputError: test_batch or all of the others are missing, or a file can't be read.
    """
    names = [f"data_batch_{i}" for i in range(1, 6)]
    there = [n for n in names if kind_of(folder / n) == "file"]
    if not there or kind_of(folder / "test_batch") != "file":
        missing = "data_batch_1" if not there else "test_batch"
        raise InputError(f"{folder} has no file {missing}")
    read = {n: read_batch(folder / n, (checksums or {}).get(n)) for n in [*there, "test_batch"]}
    labels = [read[n].y for n in there]
    train = Part(
        torch.cat([read[n].x for n in there]), torch.cat([y for y in labels if y is not None])
    )
    notes = ()
    if len(there) < 5:
        missing = ", ".join(n for n in names if n not in there)
        notes = (f"CIFAR-10 is incomplete ({missing} missing): {len(train)} training images",)
    return Raw({"train": train, "test": read["test_batch"]}, CLASSES, notes)

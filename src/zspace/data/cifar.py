"""A reader of CIFAR-10's python batches that executes nothing that a pickle may ask for."""

from __future__ import annotations

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zspace.data.conversion import from_arrays
from zspace.data.images import Part, Raw
from zspace.errors import InputError

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


class _ArraysOnly(pickle.Unpickler):
    """An unpickler of plain Python values and NumPy arrays, which refuses every other global."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module, name) == ("numpy", "dtype"):
            return np.dtype
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return _reconstruct
        if (module, name) == ("_codecs", "encode"):  # bytes, as Python 3 writes them in protocol 2
            return _encode
        raise InputError(f"asks for {module}.{name}, which no batch needs: refused")


def _reconstruct(kind: object, shape: object, dtype: object) -> Any:
    if kind is not np.ndarray:
        raise InputError("holds an array of another kind: refused")
    return np.ndarray.__new__(np.ndarray, (0,), np.uint8)


def _encode(text: object, encoding: object = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise InputError("holds a strange encoding: refused")
    return text.encode("latin1")


def read_batch(path: Path, md5: str | None = None) -> Part:
    """The images and labels of one batch, a pickled dictionary.

    Args:
        path: a file that holds `data`, uint8 (N, 3072), and `labels`, a list.
        md5: the MD5 of the file; None accepts any.

    Returns images (N, 3, 32, 32) and labels (N,).
    Raises:
        InputError: the file is empty, truncated, no such batch, or has another checksum.
    """
    content = path.read_bytes()
    if not content:
        raise InputError(f"{path} is empty")
    if md5 is not None and hashlib.md5(content).hexdigest() != md5:
        raise InputError(f"{path} has a wrong checksum: truncated, or not the published file")
    try:
        batch = _ArraysOnly(io.BytesIO(content), encoding="latin1").load()
    except InputError as error:
        raise InputError(f"{path} {error}") from error
    except Exception as error:  # a damaged pickle can fail in any way, but do nothing else
        raise InputError(f"{path} is truncated or no python batch ({error})") from error
    data = batch.get("data") if isinstance(batch, dict) else None
    labels = batch.get("labels") if isinstance(batch, dict) else None
    if (
        not isinstance(data, np.ndarray)
        or data.dtype != np.uint8
        or data.shape[1:] != (3072,)
        or not isinstance(labels, list)
    ):
        raise InputError(f"{path} holds no CIFAR-10 batch (data of (N, 3072) bytes, labels)")
    return from_arrays(data.reshape(-1, 3, 32, 32), np.asarray(labels), str(path))


def cifar10(folder: Path, checksums: dict[str, str] | None) -> Raw:
    """CIFAR-10 from the files data_batch_1 to data_batch_5, as far as they exist, and test_batch.

    Args:
        folder: the folder of these files.
        checksums: the MD5 of each file by its name; None accepts any.

    Raises:
        InputError: test_batch or all of the others are missing, or a file can't be read.
    """
    names = [f"data_batch_{i}" for i in range(1, 6)]
    there = [n for n in names if (folder / n).is_file()]
    if not there or not (folder / "test_batch").is_file():
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

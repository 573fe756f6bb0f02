"""A reader of SVHN's cropped digits in .mat files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from zspace.data.conversion import from_arrays
from zspace.data.images import Part, Raw
from zspace.errors import InputError


def read_mat(path: Path, md5: str | None = None) -> Part:
    """The images and labels of one .mat file.

    Args:
        path: a file that holds X, uint8 (32, 32, 3, N), and y (N, 1), in which 10 stands for the
            digit 0.
        md5: the MD5 of the file; None accepts any.

    Returns images (N, 3, 32, 32) and labels (N,).
    Raises:
        InputError: the file is empty, truncated, holds no such arrays, or has another checksum.
    """
    from scipy.io import loadmat

    content = path.read_bytes()
    if not content:
        raise InputError(f"{path} is empty")
    if md5 is not None and hashlib.md5(content).hexdigest() != md5:
        raise InputError(f"{path} has a wrong checksum: truncated, or not the published file")
    try:
        mat = loadmat(path, variable_names=["X", "y"])
        x, y = np.asarray(mat["X"]), np.asarray(mat["y"]).ravel()
    except Exception as error:  # SciPy raises errors of many kinds for damaged files
        raise InputError(f"{path} is truncated or no SVHN .mat file ({error})") from error
    if x.ndim != 4 or x.shape[2] != 3 or x.dtype != np.uint8 or y.dtype.kind not in "iu":
        raise InputError(f"{path} holds no SVHN images: X has shape {x.shape}, dtype {x.dtype}")
    return from_arrays(x.transpose(3, 2, 0, 1), y % 10, str(path))


def svhn(folder: Path, checksums: dict[str, str] | None) -> Raw:
    """SVHN from the files train_32x32.mat and test_32x32.mat.

    Args:
        folder: the folder of these files.
        checksums: the MD5 of each file by its name; None accepts any.

    Raises:
        InputError: a file is missing or can't be read.
    """
    parts: dict[str, Part] = {}
    for part in ("train", "test"):
        name = f"{part}_32x32.mat"
        if not (folder / name).is_file():
            raise InputError(f"{folder} has no file {name}")
        parts[part] = read_mat(folder / name, (checksums or {}).get(name))
    return Raw(parts, tuple("0123456789"))

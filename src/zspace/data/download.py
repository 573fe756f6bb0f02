"""Downloads of named data sets, checked and resumable; a file is there completely or not at all."""

from __future__ import annotations

import gzip
import tarfile
import tempfile
import zlib
from pathlib import Path

from zspace.core import SILENT, Progress
from zspace.data.sets import NAMED
from zspace.errors import InputError, cut, unknown
from zspace.storage.fetch import MOST, check_address, fetch_any
from zspace.storage.lock import locked
from zspace.storage.reading import BLOCK, kind_of, sha256_of, size_text

MOST_MEMBERS = 10_000
"""The number of files in an archive, at most."""


def download(
    name: str, folder: Path, *, mirror: str | None = None, progress: Progress = SILENT
) -> list[Path]:
    """Fetch the published files of a named set into a folder, except those that are there already.

    Args:
        name: a key of `NAMED`.
        folder: where the files go; archives are unpacked there.
        mirror: an https address from which to fetch the files, in place of the published ones.
        progress: called after every block that arrives.

    Returns the files.
    Raises:
        InputError: the set is unknown or has no download, no address answers or is an https
            address, a file is too large, a checksum is wrong, or another process downloads into
            the folder.
    """
    if name not in NAMED:
        raise unknown("data set", name, NAMED)
    known = NAMED[name]
    if known.make is not None:
        raise InputError(f"{name} needs no download")
    if known.by_hand:
        raise InputError(f"{name} can't be fetched: {known.by_hand}")
    bases = known.addresses if mirror is None else (mirror,)
    for base in bases:
        check_address(base)
    folder.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    with locked(folder, "download into another folder"):
        for file, sha256 in known.downloads.items():
            path = folder / file
            if kind_of(path) != "file" or sha256_of(path) != sha256:
                addresses = [base.rstrip("/") + "/" + file for base in bases]
                fetch_any(addresses, path, sha256, progress)
            files.append(path)
            if file.endswith(".tar.gz"):
                _unpack(path)
    return files


def _unpack(path: Path) -> None:
    """Unpack an archive into its own folder. The filter refuses paths that lead out of it.

    Its files are moved there when all of them are unpacked, so that none is ever there in part.
    """
    try:
        size = 0
        with gzip.open(path) as unzipped:
            while block := unzipped.read(BLOCK):
                size += len(block)
                if size > MOST:
                    raise InputError(f"{path} unpacks to more than {size_text(MOST)}: not unpacked")
        with tarfile.open(path) as archive:
            members = archive.getmembers()
            plain = all(m.isdir() or (m.isreg() and not m.issparse()) for m in members)
            if not plain or len(members) > MOST_MEMBERS:
                raise tarfile.TarError("it holds more than plain files, or too many")
            with tempfile.TemporaryDirectory(prefix=".unpacked-", dir=path.parent) as beside:
                archive.extractall(beside, members, filter="data")
                for file in sorted(p for p in Path(beside).rglob("*") if p.is_file()):
                    place = path.parent / file.relative_to(beside)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    file.replace(place)
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise InputError(f"{path} can't be unpacked: {cut(str(error))}") from error

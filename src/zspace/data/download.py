"""Fetching a named set: checked, resumed where it broke off, whole or not there."""

from __future__ import annotations

import hashlib
import http.client
import tarfile
import urllib.error
import urllib.request
from pathlib import Path

from zspace.core import SILENT, Progress
from zspace.data.sets import NAMED
from zspace.errors import InputError, unknown

CHUNK = 1 << 16


def download(
    name: str, folder: Path, *, mirror: str | None = None, progress: Progress = SILENT
) -> list[Path]:
    """Fetch a named set's published files into a folder. Files that are there and whole stay.

    Args:
        mirror: an address to take the files from instead of the published ones.

    Raises:
        InputError: unknown set, no address answers, or a checksum that does not agree.
    """
    if name not in NAMED:
        raise unknown("data set", name, NAMED)
    known = NAMED[name]
    if known.make is not None:
        raise InputError(f"{name} needs no download")
    if known.by_hand:
        raise InputError(f"{name} can't be fetched: {known.by_hand}")
    folder.mkdir(parents=True, exist_ok=True)
    bases = (mirror,) if mirror else known.addresses
    files: list[Path] = []
    for file, md5 in known.downloads.items():
        path = folder / file
        if not path.is_file() or _digest(path, md5) != md5:
            _fetch_any(bases, path, md5, progress)
        files.append(path)
        if file.endswith(".tar.gz"):
            _unpack(path)
    return files


def _fetch_any(bases: tuple[str, ...], path: Path, md5: str, progress: Progress) -> None:
    failures: list[str] = []
    for base in bases:
        address = base.rstrip("/") + "/" + path.name
        try:
            fetch(address, path, md5, progress)
        except InputError:
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            failures.append(f"{address}: {error}")
        else:
            return
    raise InputError(f"{path.name} can't be fetched ({'; '.join(failures)})")


def fetch(address: str, path: Path, checksum: str, progress: Progress = SILENT) -> None:
    """Fetch one file. What an earlier try left in `.part` is gone on with where the server can.

    Args:
        checksum: MD5 (32 digits) or SHA-256 (64).

    Raises:
        InputError: the checksum does not agree; nothing of the file stays.
    """
    if not address.startswith(("http://", "https://")):
        raise ValueError("not an http address")
    part = path.with_name(path.name + ".part")
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        reply = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # 416: nothing lies beyond what is here
            raise
        reply = None
    if reply is not None:
        with reply:
            if reply.status != 206:
                have = 0
            length = reply.headers.get("Content-Length")
            total = have + int(length) if length else None
            with part.open("ab" if have else "wb") as file:
                while chunk := reply.read(CHUNK):
                    file.write(chunk)
                    have += len(chunk)
                    progress.about(path.name)(have, total)
            if total is not None and have < total:
                raise OSError(f"the connection broke off at {have} of {total} bytes")
    if _digest(part, checksum) != checksum:
        part.unlink()
        raise InputError(f"{address} has a wrong checksum: not the published file, not kept")
    part.replace(path)


def _digest(path: Path, like: str) -> str:
    """A file's checksum of the same kind as another."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5" if len(like) == 32 else "sha256").hexdigest()


def _unpack(path: Path) -> None:
    """Unpack an archive beside itself. The filter refuses paths that lead out of the folder."""
    try:
        with tarfile.open(path) as archive:
            archive.extractall(path.parent, filter="data")
    except (tarfile.TarError, OSError) as error:
        raise InputError(f"{path} can't be unpacked: {error}") from error

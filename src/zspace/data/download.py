"""Downloads of named data sets, checked and resumable; a file is there completely or not at all."""

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
    """Fetch the published files of a named set into a folder, except those that are there already.

    Args:
        name: a key of `NAMED`.
        folder: where the files go; archives are unpacked there.
        mirror: an address from which to fetch the files, in place of the published ones.
        progress: called after every block that arrives.

    Returns the files.
    Raises:
        InputError: the set is unknown or has no download, no address answers, or a checksum is
            wrong.
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
    """Fetch one file; a download that was interrupted is resumed if the server supports it.

    Args:
        address: an http or https address.
        path: where the file goes; until it is complete, it has the suffix `.part`.
        checksum: the file's MD5 (32 hexadecimal digits) or SHA-256 (64).
        progress: called after every block that arrives.

    Raises:
        InputError: the checksum is wrong; the file is removed.
        ValueError: the address is no http address.
        OSError: the server can't be reached, or the connection was interrupted.
    """
    if not address.startswith(("http://", "https://")):
        raise ValueError("not an http address")
    part = path.with_name(path.name + ".part")
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        reply = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # 416: there is nothing beyond the bytes fetched so far
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
    """A file's checksum, of the same kind as a given one."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5" if len(like) == 32 else "sha256").hexdigest()


def _unpack(path: Path) -> None:
    """Unpack an archive into its own folder. The filter refuses paths that lead out of it."""
    try:
        with tarfile.open(path) as archive:
            archive.extractall(path.parent, filter="data")
    except (tarfile.TarError, OSError) as error:
        raise InputError(f"{path} can't be unpacked: {error}") from error

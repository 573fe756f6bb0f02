"""Downloads of named data sets, checked and resumable; a file is there completely or not at all."""

from __future__ import annotations

import gzip
import http.client
import tarfile
import urllib.error
import urllib.request
import zlib
from pathlib import Path
from typing import IO

from zspace.core import SILENT, Progress
from zspace.data.sets import NAMED
from zspace.errors import InputError, cut, unknown
from zspace.storage.reading import BLOCK, kind_of, sha256_of, size_text

CHUNK = 1 << 16
MOST = 1 << 31
"""The size in bytes of a file that is fetched, and of what an archive unpacks to, at most."""
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
            address, a file is too large, or a checksum is wrong.
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
        _check_address(base)
    folder.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    for file, sha256 in known.downloads.items():
        path = folder / file
        if kind_of(path) != "file" or sha256_of(path) != sha256:
            _fetch_any(bases, path, sha256, progress)
        files.append(path)
        if file.endswith(".tar.gz"):
            _unpack(path)
    return files


def _fetch_any(bases: tuple[str, ...], path: Path, sha256: str, progress: Progress) -> None:
    failures: list[str] = []
    for base in bases:
        address = base.rstrip("/") + "/" + path.name
        try:
            fetch(address, path, sha256, progress)
        except InputError:
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            failures.append(f"{address}: {cut(str(error))}")
        else:
            return
    raise InputError(f"{path.name} can't be fetched ({'; '.join(failures)})")


def _check_address(address: str) -> None:
    if not address.startswith("https://"):
        raise InputError(f"'{address}' is no https address: files are fetched by https alone")


class _Encrypted(urllib.request.HTTPRedirectHandler):
    """Follows a redirect to another https address, and to no other."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """The request for the new address."""
        _check_address(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(address: str, path: Path, sha256: str, progress: Progress = SILENT) -> None:
    """Fetch one file; a download that was interrupted is resumed if the server supports it.

    Args:
        address: an https address, which may redirect to another https address.
        path: where the file goes; until it is complete, it has the suffix `.part`.
        sha256: the file's SHA-256, 64 hexadecimal digits.
        progress: called after every block that arrives.

    Raises:
        InputError: an address is no https address, the file is larger than `MOST`, or the checksum
            is wrong; the file is removed.
        OSError: the server can't be reached, or the connection was interrupted.
        ValueError: the address can't be read.
    """
    _check_address(address)
    part = path.with_name(path.name + ".part")
    have = part.stat().st_size if kind_of(part) == "file" else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        reply = urllib.request.build_opener(_Encrypted).open(request, timeout=60)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # 416: there is nothing beyond the bytes fetched so far
            raise
        reply = None
    if reply is not None:
        with reply:
            if reply.status != 206:
                have = 0
            length = reply.headers.get("Content-Length") or ""
            total = have + int(length) if length.isdecimal() else None
            with part.open("ab" if have else "wb") as file:
                while (total or have) <= MOST and (chunk := reply.read(CHUNK)):
                    file.write(chunk)
                    have += len(chunk)
                    progress.about(path.name)(have, total)
            if (total or have) > MOST:
                part.unlink()
                raise InputError(f"{address} is larger than {size_text(MOST)}: not kept")
            if total is not None and have < total:
                raise OSError(f"the connection broke off at {have} of {total} bytes")
    if sha256_of(part) != sha256:
        part.unlink()
        raise InputError(f"{address} has a wrong checksum: not the published file, not kept")
    part.replace(path)


def _unpack(path: Path) -> None:
    """Unpack an archive into its own folder. The filter refuses paths that lead out of it."""
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
            archive.extractall(path.parent, members, filter="data")
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise InputError(f"{path} can't be unpacked: {cut(str(error))}") from error

"""Files that are fetched by https, checked, resumable and bounded."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from zspace.core import SILENT, Progress
from zspace.errors import InputError, cut
from zspace.storage.reading import kind_of, sha256_of, size_text

CHUNK = 1 << 16
MOST = 1 << 31
"""The size in bytes of a file that is fetched, at most."""


def fetch_any(
    addresses: Sequence[str],
    path: Path,
    sha256: str,
    progress: Progress = SILENT,
    *,
    most: int | None = None,
) -> None:
    """Fetch one file from the first of several addresses that has it.

    Args:
        addresses: the https addresses of the file.
        path, sha256, progress, most: what `fetch` takes.

    Raises:
        InputError: what `fetch` raises, or no address answers; the message has a reason for each.
    """
    failures: list[str] = []
    for address in addresses:
        try:
            fetch(address, path, sha256, progress, most=most)
        except InputError:
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            failures.append(f"{address}: {cut(str(error))}")
        else:
            return
    raise InputError(f"{path.name} can't be fetched ({'; '.join(failures)})")


def check_address(address: str) -> None:
    """Check that an address is an https address.

    Raises:
        InputError: it is not.
    """
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
        check_address(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(
    address: str, path: Path, sha256: str, progress: Progress = SILENT, *, most: int | None = None
) -> None:
    """Fetch one file; a download that was interrupted is resumed if the server supports it.

    No other process may fetch the same file meanwhile.

    Args:
        address: an https address, which may redirect to another https address.
        path: where the file goes; until it is complete, it has the suffix `.part`.
        sha256: the file's SHA-256, 64 hexadecimal digits.
        progress: called after every block that arrives.
        most: the size in bytes up to which the file is fetched; None takes `MOST`.

    Raises:
        InputError: an address is no https address, the file is larger than allowed, or the checksum
            is wrong; the file is removed.
        OSError: the server can't be reached, or the connection was interrupted.
        ValueError: the address can't be read.
    """
    check_address(address)
    most = MOST if most is None else most
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
                while (total or have) <= most and (chunk := reply.read(CHUNK)):
                    file.write(chunk)
                    have += len(chunk)
                    progress.about(path.name)(have, total)
            if (total or have) > most:
                part.unlink()
                raise InputError(f"{address} is larger than {size_text(most)}: not kept")
            if total is not None and have < total:
                raise OSError(f"the connection broke off at {have} of {total} bytes")
    if sha256_of(part) != sha256:
        part.unlink()
        raise InputError(f"{address} has a wrong checksum: not the published file, not kept")
    part.replace(path)

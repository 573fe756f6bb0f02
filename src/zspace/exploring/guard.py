"""The guard at the page's door: which hosts, origins and tokens may come in, and how much they say.

A page of another site can send requests to this machine, too, and a name of another site can be
made to point here; so the names by which the page is called are checked as well.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
"""The names of this machine that only itself can call."""

MOST_BODY = 4 << 20
"""The bytes of a request, at most."""

MOST_UPLOAD = 20 << 20
"""The bytes of an uploaded image, at most."""

MOST_HELD = 64 << 20
"""The bytes of all requests that are being received or wait for their answer, at most."""

PATIENCE = 10.0
"""The seconds in which a request must have arrived."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self' http://127.0.0.1:* http://localhost:* vscode-webview:",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""The headers of every answer: nothing is loaded from another host."""


class RefusedError(Exception):
    """A request is refused.

    Args:
        status: the status of the answer.
        message: what the page is told.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass
class Guard:
    """Who may come in.

    Attributes:
        port: the port of the page.
        token: what a caller must know; None on a loopback address, which only this machine calls.
        held: the bytes of requests that are being received or wait for their answer.
    """

    port: int
    token: str | None = None
    held: int = field(default=0, init=False)

    @property
    def cookie(self) -> str:
        """The name of the cookie that holds the token; cookies are shared by a host's ports."""
        return f"zspace_{self.port}"

    def check(self, method: str, headers: dict[str, str]) -> None:
        """Check a request before anything of it is read.

        Args:
            method: the HTTP method.
            headers: the headers by their names in lower case.

        Raises:
            RefusedError: it may not come in.
        """
        if method not in ("GET", "HEAD", "POST"):
            raise RefusedError(405, "only GET and POST are answered")
        host = headers.get("host", "")
        # browsers leave out the port of http itself
        ends = (":80", "") if self.port == 80 else (f":{self.port}",)
        if self.token is None and host not in {name + end for name in LOOPBACK for end in ends}:
            raise RefusedError(403, "this page answers to the names of this machine alone")
        origin = headers.get("origin")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            raise RefusedError(403, "another site's page may not ask this")
        if method == "POST" and headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise RefusedError(403, "another site's page may not ask this")
        if self.token is not None and not self._knows(headers):
            raise RefusedError(403, "open the address that was printed, which holds a token")

    def lets_in(self, query: bytes) -> bool:
        """Whether an address's query holds the token."""
        given = parse_qs(query.decode("latin-1")).get("token", [""])[0]
        return self.token is not None and secrets.compare_digest(
            given.encode(), self.token.encode()
        )

    def _knows(self, headers: dict[str, str]) -> bool:
        try:
            held = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return False
        value = "" if held is None else held.value
        return secrets.compare_digest(value.encode(), (self.token or "").encode())

    @asynccontextmanager
    async def body(self, stream: AsyncIterator[bytes], most: int) -> AsyncGenerator[bytes]:
        """A context that gives the whole of a request, which counts as held until it is left.

        A request is refused as soon as it is too large or too slow.

        Args:
            stream: its parts.
            most: the bytes that it has at most.

        Raises:
            RefusedError: it is too large, too slow, or too much is held.
        """
        whole = bytearray()
        try:
            try:
                async with asyncio.timeout(PATIENCE):
                    async for part in stream:
                        self.held += len(part)
                        whole += part
                        if len(whole) > most:
                            raise RefusedError(413, f"at most {most >> 20} MiB can be sent")
                        if self.held > MOST_HELD:
                            raise RefusedError(503, "too much is being sent at once: try again")
            except TimeoutError as error:
                late = f"this took longer than {PATIENCE:.0f} s to arrive"
                raise RefusedError(408, late) from error
            yield bytes(whole)
        finally:
            self.held -= len(whole)

"""A web server on this machine that serves files by https, with a certificate of the tests' own."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme


class Server(ThreadingHTTPServer):
    """Serves `files` by name, and can break off in a file, redirect, or claim another size."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files, self.asked = files, []
        self.break_at: int | None = None
        self.claimed: int | None = None
        self.redirects: dict[str, str] = {}
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up early is what some tests are about, and no news."""

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name, ranged = self.path.lstrip("/"), self.headers.get("Range")
        self.server.asked.append((name, ranged))
        if name in self.server.redirects:
            self.send_response(302)
            self.send_header("Location", self.server.redirects[name])
            self.end_headers()
            return
        content = self.server.files.get(name)
        if content is None:
            self.send_error(404)
            return
        start = int(ranged.split("=")[1].rstrip("-")) if ranged else 0
        if ranged and start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if ranged else 200)
        if self.server.claimed != 0:
            length = self.server.claimed or len(content) - start
            self.send_header("Content-Length", str(length))
        self.end_headers()
        end = self.server.break_at or len(content)
        self.wfile.write(content[start:end])
        self.close_connection = True

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def served(
    files: dict[str, bytes], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Generator[Server]:
    """A server of files by name, whose certificate this process trusts.

    Args:
        files: the files.
        folder: a folder for the certificate.
        monkeypatch: what makes the process trust it.
    """
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = Server(files)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

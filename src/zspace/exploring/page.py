"""`Page`, the page while it is served, and `explore`, which opens it in a notebook."""

from __future__ import annotations

import errno
import html
import secrets
import socket
import threading
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Self
from urllib.parse import quote

from zspace.core import SILENT, LatentModel, Progress
from zspace.data.given import Data, check_options, images_of
from zspace.data.options import DataOptions
from zspace.errors import InputError
from zspace.exploring.guard import Guard
from zspace.exploring.space import Space, check_alike
from zspace.options import checked, options_of

FRAME = 720
"""The height of the page in a notebook, in pixels."""


def check_packages() -> None:
    """Check that the packages are there with which a page is served, before a model is read.

    Raises:
        InputError: one is missing.
    """
    try:
        for name in ("connection", "server"):
            import_module(f"zspace.exploring.{name}")
    except ImportError as error:
        package = str(error.name).partition(".")[0]
        raise InputError(
            f"the page needs the package {package}: pip install 'zspace[explore]'"
        ) from error


class Page:
    """The page of one or several latent spaces, which has an address as soon as it is made.

    Args:
        spaces: the latent spaces, all of the same data.
        host: the address to listen at. Only this machine can call a loopback address; for any other
            a caller must know a token, which is part of the page's address.
        port: the port; 0 takes one that is free.
        token: the token; None makes a random one where one is needed.
        progress: told of what fails unexpectedly.

    Attributes:
        address: the address to open.

    Raises:
        InputError: a package is missing, the port is taken, or the host has no such address.
    """

    def __init__(
        self,
        spaces: Sequence[Space],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        progress: Progress = SILENT,
    ) -> None:
        check_packages()
        import uvicorn

        from zspace.exploring.connection import Connection
        from zspace.exploring.server import Server

        check_alike(list(spaces))
        self._socket = listening(host, port)
        number = self._socket.getsockname()[1]
        outside = host not in ("127.0.0.1", "localhost", "::1")
        token = (token or secrets.token_urlsafe(16)) if outside else token
        self.server = Server(spaces, Guard(number, token), progress.say)
        name = f"[{host}]" if ":" in host else host
        name = socket.gethostname() if host in ("0.0.0.0", "::") else name
        self.address = f"http://{name}:{number}/" + (
            "" if token is None else f"?token={quote(token)}"
        )
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(
                self.server,
                http=Connection,
                ws="none",
                log_config=None,
                log_level="error",
                access_log=False,
                server_header=False,
                limit_concurrency=512,
                timeout_keep_alive=5,
                timeout_graceful_shutdown=1,
            )
        )
        self._thread: threading.Thread | None = None

    def run(self) -> None:
        """Serve the page until an interrupt."""
        self._uvicorn.run(sockets=[self._socket])

    def start(self) -> None:
        """Serve the page beside what goes on, until `close`."""
        self._thread = threading.Thread(target=self.run, name="zspace page", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving the page."""
        self._uvicorn.should_exit = True
        self.server.work.close()
        if self._thread is not None:
            self._thread.join(5)
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _repr_html_(self) -> str:
        """The page in a frame, which Jupyter shows."""
        address = html.escape(self.address, quote=True)
        return f'<iframe src="{address}" width="100%" height="{FRAME}" style="border:0"></iframe>'


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens at a host's port.

    Raises:
        InputError: the port is taken (the message has one that is free), or there is no such host.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise InputError(f"--host {host} is no address of this machine") from error
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(address)
        made.listen(128)
    except PermissionError as error:
        made.close()
        raise InputError(f"--port {port} is for the system: take one above 1023") from error
    except OSError as error:
        made.close()
        if port == 0 or error.errno == errno.EADDRNOTAVAIL:
            raise InputError(f"--host {host} is no address of this machine") from error
        with socket.socket(family, socket.SOCK_STREAM) as other:
            other.bind((address[0], 0))
            free = other.getsockname()[1]
        raise InputError(f"--port {port} is taken: {free} is free") from error
    return made


def explore(model: LatentModel, data: Data, *, name: str = "model", **options: Any) -> Page:
    """Open the page of a model and its data, which Jupyter shows in a frame.

    The page is served by this process until `close` is called on the result, or the process ends.

    Args:
        model: a model, such as `zspace.train`, `zspace.load` or `zspace.wrap` returns.
        data: what `zspace.train` takes: the data that belong to the model.
        name: what the page calls it.
        options: options of the data (`zspace.data.DataOptions`).

    Returns the page; its `address` can be opened in a browser, too.
    Raises:
        InputError: the data don't fit the model, or a package is missing.
    """
    settings = checked(options_of(DataOptions), options, "option of explore")
    check_options(data, settings)
    images = images_of(data, settings)
    shape = model.sample_shape
    if shape is not None and tuple(shape) != images.shape:
        raise InputError(f"the model is for samples of shape {shape}, the data have {images.shape}")
    page = Page([Space(name, None, model.eval(), images)])
    page.start()
    return page

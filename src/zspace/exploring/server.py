"""The server of the page: static files, and the answers to its requests as JSON."""

from __future__ import annotations

import asyncio
import io
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any

import msgspec
import torch
from msgspec import Meta
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as Asked
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from zspace.core import codes
from zspace.data.pictures import image_in, pixels_of
from zspace.errors import InputError, cut, whole_number
from zspace.exploring.export import page_files
from zspace.exploring.guard import HEADERS, MOST_BODY, MOST_UPLOAD, Guard, RefusedError
from zspace.exploring.maps import Colour, Method, coloured, encoded, methods, placed, told_of
from zspace.exploring.pictures import packed, sprite
from zspace.exploring.requests import Answer, pictured
from zspace.exploring.space import FIRST, MOST, Space
from zspace.exploring.training import Figures, Training
from zspace.exploring.views import REQUESTS
from zspace.exploring.work import BusyError, Work

ALL = {**REQUESTS, "training": Training, "figures": Figures}
"""The requests by the last part of their address."""

KINDS = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}

PIXELS = 40_000_000
"""The number of pixels of an uploaded image, at most."""

SIDE = 16
"""The longest name of a tab."""


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked of a map: its method, and the number of its points."""

    method: Method
    count: Annotated[int, Meta(ge=1, le=MOST)]


class Shade(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked of the colours of a map."""

    by: Colour
    count: Annotated[int, Meta(ge=1, le=MOST)]


class Server:
    """What answers the page's requests.

    Args:
        spaces: the latent spaces that are shown.
        guard: who may come in.
        say: told in a line of what failed unexpectedly.
    """

    def __init__(self, spaces: Sequence[Space], guard: Guard, say: Callable[[str], object]) -> None:
        self.spaces, self.guard, self.say = spaces, guard, say
        self.work = Work()
        self.files = page_files()
        for number, space in enumerate(spaces):
            if space.model is not None:  # what every view needs is begun before anybody asks
                self.work.job((number, "first"), partial(encoded, space, FIRST)).asked = math.inf
        self.app = Starlette(
            routes=[
                Route("/api/{run}/{name}", self._api, methods=["POST"]),
                Route("/api/runs", self._runs),
                Route("/{name:path}", self._file),
            ],
            exception_handlers={HTTPException: _unanswered},
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request (ASGI), after the guard has looked at it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        asked = Asked(scope, receive)
        try:
            if scope["path"] == "/" and self.guard.lets_in(scope["query_string"]):
                answer: Response = RedirectResponse("/", 303, HEADERS)
                token = self.guard.token or ""
                answer.set_cookie(self.guard.cookie, token, httponly=True, samesite="strict")
                await answer(scope, receive, send)
                return
            headers = dict(asked.headers.items())
            self.guard.check(asked.method, headers)
        except RefusedError as error:
            await _told(error.status, error.message)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    async def _file(self, asked: Asked) -> Response:
        name = asked.path_params["name"] or "index.html"
        content = self.files.get(name)
        if content is None:
            return _told(404, "there is no such page")
        kind = KINDS.get(name[name.rfind(".") :], "application/octet-stream")
        return Response(content, headers=HEADERS, media_type=kind)

    async def _runs(self, asked: Asked) -> Response:
        return await self._answered(asked, self._described)

    def _described(self) -> Answer:
        return {"runs": [space.described() for space in self.spaces], "methods": methods()}

    async def _api(self, asked: Asked) -> Response:
        number, name = whole_number(asked.path_params["run"]), asked.path_params["name"]
        if number is None or number >= len(self.spaces):
            return _told(404, f"there are {len(self.spaces)} runs, and none of that number")
        space = self.spaces[number]
        if name not in (*ALL, "place", "colour", "upload"):
            return _told(404, "there is no such request")
        try:
            most = MOST_UPLOAD if name == "upload" else MOST_BODY
            if int(asked.headers.get("content-length") or 0) > most:
                raise RefusedError(413, f"at most {most >> 20} MiB can be sent")
            kind = asked.headers.get("content-type", "").partition(";")[0]
            if kind != ("application/octet-stream" if name == "upload" else "application/json"):
                raise RefusedError(415, "a request must be JSON, and an image be sent as bytes")
            async with self.guard.body(asked.stream(), most) as body:
                if name == "upload":
                    return await self._answered(asked, lambda: uploaded(space, body))
                if name in ("place", "colour"):
                    return self._long(number, space, name, body)
                request = msgspec.json.decode(body, type=ALL[name])
                return await self._answered(asked, lambda: request.answer(space))
        except ClientDisconnect:
            return _told(400, "this request did not arrive as a whole")  # which nobody reads
        except RefusedError as error:
            return _told(error.status, error.message)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
            return _told(400, f"this request can't be read: {cut(str(error))}")

    def _long(self, number: int, space: Space, name: str, body: bytes) -> Response:
        """How far a long job is, or its result."""
        if name == "place":
            place = msgspec.json.decode(body, type=Place)
            key, begin = place, lambda: placed(space, place.method, place.count)
        else:
            shade = msgspec.json.decode(body, type=Shade)
            key, begin = shade, lambda: coloured(space, shade.by, shade.count)
        try:
            job = self.work.job((number, key), begin)
        except BusyError:
            return _busy()
        if job.error is not None:
            return self._failed(job.error)
        return _json(
            told_of(
                space, values=job.result if job.done else job.shown, share=job.share, done=job.done
            )
        )

    async def _answered(self, asked: Asked, function: Callable[[], Any]) -> Response:
        """What a function gives when its turn comes."""
        tab = asked.headers.get("x-tab", "")[:SIDE]
        try:
            future = self.work.ask(tab, function)
        except BusyError:
            return _busy()
        try:
            return _json(await asyncio.wrap_future(future))
        except Exception as error:
            return self._failed(error)

    def _failed(self, error: Exception) -> Response:
        """The answer to a request that failed, which shows no path of this machine."""
        if isinstance(error, InputError):
            message = str(error)
            for space in self.spaces:
                if space.run is not None:
                    message = message.replace(str(space.run.folder), space.name)
            return _told(400, message)
        self.say(f"a request of the page failed: {type(error).__name__}: {cut(str(error))}")
        return _told(500, "this failed: the terminal in which the page was started says why")


def uploaded(space: Space, body: bytes) -> Answer:
    """An image that a page sent, fitted to the model's shape, with its code.

    Raises:
        InputError: it is no image of a known format, broken, too large, or not of the model's size.
    """
    if not space.images.is_image:
        raise InputError("these data are vectors: no image can be shown to this model")
    channels, height, width = space.images.shape
    what = "the image"
    with io.BytesIO(body) as file:
        picture = image_in(file, what)
        if picture.width * picture.height > PIXELS:
            raise InputError(f"the image has more than {PIXELS:,} pixels: scale it down first")
        size = height if height == width else None
        x = pixels_of(picture, what, channels, size, space.levels)
    if x.shape != (channels, height, width):
        raise InputError(
            f"the image has {x.shape[2]}x{x.shape[1]} pixels, the model is for {width}x{height}"
        )
    stored = torch.from_numpy(x.copy())[None]
    z = codes(space.trained, stored).cpu()
    return {"images": sprite(stored), "pixels": packed(stored), **pictured(space, z)}


def _json(content: Any) -> Response:
    return Response(msgspec.json.encode(content), headers=HEADERS, media_type="application/json")


def _told(status: int, message: str) -> Response:
    content = msgspec.json.encode({"error": message})
    return Response(content, status, HEADERS, "application/json")


async def _unanswered(_: Asked, error: Exception) -> Response:
    """What is told of an address or a method that no route is for."""
    assert isinstance(error, HTTPException)
    return _told(error.status_code, "there is no such request")


def _busy() -> Response:
    busy = _told(503, "much is asked for at once: try again in a moment")
    busy.headers["Retry-After"] = "1"
    return busy

"""Connections of the page, which are given up when nothing comes or goes any more."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

from zspace.exploring.guard import PATIENCE


class Connection(H11Protocol):
    """A connection that must bring a request, and take its answer, within a while.

    uvicorn itself waits for ever for the first request, and for the rest of any. So few connections
    that say nothing, or a letter a second, would keep everybody else out.
    """

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to look whether anything comes."""
        super().connection_made(transport)
        self._look((None, -1))

    def connection_lost(self, exc: Exception | None) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def _look(self, before: tuple[object, int]) -> None:
        """Give up a connection that is as it was `PATIENCE` seconds before, and not worked for."""
        # before the first request there is no cycle
        works = bool(self.cycle) and not self.cycle.response_complete
        now = ("works" if works else self.cycle, self.transport.get_write_buffer_size())
        if now == before and not works:
            self.transport.abort()
        else:
            self._timer = self.loop.call_later(PATIENCE, self._look, now)

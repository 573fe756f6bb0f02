"""What the tests of the page share: latent spaces of small runs, and a server that is asked."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from zspace.exploring.page import Page
from zspace.exploring.space import Space

Ask = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="session")
def spaces(runs: dict[str, Path]) -> dict[str, Space]:
    """The latent spaces of small runs on the digits."""
    return {name: Space.of_run(runs[name]) for name in ("ae", "vae", "gen", "regene")}


@pytest.fixture(scope="session")
def page(spaces: dict[str, Space]) -> Iterator[Page]:
    """A page of a VAE and of ReGene."""
    made = Page([spaces["vae"], spaces["regene"]])
    made.start()
    yield made
    made.close()


def ask(page: Page, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """The status and the content of the page's answer, JSON where it is such.

    A body that is no bytes is sent as JSON; headers have underscores for hyphens.
    """
    port = int(page.address.split("/")[2].rpartition(":")[2])
    sent = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    given = {"Content-Type": "application/json"} if method == "POST" else {}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, sent, given)
        answer = connection.getresponse()
        content = answer.read()
        if answer.getheader("Content-Type") == "application/json":
            return answer.status, json.loads(content)
        return answer.status, content
    finally:
        connection.close()

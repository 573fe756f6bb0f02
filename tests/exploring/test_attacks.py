"""What was found by attacks on the page: slow, broken and greedy clients, and hostile runs."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import Refused
from tests.exploring.conftest import ask
from zspace.errors import InputError
from zspace.exploring import connection, guard
from zspace.exploring.guard import Guard, RefusedError
from zspace.exploring.maps import placed
from zspace.exploring.page import Page, listening
from zspace.exploring.requests import Source
from zspace.exploring.space import Space, check_alike
from zspace.exploring.training import CURVES, Figures, Training
from zspace.exploring.views import Near
from zspace.storage.run import Run


def connected(page: Page) -> socket.socket:
    port = int(page.address.split("/")[2].rpartition(":")[2])
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def spell(slow: socket.socket, request: bytes) -> None:
    """Send a request a letter at a time."""
    for letter in request:
        slow.sendall(bytes([letter]))
        time.sleep(0.05)


def test_no_address_and_no_client_causes_a_traceback(
    page: Page, capfd: pytest.CaptureFixture[str]
) -> None:
    status, told = ask(page, "POST", f"/api/{'9' * 5000}/draw", {})
    assert (status, [*told]) == (404, ["error"])
    status, told = ask(page, "POST", "/app.js", {})
    assert (status, [*told]) == (405, ["error"])
    with connected(page) as broken:
        host = broken.getpeername()[1]
        broken.sendall(
            f"POST /api/0/draw HTTP/1.1\r\nHost: 127.0.0.1:{host}\r\nContent-Length: 99\r\n"
            "Content-Type: application/json\r\n\r\n{".encode()
        )
        time.sleep(0.2)
    with connected(page) as noise:
        noise.sendall(b"\x16\x03\x01\r\n\r\n")
        assert noise.recv(12) == b"HTTP/1.1 400"
    assert ask(page, "GET", "/")[0] == 200
    assert capfd.readouterr().err == ""


def test_a_connection_that_brings_no_request_is_closed(
    spaces: dict[str, Space], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PATIENCE", 0.3)
    page = Page([spaces["ae"]])
    gate = threading.Event()
    monkeypatch.setattr(page.server, "_described", lambda: {"waited": gate.wait(10)})
    page.start()
    try:
        silent, slow = connected(page), connected(page)
        threading.Timer(1.5, gate.set).start()
        assert ask(page, "GET", "/api/runs") == (200, {"waited": True}), "this one is worked for"
        assert silent.recv(1) == b""
        with pytest.raises(OSError):
            spell(slow, b"GET / HTTP/1.1\r\nX: " + b"a" * 200)
        silent.close()
        slow.close()
    finally:
        page.close()


def test_what_waits_for_its_answer_counts_as_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MOST_HELD", 100)

    async def parts() -> AsyncIterator[bytes]:
        yield bytes(30)
        yield bytes(30)

    async def twice(door: Guard) -> None:
        async with door.body(parts(), 100) as body:
            assert (len(body), door.held) == (60, 60)
            with pytest.raises(RefusedError, match="too much"):
                async with door.body(parts(), 100):
                    pass
            assert door.held == 60

    door = Guard(1)
    asyncio.run(twice(door))
    assert door.held == 0


def test_the_port_of_http_is_left_out_by_browsers() -> None:
    for port, host in ((80, "localhost"), (80, "127.0.0.1:80"), (8000, "localhost:8000")):
        Guard(port).check("GET", {"host": host})
    for port, host in ((8000, "localhost"), (80, "localhost:8000"), (80, "there")):
        with pytest.raises(RefusedError, match="answers to the names of this machine alone"):
            Guard(port).check("GET", {"host": host})


def test_a_token_may_have_any_characters(spaces: dict[str, Space]) -> None:
    page = Page([spaces["ae"]], host="0.0.0.0", token="a b&c+d%41#;\"'")
    page.start()
    try:
        path = page.address[page.address.index("/?") :]
        assert path.isprintable()
        assert " " not in path
        assert ask(page, "GET", path, Host="there:1")[0] == 303
    finally:
        page.close()


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(InputError, match=r"--host 192\.0\.2\.1 is no address of this machine"):
        listening("192.0.2.1", 45_678)


def test_a_run_is_named_though_its_path_has_no_name(
    runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(runs["vae"])
    assert Space.of_run(".").name == "vae"


def test_a_single_image_is_refused(spaces: dict[str, Space]) -> None:
    images = spaces["ae"].images
    one = replace(
        images,
        train=replace(images.train, x=images.train.x[:1], y=None),
        test=replace(images.test, x=images.test.x[:0], y=None),
    )
    with pytest.raises(InputError, match="has a single image"):
        check_alike([Space("one", None, None, one)])


def test_neighbours_are_found_before_anything_is_encoded(runs: dict[str, Path]) -> None:
    assert len(Near(Source(item=0), "codes").answer(Space.of_run(runs["vae"]))["items"]) == 8


def test_samplers_are_known_once_there_is_a_model(spaces: dict[str, Space]) -> None:
    held = spaces["vae"]
    space = Space("new", None, None, held.images)
    with pytest.raises(InputError, match="has no checkpoint yet"):
        space.sampler("prior")
    space.renew(held.trained)
    assert "prior" in space.sampler_names


def test_a_hostile_log_or_evaluation_gives_a_small_answer(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "vae"
    shutil.copytree(runs["vae"], folder)
    space = Space.of_run(folder)
    lines = ({"iteration": i, **{f"{i} {k}": 1 for k in range(99)}} for i in range(40))
    (folder / "log.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert len(Training().answer(space)["losses"]) == CURVES
    words = "run recipe configuration data test reference reference_part features features_asked"
    words += " features_identity model checkpoint"
    figures = {f"{i}": {"value": 1.0, "error": None, "uncertainty": ""} for i in range(999)}
    row = {"subject": "s", "kind": "k", "n": 1, "figures": figures}
    told: dict[str, object] = dict.fromkeys(words.split(), "") | {
        "n": 1,
        "memorisation_n": 1,
        "seed": 0,
    }
    told |= {"rows": [row] * 99, "notes": [], "seconds": 1, "versions": {}, "complete": True}
    (folder / "evaluation.json").write_text(json.dumps(told))
    rows = Figures().answer(space)["rows"]
    assert (len(rows), len(rows[0]["figures"])) == (CURVES, CURVES)


def test_no_exit_waits_for_a_map(spaces: dict[str, Space]) -> None:
    steps = placed(spaces["vae"], "tsne", 200)
    while "zspace map" not in {thread.name for thread in threading.enumerate()}:
        next(steps)
    assert all(t.daemon for t in threading.enumerate() if t.name == "zspace map")
    steps.close()


def test_an_export_that_can_not_be_written_is_refused_at_once(
    refused: Refused, runs: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "page").write_text("")
    for name, message in (
        ("file", "--export must be a new folder"),
        ("full", "--export must be a new folder"),
        ("dangling", "--export must be a new folder"),
        ("page.html", "--export must be a new folder"),
        ("file/page", "is no folder to write to"),
    ):
        assert message in refused("explore", str(runs["vae"]), "--export", str(tmp_path / name))
    assert Run(runs["vae"]).model_file.exists()

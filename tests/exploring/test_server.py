"""The server: who may come in, what is refused, and hostile requests, which do no harm."""

from __future__ import annotations

import io
import random
import shutil
import socket
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.exploring.conftest import ask
from zspace.errors import InputError
from zspace.evaluation.evaluate import evaluate
from zspace.evaluation.results import write_evaluation
from zspace.exploring.page import Page, explore, listening
from zspace.exploring.server import page_files
from zspace.exploring.space import Space

PNG = {"Content_Type": "application/octet-stream"}


def resident() -> int:
    """The bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def png(side: int = 20) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), 90, np.uint8)).save(file, "PNG")
    return file.getvalue()


def test_the_page_and_its_files_come_with_their_policy(page: Page) -> None:
    assert {"index.html", "style.css", "app.js", "core.js"} <= {*page_files()}
    for path in ("/", *(f"/{name}" for name in page_files())):
        status, content = ask(page, "GET", path)
        assert (status, len(content) > 0) == (200, True)
    for content in page_files().values():
        text = content.decode().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text
        assert "https://" not in text
        assert "//cdn" not in text


def test_the_runs_are_described_without_a_path(page: Page, runs: dict[str, Path]) -> None:
    status, told = ask(page, "GET", "/api/runs")
    assert status == 200
    assert [run["name"] for run in told["runs"]] == ["vae", "regene"]
    assert str(runs["vae"].parent) not in str(told)


def test_a_request_is_answered(page: Page) -> None:
    status, told = ask(page, "POST", "/api/0/draw", {"sampler": "prior", "n": 4})
    assert (status, told["sprite"]["n"]) == (200, 4)
    status, told = ask(page, "POST", "/api/0/place", {"method": "pca", "count": 50})
    assert status == 200
    status, told = ask(page, "POST", "/api/0/training", {})
    assert told["finished"]
    assert told["at"]
    assert told["sprite"]


def test_figures_are_those_of_the_evaluation(runs: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "vae"
    shutil.copytree(runs["vae"], folder)
    (folder / "evaluation.json").unlink(missing_ok=True)
    page = Page([Space.of_run(folder)])
    page.start()
    try:
        assert ask(page, "POST", "/api/0/figures", {}) == (200, {"rows": []})
        measured = evaluate(folder, metrics=["mse"], device="cpu")
        write_evaluation(folder, measured)
        mse = measured["rows"][0]["figures"]["mse"]
        _, told = ask(page, "POST", "/api/0/figures", {})
        assert told["n"] == measured["n"]
        assert told["rows"][0]["subject"] == "reconstructions"
        assert told["rows"][0]["figures"]["mse"] == [mse["value"], mse["error"]]
        assert told["better"] == {"mse": "lower"}
    finally:
        page.close()


def test_an_uploaded_image_is_encoded(page: Page) -> None:
    status, told = ask(page, "POST", "/api/0/upload", png(), **PNG)
    assert status == 200, told
    assert told["images"]["width"] == 8
    again, _ = ask(page, "POST", "/api/0/imagine", {"of": {"pixels": told["pixels"]}})
    assert again == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1"}, 403),
        ({"Host": ""}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Length": str(1 << 40)}, 413),
    ],
)
def test_strangers_are_refused(page: Page, headers: dict[str, str], status: int) -> None:
    found, told = ask(page, "POST", "/api/0/figures", b"{}", **headers)
    assert found == status
    assert [*told] == ["error"]


def test_another_host_needs_the_token(spaces: dict[str, Space]) -> None:
    page = Page([spaces["vae"]], host="0.0.0.0")
    page.start()
    try:
        token = page.address.partition("=")[2]
        assert len(token) > 15
        for path in ("/", "/app.js", "/api/runs", "/?token=wrong"):
            assert ask(page, "GET", path, Host="there:1")[0] == 403
        assert ask(page, "GET", f"/?token={token}", Host="there:1")[0] == 303
        name = page.server.guard.cookie
        assert ask(page, "GET", "/", Host="there:1", Cookie=f"{name}={token}")[0] == 200
        assert ask(page, "GET", "/", Host="there:1", Cookie=f"{name}=no")[0] == 403
    finally:
        page.close()


def test_a_taken_port_names_a_free_one() -> None:
    with listening("127.0.0.1", 0) as held:
        port = held.getsockname()[1]
        with pytest.raises(InputError, match=rf"--port {port} is taken: \d+ is free"):
            listening("127.0.0.1", port)
    with pytest.raises(InputError, match="is no address of this machine"):
        listening("no such host", 0)


def test_a_notebook_shows_the_page_in_a_frame(spaces: dict[str, Space]) -> None:
    space = spaces["vae"]
    with explore(space.trained, space.images) as page:
        assert page.address in page._repr_html_()
        assert ask(page, "GET", "/")[0] == 200
        _, told = ask(page, "GET", "/api/runs")
        assert "train" in told["runs"][0]["refused"]
    with pytest.raises(InputError, match="the data have"):
        explore(space.trained, np.zeros((40, 9, 9), np.uint8))


def hostile(chance: random.Random) -> tuple[str, str, bytes | None, dict[str, str]]:
    """A request that means harm, or is nonsense."""
    paths = [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/static/../server.py",
        "//etc/passwd",
    ]
    paths += ["/api/0/../../x", "/api/99/draw", "/api/-1/draw", "/api/0/nothing", "/api/x/draw"]
    paths += ["/index.html%00.js", "/app.js/", "/" + "a" * 8000, "/api/0/__class__"]
    names = ["show", "at", "draw", "decode", "around", "near", "walk", "arithmetic", "directions"]
    names += ["members", "combine", "imagine", "restore", "save", "place", "colour", "training"]
    kind = chance.randrange(8)
    name = f"/api/{chance.randrange(2)}/{chance.choice(names)}"
    if kind == 0:
        return chance.choice(["GET", "POST"]), chance.choice(paths), b"{}", {}
    if kind == 1:  # no JSON
        return "POST", name, chance.randbytes(chance.randrange(2000)), {}
    if kind == 2:  # JSON of other types
        texts = ["[]", "1", "null", '{"n": "a"}', '{"items": [1e400]}', "[" * 5000, '{"seed": -1}']
        texts += ['{"sampler": "../../x", "n": 4}', '{"codes": "AAAA"}', '{"items": [99999999]}']
        texts += ['{"of": {"item": 0}, "k": 10000}', '{"codes": "' + "A" * 100_000 + '"}']
        texts += ['{"method": "pca", "count": 99999999}', '{"__proto__": {}}', '{"x": NaN, "y": 0}']
        return "POST", name, chance.choice(texts).encode(), {}
    if kind == 3:  # broken images
        content = bytearray(png())
        for _ in range(chance.randrange(1, 40)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        return "POST", "/api/0/upload", bytes(content), PNG
    if kind == 4:  # a bomb: 30,000 x 30,000 pixels in its header
        head = png()[:16] + (30_000).to_bytes(4, "big") * 2 + png()[24:]
        return "POST", "/api/0/upload", head, PNG
    if kind == 5:
        return "POST", name, b"{}", {"Host": chance.choice(["evil", "", "127.0.0.1:1", "a" * 3000])}
    if kind == 6:
        method = chance.choice(["PUT", "DELETE", "TRACE", "PATCH", "OPTIONS", "HEAD", "POST"])
        return method, chance.choice(["/", "/app.js", name]), None, {}
    large = chance.choice([5 << 20, 21 << 20]) if chance.random() < 0.15 else 5000
    return "POST", "/api/0/upload", bytes(large), PNG


def test_a_thousand_hostile_requests_do_no_harm(
    page: Page, capfd: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(0)
    ask(page, "POST", "/api/0/draw", {"sampler": "prior", "n": 4})
    before = resident()
    seen: dict[int, int] = {}
    for _ in range(1000):
        method, path, body, headers = hostile(chance)
        try:
            status, told = ask(page, method, path, body, **headers)
        except (OSError, ValueError):  # the connection was closed, or this client refuses to ask
            status, told = 0, {}
        seen[status] = seen.get(status, 0) + 1
        assert status != 500, (method, path, body and body[:200], told)
        assert "Traceback" not in str(told)
        assert "root:" not in str(told)
        assert "site-packages" not in str(told)
    assert seen[400] > 100
    assert seen[403] > 100
    assert ask(page, "GET", "/")[0] == 200
    assert ask(page, "POST", "/api/0/draw", {"sampler": "prior", "n": 4})[0] == 200
    grown = resident() - before
    assert grown < 300 << 20, f"{grown >> 20} MiB more"
    told = capfd.readouterr()
    assert "Traceback" not in told.out + told.err


def test_half_requests_and_noise_do_no_harm(page: Page) -> None:
    port = int(page.address.split("/")[2].rpartition(":")[2])
    held: list[socket.socket] = []
    for i in range(60):
        one = socket.create_connection(("127.0.0.1", port))
        one.sendall(
            [b"GET / HT", bytes(range(256)), b"\r\n" * 50, b"POST /api/0/draw HTTP/1.1\r\n"][i % 4]
        )
        held.append(one)
    assert ask(page, "GET", "/")[0] == 200
    for one in held:
        one.close()


def test_fifty_tabs_are_served_at_once(page: Page) -> None:
    ask(page, "POST", "/api/0/draw", {"sampler": "prior", "n": 144})
    before = resident()
    seen: list[int] = []

    def tab(number: int) -> None:
        for seed in range(4):
            body = {"sampler": "prior", "n": 144, "seed": seed}
            status, _ = ask(page, "POST", "/api/0/draw", body, X_Tab=f"tab{number}")
            seen.append(status)

    tabs = [threading.Thread(target=tab, args=(i,)) for i in range(50)]
    for one in tabs:
        one.start()
    for one in tabs:
        one.join(120)
    assert len(seen) == 200
    assert {*seen} <= {200, 503}
    assert seen.count(200) > 150
    assert resident() - before < 200 << 20
    assert ask(page, "GET", "/")[0] == 200

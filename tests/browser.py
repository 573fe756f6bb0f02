"""A page as a browser without a window sees it."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest


def command_of(profile: Path) -> list[str]:
    """Chromium without a window, which asks no other host for anything of its own.

    The test is skipped where there is no Chromium.
    """
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no Chromium: the page was not opened in a browser")
    return [
        browser,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={profile}",
    ]


def opened(address: str, profile: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """What Chromium says of a page: its standard output is the page once its scripts have run.

    Args:
        address: the page.
        profile: a folder for the browser's own files, which need not be there.
        more: further options of the browser.

    The test is skipped where there is no Chromium.
    """
    command = [*command_of(profile), "--virtual-time-budget=5000", "--dump-dom", *more, address]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


AT_3_AND_4 = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""A program that starts another one, with two of its open files under these numbers."""


class Browser:
    """Chromium without a window, driven by its own protocol over a pipe.

    Args:
        profile: a folder for the browser's own files.
        size: the width and height of the page, in pixels.
        more: further options of the browser.

    Attributes:
        said: what the page said on its console, errors among them.
        asked: the addresses of all requests.
    """

    def __init__(self, profile: Path, size: tuple[int, int] = (1280, 860), *more: str) -> None:
        there, ours = os.pipe(), os.pipe()
        command = [*command_of(profile), "--remote-debugging-pipe", *more, "about:blank"]
        # the browser reads what is asked at 3, and answers at 4
        held = [fcntl.fcntl(each, fcntl.F_DUPFD, 10) for each in (there[0], ours[1])]
        self._process = subprocess.Popen(
            [sys.executable, "-c", AT_3_AND_4, *map(str, held), *command],
            pass_fds=held,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for each in (*held, there[0], ours[1]):
            os.close(each)
        self._out, self._in = os.fdopen(there[1], "wb"), os.fdopen(ours[0], "rb")
        self._answers: dict[int, Any] = {}
        self._number, self._rest, self._session = 0, b"", ""
        self.said: list[str] = []
        self.asked: list[str] = []
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.tell("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for part in ("Page", "Runtime", "Network", "Log"):
            self.tell(f"{part}.enable")
        self.resize(*size)

    def resize(self, width: int, height: int, dark: bool = False) -> None:
        """Give the page another size, and light or dark colours; nothing moves, so that a look
        never falls in the middle of a transition."""
        self.tell(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        self.tell("Emulation.setEmulatedMedia", features=[scheme, still])

    def tell(self, method: str, **params: Any) -> Any:
        """What the browser answers to a method of its protocol."""
        self._number += 1
        mine = self._number
        message: dict[str, Any] = {"id": mine, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        self._out.flush()
        while mine not in self._answers:
            self._read(30)
        answer = self._answers.pop(mine)
        assert "error" not in answer, answer
        return answer["result"]

    def _read(self, seconds: float) -> None:
        if b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], seconds)
            assert ready, "the browser does not answer"
            self._rest += os.read(self._in.fileno(), 1 << 20)
        while b"\0" in self._rest:
            one, _, self._rest = self._rest.partition(b"\0")
            told = json.loads(one)
            if "id" in told:
                self._answers[told["id"]] = told
            elif told["method"] == "Runtime.exceptionThrown":
                self.said.append(json.dumps(told["params"]["exceptionDetails"])[:600])
            elif told["method"] == "Runtime.consoleAPICalled":
                if told["params"]["type"] in ("error", "warning"):
                    self.said.append(json.dumps(told["params"]["args"])[:600])
            elif told["method"] == "Log.entryAdded":
                self.said.append(told["params"]["entry"]["text"])
            elif told["method"] == "Network.requestWillBeSent":
                self.asked.append(told["params"]["request"]["url"])

    def open(self, address: str) -> None:
        """Open a page."""
        self.tell("Page.navigate", url=address)

    def run(self, script: str) -> Any:
        """The value of an expression of JavaScript in the page, which is awaited."""
        told = self.tell(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def until(self, script: str, seconds: float = 30) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.run(f"Boolean({script})"):
            assert time.monotonic() < end, f"{script} stayed false; {self.said}"
            time.sleep(0.03)

    def key(self, name: str, text: str = "") -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            self.tell("Input.dispatchKeyEvent", type=kind, key=name, code=name, text=text)

    def choose(self, selector: str, value: object) -> None:
        """Set a control to a value, as a person does."""
        self.run(
            f"(() => {{ const s = document.querySelector({json.dumps(selector)}); s.value = "
            f"{json.dumps(str(value))}; for (const kind of ['input', 'change']) "
            "s.dispatchEvent(new Event(kind, {bubbles: true})); })()"
        )

    def mouse(self, kind: str, x: float, y: float, pressed: bool = False) -> None:
        """Move, press or release the mouse: mouseMoved, mousePressed or mouseReleased."""
        self.tell(
            "Input.dispatchMouseEvent",
            type=kind,
            x=x,
            y=y,
            button="left" if pressed or kind != "mouseMoved" else "none",
            buttons=int(pressed),
            clickCount=int(kind != "mouseMoved"),
        )

    def picture(self, path: Path) -> None:
        """Write what the page looks like to a PNG file."""
        path.write_bytes(base64.b64decode(self.tell("Page.captureScreenshot")["data"]))

    def close(self) -> None:
        """End the browser."""
        with suppress(AssertionError, OSError):
            self.tell("Browser.close")
        self._process.wait(20)
        self._out.close()
        self._in.close()

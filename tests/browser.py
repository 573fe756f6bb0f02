"""A page as a browser without a window sees it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def opened(address: str, profile: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """What Chromium says of a page: its standard output is the page once its scripts have run.

    Args:
        address: the page.
        profile: a folder for the browser's own files, which need not be there.
        more: further options of the browser.

    The test is skipped where there is no Chromium.
    """
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no Chromium: the page was not opened in a browser")
    command = [
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
        "--virtual-time-budget=5000",
        "--dump-dom",
        *more,
        address,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

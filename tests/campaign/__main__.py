"""All campaigns, one after the other, and their figures as a page: `make campaign`.

    python -m tests.campaign [--figures FOLDER]

Campaigns whose figures lie in the folder already are not run again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "campaign.md"

CAMPAIGNS = {
    "mutations": "Mutations of every format that is read",
    "choices": "Every option of every command with wrong values",
    "kills": "Kills at random instants",
    "disk": "A full disk at every write",
    "pairs": "Two of every command at once",
}


def rows(name: str, found: Any) -> list[tuple[str, dict[str, int]]]:
    """What a campaign counted, by format or as a whole."""
    if isinstance(found, list):
        return [(row["format"], row["seen"]) for row in found]
    return [(name, found["seen"])]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figures", type=Path, help="folder of each campaign's figures")
    figures: Path = parser.parse_args().figures or Path(tempfile.mkdtemp(prefix="figures-"))
    lines = [
        "# Campaigns",
        "",
        "    make campaign",
        "",
        "What became of files, options, disks and processes that were made to fail. `read` and",
        "`accepted` are values that mean something; `refused` is one line and the status 2. A kill",
        "is exact if the command, given again, ends with the same bytes as without it, and no file",
        "is left over. Anything else would be a column of its own.",
        "",
        f"Made on {date.today().isoformat()}.",
        "",
    ]
    bad = 0
    for name, title in CAMPAIGNS.items():
        out = figures / f"{name}.json"
        if not out.exists():
            command = [sys.executable, "-W", "ignore", "-m", f"tests.campaign.{name}"]
            bad += subprocess.run([*command, f"--out={out}"], check=False).returncode != 0
        found = json.loads(out.read_text(encoding="utf-8"))
        counted = rows(name, found)
        columns = sorted({key for _, seen in counted for key in seen})
        lines += [f"## {title}", "", "| | " + " | ".join(columns) + " |"]
        lines += ["|---|" + "---:|" * len(columns)]
        lines += [
            f"| {what} | " + " | ".join(f"{seen.get(c, 0):,}" for c in columns) + " |"
            for what, seen in counted
        ]
        lines.append("")
    PAGE.write_text("\n".join(lines), encoding="utf-8")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())

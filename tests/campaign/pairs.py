"""Two of every command at once on one run: each ends well or says who is in the way.

    python -m tests.campaign.pairs [--only COMMAND]

Both must end with status 0 or 2, one of them with 0, without a traceback; then the run must still
be read, and hold no stray file.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections import Counter
from pathlib import Path

from tests.campaign.shared import COMMANDS, Command, fresh, prepared, start, store

MORE = {
    "encode": Command(["encode", "run", "--out=codes.npz", "--device=cpu"], "codes.npz"),
    "diagnose": Command(["diagnose", "run", "--n=100", "--device=cpu"], "run"),
    "report": Command(["report", "run", "--n=100", "--device=cpu"], "run"),
    "compare": Command(["compare", "run", "--n=100", "--device=cpu", "--out=x.md"], "x.md"),
    "novelty": Command(["novelty", "run", "--out=x.csv", "--device=cpu"], "x.csv"),
    "neighbours": Command(["neighbours", "run", "--out=x.png", "--device=cpu"], "x.png"),
    "gallery": Command(["gallery", "run", "interpolation", "--out=x.png"], "x.png"),
    "classifier": Command(["classifier", "--data=digits", "--iterations=50"], ""),
    "fit-sampler kde": Command(["fit-sampler", "run", "--sampler=kde", "--device=cpu"], "run"),
}
"""Commands that are not killed, but run twice."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="JSON file of the figures")
    options = parser.parse_args()
    root, base = prepared()
    seen: Counter[str] = Counter()
    faults: list[str] = []
    for name, command in {**COMMANDS, **MORE}.items():
        if options.only not in (None, name):
            continue
        for _ in range(options.rounds):
            folder = fresh(base, "trial")
            both = [start(folder, command.arguments) for _ in range(2)]
            ends = [(process.communicate()[1], process.returncode) for process in both]
            look = ["reconstruct", "run", "--n=2", "--device=cpu", "--out=after.png"]
            after = start(folder, look)
            _, err = after.communicate()
            wrong = [e for e, code in ends if code not in (0, 2) or "Traceback" in e]
            if all(code != 0 for _, code in ends):
                wrong += [e for e, _ in ends]
            if after.returncode != 0:
                wrong.append(f"the run can't be read: {err}")
            strays = [str(p) for p in folder.rglob(".*")]
            if strays:
                wrong.append(f"strays: {strays}")
            told = sorted({e.strip().splitlines()[-1][:200] for e, code in ends if code == 2})
            seen["wrong" if wrong else "one refused" if told else "both done"] += 1
            print(name, [code for _, code in ends], *told, flush=True)
            faults += [f"{name}: {e[-1200:]}" for e in wrong]
            for e in wrong:
                print("    " + e[-1200:].replace("\n", "\n    "), flush=True)
    print(dict(seen))
    store(options.out, {"seen": dict(seen), "faults": faults})
    shutil.rmtree(root, ignore_errors=True)
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())

"""What help and completion say comes from `known.json`, which is what signatures and tables say."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from zspace import api
from zspace.cli import cli, known
from zspace.recipes import RECIPES

SCRIPT = """
import json, os, sys
from contextlib import redirect_stderr, redirect_stdout
from io import BytesIO, StringIO, TextIOWrapper
from zspace.cli import main

said = []
for environment, arguments in json.load(sys.stdin):
    out, err, status = TextIOWrapper(BytesIO(), encoding="utf-8"), StringIO(), None
    os.environ.pop("_ZSPACE_COMPLETE", None)
    os.environ.update(environment)
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main(arguments)
        except SystemExit as stop:
            status = stop.code
    out.flush()
    said.append([status, out.buffer.getvalue().decode(), err.getvalue()])
    if "torch" in sys.modules:
        sys.exit(f"PyTorch was imported by {environment} {arguments}")
print(json.dumps(said))
"""
"""Carries out commands in one process, until one imports PyTorch."""

TRAININGS = [("train", recipe) for recipe in RECIPES]
COMMANDS = [(name,) for name in cli.commands]


def without_torch(*calls: tuple[dict[str, str], list[str]]) -> list[tuple[int | None, str, str]]:
    """The status, output and errors of commands, none of which imports PyTorch."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], input=json.dumps(calls), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return [(status, out, err) for status, out, err in json.loads(done.stdout)]


def completing(*words: str) -> tuple[dict[str, str], list[str]]:
    """A shell's request to complete the last of the words behind `zspace`."""
    line = " ".join(["zspace", *words])
    asked = {"_ZSPACE_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": f"{len(words)}"}
    return asked, []


def test_the_file_is_what_signatures_and_tables_say() -> None:
    """If this fails, `make known` writes the file anew."""
    declared = known.declared()
    assert known.FILE.read_text(encoding="utf-8") == known.as_json(declared)
    assert known.own() == declared


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_training_has_the_options_that_python_has(recipe: str) -> None:
    assert list(known.run_options(recipe).items()) == list(api.run_options(recipe).items())


def test_help_imports_no_torch() -> None:
    calls = [(), *COMMANDS, *TRAININGS]
    said = without_torch(*(({}, [*words, "--help"]) for words in calls))
    for words, (status, out, err) in zip(calls, said, strict=True):
        assert (status, err) == (0, ""), words
        assert out.startswith(f"Usage: {' '.join(['zspace', *words])} "), words


def test_completion_imports_no_torch() -> None:
    calls = [*COMMANDS, *TRAININGS]
    said = without_torch(*(completing(*words, "--") for words in calls))
    for words, (_, out, _) in zip(calls, said, strict=True):
        assert "plain,--help" in out.splitlines() or words == ("train",), words


COMPLETED = {
    "tra": ["train"],
    "train flex": ["flexae", "flexae-sr"],
    "train vae --arch ": ["conv", "fc", "resnet"],
    "sample RUN --sampler k": ["kde"],
    "sample RUN --label ": [],
    "fit-sampler RUN --sampler flow": ["flow-matching", "flow"],
    "export RUN --sampler conv": [],
    "novelty RUN --density m": ["mixture"],
    "tune RUN --sampler m": ["medium1", "medium2"],
    "tune RUN --search g": ["grid"],
    "evaluate RUN --metrics mse,code": ["mse,code-fid"],
    "evaluate RUN --samplers kde,tw": ["kde,two-stage"],
    "compare RUN --features p": ["pixels"],
    "gallery RUN coll": ["collage"],
}
"""The values that complete a line."""

REFUSED = {
    "trian": "did you mean 'train'",
    "train flexea": "did you mean 'flexae'",
    "train vae --latent-dims=3": "No such option",
    "train vae --beta=-1": "--beta must be at least 0, not -1",
    "train vae --arch=resnt": "--arch must be one of conv, fc",
    "train vae --channels=2": "--channels must be one of 1, 3",
    "classifier --arch=vgg": "--arch must be one of cnn, resnet56, dropout-cnn",
    "classifier --validation=0.9": "--validation must be at most 0.5, not 0.9",
    "sample RUN --bandwith=1": "No such option",
    "evaluate": "the run's folder is missing",
}
"""Parts of the messages about commands that make no sense."""


def test_values_are_completed_without_torch() -> None:
    said = without_torch(*(completing(*line.split(" ")) for line in COMPLETED))
    found = {
        line: [each.removeprefix("plain,") for each in out.split()]
        for line, (_, out, _) in zip(COMPLETED, said, strict=True)
    }
    assert found == COMPLETED


def test_wrong_options_are_refused_without_torch() -> None:
    said = without_torch(*(({}, line.split()) for line in REFUSED))
    for (line, message), (status, out, err) in zip(REFUSED.items(), said, strict=True):
        assert (status, out) == (2, ""), line
        assert message in err, line


def test_metrics_are_listed_without_torch() -> None:
    ((status, out, _),) = without_torch(({}, ["evaluate", "--metrics=list"]))
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == [*known.own().metrics]

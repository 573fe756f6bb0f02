"""The commands' list, and arguments that make no sense."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Cli
from zspace.cli import cli as group
from zspace.cli import main
from zspace.cli.groups import SECTIONS

Refused = Callable[..., str]


def test_help_lists_the_commands(cli: Cli) -> None:
    for arguments in ((), ("--help",), ("-h",)):
        status, out, _ = cli(*arguments)
        assert status == 0
        for command in ("train", "resume", "sample", "fit-sampler", "encode", "decode", "datasets"):
            assert command in out


def test_every_command_stands_in_one_section_of_the_help(cli: Cli) -> None:
    listed = [name for commands in SECTIONS.values() for name in commands]
    assert sorted(listed) == sorted(group.commands)
    out = cli("--help")[1]
    for title, commands in SECTIONS.items():
        assert f"\n{title}:\n" in out
        for name, about in commands.items():
            assert f"  {name} " in out
            assert f" {about}\n" in out
            assert len(about) <= 60
            assert group.commands[name].get_short_help_str() == about  # which completion shows


@pytest.mark.parametrize(
    "command, first, choices",
    [
        ("train vae", "--data", "--likelihood squared-error|bernoulli"),
        ("classifier", "--data", "--task labels|rotation"),
        ("adopt", "--encoder", "--channels 1|3"),
        ("encode", "--data", "--part train|validation|test|all"),
    ],
)
def test_options_are_shown_in_one_way(cli: Cli, command: str, first: str, choices: str) -> None:
    """A command's own options first, the help last, choices as the value, no value of Python."""
    out = cli(*command.split(), "--help")[1]
    options = [line for line in out.splitlines() if line.startswith("  -")]
    assert options[0].startswith(f"  {first} ")
    assert options[-1].startswith("  -h, --help")
    assert f"  {choices}" in out
    assert "False" not in out
    assert command == "adopt" or "  --device auto|cpu|cuda|mps " in out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["trian"], "unknown command 'trian': did you mean 'train'"),
        (["train", "flexea"], "unknown recipe 'flexea': did you mean 'flexae'"),
        (["train", "--seed=1"], "the recipe comes first"),
        (["train", "ae", "--data=digist"], "nor a named set: did you mean 'digits'"),
        (["train", "ae", "--latent-dims=3"], "No such option"),
        (["train", "ae", "--latent-dim=0"], "--latent-dim must be at least 1, not 0"),
        (["train", "ae", "--latent-dim=x"], "--latent-dim must be a whole number, not 'x'"),
        (["train", "ae", "--batch-size=0"], "--batch-size must be at least 2"),
        (["train", "ae", "--batch-size=5000"], "fewer than a batch of 5000"),
        (["train", "ae", "--iterations=0"], "--iterations must be at least 1"),
        (["train", "ae", "--iterations=-3"], "--iterations must be at least 1"),
        (["train", "ae", "--learning-rate=0"], "--learning-rate must be above 0"),
        (["train", "ae", "--lr=nan"], "--learning-rate must be a number"),
        (["train", "vae", "--beta=-1"], "--beta must be at least 0"),
        (["train", "vae", "--likelihood=normal"], "must be one of squared-error, bernoulli"),
        (["train", "ae", "--seed=-1"], "--seed must be at least 0"),
        (["train", "ae", "--precision=16"], "--precision must be one of 32, bf16"),
        (["train", "ae", "--device=gpu"], "--device must be one of auto, cpu, cuda, mps"),
        (["train", "ae", "--threads=0"], "--threads must be at least 1"),
        (["train", "ae", "--channels=2"], "--channels must be one of 1, 3"),
        (["train", "regene", "--image-size=2"], "too small to be halved"),
        (["train", "ae", "--data=mnist"], "mnist needs --data-dir"),
        (["train", "ae", "--data=mnist", "--data-dir=nowhere"], "nowhere is no folder"),
        (["train", "ae", "--data=digits", "--data-dir=."], "digits has none: leave it out"),
        (["train", "ae", "--data=x.npz", "--data-dir=."], "x.npz has none: leave it out"),
        (["train", "ae", "--data=no/where"], "no such folder or file"),
        (["train", "ae", "--config=no.yaml"], "no.yaml is missing"),
        (["train", "ae", "--init-from=nowhere"], "nowhere is no folder"),
        (["train", "flexae", "--smoothing", "--data=mog2"], "Table 6 has none for vectors"),
        (["train", "vae", "--likelihood=bernoulli", "--data=mog2"], "needs images"),
        (["resume", "nowhere"], "nowhere is no folder"),
        (["sample", "nowhere", "--out=x.png"], "nowhere is no folder"),
        (["datasets", "--download=mnist"], "needs --data-dir"),
        (["datasets", "--download=mnits", "--data-dir=d"], "did you mean 'mnist'"),
        (["sample"], "Missing argument 'RUN'"),
        (["train", "ae", "--data="], "--data and --out must be texts that are not empty"),
        (["train", "ae", "--out="], "--data and --out must be texts that are not empty"),
        (["train", "ae", "--classes=,"], "--classes must be names with commas between"),
        (["train", "ae", "--classes=²"], "unknown class '²'"),
        (["train", "ae", "--threads=100000"], "--threads must be at most 256"),
        (["train", "ae", "--seed=99999999999999999999"], "--seed must be at most"),
        (["train", "ae", "--image-size=100000"], "--image-size must be at most 4096"),
        (["train", "ae", "--hidden=99999999999"], "out of memory: lower --batch-size"),
        (["train", "ae", "--config=."], ". is a folder: expected a file"),
        (["train", "ae", "--out=."], "is the current folder"),
        (["train", "ae", "--out=..", "--overwrite"], "is the current folder, or around it"),
        (
            ["datasets", "--download=mnist", "--data-dir=.", "--mirror=https://a b/"],
            "can't be fetched",
        ),
    ],
)
def test_bad_arguments(
    refused: Refused,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refused(*arguments)
    assert list(tmp_path.iterdir()) == [], "something was written"


@pytest.mark.parametrize(
    ("said", "memory"),
    [
        ("CUDA out of memory. Tried to allocate 2 GiB", True),
        ("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory", True),
        ("CUDA error: an illegal memory access was encountered", False),
    ],
)
def test_a_fault_is_not_taken_for_a_lack_of_memory(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, said: str, memory: bool
) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise RuntimeError(said)

    monkeypatch.setattr("zspace.api.train", failing)
    if memory:
        status, _, err = cli("train", "ae")
        assert (status, err.startswith("zspace: out of memory")) == (2, True)
    else:
        with pytest.raises(RuntimeError, match="illegal"):
            main(["train", "ae"])

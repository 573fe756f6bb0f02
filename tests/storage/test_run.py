"""A run's folder: checkpoints, configuration and log, and every way they can be damaged."""

from __future__ import annotations

import json
import resource
import shutil
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch

import zspace
from tests.conftest import SMALL, Cli
from zspace.errors import InputError
from zspace.generation.fit import fit_sampler, read_sampler
from zspace.storage import files, log
from zspace.storage.config import dump_config, read_config
from zspace.storage.files import read_tensors, write_tensors
from zspace.storage.run import Run


def test_checkpoint_of_another_configuration_is_refused(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(runs["ae"], tmp_path / "run")
    config = tmp_path / "run" / "config.yaml"
    config.write_text(config.read_text().replace("latent_dim: 3", "latent_dim: 4"))
    with pytest.raises(InputError, match="of another configuration: there latent_dim is 3"):
        zspace.resume(tmp_path / "run", iterations=30)
    with pytest.raises(InputError, match="of another configuration"):
        zspace.load(tmp_path / "run")


def test_a_half_written_log_line_is_forgotten(tmp_path: Path) -> None:
    out = tmp_path / "run"
    zspace.train("ae", "digits", out=out, iterations=20, device="cpu", **SMALL)
    whole = (out / "log.jsonl").read_bytes()
    newest = max(Run(out).checkpoints())
    Run(out).checkpoints()[newest].unlink()
    (out / "model.safetensors").unlink()
    with (out / "log.jsonl").open("a") as file:
        file.write('{"iteration": 21, "ae.recon')
    zspace.resume(out)
    assert (out / "log.jsonl").read_bytes() == whole


def test_tensorboard_events(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    zspace.train(
        "ae", "digits", out=tmp_path / "run", iterations=10, device="cpu", tensorboard=True, **SMALL
    )
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    told = {s.step: s.value for s in events.Scalars("ae/reconstruction")}
    logged = {d["iteration"]: d["ae.reconstruction"] for d in Run(tmp_path / "run").losses()}
    assert told == pytest.approx(logged)


def test_a_model_with_other_tensors_is_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(runs["ae"], tmp_path / "run")
    path = tmp_path / "run" / "model.safetensors"
    tensors, header = read_tensors(path, dict)
    tensors.pop("encoder.0.bias")
    write_tensors(path, tensors, header)
    with pytest.raises(InputError, match=r"of another model: encoder\.0\.bias is missing"):
        zspace.load(tmp_path / "run")


def test_a_truncated_checkpoint_is_refused_and_kept(runs: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(runs["ae"], tmp_path / "run")
    newest = max(Run(tmp_path / "run").checkpoints().items())[1]
    newest.write_bytes(newest.read_bytes()[:-10])
    with pytest.raises(InputError, match="truncated"):
        zspace.resume(tmp_path / "run", iterations=30)
    assert newest.exists()


def test_a_renamed_checkpoint_is_refused(
    refused: Refused, runs: dict[str, Path], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["ae"], run)
    newest = Run(run).checkpoints()[20]
    newest.rename(newest.with_name("000000025.safetensors"))
    (run / "model.safetensors").unlink()
    assert "is the checkpoint of iteration 20" in refused("resume", run, "--iterations=30")
    assert "is the checkpoint of iteration 20" in refused(
        "sample", run, "--checkpoint=25", "--out", tmp_path / "x.png"
    )


Refused = Callable[..., str]


def test_a_run_that_is_none(refused: Refused, runs: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "is no run: it has no config.yaml" in refused(
        "sample", tmp_path / "empty", "--out=x.png"
    )
    shutil.copytree(runs["ae"], tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    (tmp_path / "run" / "model.safetensors").unlink()
    assert "has no model and no checkpoint yet" in refused(
        "sample", tmp_path / "run", "--out=x.png"
    )
    (tmp_path / "run" / "config.yaml").write_text("recipe: ea\ndata: digits\n")
    assert "unknown recipe 'ea'" in refused("sample", tmp_path / "run", "--out=x.png")


def damage(run: Path, how: str) -> None:
    """Spoil the last checkpoint of a run of 20 iterations."""
    newest = Run(run).checkpoints()[20]
    tensors, header = read_tensors(newest, dict)
    if how == "other configuration":
        header["config"]["width"] = 5
    elif how == "optimiser's shape":
        tensors["optimizer.ae.0.exp_avg"] = torch.zeros(3)
    elif how == "optimiser's part":
        del tensors["optimizer.ae.0.exp_avg_sq"]
    elif how == "position":
        tensors["batches.drawn"] = torch.tensor(-1)
    elif how == "generator":
        tensors["batches.order"] = torch.zeros(7)
    elif how == "weights":
        tensors["model.encoder.0.bias"].fill_(torch.nan)
    else:
        header["facts"]["shape"] = [1, 4, 4]
    write_tensors(newest, tensors, header)


@pytest.mark.parametrize(
    "how",
    [
        "other configuration",
        "optimiser's shape",
        "optimiser's part",
        "position",
        "generator",
        "weights",
        "facts",
    ],
)
def test_resuming_further_loses_nothing_where_it_fails(
    refused: Refused, runs: dict[str, Path], tmp_path: Path, how: str
) -> None:
    """A finished run keeps its model and its configuration until its checkpoint is found good."""
    run = tmp_path / "run"
    shutil.copytree(runs["ae"], run)
    damage(run, how)
    kept = ("config.yaml", "model.safetensors", "log.jsonl")
    before = {name: (run / name).read_bytes() for name in kept}
    refused("resume", run, "--iterations=30")
    assert {name: (run / name).read_bytes() for name in kept} == before


def test_a_finished_run_without_checkpoints_stays(
    cli: Cli, refused: Refused, runs: dict[str, Path], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["ae"], run)
    for path in (run / "checkpoints").iterdir():
        path.unlink()
    before = (run / "model.safetensors").read_bytes()
    assert cli("resume", run)[0] == 0
    assert "has no checkpoint of iteration 20" in refused("resume", run, "--iterations=30")
    assert (run / "model.safetensors").read_bytes() == before


def test_a_garbled_log_stops_nothing(cli: Cli, runs: dict[str, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["ae"], run)
    garbage = (
        b'{}\n[]\n5\n{"iteration": "x"}\n{"iteration": 1}\n{"iteration": 2, "o": 1}\n\xff\n'
        + b"[" * 5000
    )
    (run / "log.jsonl").write_bytes(garbage)
    status, _, err = cli("resume", run, "--iterations=22")
    assert status == 0, err
    last = Run(run).losses()[-1]
    assert last["iteration"] == 22
    assert "ae.reconstruction" in last


@pytest.mark.parametrize("facts", [5, None, {}, {"shape": "abc", "classes": [], "bounded": True}])
def test_weights_with_odd_facts(
    refused: Refused, runs: dict[str, Path], tmp_path: Path, facts: object
) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["vae"], run)
    tensors, header = read_tensors(run / "model.safetensors", dict)
    write_tensors(run / "model.safetensors", tensors, {**header, "facts": facts})
    message = refused("sample", run, "--out", tmp_path / "x.png")
    assert "do not say what data" in message or "has a damaged header" in message


def test_weights_that_are_not_finite(
    refused: Refused, runs: dict[str, Path], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["vae"], run)
    tensors, header = read_tensors(run / "model.safetensors", dict)
    tensors["encoder.0.bias"].fill_(torch.nan)
    write_tensors(run / "model.safetensors", tensors, header)
    message = refused("sample", run, "--out", tmp_path / "x.png")
    assert "encoder.0.bias holds NaN or infinite numbers" in message


@pytest.mark.parametrize("option", ["width", "hidden"])
def test_a_configuration_that_claims_a_huge_network(
    refused: Refused, runs: dict[str, Path], tmp_path: Path, option: str
) -> None:
    """It is refused before there is memory for the network."""
    run = tmp_path / "run"
    shutil.copytree(runs["ae"], run)
    config = read_config(run / "config.yaml") | {option: 1_000_000}
    (run / "config.yaml").write_text(dump_config(config))
    tensors, header = read_tensors(run / "model.safetensors", dict)
    header["config"][option] = 1_000_000
    write_tensors(run / "model.safetensors", tensors, header)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    message = refused("sample", run, "--sampler=normal", "--out", tmp_path / "x.png")
    assert "can't hold the network of its configuration" in message
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 << 10


def test_a_log_of_many_lines_takes_little_memory(
    cli: Cli, runs: dict[str, Path], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["ae"], run)
    count = 60_000
    (run / "log.jsonl").write_text("".join(f'{{"iteration":{i}}}\n' for i in range(count)))
    held = Run(run).losses()
    assert log.POINTS / 2 <= len(held) <= log.POINTS
    steps = {b["iteration"] - a["iteration"] for a, b in pairwise(held)}
    assert (held[0]["iteration"], steps) == (0, {8})
    tracemalloc.start()
    Run(run, config=read_config(run / "config.yaml")).begin(count - 10)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 8 << 20
    assert len((run / "log.jsonl").read_text().splitlines()) == count - 9


def test_a_log_of_what_no_training_writes(runs: dict[str, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["ae"], run)
    lines = ['"iteration": 1e300', '"iteration": 1, "a": 1e308', '"iteration": 2, "a": -1e38']
    (run / "log.jsonl").write_text("".join(f"{{{line}}}\n" for line in lines))
    assert Run(run).losses() == [{"iteration": 2, "a": -1e38}]


def test_a_log_without_line_breaks_takes_little_memory(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["ae"], run)
    (run / "log.jsonl").write_bytes(b"x" * (32 << 20))
    tracemalloc.start()
    assert Run(run).losses() == []
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most <= log.POINTS * (log.LONGEST + 100)


@pytest.mark.parametrize(
    "name, command",
    [
        ("checkpoints", ["resume", "--iterations=30"]),
        ("tensorboard", ["resume", "--iterations=30"]),
        ("log.jsonl", ["resume", "--iterations=30"]),
        ("samplers", ["fit-sampler", "--sampler=normal"]),
        ("samplers", ["sample", "--sampler=normal", "--out=never.png"]),
        ("samplers", ["tune", "--sampler=simple", "--trials=1"]),
        ("samplers/flow", ["fit-sampler", "--sampler=flow", "--iterations=4"]),
        (
            "samplers/flow/checkpoints",
            ["fit-sampler", "--quiet", "--sampler=flow", "--iterations=4"],
        ),
        ("tuning", ["tune", "--sampler=simple", "--trials=1"]),
        ("tuning/trials.log", ["tune", "--sampler=simple", "--trials=1"]),
    ],
)
def test_nothing_is_written_through_a_link_in_a_run(
    refused: Refused, runs: dict[str, Path], tmp_path: Path, name: str, command: list[str]
) -> None:
    """What a received run links to is neither changed nor removed."""
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    shutil.copytree(runs["ae"], run)
    if name.startswith("samplers/flow"):
        fit_sampler(run, "flow", {"iterations": 2})
    inside = run / name
    inside.parent.mkdir(exist_ok=True)
    if inside.exists():
        inside.rename(elsewhere)
    elif "." in name:
        elsewhere.write_text("")
    else:
        elsewhere.mkdir()
    inside.symlink_to(elsewhere)
    before = {p: p.is_file() and p.read_bytes() for p in sorted(tmp_path.rglob("*"))}
    assert f"{inside} is a symbolic link" in refused(command[0], run, *command[1:])
    assert {p: p.is_file() and p.read_bytes() for p in sorted(tmp_path.rglob("*"))} == before


def test_a_run_may_itself_be_a_link(cli: Cli, runs: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(runs["ae"], tmp_path / "elsewhere")
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    assert cli("resume", tmp_path / "run", "--iterations=22")[0] == 0
    assert cli("fit-sampler", tmp_path / "run", "--sampler=normal")[0] == 0
    assert (tmp_path / "elsewhere" / "samplers" / "normal.safetensors").is_file()


def padded(path: Path, size: int) -> None:
    """Give a file of tensors one more, of zeros that take no room on the disk."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    end = len(content) - start
    header["z"] = {"dtype": "U8", "shape": [size], "data_offsets": [end, end + size]}
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + content[start:])
        file.truncate(8 + len(text) + end + size)


@pytest.mark.parametrize("what", ["model", "checkpoint", "sampler", "init-from"])
def test_a_file_far_larger_than_its_network_is_not_read(
    refused: Refused, runs: dict[str, Path], tmp_path: Path, what: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["ae"], run)
    fit_sampler(run, "normal")
    path = {
        "checkpoint": Run(run).checkpoints()[20],
        "sampler": run / "samplers" / "normal.safetensors",
    }.get(what, run / "model.safetensors")
    padded(path, 400 << 20)
    sample = ["sample", run, "--sampler=normal", "--out", tmp_path / "x.png"]
    options = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    commands = {
        "checkpoint": ["resume", run, "--iterations=30"],
        "init-from": ["train", "ae", "--init-from", run, "--out", tmp_path / "new", *options],
    }
    message = refused(*commands.get(what, sample))
    assert f"{path} is of 400 MiB, far more than the network of its configuration" in message


def test_a_stored_sampler_is_opened_once(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["ae"], run)
    fit_sampler(run, "normal")
    model, opened = zspace.load(run), list[Path]()
    safe_open = files.safe_open

    def counted(path: Path, framework: str) -> object:
        opened.append(path)
        return safe_open(path, framework)

    monkeypatch.setattr(files, "safe_open", counted)
    assert read_sampler(run, "normal", model) is not None
    held = run / "samplers" / "normal.safetensors"
    assert opened.count(held) == 1

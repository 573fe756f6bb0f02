"""Where a model is found, that any source is checked, and what becomes of bad input."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest

import zspace
from tests.conftest import SMALL, Cli, Refused, Told
from tests.https import Server, served
from zspace.errors import InputError
from zspace.storage import published
from zspace.storage.entries import Shown
from zspace.storage.published import RELEASE, entry_of, get, run_folder
from zspace.storage.run import Run
from zspace.zoo.card import text_of


@pytest.fixture
def server(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server that stands in for the project's releases."""
    file = (elsewhere / "exact" / "model.safetensors").read_bytes()
    files = {"zoo-1/exact.safetensors": file}
    with served(files, tmp_path_factory.mktemp("https"), monkeypatch) as server:
        monkeypatch.setattr(published, "_releases", lambda: f"{server.address}zoo-1")
        yield server


def changed(elsewhere: Path, name: str = "exact") -> Path:
    """The file of a model, in which one byte is another."""
    file = elsewhere / name / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    return file


def test_it_is_looked_for_in_order(
    server: Server, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    told = Told()
    folder = get("exact", progress=told)
    assert server.asked == [("zoo-1/exact.safetensors", None)]
    assert told.calls[-1][0] == "exact.safetensors"
    assert sorted(p.name for p in folder.parent.iterdir() if p.suffix != ".lock") == ["exact"]
    assert entry_of("exact").sha256[:16] in str(folder)
    assert get("zoo:exact") == folder
    assert len(server.asked) == 1, "what is in the cache is not fetched again"
    for place in ("here", "variable", "from"):  # each is asked before what was asked so far
        shutil.rmtree(folder)
        source = None
        if place == "here":
            shutil.copytree(elsewhere, "zoo")
        elif place == "variable":
            changed(Path("zoo"))
            monkeypatch.setenv("ZSPACE_ZOO", str(elsewhere))
        else:
            source = str(elsewhere.rename(elsewhere.with_name("moved")))
            (Path(source) / "exact" / "model.safetensors").rename(f"{source}/exact.safetensors")
            monkeypatch.setenv("ZSPACE_ZOO", "/none")
        get("exact", source)
        assert len(server.asked) == 1, place
    assert zspace.load(folder).latent_dim == SMALL["latent_dim"]


def test_an_address_may_be_given(
    server: Server, monkeypatch: pytest.MonkeyPatch, refused: Refused, cli: Cli
) -> None:
    server.files["mirror/exact.safetensors"] = server.files.pop("zoo-1/exact.safetensors")
    status, out, _ = cli("zoo", "--get=exact", "--from", f"{server.address}mirror/")
    assert status == 0
    assert Path(out.strip()).is_dir()
    assert "is no https address" in refused("zoo", "--get=rounded", "--from=http://127.0.0.1/")
    line = refused("zoo", "--get=rounded", "--from", f"{server.address}mirror")
    assert "rounded.safetensors can't be fetched" in line
    assert "404" in line


def test_a_download_that_is_damaged_or_too_large_or_breaks_off(
    server: Server, refused: Refused, tmp_path: Path
) -> None:
    file = server.files["zoo-1/exact.safetensors"]
    server.files["zoo-1/exact.safetensors"] = file[:-1] + b"x"
    line = refused("sample", "zoo:exact", "--sampler=normal", "--out=x.png")
    assert "has a wrong checksum: not the published file, not kept" in line
    assert "zspace zoo --get exact --from DIR" in line
    server.files["zoo-1/exact.safetensors"] = file + b"more"
    assert "is larger than" in refused("zoo", "--get=exact")
    assert not [p for p in (tmp_path / "cache").rglob("*") if "safetensors" in p.name]
    server.files["zoo-1/exact.safetensors"] = file
    server.break_at = 1000
    assert "the connection broke off at 1000 of" in refused("zoo", "--get=exact")
    server.break_at = None
    get("exact")
    assert server.asked[-1] == ("zoo-1/exact.safetensors", "bytes=1000-")


@pytest.mark.parametrize(
    "urls, address",
    [
        (["Repository, https://example.org/zspace/"], f"https://example.org/zspace/{RELEASE}"),
        (["Documentation, https://example.org"], None),
        (["Repository, http://example.org"], None),
        (None, None),
    ],
)
def test_the_releases_are_those_of_the_repository_that_the_metadata_name(
    monkeypatch: pytest.MonkeyPatch, urls: list[str] | None, address: str | None
) -> None:
    held = Message()
    for url in urls or ():
        held["Project-URL"] = url
    monkeypatch.setattr(published, "metadata", lambda name: held)
    assert published._releases() == address


def test_without_network_and_file_it_says_where_it_looked(
    elsewhere: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere.parent / "empty").mkdir()
    monkeypatch.setenv("ZSPACE_ZOO", str(elsewhere.parent / "empty"))
    monkeypatch.setattr(published, "_releases", lambda: "https://127.0.0.1:1/zoo-1")
    line = refused("sample", "zoo:exact", "--sampler=normal", "--out=x.png")
    places = ["(the cache)", str(elsewhere.parent / "empty"), "zoo,", "https://127.0.0.1:1/zoo-1"]
    found = [line.index(place) for place in places]
    assert found == sorted(found)
    assert "'zspace zoo --get exact --from DIR' takes it from a folder with" in line


def test_a_file_that_is_not_the_published_one(elsewhere: Path, refused: Refused) -> None:
    file = changed(elsewhere)
    line = refused("zoo", "--get=exact", "--from", elsewhere)
    assert f"{file} has a wrong checksum: SHA-256 " in line
    assert entry_of("exact").sha256[:16] in line
    assert "get it again, or name another folder by --from" in line
    file.write_bytes(file.read_bytes() + b"more")
    assert "bytes, the published file of" in refused("zoo", "--get=exact", "--from", elsewhere)
    shutil.copytree(elsewhere, "zoo")
    assert "bytes, the published file of" in refused("evaluate", "zoo:exact")
    assert "--from /none is no folder" in refused("zoo", "--get=exact", "--from=/none")


@pytest.mark.parametrize(
    "name", ["exat", "", "exact/../exact", "../exact", "/etc", "exact/samplers"]
)
def test_a_name_that_is_unknown(zoo: Path, refused: Refused, name: str) -> None:
    line = refused("sample", f"zoo:{name}", "--out=x.png")
    assert f"unknown model of the zoo '{name}'" in line
    assert "known: exact, rounded" in line
    if name == "exat":
        assert "did you mean 'exact'" in line
    with pytest.raises(InputError, match="unknown model of the zoo"):
        zspace.load(f"zoo:{name}")


@pytest.mark.parametrize(
    "change",
    [
        {"../x": {}},
        {"a/b": {}},
        {"exact": {"sha256": "../../etc"}},
        {"exact": {"sha256": "A" * 64}},
        {"exact": {"bytes": 1 << 40}},
        {"exact": {"bytes": -1}},
        {"exact": {"facts": {"shape": [0]}}},
    ],
)
def test_a_damaged_index(
    zoo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    refused: Refused,
    change: dict[str, dict[str, object]],
) -> None:
    index = json.loads(published.INDEX.read_text())
    whole = index["exact"]
    for name, more in change.items():
        index[name] = {**whole, **more}
    (tmp_path / "index.json").write_text(json.dumps(index))
    monkeypatch.setattr(published, "INDEX", tmp_path / "index.json")
    for command in (["zoo"], ["zoo", "--get=exact"], ["sample", "zoo:exact", "--out=x.png"]):
        assert "index.json is damaged" in refused(*command)


def test_a_cache_that_cannot_be_written_to(
    zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ZSPACE_CACHE", str(tmp_path / "file"))
    line = refused("sample", "zoo:exact", "--sampler=normal", "--out=x.png")
    assert "zoo:exact can't be unpacked in" in line
    assert "set ZSPACE_CACHE to a folder that may be written to" in line


def test_what_is_in_a_cache_that_cannot_be_written_to_is_used(
    zoo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    get("exact")
    monkeypatch.setattr(published, "alone", lambda *_: pytest.fail("it needs no lock"))
    assert zspace.load("zoo:exact").latent_dim == SMALL["latent_dim"]


def test_an_unpacking_that_was_interrupted_begins_anew(
    zoo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = published.unpack

    def interrupted(path: Path, folder: Path) -> None:
        whole(path, folder)
        raise KeyboardInterrupt

    monkeypatch.setattr(published, "unpack", interrupted)
    with pytest.raises(KeyboardInterrupt):
        get("exact")
    monkeypatch.setattr(published, "unpack", whole)
    folder = published.cache_folder() / "zoo" / entry_of("exact").sha256[:16]
    assert not [p for p in folder.iterdir() if p.suffix != ".lock"]
    # what a killed process left
    left = folder / ".exact-00000000-999999999-0"
    left.mkdir()
    assert Run(get("exact")).model_file.is_file()


KILLED = """
import os
from zspace.storage import published
from zspace.storage.entries import Shown
whole = published.unpack
def killed(path, folder):
    whole(path, folder)
    os.kill(os.getpid(), 9)
published.unpack = killed
published.get("digits-gen")
"""


def test_two_processes_at_once_and_one_that_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZSPACE_CACHE", str(tmp_path))
    assert subprocess.run([sys.executable, "-c", KILLED], check=False).returncode == -9
    code = "from zspace.storage.published import get; print(get('digits-gen'))"
    command = [sys.executable, "-c", code]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    ends = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert ends[0] == ends[1]
    folder = Path(ends[0].strip())
    assert [p.name for p in folder.parent.iterdir() if p.suffix != ".lock"] == ["digits-gen"]
    assert Run(folder).model_file.is_file()


def test_what_was_damaged_in_the_cache_is_brought_in_anew(zoo: Path, cli: Cli) -> None:
    folder = get("exact")
    (folder / "config.yaml").unlink()
    assert zspace.load("zoo:exact")
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match="truncated"):
        zspace.load("zoo:exact")
    assert cli("zoo", "--get=exact,rounded")[0] == 0
    assert zspace.load("zoo:exact")
    assert cli("zoo", "--get=all", "--quiet") == (0, "", "")


def test_what_commands_add_stays(zoo: Path, cli: Cli) -> None:
    status, _, err = cli("fit-sampler", "zoo:exact", "--sampler=kde", "--quiet")
    assert (status, err) == (0, "")
    assert [*Run("zoo:exact").samplers()] == ["flow-matching", "kde", "normal"]
    assert (run_folder("zoo:exact") / "samplers" / "kde.safetensors").is_file()


def test_it_is_no_place_for_a_run_and_is_not_resumed(zoo: Path, refused: Refused, cli: Cli) -> None:
    for run in ("zoo:exact", get("exact")):
        line = refused("resume", run)
        assert "zoo:exact is a finished model without checkpoints: 'zspace train ae" in line
        with pytest.raises(InputError, match="is a finished model"):
            zspace.resume(run)
    with pytest.raises(InputError, match="unknown model of the zoo 'exat'"):
        zspace.resume("zoo:exat")
    line = refused("train", "ae", "--iterations=1", "--out=zoo:exact")
    assert "names a model of the zoo, and nothing can be stored there" in line


@pytest.mark.parametrize(
    "command",
    [
        ("sample", "zoo:exact", "--sampler=normal", "--n=4", "--out=x.png"),
        ("sample", "zoo:rounded", "--sampler=flow-matching", "--label=3", "--out=y.png"),
        ("evaluate", "zoo:exact", "--metrics=fid", "--features=pixels", "--n=40"),
        ("compare", "zoo:exact", "zoo:rounded", "--n=100"),
        ("report", "zoo:exact", "--n=100", "--map=pca", "--out=r.html"),
        ("gallery", "zoo:exact", "collage", "--out=x.png"),
        ("reconstruct", "zoo:exact", "--out=x.png"),
        ("encode", "zoo:exact", "--out=x.npz"),
        ("diagnose", "zoo:exact", "--n=100"),
        ("novelty", "zoo:exact", "--density=normal", "--out=x.csv"),
        ("augment", "zoo:exact", "--per-class=2", "--out=a.npz"),
        ("train", "ae", "--iterations=1", "--width=4", "--init-from=zoo:exact", "--out=run"),
    ],
    ids=lambda words: words[0],
)
def test_every_command_takes_it(zoo: Path, cli: Cli, command: tuple[str, ...]) -> None:
    status, _, err = cli(*command)
    assert status == 0, err


def test_the_usual_sampler_is_that_of_the_card(zoo: Path, cli: Cli, tmp_path: Path) -> None:
    for run, *words in (("zoo:exact",), (get("exact"),), ("zoo:exact", "--sampler=flow-matching")):
        assert cli("sample", run, "--out", tmp_path / "x.npy", "--n=8", *words)[0] == 0
        (tmp_path / "x.npy").rename(tmp_path / f"{len(list(tmp_path.glob('*.npy')))}.npy")
    same = {path.read_bytes() for path in tmp_path.glob("*.npy")}
    assert len(same) == 1


def test_a_label_that_a_model_does_not_know(zoo: Path, refused: Refused) -> None:
    words = ("sample", "zoo:exact", "--sampler=flow-matching", "--label=cat", "--out=x.png")
    assert "cat" in refused(*words)


def test_python_takes_it_wherever_a_run_is_taken(zoo: Path) -> None:
    assert zspace.load("zoo:exact").latent_dim == SMALL["latent_dim"]
    zspace.fit_sampler("zoo:exact", "normal")
    found = zspace.evaluate("zoo:exact", metrics=["fid"], features="pixels", n=40)
    assert found["n"] == 40


def test_a_figure_is_rounded_to_its_error() -> None:
    assert text_of(Shown("Frechet", 3.984, 1.9, 10, "pixels")) == "4.0 ± 1.9"
    assert text_of(Shown("Frechet", 3.984, None, 10, "pixels")) == "3.984"


def test_the_table_and_the_cards(zoo: Path, cli: Cli, refused: Refused) -> None:
    status, out, _ = cli("zoo")
    assert status == 0
    for part in ("exact", "rounded", "8x8 grey", "Frechet, flow-matching", "MB", "min"):
        assert part in out
    assert "Nothing" not in out  # what it is good at stands on its card
    for name in ("exact", "zoo:exact"):
        status, out, _ = cli("zoo", name)
        assert out == (zoo / "exact" / "card.md").read_text(encoding="utf-8")
    assert "unknown model of the zoo 'exat'" in refused("zoo", "exat")
    assert "--get takes the names itself" in refused("zoo", "exact", "--get=rounded")
    assert "--from belongs to --get" in refused("zoo", "--from=.")

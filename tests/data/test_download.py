"""Downloads that break off, go on, are checked and can write nowhere else."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

from tests.conftest import Told, random_images
from tests.https import Server, served
from zspace.data import NAMED, download
from zspace.data.sets import NamedSet
from zspace.errors import InputError
from zspace.storage.lock import locked

MODULE = import_module("zspace.data.download")
"""The module, in whose place the package has the function of the same name."""
FETCH = import_module("zspace.storage.fetch")


@pytest.fixture
def server(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server of a named set `tiny`, of two files that are large enough to break."""
    files = {
        f"{n}.gz": gzip.compress(random_images(1, 300_000, seed=i).tobytes())
        for i, n in enumerate("ab")
    }
    with served(files, tmp_path_factory.mktemp("https"), monkeypatch) as server:
        publish(server, files, monkeypatch)
        yield server


def publish(server: Server, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `tiny` the named set of these files, which the server has."""
    server.files.update(files)
    sums = {n: hashlib.sha256(c).hexdigest() for n, c in files.items()}
    monkeypatch.setitem(
        NAMED, "tiny", NamedSet("tiny", addresses=(server.address,), downloads=sums)
    )


def test_download(server: Server, tmp_path: Path) -> None:
    told = Told()
    files = download("tiny", tmp_path / "new", progress=told)
    assert [f.read_bytes() for f in files] == list(server.files.values())
    assert told.calls[-1][:3] == ("b.gz", len(server.files["b.gz"]), len(server.files["b.gz"]))
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["a.gz", "b.gz"]
    server.asked.clear()
    download("tiny", tmp_path / "new")
    assert server.asked == [], "whole files are not fetched again"


def test_download_goes_on_where_it_broke_off(server: Server, tmp_path: Path) -> None:
    server.break_at = 100_000
    with pytest.raises(InputError, match="the connection broke off at 100000 of"):
        download("tiny", tmp_path)
    assert (tmp_path / "a.gz.part").stat().st_size == 100_000
    assert not (tmp_path / "a.gz").exists()
    server.break_at = None
    server.asked.clear()
    files = download("tiny", tmp_path)
    assert server.asked[0] == ("a.gz", "bytes=100000-")
    assert [f.read_bytes() for f in files] == list(server.files.values())


def test_a_whole_part_file_is_taken(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.gz.part").write_bytes(server.files["a.gz"])
    files = download("tiny", tmp_path)
    assert files[0].read_bytes() == server.files["a.gz"]


def test_two_downloads_at_once_do_not_share_a_file(server: Server, tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(InputError, match=r"is in use .* download into another"):
        download("tiny", tmp_path)
    assert not server.asked


def test_download_with_a_wrong_checksum_leaves_nothing(server: Server, tmp_path: Path) -> None:
    server.files["a.gz"] = server.files["a.gz"][:-1] + b"x"
    with pytest.raises(InputError, match="wrong checksum"):
        download("tiny", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_download_from_a_mirror_and_from_nowhere(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.gz can't be fetched .*404"):
        download("tiny", tmp_path, mirror=server.address + "other")
    with pytest.raises(InputError, match="'file:///etc' is no https address"):
        download("tiny", tmp_path, mirror="file:///etc")
    with pytest.raises(InputError, match="CelebA project page"):
        download("celeba", tmp_path)
    with pytest.raises(InputError, match="needs no download"):
        download("digits", tmp_path)
    with pytest.raises(InputError, match="unknown data set 'mnits': did you mean 'mnist'"):
        download("mnits", tmp_path)


def test_named_sets_are_published_by_https_with_sha256() -> None:
    for name, known in NAMED.items():
        assert all(a.startswith("https://") for a in known.addresses), name
        assert all(len(c) == 64 for c in (*known.downloads.values(), *known.checksums.values()))


@pytest.mark.parametrize("mirror", ["http://example.org/", "ftp://example.org/", ""])
def test_nothing_is_fetched_without_encryption(
    tmp_path: Path, refused: Callable[..., str], mirror: str
) -> None:
    folder = tmp_path / "new"
    options = ("--download=mnist", f"--data-dir={folder}", f"--mirror={mirror}")
    assert f"'{mirror}' is no https address" in refused("datasets", *options)
    assert not folder.exists()


def test_a_redirect_leads_to_no_other_protocol(server: Server, tmp_path: Path) -> None:
    server.redirects["a.gz"] = server.address + "c.gz"
    server.files["c.gz"] = server.files["a.gz"]
    assert download("tiny", tmp_path)[0].read_bytes() == server.files["a.gz"]
    (tmp_path / "a.gz").unlink()
    server.redirects["a.gz"] = server.address.replace("https", "http") + "c.gz"
    with pytest.raises(InputError, match=r"'http://.*c\.gz' is no https address"):
        download("tiny", tmp_path)


def test_a_server_without_a_known_certificate_is_not_believed(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/dev/null")
    with pytest.raises(InputError, match=r"a\.gz can't be fetched .*certificate verify failed"):
        download("tiny", tmp_path)


@pytest.mark.parametrize("claimed", [None, 0, 1 << 40])
def test_a_download_is_bounded(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, claimed: int | None
) -> None:
    """The size that the server tells is looked at, and so is what comes if it tells none."""
    monkeypatch.setattr(FETCH, "MOST", 200_000)
    server.claimed = claimed
    with pytest.raises(InputError, match="is larger than 200000 bytes: not kept"):
        download("tiny", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mirror", ["https://[", "https://a b/", "https://127.0.0.1:x/"])
def test_an_address_that_cannot_be_read(
    tmp_path: Path, refused: Callable[..., str], mirror: str
) -> None:
    options = ("--download=mnist", f"--data-dir={tmp_path}", f"--mirror={mirror}")
    assert "can't be fetched" in refused("datasets", *options)


def test_a_download_needs_a_folder(refused: Callable[..., str]) -> None:
    assert "--download needs --data-dir" in refused("datasets", "--download=mnist", "--data-dir=")


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def link() -> tarfile.TarInfo:
    member = tarfile.TarInfo("link")
    member.type, member.linkname = tarfile.SYMTYPE, "a"
    return member


def test_an_archive_is_unpacked(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = (tarfile.TarInfo("set/a"), b"new"), (tarfile.TarInfo("set/deep/b"), b"b")
    publish(server, {"good.tar.gz": archive(*members)}, monkeypatch)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a").write_bytes(b"old")
    download("tiny", tmp_path)
    files = {str(p.relative_to(tmp_path)): p for p in tmp_path.rglob("*") if p.is_file()}
    assert sorted(files) == ["good.tar.gz", "set/a", "set/deep/b"]
    assert files["set/a"].read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize(
    "content, message",
    [
        (archive((tarfile.TarInfo("../escaped"), b"evil")), "can't be unpacked"),
        (archive((tarfile.TarInfo("zeros"), bytes(2_000_000))), "more than 1000000 bytes"),
        (archive((link(), b"")), "can't be unpacked: it holds more than plain files"),
        (gzip.compress(b"no archive"), "can't be unpacked"),
        (archive((tarfile.TarInfo("a"), bytes(1000)))[:-20], "can't be unpacked"),
    ],
    ids=("elsewhere", "bomb", "link", "no archive", "truncated"),
)
def test_an_archive_writes_nowhere_else_and_is_bounded(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str
) -> None:
    monkeypatch.setattr(MODULE, "MOST", 1_000_000)
    publish(server, {"evil.tar.gz": content}, monkeypatch)
    with pytest.raises(InputError, match=message):
        download("tiny", tmp_path / "in")
    assert [p.name for p in tmp_path.rglob("*")] == ["in", "evil.tar.gz"]

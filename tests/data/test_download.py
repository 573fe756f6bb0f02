"""Downloads that break off, go on, are checked and can write nowhere else."""

from __future__ import annotations

import gzip
import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.conftest import Told, random_images
from zspace.data import NAMED, download
from zspace.data.sets import NamedSet
from zspace.errors import InputError


class Server(ThreadingHTTPServer):
    """Serves `files` by name; counts requests; can break off in the middle of a file."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files, self.asked, self.break_at = files, [], None
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name, ranged = self.path.lstrip("/"), self.headers.get("Range")
        self.server.asked.append((name, ranged))
        content = self.server.files.get(name)
        if content is None:
            self.send_error(404)
            return
        start = int(ranged.split("=")[1].rstrip("-")) if ranged else 0
        if ranged and start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if ranged else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = self.server.break_at or len(content)
        self.wfile.write(content[start:end])
        self.close_connection = True

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server of a named set `tiny`, of two IDX files that are large enough to break."""
    import hashlib

    files = {
        f"{n}.gz": gzip.compress(random_images(1, 300_000, seed=i).tobytes())
        for i, n in enumerate("ab")
    }
    sums = {n: hashlib.md5(c).hexdigest() for n, c in files.items()}
    server = Server(files)
    tiny = NamedSet("tiny", addresses=(server.address,), downloads=sums)
    monkeypatch.setitem(NAMED, "tiny", tiny)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


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


def test_download_with_a_wrong_checksum_leaves_nothing(server: Server, tmp_path: Path) -> None:
    server.files["a.gz"] = server.files["a.gz"][:-1] + b"x"
    with pytest.raises(InputError, match="wrong checksum"):
        download("tiny", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_download_from_a_mirror_and_from_nowhere(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.gz can't be fetched .*404"):
        download("tiny", tmp_path, mirror=server.address + "other")
    with pytest.raises(InputError, match="not an http address"):
        download("tiny", tmp_path, mirror="file:///etc")
    with pytest.raises(InputError, match="CelebA project page"):
        download("celeba", tmp_path)
    with pytest.raises(InputError, match="needs no download"):
        download("digits", tmp_path)
    with pytest.raises(InputError, match="unknown data set 'mnits': did you mean 'mnist'"):
        download("mnits", tmp_path)


def test_an_archive_can_write_nowhere_else(server: Server, tmp_path: Path) -> None:
    import hashlib
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo("../escaped")
        member.size = 4
        archive.addfile(member, io.BytesIO(b"evil"))
    content = buffer.getvalue()
    server.files["evil.tar.gz"] = content
    evil = NamedSet(
        "evil",
        addresses=(server.address,),
        downloads={"evil.tar.gz": hashlib.md5(content).hexdigest()},
    )
    NAMED["tiny"] = evil
    with pytest.raises(InputError, match="can't be unpacked"):
        download("tiny", tmp_path / "in")
    assert not (tmp_path / "escaped").exists()

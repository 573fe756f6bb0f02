"""What is no plain file, can't be opened, or has a name that can't be printed."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.conftest import random_images, write_idx
from zspace.data import load, load_whole
from zspace.data.cifar import read_batch
from zspace.data.idx import read_idx
from zspace.data.names import class_names, some
from zspace.data.svhn import read_mat
from zspace.errors import InputError, printable
from zspace.generation.files import read_codes
from zspace.storage.reading import kind_of, opened, whole


def special(kind: str, path: Path) -> Path:
    """Something at a path that can be opened, or waited for, and has no end."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        here = os.open(path.parent, os.O_RDONLY)
        with socket.socket(socket.AF_UNIX) as end:  # the path of a socket must be short
            end.bind(f"/proc/self/fd/{here}/{path.name}")
        os.close(here)
    return path


@pytest.mark.parametrize("kind", ["pipe", "device", "socket"])
def test_what_is_no_plain_file_is_refused_at_once(
    tmp_path: Path, refused: Callable[..., str], kind: str
) -> None:
    message = "is a device, a pipe or a socket: expected a file"
    for name in ("x.npy", "x.npz"):
        path = special(kind, tmp_path / name)
        assert message in refused("train", "ae", f"--data={path}", f"--out={tmp_path / 'run'}")
        for read in (read_idx, read_batch, read_mat, lambda path: read_codes(path, 3)):
            with pytest.raises(InputError, match=message):
                read(path)
    (tmp_path / "pictures").mkdir()
    Image.fromarray(random_images(1, 4, 4)[0]).save(tmp_path / "pictures" / "a.png")
    special(kind, tmp_path / "pictures" / "b.png")
    with pytest.raises(InputError, match=rf"b\.png {message}"):
        load(str(tmp_path / "pictures"))
    (tmp_path / "mnist").mkdir()
    special(kind, tmp_path / "mnist" / "train-images-idx3-ubyte")
    with pytest.raises(InputError, match=message):
        load("mnist", tmp_path / "mnist")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", ["npy", "npz", "idx", "cifar", "mat", "png"])
def test_a_file_that_cannot_be_opened_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The reason is the system's, and no file is called damaged that was not read."""
    path = tmp_path / f"a.{kind}"
    if kind == "npy":
        np.save(path, random_images(20, 4, 4))
    elif kind == "npz":
        np.savez(path, images=random_images(20, 4, 4))
    elif kind == "png":
        Image.fromarray(random_images(1, 4, 4)[0]).save(path)
    else:
        write_idx(path, random_images(20, 4, 4))
    readers = {"idx": read_idx, "cifar": read_batch, "mat": read_mat}
    read = readers.get(kind, lambda path: load(str(tmp_path if kind == "png" else path)))

    def many(*_: object) -> int:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", many)
        with pytest.raises(InputError, match=r"a\.\w+ can't be opened: Too many open files"):
            read(path)
    path.unlink()
    path.mkdir()
    if kind in readers:
        with pytest.raises(InputError, match=r"a\.\w+ is a folder: expected a file"):
            read(path)


def test_a_folder_that_cannot_be_listed_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", locked)
    with pytest.raises(InputError, match="can't be read: Permission denied"):
        load(str(tmp_path))


def test_paths_that_no_file_can_have(tmp_path: Path, refused: Callable[..., str]) -> None:
    assert kind_of(tmp_path / "nothing") is None
    assert kind_of(Path("nul\0")) is None
    message = refused("train", "ae", f"--data=/{'x' * 5000}", f"--out={tmp_path / 'run'}")
    assert "can't be read: File name too long" in message
    with pytest.raises(InputError, match="is missing: expected a file"):
        opened(tmp_path / "nothing")


def test_files_are_read_up_to_their_limit(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(10))
    assert whole(path, 10, "a test") == bytes(10)
    with pytest.raises(InputError, match="larger than 9 bytes, the limit of a test"):
        whole(path, 9, "a test")


@pytest.mark.parametrize(
    "name, expected",
    [
        (os.fsdecode(b"caf\xe9"), "caf\\udce9"),
        ("\ud800", "\\ud800"),
        ("a\nb\x1b[31m\0", "a\\nb\\x1b[31m\\x00"),
        ("\u202eabc", "\\u202eabc"),
        ("grüße 猫", "grüße 猫"),
        ("x" * 101, "x" * 97 + "..."),
        ("\x01" * 100, ("\\x01" * 100)[:97] + "..."),
    ],
)
def test_names_become_texts(name: str, expected: str) -> None:
    text = printable(name)
    assert text == expected
    assert yaml.safe_load(yaml.safe_dump(text)) == text
    text.encode("utf-8")


def test_classes_have_names_that_differ() -> None:
    assert class_names(["a", "b"], "x") == ("a", "b")
    with pytest.raises(InputError, match=r"two classes of x have the name \\udcff"):
        class_names(["\\udcff", "\udcff"], "x")
    with pytest.raises(InputError, match="a class of x has an empty name"):
        class_names(["a", ""], "x")
    assert some(list("abcdefg")) == "a, b, c, d, e and 2 more"


def test_classes_of_any_name_are_read(tmp_path: Path) -> None:
    for name in (b"caf\xe9", b"new\nline", b"z" * 200):
        folder = tmp_path / "set" / os.fsdecode(name)
        folder.mkdir(parents=True)
        for i, image in enumerate(random_images(10, 4, 4)):
            Image.fromarray(image).save(folder / f"{i}.png")
    names = ("caf\\udce9", "new\\nline", "z" * 97 + "...")
    assert load(str(tmp_path / "set")).classes == names
    folders = sorted((tmp_path / "set").iterdir())
    assert load_whole(",".join(map(str, folders)))[1] == names
    assert load_whole(str(tmp_path / "set"), classes="new\\nline")[1] == ("new\\nline",)
    np.savez(
        tmp_path / "x.npz",
        images=random_images(30, 4, 4),
        labels=np.arange(30) % 2,
        classes=np.array(["a\x07", "\ud800"]),
    )
    assert load(str(tmp_path / "x.npz")).classes == ("a\\x07", "\\ud800")
    with pytest.raises(InputError, match=r"caf.* is missing|no such folder"):
        load(str(folders[0] / "x.npy"))


@pytest.mark.parametrize("name", [b"caf\xe9.npy", b"caf\xe9"])
def test_a_command_reads_a_path_of_any_name(
    tmp_path: Path, refused: Callable[..., str], name: bytes
) -> None:
    path = tmp_path / os.fsdecode(name)
    refused("train", "ae", f"--data={path}", f"--out={tmp_path / 'run'}")
    path.write_bytes(b"no array")
    refused("train", "ae", f"--data={path}", f"--out={tmp_path / 'run'}")

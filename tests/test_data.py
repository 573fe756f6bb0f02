"""Readers: every format, and every way in which a file can be wrong."""

from __future__ import annotations

import gzip
import io
import pickle
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import Told, random_images, write_idx
from zspace.data import NAMED, download, from_arrays, load, load_whole
from zspace.data import images as images_module
from zspace.data.cifar import read_batch
from zspace.data.folder import celeba, read_folder
from zspace.data.idx import idx_set, read_idx
from zspace.data.sets import NamedSet
from zspace.data.svhn import read_mat, svhn
from zspace.data.synthetic import lift, true_latents
from zspace.errors import InputError


def pngs(folder: Path, x: np.ndarray, suffix: str = ".png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(x):
        Image.fromarray(image).save(folder / f"{i:03d}{suffix}")


# --- named sets


def test_digits() -> None:
    images = load("digits")
    assert images.shape == (1, 8, 8)
    assert (len(images.train), len(images.validation), len(images.test)) == (1295, 143, 359)
    assert images.train.x.dtype == torch.uint8
    assert images.train.x.max() == 255
    assert images.classes == tuple("0123456789")
    assert any("no test part" in note for note in images.notes)


def test_parts_are_disjoint_complete_and_always_the_same() -> None:
    x = np.arange(200, dtype=np.float32)[:, None]
    raw = images_module.Raw({"train": from_arrays(x)})
    a, b = images_module.split(raw, "x"), images_module.split(raw, "x")
    values = [p.x[:, 0].tolist() for p in (a.train, a.validation, a.test)]
    assert sorted(v for part in values for v in part) == x[:, 0].tolist()
    assert torch.equal(a.test.x, b.test.x)
    assert (len(a.train), len(a.validation), len(a.test)) == (144, 16, 40)


@pytest.mark.parametrize("name, shape", [("mnist", (1, 28, 28)), ("fashion-mnist", (1, 28, 28))])
def test_real_idx(real_data: Path, name: str, shape: tuple[int, ...]) -> None:
    images = load(name, real_data / name)
    assert images.shape == shape
    assert (len(images.train), len(images.validation), len(images.test)) == (54_000, 6_000, 10_000)
    assert images.test.y is not None
    assert torch.bincount(images.test.y).min() > 800


def test_real_cifar10(real_data: Path) -> None:
    images = load("cifar10", real_data / "cifar10")
    assert images.shape == (3, 32, 32)
    assert len(images.test) == 10_000
    assert images.test.y is not None
    assert torch.bincount(images.test.y).tolist() == [1000] * 10
    assert any("incomplete" in note for note in images.notes)


def test_real_celeba(real_data: Path) -> None:
    part, classes = load_whole(
        "celeba", real_data / "celeba-10k", image_size=16, label_attribute="Male"
    )
    assert part.x.shape == (10_000, 3, 16, 16)
    assert classes == ("no Male", "Male")
    assert part.y is not None
    assert part.y[:3].tolist() == [0, 0, 1]


def test_celeba_crops_scale_with_the_file(tmp_path: Path) -> None:
    """A picture that is white inside of the '128' crop alone, at half the published size."""
    folder = tmp_path / "img_align_celeba"
    folder.mkdir()
    big = np.zeros((218, 178, 3), np.uint8)
    big[45:173, 25:153] = 255
    Image.fromarray(big).resize((89, 109), Image.Resampling.BOX).save(folder / "a.jpg", quality=100)
    shutil.copy(folder / "a.jpg", folder / "b.jpg")
    (tmp_path / "list_eval_partition.txt").write_text("a.jpg 0\nb.jpg 2\n")
    (tmp_path / "list_attr_celeba.txt").write_text("2\nMale Smiling\na.jpg 1 -1\nb.jpg -1 1\n")
    means = {
        crop: float(celeba(tmp_path, 32, crop=crop).parts["train"].x.float().mean())
        for crop in ("128", "140", "none")
    }
    assert means["128"] > 250
    assert means["128"] > means["140"] > means["none"]
    assert means["none"] == pytest.approx(255 * 128 * 128 / (178 * 218), rel=0.03)
    labelled = celeba(tmp_path, attribute="Smiling")
    assert labelled.parts["train"].y.tolist() == [0]
    assert labelled.parts["test"].y.tolist() == [1]
    assert labelled.parts["train"].x.shape == (1, 3, 64, 64)
    with pytest.raises(InputError, match=r"unknown attribute 'Smilling': did you mean 'Smiling'"):
        celeba(tmp_path, attribute="Smilling")
    (folder / "b.jpg").unlink()
    with pytest.raises(InputError, match=r"has no b.jpg \(1 of 2 missing\)"):
        celeba(tmp_path)


@pytest.mark.parametrize("dim", [2, 5])
def test_mog(dim: int) -> None:
    images = load(f"mog{dim}")
    assert images.shape == (128,)
    assert images.train.x.dtype == torch.float32
    assert len(images.train) + len(images.validation) == 15_000
    assert len(images.test) == 10_000
    assert images.train.x.abs().max() <= 1
    z, y = true_latents(dim)
    torch.testing.assert_close(images.test.x, lift(z["test"]))
    from zspace.data.synthetic import MEANS_5, VARIANCES

    for k, (mean, variance) in enumerate(zip(MEANS_5, VARIANCES, strict=True)):
        own = z["train"][y["train"] == k]
        assert len(own) == pytest.approx(2500, abs=250)
        torch.testing.assert_close(own.mean(0), torch.tensor(mean[:dim]).float(), rtol=0, atol=0.1)
        torch.testing.assert_close(
            own.var(0), torch.full((dim,), float(variance)), rtol=0.12, atol=0
        )


# --- IDX


@pytest.mark.parametrize("zipped", [False, True])
def test_idx_set(tmp_path: Path, zipped: bool) -> None:
    ending = ".gz" if zipped else ""
    x, y = random_images(30, 6, 5), np.arange(30) % 3
    for prefix in ("train", "t10k"):
        write_idx(tmp_path / f"{prefix}-images-idx3-ubyte{ending}", x, zipped=zipped)
        write_idx(tmp_path / f"{prefix}-labels-idx1-ubyte{ending}", y, zipped=zipped)
    raw = idx_set(tmp_path, None, "abc")
    assert np.array_equal(raw.parts["train"].x[:, 0].numpy(), x)
    assert raw.parts["test"].y.tolist() == y.tolist()
    with pytest.raises(InputError, match="wrong checksum"):
        load("mnist", tmp_path)


def test_bad_idx(tmp_path: Path) -> None:
    good = write_idx(tmp_path / "good", random_images(4, 3, 3))
    path = tmp_path / "bad"
    zipped = gzip.compress(good.read_bytes())
    for content, message in (
        (b"", "is empty"),
        (good.read_bytes()[:-1], "truncated: 35 bytes of data, 36 expected"),
        (good.read_bytes() + b"x", "truncated: 37 bytes"),
        (good.read_bytes()[:7], "truncated"),
        (b"\0\0\x0d\3" + good.read_bytes()[4:], "no IDX file"),
        (b"hello world", "no IDX file"),
        (zipped[:-9], "truncated or damaged"),
        (zipped[:20] + b"xxxx" + zipped[24:], "truncated or damaged|truncated"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            read_idx(path)


def test_missing_folder_and_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="mnist needs --data-dir"):
        load("mnist")
    with pytest.raises(InputError, match="is no folder"):
        load("mnist", tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no mnist: expected train-images-idx3-ubyte"):
        load("mnist", tmp_path)
    write_idx(tmp_path / "train-images-idx3-ubyte", random_images(2, 2, 2))
    with pytest.raises(InputError, match="wrong checksum"):
        load("mnist", tmp_path)
    with pytest.raises(InputError, match="has no file train-labels-idx1-ubyte"):
        idx_set(tmp_path, None, "a")


# --- CIFAR-10


def batch_bytes(n: int = 20, **changes: Any) -> bytes:
    batch = {"data": random_images(n, 3072), "labels": list(range(10)) * (n // 10), **changes}
    return pickle.dumps(batch, protocol=2)


def test_cifar_batch(tmp_path: Path) -> None:
    path = tmp_path / "batch"
    path.write_bytes(batch_bytes())
    part = read_batch(path)
    assert part.x.shape == (20, 3, 32, 32)
    assert np.array_equal(part.x.numpy().reshape(20, -1), random_images(20, 3072))
    assert part.y.tolist() == list(range(10)) * 2


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def test_a_batch_can_execute_nothing(tmp_path: Path) -> None:
    mark, path = tmp_path / "executed", tmp_path / "batch"
    path.write_bytes(pickle.dumps({"data": Evil(mark)}))
    with pytest.raises(InputError, match="which no batch needs: refused"):
        read_batch(path)
    assert not mark.exists()
    path.write_bytes(b"cbuiltins\neval\n(S'1+1'\ntR.")
    with pytest.raises(InputError, match=r"asks for builtins\.eval"):
        read_batch(path)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "is empty"),
        (b"\x80\x02}q\x00", "truncated or no python batch"),
        (batch_bytes()[:-500], "truncated or no python batch"),
        (pickle.dumps([1, 2], 2), "holds no CIFAR-10 batch"),
        (batch_bytes(data=random_images(20, 100)), "holds no CIFAR-10 batch"),
        (batch_bytes(labels=[0]), "labels of .* have shape"),
    ],
)
def test_bad_batches(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "batch").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_batch(tmp_path / "batch")


def test_cifar_checksums_are_looked_at(tmp_path: Path) -> None:
    for name in ("data_batch_1", "test_batch"):
        (tmp_path / name).write_bytes(batch_bytes())
    with pytest.raises(InputError, match="wrong checksum"):
        load("cifar10", tmp_path)
    (tmp_path / "test_batch").unlink()
    with pytest.raises(InputError, match="has no file test_batch"):
        load("cifar10", tmp_path)


# --- SVHN


def test_svhn(tmp_path: Path) -> None:
    from scipy.io import savemat

    x = random_images(12, 32, 32, 3)
    y = np.arange(1, 13)[:, None] % 10 + 1  # 10 stands for the digit 0
    for part in ("train", "test"):
        savemat(tmp_path / f"{part}_32x32.mat", {"X": x.transpose(1, 2, 3, 0), "y": y})
    raw = svhn(tmp_path, None)
    assert np.array_equal(raw.parts["train"].x.numpy(), x.transpose(0, 3, 1, 2))
    assert raw.parts["test"].y.tolist() == [int(v) % 10 for v in y[:, 0]]
    with pytest.raises(InputError, match="wrong checksum"):
        load("svhn", tmp_path)
    path = tmp_path / "train_32x32.mat"
    content = path.read_bytes()
    for bad, message in (
        (b"", "is empty"),
        (content[:200], "truncated or no SVHN"),
        (b"x" * 500, "no SVHN .mat"),
    ):
        path.write_bytes(bad)
        with pytest.raises(InputError, match=message):
            read_mat(path)
    savemat(path, {"X": x, "y": y})
    with pytest.raises(InputError, match="holds no SVHN images"):
        read_mat(path)


# --- folders


@pytest.mark.parametrize("suffix", [".png", ".pgm", ".bmp", ".tif", ".gif"])
def test_flat_grey_folder(tmp_path: Path, suffix: str) -> None:
    x = random_images(40, 8, 8)
    pngs(tmp_path / "pictures", x, suffix)
    (tmp_path / "pictures" / "notes.txt").write_text("not an image")
    part, classes = load_whole(str(tmp_path / "pictures"))
    assert np.array_equal(part.x[:, 0].numpy(), x)
    assert part.y is None
    assert classes == ()
    images = load(str(tmp_path / "pictures"))
    assert sum("part: " in note for note in images.notes) == 2


def test_folder_of_classes_in_colour(tmp_path: Path) -> None:
    for label, name in enumerate(("cat", "dog")):
        pngs(tmp_path / name, random_images(15, 6, 4, 3, seed=label))
    images = load(str(tmp_path))
    assert images.shape == (3, 6, 4)
    assert images.classes == ("cat", "dog")
    whole, _ = load_whole(str(tmp_path))
    assert whole.y.tolist() == [0] * 15 + [1] * 15


def test_folder_with_parts(tmp_path: Path) -> None:
    for part, n in (("train", 20), ("val", 5), ("test", 6)):
        pngs(tmp_path / part / "a", random_images(n, 4, 4))
        pngs(tmp_path / part / "b", random_images(n, 4, 4))
    images = load(str(tmp_path))
    assert (len(images.train), len(images.validation), len(images.test)) == (40, 10, 12)
    assert images.notes == ()


def test_two_folders_are_two_classes(tmp_path: Path) -> None:
    pngs(tmp_path / "faces", random_images(20, 4, 4, 3))
    pngs(tmp_path / "anime", random_images(30, 4, 4, 3))
    images = load(f"{tmp_path / 'faces'},{tmp_path / 'anime'}", train_per_class=5)
    assert images.classes == ("faces", "anime")
    assert torch.bincount(images.train.y).tolist() == [5, 5]


def test_size_and_channels(tmp_path: Path) -> None:
    pngs(tmp_path / "a", random_images(10, 8, 12))
    pngs(tmp_path / "a" / "sub", random_images(10, 8, 12, 3))
    shutil.move(tmp_path / "a" / "sub", tmp_path / "b")
    assert read_folder(tmp_path / "a", 4, 3).parts["train"].x.shape == (10, 3, 4, 4)
    assert read_folder(tmp_path / "b", 16, 1).parts["train"].x.shape == (10, 1, 16, 16)
    assert read_folder(tmp_path / "b").parts["train"].x.shape == (10, 3, 8, 12)
    # the centred square of a wide picture
    wide = np.zeros((4, 12), np.uint8)
    wide[:, 4:8] = 200
    pngs(tmp_path / "wide", wide[None])
    x = read_folder(tmp_path / "wide", 4).parts["train"].x
    assert x.unique().tolist() == [200]


def test_sixteen_bit_greys_keep_their_upper_bits(tmp_path: Path) -> None:
    deep = (np.arange(64, dtype=np.uint16) * 1000).reshape(8, 8)
    for i in range(12):
        Image.fromarray(deep).save(tmp_path / f"{i}.png")
    part, _ = load_whole(str(tmp_path))
    assert part.x.shape == (12, 1, 8, 8)
    assert np.array_equal(part.x[0, 0].numpy(), (deep >> 8).astype(np.uint8))


def test_bad_folders(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no images"):
        load(str(tmp_path / "empty"))
    with pytest.raises(InputError, match="no such folder or file"):
        load(str(tmp_path / "nowhere"))
    pngs(tmp_path / "mixed", random_images(20, 4, 4))
    Image.fromarray(random_images(1, 5, 4)[0]).save(tmp_path / "mixed" / "odd.png")
    with pytest.raises(InputError, match=r"images of unequal size: .*000\.png is 4x4, .*odd\.png"):
        load(str(tmp_path / "mixed"))
    assert load(str(tmp_path / "mixed"), image_size=4).shape == (1, 4, 4)
    pngs(tmp_path / "both", random_images(3, 4, 4))
    pngs(tmp_path / "both" / "c", random_images(3, 4, 4))
    with pytest.raises(InputError, match="images beside folders of images"):
        load(str(tmp_path / "both"))
    pngs(tmp_path / "few", random_images(3, 4, 4))
    with pytest.raises(InputError, match="too few to split a test part off"):
        load(str(tmp_path / "few"))


def test_parts_that_are_missing_double_or_unlike(tmp_path: Path) -> None:
    for name in ("val", "valid"):
        pngs(tmp_path / "a" / name, random_images(5, 4, 4))
    with pytest.raises(InputError, match="val, valid: expected train"):
        load(str(tmp_path / "a"))
    pngs(tmp_path / "b" / "train" / "cat", random_images(5, 4, 4))
    pngs(tmp_path / "b" / "test", random_images(5, 4, 4))
    with pytest.raises(InputError, match="must all be flat or all have a folder per class"):
        load(str(tmp_path / "b"))


@pytest.mark.parametrize("content", [b"", b"no picture", None])
def test_a_broken_image_is_named(tmp_path: Path, content: bytes | None) -> None:
    pngs(tmp_path, random_images(10, 16, 16, 3))
    broken = tmp_path / "004.png"
    broken.write_bytes(broken.read_bytes()[:200] if content is None else content)
    with pytest.raises(InputError, match=r"004\.png is broken"):
        load(str(tmp_path))


# --- arrays


def test_npy_and_npz(tmp_path: Path) -> None:
    x, y = random_images(60, 8, 8, 3), np.arange(60) % 4
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "xy.npz", images=x, labels=y, classes=np.array(list("abcd")))
    np.savez(tmp_path / "parts.npz", x_train=x, y_train=y, x_test=x[:10], y_test=y[:10])
    assert load(str(tmp_path / "x.npy")).shape == (3, 8, 8)
    assert load(str(tmp_path / "xy.npz")).classes == tuple("abcd")
    images = load(str(tmp_path / "parts.npz"))
    assert len(images.test) == 10
    assert images.classes == tuple("0123")
    assert np.array_equal(images.test.x.numpy(), x[:10].transpose(0, 3, 1, 2))


@pytest.mark.parametrize(
    "shape, expected",
    [
        ((5, 8, 8), (1, 8, 8)),
        ((5, 8, 8, 3), (3, 8, 8)),
        ((5, 3, 8, 8), (3, 8, 8)),
        ((5, 8, 8, 1), (1, 8, 8)),
        ((5, 1, 8, 8), (1, 8, 8)),
    ],
)
def test_array_layouts(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert tuple(from_arrays(np.zeros(shape, np.uint8)).x.shape[1:]) == expected


def test_float_images_are_stored_as_the_nearest_level_and_vectors_as_they_are() -> None:
    x = np.random.default_rng(0).random((5, 4, 4))
    assert np.abs(from_arrays(x).x[:, 0].numpy() / 255 - x).max() <= 0.5 / 255 + 1e-9
    vectors = np.random.default_rng(0).normal(0, 100, (5, 4)).astype(np.float32)
    assert np.array_equal(from_arrays(vectors).x.numpy(), vectors)


@pytest.mark.parametrize(
    "x, y, message",
    [
        (np.zeros((0, 8, 8), np.uint8), None, "shape .*at least one"),
        (np.zeros((5,), np.uint8), None, "expected images"),
        (np.zeros((5, 2, 8, 8), np.uint8), None, "channels: expected 1 or 3"),
        (np.full((5, 8, 8), np.nan), None, "NaN or infinite"),
        (np.full((5, 8), np.inf), None, "NaN or infinite"),
        (np.full((5, 8, 8), 3.0), None, r"ranges over \[3, 3\]: floating-point images"),
        (np.full((5, 8, 8), 300), None, r"ranges over .* images lie in 0\.\.255"),
        (np.full((5, 8, 8), -1), None, r"ranges over"),
        (np.full((5, 8, 8), "a"), None, "expected numbers"),
        (np.full((5, 8, 8), 1j), None, "expected numbers"),
        (np.zeros((5, 8, 8), np.uint8), np.arange(4), r"labels .* shape \(4,\): expected \(5,\)"),
        (np.zeros((5, 8, 8), np.uint8), np.array([0, 1, 2, 3, -1]), "whole numbers from 0"),
        (np.zeros((5, 8, 8), np.uint8), np.linspace(0, 1, 5), "whole numbers from 0"),
    ],
)
def test_bad_arrays(x: np.ndarray, y: np.ndarray | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_arrays(x, y)


def test_bad_array_files(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, random_images(20, 8, 8))
    content = path.read_bytes()
    for bad, message in ((b"", "is empty"), (content[:-5], "truncated"), (b"abc", "no NumPy file")):
        path.write_bytes(bad)
        with pytest.raises(InputError, match=message):
            load(str(path))
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="no NumPy file"):
        load(str(path))
    np.savez(tmp_path / "y.npz", other=np.zeros(3))
    with pytest.raises(InputError, match="holds other: expected an array named images"):
        load(str(tmp_path / "y.npz"))
    (tmp_path / "y.npz").write_bytes(b"PK\x03\x04broken")
    with pytest.raises(InputError, match="no NumPy file"):
        load(str(tmp_path / "y.npz"))
    bomb = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        bomb, {"descr": "|u1", "fortran_order": False, "shape": (10**12, 8, 8)}
    )
    path.write_bytes(bomb.getvalue())
    with pytest.raises(InputError, match="truncated or no NumPy file"):
        load(str(path))
    np.savez(tmp_path / "y.npz", images=np.zeros((9, 4, 4), np.uint8), labels=np.full(9, 10**12))
    with pytest.raises(InputError, match="whole numbers from 0 to 99999"):
        load(str(tmp_path / "y.npz"))
    np.save(path, np.full((9, 4), 1e300))
    with pytest.raises(InputError, match="beyond single precision"):
        load(str(path))
    (tmp_path / "z.txt").write_text("x")
    with pytest.raises(InputError, match=r"no folder, \.npy or \.npz"):
        load(str(tmp_path / "z.txt"))


# --- subsets


def test_classes_are_numbered_anew_in_every_part() -> None:
    images = load("digits", classes="7,1")
    whole = load("digits")
    assert images.classes == ("7", "1")
    assert len(images.test) == int(((whole.test.y == 7) | (whole.test.y == 1)).sum())
    expected = whole.test.x[(whole.test.y == 7)]
    assert torch.equal(images.test.x[images.test.y == 0], expected)


def test_train_size_and_train_per_class_leave_the_test_part_alone() -> None:
    whole, few, each = (
        load("digits"),
        load("digits", train_size=50),
        load("digits", train_per_class=4),
    )
    assert len(few.train) == 50
    assert torch.bincount(each.train.y).tolist() == [4] * 10
    assert torch.equal(few.test.x, whole.test.x)
    assert torch.equal(each.test.x, whole.test.x)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"classes": "1,eleven"}, "unknown class 'eleven'"),
        ({"classes": "1,1"}, "names a class twice"),
        ({"train_size": 5000}, "has 1295 training images"),
        ({"train_per_class": 500}, "class 0 of digits has"),
        ({"crop": "140"}, "belong to --data celeba"),
        ({"label_attribute": "Male"}, "belong to --data celeba"),
    ],
)
def test_bad_subsets(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load("digits", **options)


def test_unknown_set_names_the_nearest() -> None:
    with pytest.raises(
        InputError, match="unknown data set 'fashion': did you mean 'fashion-mnist'"
    ):
        load("fashion")


def test_classes_need_labels(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", random_images(60, 8, 8))
    with pytest.raises(InputError, match="has no labels"):
        load(str(tmp_path / "x.npy"), classes="1")


def test_vectors_have_no_image_size() -> None:
    with pytest.raises(InputError, match="these are vectors"):
        load("mog2", image_size=8)


# --- Hugging Face


def test_local_parquet_folder(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    x, y = random_images(40, 8, 8), [i % 3 for i in range(40)]
    features = datasets.Features(
        image=datasets.Image(), label=datasets.ClassLabel(names=["a", "b", "c"])
    )
    rows = {"image": [Image.fromarray(i) for i in x], "label": y}
    folder = tmp_path / "set"
    folder.mkdir()
    for part in ("train", "test"):
        table = datasets.Dataset.from_dict(rows, features=features)
        table.to_parquet(folder / f"{part}-00000-of-00001.parquet")
    images = load(f"hf:{folder}")
    assert images.classes == ("a", "b", "c")
    assert np.array_equal(images.test.x[:, 0].numpy(), x)
    assert images.test.y.tolist() == y
    assert load(f"hf:{folder}", image_size=16, channels=3).shape == (3, 16, 16)


def test_hub_set_that_is_not_there(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    with pytest.raises(InputError, match="can't be loaded"):
        load(f"hf:{tmp_path / 'nothing'}")


# --- downloads


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

"""The named data sets, and `load`, which reads the data set that `--data` names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch

from zspace.data import folder as folders
from zspace.data.arrays import read_array_file
from zspace.data.cifar import CLASSES as CIFAR_CLASSES
from zspace.data.cifar import cifar10
from zspace.data.conversion import refit
from zspace.data.huggingface import read_hub
from zspace.data.idx import idx_set
from zspace.data.images import Images, Part, Raw, choose_classes, join, select, split
from zspace.data.svhn import svhn
from zspace.data.synthetic import mog
from zspace.errors import InputError, unknown
from zspace.options import About, checked, comma_names, options_of


@dataclass(frozen=True)
class NamedSet:
    """A data set that zspace knows by name.

    Attributes:
        about: a description in one line.
        make: makes the set; None for sets that are read from files.
        read: reads the set from a folder, given the checksums or None; None for sets without files.
        checksums: the MD5 of each file that is read, by its name (of IDX files, unzipped).
        marks: files or folders, any one of which shows that a folder holds the set.
        addresses: the addresses at which the set is published.
        downloads: the MD5 of each file to fetch, by its name.
        by_hand: how to get the set if there is no plain download.
    """

    about: str
    make: Callable[[], Raw] | None = None
    read: Callable[[Path, Mapping[str, str] | None], Raw] | None = None
    checksums: Mapping[str, str] = field(default_factory=dict)
    marks: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    downloads: Mapping[str, str] = field(default_factory=dict)
    by_hand: str = ""


def _digits() -> Raw:
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    levels = np.rint(np.asarray(bunch.images) * 255 / 16).astype(np.uint8)
    x = torch.from_numpy(levels)[:, None]
    y = torch.from_numpy(np.asarray(bunch.target).astype(np.int64))
    return Raw({"train": Part(x, y)}, tuple("0123456789"))


IDX = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)

FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def _idx(about: str, classes: tuple[str, ...], raw: str, zipped: str, *where: str) -> NamedSet:
    return NamedSet(
        about,
        read=lambda folder, sums: idx_set(folder, dict(sums) if sums else None, classes),
        checksums=dict(zip(IDX, raw.split(), strict=True)),
        marks=(IDX[0], IDX[0] + ".gz"),
        addresses=where,
        downloads=dict(zip((f"{name}.gz" for name in IDX), zipped.split(), strict=True)),
    )


NAMED: dict[str, NamedSet] = {
    "digits": NamedSet("scikit-learn's digits, bundled: 1,797 grey 8x8", make=_digits),
    "mnist": _idx(
        "handwritten digits: 70,000 grey 28x28 (IDX files)",
        tuple("0123456789"),
        "6bbc9ace898e44ae57da46a324031adb a25bea736e30d166cdddb491f175f624 "
        "2646ac647ad5339dbf082846283269ea 27ae3e4e09519cfbb04c329615203637",
        "f68b3c2dcbeaaa9fbdd348bbdeb94873 d53e105ee54ea40749a09fcbcd1e9432 "
        "9fb629c4189551a2d022fa330f9573f3 ec29112dd5afa0611ce80d1b7f02629c",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    "fashion-mnist": _idx(
        "Zalando's articles: 70,000 grey 28x28 (IDX files)",
        FASHION,
        "f4a8712d7a061bf5bd6d2ca38dc4d50a 9018921c3c673c538a1fc5bad174d6f9 "
        "8181f5470baa50b63fa0f6fddb340f0a 15d484375f8d13e6eb1aabb0c3f46965",
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d 25c81989df183df01b3e8a0aad5dffbe "
        "bef4ecab320f06d8554ea6380940ec79 bb300cfdad3c16e7a12a480ee83cd310",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    "cifar10": NamedSet(
        f"{CIFAR_CLASSES[0]} to {CIFAR_CLASSES[-1]}: 60,000 colour 32x32 (python batches)",
        read=lambda folder, sums: cifar10(folder, dict(sums) if sums else None),
        checksums={
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
            "test_batch": "40351d587109b95175f43aff81a1287e",
        },
        marks=("data_batch_1", "test_batch"),
        addresses=("https://www.cs.toronto.edu/~kriz/",),
        downloads={"cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a"},
    ),
    "svhn": NamedSet(
        "street-view house numbers: 99,289 colour 32x32 (.mat files)",
        read=lambda folder, sums: svhn(folder, dict(sums) if sums else None),
        checksums={
            "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
            "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
        },
        marks=("train_32x32.mat", "test_32x32.mat"),
        addresses=("http://ufldl.stanford.edu/housenumbers/",),
        downloads={
            "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
            "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
        },
    ),
    "celeba": NamedSet(
        "celebrities' faces: 202,599 colour, aligned JPEGs with 40 attributes",
        marks=("img_align_celeba",),
        by_hand="its authors publish it by hand-operated download only: get img_align_celeba.zip, "
        "list_attr_celeba.txt and list_eval_partition.txt from the CelebA project page, unzip the "
        "first and name the folder by --data-dir",
    ),
    "mog5": NamedSet(
        "FlexAE's mixture of 6 Gaussians in 5-D, lifted to 128-D vectors", make=lambda: mog(5)
    ),
    "mog2": NamedSet(
        "FlexAE's mixture of 6 Gaussians in 2-D, lifted to 128-D vectors", make=lambda: mog(2)
    ),
}

SUBFOLDERS = {"cifar10": ("cifar-10-batches-py",)}


def find_folder(name: str, data_dir: str | Path | None) -> Path:
    """The folder that holds a named set's files, which is `data_dir` or lies directly below it.

    Args:
        name: a key of `NAMED`.
        data_dir: the folder to look in.

    Raises:
        InputError: no folder is given, or it does not hold the set.
    """
    known = NAMED[name]
    wanted = " or ".join(known.marks[:2])
    fetch = known.by_hand or f"'zspace datasets --download {name} --data-dir DIR' fetches it"
    if data_dir is None:
        raise InputError(f"{name} needs --data-dir, the folder with {wanted}: {fetch}")
    root = Path(data_dir)
    if not root.is_dir():
        raise InputError(f"--data-dir {root} is no folder")
    for folder in (root, *(root / s for s in (*SUBFOLDERS.get(name, ()), name))):
        if any((folder / mark).exists() for mark in known.marks):
            return folder
    raise InputError(f"{root} holds no {name}: expected {wanted} ({fetch})")


@dataclass(frozen=True)
class DataOptions:
    """The options that go with `--data`: which samples are read, and how they are converted.

    Each attribute is an option, whose annotation says what it means.
    """

    data_dir: Annotated[
        str | None, About("folder of a named set's original files (unset: none)")
    ] = None
    image_size: Annotated[
        int | None,
        About("height and width to scale images to (unset: their own)", least=1, most=4096),
    ] = None
    channels: Annotated[
        Literal[1, 3] | None,
        About("channels to convert images to, 1 for grey or 3 for colour (unset: their own)"),
    ] = None
    classes: Annotated[str | None, About("labels to keep, separated by commas (unset: all)")] = None
    train_size: Annotated[
        int | None, About("number of training images to keep (unset: all)", least=1)
    ] = None
    train_per_class: Annotated[
        int | None, About("number of training images to keep of each class (unset: all)", least=1)
    ] = None
    label_attribute: Annotated[
        str | None, About("attribute of CelebA that labels its images (unset: no labels)")
    ] = None
    crop: Annotated[Literal["128", "140", "none"], About("crop of CelebA's images, in pixels")] = (
        "128"
    )
    validation: Annotated[
        float | None,
        About(
            "share of the training images to split off for validation, if the data have no such "
            "part (unset: a tenth)",
            least=0,
            most=0.5,
        ),
    ] = None

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> DataOptions:
        """The options in a run's settings; one that a run does not know yet has its default."""
        return cls(**{own.name: settings.get(own.name, own.default) for own in fields(cls)})


def load(data: str, data_dir: str | Path | None = None, **options: Any) -> Images:
    """The data set that `--data` names, split into a training, a validation and a test part.

    Args:
        data: the name of a set in `NAMED`; a folder of images, several folders separated by commas
            (one for each class), or an .npy or .npz file; or "hf:NAME".
        data_dir: the folder that holds the files of a named set.
        options: further options of `DataOptions`, by name. CelebA's images are scaled to 64 pixels
            unless image_size is given.

    Raises:
        InputError: the data can't be found or read, or an option does not suit them.

    >>> load("digits", classes="0,1", train_size=100).train.x.shape
    torch.Size([100, 1, 8, 8])
    """
    return read(data, _checked(data_dir, options))


def load_whole(
    data: str, data_dir: str | Path | None = None, **options: Any
) -> tuple[Part, tuple[str, ...]]:
    """All samples of a data set in its own order, not split, and the names of their labels.

    The arguments are those of `load`; train_size and train_per_class have no effect, since there is
    no training part.

    Raises:
        InputError: the data can't be found or read, or an option does not suit them.
    """
    return read_whole(data, _checked(data_dir, options))


def read(data: str, options: DataOptions) -> Images:
    """What `load` returns, for options that have been checked."""
    images = split(_raw(data, options), data, options.validation)
    names = comma_names("--classes", options.classes)
    return select(images, names, options.train_size, options.train_per_class)


def read_whole(data: str, options: DataOptions) -> tuple[Part, tuple[str, ...]]:
    """What `load_whole` returns, for options that have been checked."""
    raw = _raw(data, options)
    whole = join([part for part in raw.parts.values() if len(part)])
    names = comma_names("--classes", options.classes)
    if names:
        return choose_classes(whole, raw.classes, names)
    return whole, raw.classes


def _checked(data_dir: str | Path | None, options: Mapping[str, Any]) -> DataOptions:
    given = {"data_dir": None if data_dir is None else str(data_dir), **options}
    return DataOptions(**checked(options_of(DataOptions), given, "option of the data"))


def _raw(data: str, options: DataOptions) -> Raw:
    if data != "celeba" and (options.label_attribute is not None or options.crop != "128"):
        raise InputError("--label-attribute and --crop belong to --data celeba")
    return refit(_read(data, options), options.image_size, options.channels)


def _read(data: str, options: DataOptions) -> Raw:
    size, channels = options.image_size, options.channels
    if data.startswith("hf:"):
        return read_hub(data[3:], size, channels)
    if data in NAMED:
        known = NAMED[data]
        if known.make is not None:
            return known.make()
        folder = find_folder(data, options.data_dir)
        if data == "celeba":
            return folders.celeba(folder, size, channels, options.crop, options.label_attribute)
        assert known.read is not None
        return known.read(folder, known.checksums)
    path = Path(data)
    if path.is_dir():
        return folders.read_folder(path, size, channels)
    if path.is_file():
        if path.suffix in (".npy", ".npz"):
            return read_array_file(path)
        raise InputError(f"{path} is no folder, .npy or .npz file")
    several = [Path(p) for p in data.split(",")]
    if len(several) > 1 and all(p.is_dir() for p in several):
        return folders.read_folders(several, size, channels)
    if "/" in data or path.suffix:
        raise InputError(f"--data {data}: there is no such folder or file")
    raise unknown("data set", data, NAMED)

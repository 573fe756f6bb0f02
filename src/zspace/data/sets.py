"""The named data sets, and `load`, which reads the data set that `--data` names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zspace.data import folder as folders
from zspace.data.arrays import read_array_file
from zspace.data.celeba import celeba
from zspace.data.cifar import CLASSES as CIFAR_CLASSES
from zspace.data.cifar import cifar10
from zspace.data.conversion import refit, shape_of_text
from zspace.data.huggingface import read_hub
from zspace.data.idx import idx_set
from zspace.data.images import Images, Part, Raw, choose_classes, join, select, split
from zspace.data.labels import read_labels
from zspace.data.levels import Levels
from zspace.data.options import DataOptions
from zspace.data.svhn import svhn
from zspace.data.synthetic import mog
from zspace.errors import InputError, MissingFiles, cut, meant, printable
from zspace.options import checked, comma_names, options_of
from zspace.storage.reading import kind_of


@dataclass(frozen=True)
class NamedSet:
    """A data set that zspace knows by name.

    Attributes:
        about: a description in one line.
        make: makes the set; None for sets that are read from files.
        read: reads the set from a folder, given the checksums or None; None for sets without files.
        checksums: the SHA-256 of each file that is read, by its name (of IDX files, unzipped).
        marks: files or folders, any one of which shows that a folder holds the set.
        addresses: the https addresses at which the set is published.
        downloads: the SHA-256 of each file to fetch, by its name.
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


CIFAR10 = {
    "cifar-10-python.tar.gz": "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
}
"""The SHA-256 of CIFAR-10's archive."""
SVHN = {
    "train_32x32.mat": "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
    "test_32x32.mat": "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
}
"""The SHA-256 of SVHN's files, which are read as they are published."""


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
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db "
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5 "
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7 "
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609 "
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c "
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6 "
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    "fashion-mnist": _idx(
        "Zalando's articles: 70,000 grey 28x28 (IDX files)",
        FASHION,
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888 "
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9 "
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b "
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84 "
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845 "
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073 "
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    ),
    "cifar10": NamedSet(
        f"{CIFAR_CLASSES[0]} to {CIFAR_CLASSES[-1]}: 60,000 colour 32x32 (python batches)",
        read=lambda folder, sums: cifar10(folder, dict(sums) if sums else None),
        checksums={
            "data_batch_1": "54636561a3ce25bd3e19253c6b0d8538147b0ae398331ac4a2d86c6d987368cd",
            "data_batch_2": "766b2cef9fbc745cf056b3152224f7cf77163b330ea9a15f9392beb8b89bc5a8",
            "data_batch_3": "0f00d98ebfb30b3ec0ad19f9756dc2630b89003e10525f5e148445e82aa6a1f9",
            "data_batch_4": "3f7bb240661948b8f4d53e36ec720d8306f5668bd0071dcb4e6c947f78e9682b",
            "data_batch_5": "d91802434d8376bbaeeadf58a737e3a1b12ac839077e931237e0dcd43adcb154",
            "test_batch": "f53d8d457504f7cff4ea9e021afcf0e0ad8e24a91f3fc42091b8adef61157831",
        },
        marks=("data_batch_1", "test_batch"),
        addresses=("https://www.cs.toronto.edu/~kriz/",),
        downloads=CIFAR10,
    ),
    "svhn": NamedSet(
        "street-view house numbers: 99,289 colour 32x32 (.mat files)",
        read=lambda folder, sums: svhn(folder, dict(sums) if sums else None),
        checksums=SVHN,
        marks=("train_32x32.mat", "test_32x32.mat"),
        addresses=("https://ufldl.stanford.edu/housenumbers/",),
        downloads=SVHN,
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
        MissingFiles: no folder is given, or it does not hold the set.
    """
    known = NAMED[name]
    wanted = " or ".join(known.marks[:2])
    fetch = known.by_hand or f"'zspace datasets --download {name} --data-dir DIR' fetches it"
    if data_dir is None:
        raise MissingFiles(f"{name} needs --data-dir, the folder with {wanted}: {fetch}")
    root = Path(data_dir)
    if kind_of(root) != "folder":
        raise MissingFiles(f"--data-dir {root} is no folder")
    for folder in (root, *(root / s for s in (*SUBFOLDERS.get(name, ()), name))):
        if any(kind_of(folder / mark) for mark in known.marks):
            return folder
    raise MissingFiles(f"{root} holds no {name}: expected {wanted} ({fetch})")


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
    whole = read_whole(data, _checked(data_dir, options))
    return whole.parts["train"], whole.classes


def read(data: str, options: DataOptions) -> Images:
    """What `load` returns, for options that have been checked."""
    return _divided(_raw(data, options), data, options)


def read_whole(data: str, options: DataOptions) -> Raw:
    """All samples of a data set as its training part, for options that have been checked."""
    return _whole(_raw(data, options), options)


def read_part(data: str, options: DataOptions, part: str | None) -> tuple[Part, Raw | Images]:
    """A part of a data set, and the set, for options that have been checked.

    Args:
        data, options: what `read` takes.
        part: "train", "validation" or "test", or "all" for every sample in the data's own order.
            None takes the test part or, of data that have no parts, all.
    """
    raw = _raw(data, options)
    if part == "all" or (part is None and set(raw.parts) == {"train"}):
        whole = _whole(raw, options)
        return whole.parts["train"], whole
    images = _divided(raw, data, options)
    return getattr(images, part or "test"), images


def _divided(raw: Raw, data: str, options: DataOptions) -> Images:
    images = split(raw, data, options.validation)
    names = comma_names("--classes", options.classes)
    return select(images, names, options.train_size, options.train_per_class)


def _whole(raw: Raw, options: DataOptions) -> Raw:
    whole = join([part for part in raw.parts.values() if len(part)])
    names = comma_names("--classes", options.classes)
    classes = raw.classes
    if names:
        whole, classes = choose_classes(whole, classes, names)
    return replace(raw, parts={"train": whole}, classes=classes)


def _checked(data_dir: str | Path | None, options: Mapping[str, Any]) -> DataOptions:
    given = {"data_dir": None if data_dir is None else str(data_dir), **options}
    return DataOptions(**checked(options_of(DataOptions), given, "option of the data"))


def _raw(data: str, options: DataOptions) -> Raw:
    if data != "celeba" and (options.label_attribute is not None or options.crop != "128"):
        raise InputError("--label-attribute and --crop belong to --data celeba")
    if data in NAMED and options.value_range is not None:
        raise InputError("--value-range belongs to your own images, not to a named set")
    if data in NAMED or data.startswith("hf:"):
        for name in ("labels", "shape", "skip_broken"):
            if getattr(options, name):
                option = name.replace("_", "-")
                raise InputError(f"--{option} belongs to your own files, not to a named set")
    levels = Levels.of(options.value_range)
    raw = _read(data, options, levels)
    seen = levels.notes()
    raw = replace(raw, notes=(*raw.notes, *seen), range_notes=seen)
    return refit(raw, options.image_size, options.channels)


def _read(data: str, options: DataOptions, levels: Levels) -> Raw:
    size, channels = options.image_size, options.channels
    names = data.removeprefix("hf:").split(",")
    if not all(name.strip() for name in names):
        raise InputError(
            f"--data must be a name, or folders with commas between them, not '{printable(data)}'"
        )
    if data.startswith("hf:"):
        return read_hub(data[3:], size, channels, levels)
    if data in NAMED:
        known = NAMED[data]
        if known.make is not None:
            return known.make()
        folder = find_folder(data, options.data_dir)
        if data == "celeba":
            return celeba(folder, size, channels, options.crop, options.label_attribute)
        assert known.read is not None
        return known.read(folder, known.checksums)
    path = Path(data)
    kind = kind_of(path)
    labels = None if options.labels is None else read_labels(Path(options.labels))
    broken = options.skip_broken
    shape = shape_of_text(options.shape)
    if shape is not None and kind != "file":
        raise InputError("--shape belongs to an array of vectors: image files have a shape")
    if kind == "folder":
        return folders.read_folder(path, size, channels, levels, labels=labels, skip_broken=broken)
    if kind == "file":
        if broken:
            raise InputError("--skip-broken belongs to folders of image files")
        if path.suffix.lower() in (".npy", ".npz"):
            return read_array_file(path, levels, shape=shape, labels=labels)
        raise InputError(f"{path} is no folder, .npy or .npz file")
    several = [Path(p) for p in names]
    if len(several) > 1 and all(kind_of(p) == "folder" for p in several):
        if labels is not None:
            raise InputError("--labels belongs to one folder: several folders are the classes")
        return folders.read_folders(several, size, channels, levels, skip_broken=broken)
    if "/" in data or path.suffix:
        raise InputError(f"--data {data}: there is no such folder or file")
    here = [p.name for p in Path().iterdir() if p.suffix in ("", ".npy", ".npz")]
    raise InputError(
        f"'{cut(data)}' is neither a file or folder here nor a named set"
        f"{meant(cut(data), [*NAMED, *here])} (named sets: {', '.join(sorted(NAMED))})"
    )

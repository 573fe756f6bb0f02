"""Feature extractors by name, and the extraction of features, in blocks and with a cache.

A distance between images is a distance between their features, and means nothing without the
features' name. An `Extractor` therefore carries its name and a checksum of its network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from zspace.core import SILENT, Progress
from zspace.data.images import allocate
from zspace.errors import InputError, cut, unknown
from zspace.features.classifier import Arch, Neutral, Task
from zspace.features.judges import read_judge
from zspace.features.weights import checked_weights, read_state
from zspace.functional import as_float
from zspace.nets.adapters import torchscript
from zspace.nets.classifiers import ClassifierNet
from zspace.nets.onnx import Onnx
from zspace.nets.vgg import VGG16, published_names
from zspace.storage.cache import fingerprint
from zspace.storage.entries import shape_text
from zspace.storage.files import load_state
from zspace.storage.kept import store, stored
from zspace.storage.published import PREFIX
from zspace.storage.reading import sha256_of
from zspace.training import find_device

FEATURES = {
    "pixels": "the images themselves, averaged down to 32 pixels where larger (or the vectors)",
    "classifier": "the last hidden layer of the data set's neutral classifier (classifier:ARCH "
    "names its network)",
    "rotation": "that of a classifier of rotations, which needs no labels (rotation:ARCH names its "
    "network)",
    "zoo:judge-NAME": "that of a published classifier, the same for everyone ('zspace zoo' lists "
    "them)",
    "inception": "2048 pool_3 features of the Inception of 2015 (zspace weights)",
    "vgg16": "4096 features of VGG16's second fully connected layer (zspace weights)",
    "file:PATH": "an ONNX network (.onnx), or with --trust a TorchScript one, which is a program: "
    "images (N, C, H, W) in [0, 1] in",
}

TASKS: dict[str, Task] = {"classifier": "labels", "rotation": "rotation"}
"""The names of features that a classifier of the data set computes, each with its task."""

NeutralOf = Callable[[Task, Arch], Neutral]
"""Gives the data set's neutral classifier of a task, with a network."""

LARGEST = 32
"""The largest height and width of images whose pixels are taken as features unchanged."""


@dataclass(frozen=True)
class Extractor:
    """A function from images to features.

    Attributes:
        name: the name that stands beside every figure.
        identity: a checksum of the network.
        compute: maps images (N, C, H, W), floats in [0, 1], to features (N, D) or (N, D, 1, 1).
        logits: maps such images to a classifier's logits (N, K), or None.
        head: maps features to a classifier's logits (N, K) where that is possible, so that images
            need not be passed again, or None.
        cached: whether extracted features may be kept in the cache.
        block: the number of images that are passed at a time.
        shape: the shape (C, H, W) of the images that it takes; None if it takes any.
        classes: the names of the classes that the logits are of, if these need not be the data's.
    """

    name: str
    identity: str
    compute: Callable[[Tensor], Tensor]
    logits: Callable[[Tensor], Tensor] | None = None
    head: Callable[[Tensor], Tensor] | None = None
    cached: bool = True
    block: int = 256
    shape: tuple[int, ...] | None = None
    classes: tuple[str, ...] | None = None

    @property
    def classifies(self) -> bool:
        """Whether there are logits."""
        return self.logits is not None or self.head is not None

    def tells(self, classes: tuple[str, ...]) -> bool:
        """Whether there are logits, and of classes of these names."""
        return self.classifies and self.classes in (None, classes)

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Check that samples of a shape can be given to it.

        Raises:
            InputError: it takes images of another size or number of channels.
        """
        if self.shape is not None and shape != self.shape:
            raise InputError(
                f"the features {self.name} are of images of {shape_text(self.shape)}, not of "
                f"{shape_text(shape)}: choose other --features"
            )


def neutral_name(name: str) -> tuple[Task, Arch] | None:
    """The task and the network of the data set's classifier that a name of features asks for.

    Args:
        name: a name of features: "classifier" or "rotation", alone or with ":" and a network.

    Returns them, or None if other features are asked for.
    Raises:
        InputError: there is no such network.

    >>> neutral_name("rotation"), neutral_name("classifier:silu-resnet"), neutral_name("pixels")
    (('rotation', 'cnn'), ('labels', 'silu-resnet'), None)
    """
    kind, colon, arch = name.partition(":")
    if kind not in TASKS:
        return None
    if not colon:
        return TASKS[kind], "cnn"
    if arch not in get_args(Arch):
        raise unknown(f"network of the features {kind}:ARCH", arch, get_args(Arch))
    return TASKS[kind], cast(Arch, arch)


def find_extractor(
    name: str, neutral: NeutralOf, device: str = "auto", *, trust: bool = False
) -> Extractor:
    """The feature extractor of a given name.

    Args:
        name: a name that `FEATURES` describes.
        neutral: gives the data set's neutral classifier; called only if the name asks for one.
        device: "auto", "cpu", "cuda" or "mps".
        trust: whether the network in a file may be TorchScript, which is a program: it can read
            and write files.

    Raises:
        InputError: the name is unknown, the weights are missing, changed or unreadable, or a file
            is no ONNX file and is not trusted.
    """
    where = find_device(device)
    asked = neutral_name(name)
    if asked is not None:
        found = neutral(*asked)
        return of_classifier(found.net, found.features, found.identity, where, asked[0])
    if name == "pixels":
        return Extractor(name, "pixels", _pixels, cached=False, block=4096)
    if name.startswith(PREFIX):
        entry, net = read_judge(name)
        made = of_classifier(net, name, entry.sha256[:16], where, entry.task)
        return replace(made, shape=entry.facts.shape, classes=entry.facts.classes)
    if name == "inception":
        path, known = checked_weights(name)
        script = torchscript(path).to(where)
        return Extractor(
            name,
            known.sha256[:16],
            lambda x: script(_bytes(x).to(where), return_features=True),
            # the network's own softmax without the last bias, as in the original score
            lambda x: script(_bytes(x).to(where), no_output_bias=True).clamp(min=1e-30).log(),
            block=64,
        )
    if name == "vgg16":
        path, known = checked_weights(name)
        vgg = VGG16()
        load_state(vgg, published_names(read_state(path)), path)
        network = vgg.eval().to(where)
        return Extractor(name, known.sha256[:16], lambda x: network(x.to(where)), block=32)
    if name.startswith("file:"):
        return _own_file(Path(name[5:]), where, trust)
    raise unknown("features", name, FEATURES)


def of_classifier(
    net: ClassifierNet, name: str, identity: str, where: torch.device, task: Task
) -> Extractor:
    """The extractor of a classifier's last hidden layer, with logits if it tells labels.

    Args:
        net: the classifier, in eval mode.
        name: the name that stands beside every figure.
        identity: a checksum of the network.
        where: the device.
        task: what the classifier tells.
    """
    net = net.to(where)
    head = None if task != "labels" else _head(net, where)
    return Extractor(name, identity, lambda x: net.features(x.to(where)), head=head, block=128)


def _head(net: ClassifierNet, where: torch.device) -> Callable[[Tensor], Tensor]:
    return lambda features: net.head(features.to(where)).cpu()


def _pixels(x: Tensor) -> Tensor:
    """The pixels of images as rows, or vectors as they are.

    Images of more than 32 pixels in height or width are averaged down: otherwise their covariances
    would be too large to compute.
    """
    if x.ndim == 4 and max(x.shape[2:]) > LARGEST:
        x = adaptive_avg_pool2d(x, (min(LARGEST, x.shape[2]), min(LARGEST, x.shape[3])))
    return x.flatten(1)


def _bytes(x: Tensor) -> Tensor:
    """Images with three channels and values from 0 to 255, as the Inception network takes them."""
    return x.expand(-1, 3, -1, -1) * 255


def _own_file(path: Path, where: torch.device, trust: bool) -> Extractor:
    if not path.is_file():
        raise InputError(f"the feature network '{path}' is no file")
    if path.suffix.lower() != ".onnx" and not trust:
        raise InputError(
            f"{path} is no .onnx file: a TorchScript file is a program, which can read and write "
            "your files. If you trust where it comes from, add --trust (trust=True in Python)"
        )
    name, identity = f"file {path.name}", sha256_of(path)[:16]
    if path.suffix.lower() != ".onnx":
        script = torchscript(path).to(where)
        return Extractor(name, identity, lambda x: script(x.to(where)))
    net = Onnx.read(path)
    return Extractor(name, identity, lambda x: net(x)[0])


def extract(
    extractor: Extractor,
    x: Tensor,
    *,
    output: str = "features",
    keep: bool = False,
    progress: Progress = SILENT,
    what: str = "",
) -> Tensor:
    """The features (N, D) of images or vectors, float32 on the CPU.

    Args:
        extractor: the extractor.
        x: images (N, C, H, W), uint8 or floats in [0, 1], or vectors (N, D).
        output: "features" or "logits".
        keep: whether to use the cache, which suits data that will be asked for again. Entries are
            stored under the checksums of the extractor and of the data; one that can't be read is
            made again.
        progress: called after each block.
        what: the name of the data, for the progress.

    Raises:
        InputError: the extractor has no logits or takes images of another shape, or its network
            refuses the images or gives no finite vectors.
    """
    extractor.check_shape(tuple(x.shape[1:]))
    compute = extractor.compute if output == "features" else extractor.logits
    if compute is None:
        raise InputError(
            f"the features {extractor.name} belong to no classifier: they have no logits"
        )
    if not (keep and extractor.cached):
        return _computed(compute, extractor, x, progress, what)
    name = f"{extractor.identity}-{output}-{fingerprint(x)}"
    known = stored("features", name)
    if known is not None and len(known.get("x", ())) == len(x):
        return known["x"]
    features = _computed(compute, extractor, x, progress, what)
    store("features", name, {"x": features})
    return features


def _computed(
    compute: Callable[[Tensor], Tensor],
    extractor: Extractor,
    x: Tensor,
    progress: Progress,
    what: str,
) -> Tensor:
    progress = progress.about(f"{extractor.name} of {what}")
    features: Tensor | None = None
    for start in range(0, len(x), extractor.block):
        block = as_float(x[start : start + extractor.block])
        found = _checked(compute, extractor.name, block)
        if features is None:
            # repeat the first image through the batch: its features must not depend on the others
            again = _checked(compute, extractor.name, block[:1].expand_as(block).contiguous())
            if not torch.allclose(again[0], found[0], rtol=0.01, atol=0.01 * float(found.std())):
                raise InputError(
                    f"the features {extractor.name} of an image depend on chance, or on the images "
                    "beside it: the network must be in eval mode"
                )
            features = torch.from_numpy(allocate((len(x), found.shape[1]), np.float32))
        if found.shape[1] != features.shape[1]:
            raise InputError(
                f"the features {extractor.name} have {features.shape[1]} numbers for some images, "
                f"{found.shape[1]} for others"
            )
        features[start : start + len(block)] = found
        progress(start + len(block), len(x))
    assert features is not None
    return features


def _checked(compute: Callable[[Tensor], Tensor], name: str, block: Tensor) -> Tensor:
    """The features (N, D) of one block; `InputError` if they are no finite vectors."""
    try:
        with torch.no_grad():
            found = compute(block)
    except Exception as error:  # a network's errors can be of any kind
        last = cut((str(error).strip().splitlines() or [type(error).__name__])[-1])
        raise InputError(
            f"the features {name} can't be computed of images {tuple(block.shape[1:])}: a network "
            f"must map images (N, C, H, W) to vectors (N, D) ({last})"
        ) from error
    if not torch.is_tensor(found) or not found.is_floating_point() or found.ndim < 2:
        raise InputError(f"the features {name} give no vectors (N, D) of floats")
    found = found.flatten(1).float().cpu()
    if len(found) != len(block) or not found.shape[1]:
        raise InputError(
            f"the features {name} give no vectors (N, D), but {tuple(found.shape)} for "
            f"{len(block)} images"
        )
    if not bool(torch.isfinite(found).all()):
        raise InputError(f"the features {name} hold NaN or infinite values")
    return found

"""The neutral classifier of a data set, trained once, kept in the cache, and used for every model.

It is trained on the whole training part, and depends neither on generated images nor on the options
of a run. It is stored under its configuration and a checksum of its data, so that a changed data
set gets another classifier. It tells classes, or by how much an image is turned, which needs no
labels.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch

from zspace.core import SILENT, Batches, Progress
from zspace.data import Images
from zspace.data.images import Part
from zspace.errors import CheckpointError, InputError
from zspace.functional import of_stored
from zspace.functional.augmentation import TURNS
from zspace.functional.tensors import own_random
from zspace.methods.classifier import Augment, Classifier
from zspace.methods.rotation import Rotation, told_turns
from zspace.metrics import Figure, accuracy, mean_figure
from zspace.nets.classifiers import ClassifierNet, cnn, dropout_cnn, quick, resnet56, silu_resnet
from zspace.options import About
from zspace.storage.cache import alone, cache_folder, fingerprint, key
from zspace.storage.files import load_state, read_tensors, write_tensors
from zspace.storage.run import Run
from zspace.training import find_device, fit, make_fabric

Task = Literal["labels", "rotation"]
Arch = Literal["cnn", "resnet56", "dropout-cnn", "silu-resnet"]

BATCH = 128
ITERATIONS = {"cnn": 2_000, "resnet56": 64_000, "dropout-cnn": 1_000, "silu-resnet": 10_000}
NETS = {"cnn": cnn, "resnet56": resnet56, "dropout-cnn": dropout_cnn, "silu-resnet": silu_resnet}
PASSES = 200
"""The passes through a small data set after which more would teach the networks by Adam nothing."""

BY_SGD = ("resnet56", "silu-resnet")
"""The networks that are trained by SGD with momentum, on shifted and mirrored images."""

WARM = 0.05
"""The share of the iterations in which the rate of `silu-resnet` rises."""


@dataclass(frozen=True)
class Neutral:
    """A trained neutral classifier.

    Attributes:
        net: the network, in eval mode.
        name: the name of its architecture.
        identity: a checksum of its weights.
        accuracy: its accuracy on the test images, in [0, 1]; of rotations, over all four turns.
        task: what it tells: "labels" or "rotation".
        path: the file in the cache that holds it.
    """

    net: ClassifierNet
    name: str
    identity: str
    accuracy: Figure
    task: Task = "labels"
    path: Path | None = None

    @property
    def features(self) -> str:
        """The name that stands beside figures by its features."""
        return f"{'classifier' if self.task == 'labels' else self.task} {self.name}"


def neutral_classifier(
    images: Images,
    *,
    task: Annotated[
        Task,
        About(
            "what the network learns to tell: the labels, or by how many quarter turns an image is "
            "turned, which needs none"
        ),
    ] = "labels",
    arch: Annotated[
        Arch,
        About(
            "network: a small one, ResNet-56, the categorical-generation paper's, or a smooth "
            "residual one for colour images"
        ),
    ] = "cnn",
    iterations: Annotated[
        int | None,
        About(
            "training iterations with batches of 128 (unset: 2,000; dropout-cnn 1,000; of either "
            "at most 200 passes through the data; resnet56 64,000; silu-resnet 10,000)",
            least=1,
        ),
    ] = None,
    augment: Annotated[
        Augment | None,
        About(
            "random changes of training images (unset: none, but crop-flip for resnet56 and "
            "silu-resnet, in whose place crop suits digits, which must not be mirrored)"
        ),
    ] = None,
    seed: Annotated[
        int, About("seed of the initialisation and of the order of images", least=0, most=1 << 52)
    ] = 0,
    device: str = "auto",
    progress: Progress = SILENT,
) -> Neutral:
    """The neutral classifier of a data set, read from the cache or trained.

    A training that was interrupted is resumed. `cnn` and `dropout-cnn` are trained by Adam with a
    learning rate that falls linearly to 0; `resnet56` by SGD with a learning rate that is divided
    by 10 at a half and at three quarters of the iterations (He et al., 2016, section 4.2);
    `silu-resnet` by SGD with a rate that rises to 0.1 and then falls linearly to 0.

    Args:
        images: the whole data set: the training part is used for training, the test part for the
            accuracy. Images whose label is unknown, -1, are left out.
        task, arch, iterations, augment, seed: options, as their annotations say.
        device: "auto", "cpu", "cuda" or "mps".
        progress: told the progress of the training, and messages.

    Raises:
        InputError: the data are no images, or do not suit the task: they have no labels, fewer than
            two classes, or a class without training images; or the images are not square.
    """
    outputs = _outputs(images, task)
    if task == "labels":
        images = replace(images, train=images.train.known(), test=images.test.known())
    x, y = images.train.x, images.train.y
    total = iterations or default_iterations(len(x), arch)
    how: Augment = augment or ("crop-flip" if arch in BY_SGD else "none")
    config: dict[str, Any] = {
        "recipe": "classifier",
        "arch": arch,
        "iterations": total,
        "augment": how,
        "seed": seed,
    }
    if task == "labels":
        config |= {"train": fingerprint(x, y), "test": fingerprint(images.test.x, images.test.y)}
    else:
        config |= {"task": task, "train": fingerprint(x), "test": fingerprint(images.test.x)}
    name = arch if task == "labels" else f"{task}-{arch}"
    folder = cache_folder() / "classifiers" / f"{name}-{key(config)}"
    NETS[arch](images.shape, outputs)  # refuses images that are too small, before all else
    waits = "another process trains the classifier of these data: waiting for it"
    with alone(folder, lambda: progress.say(waits)):
        return _held(folder, config, images, outputs, device, progress)


def default_iterations(images: int, arch: Arch = "cnn") -> int:
    """The iterations of a training on a number of images unless others are chosen."""
    most = ITERATIONS[arch]
    return most if arch in BY_SGD else min(most, PASSES * math.ceil(images / BATCH))


def _outputs(images: Images, task: Task) -> int:
    """The number of a classifier's logits, after a check of the data."""
    if task == "rotation":
        if not images.is_image:
            raise InputError(f"{images.name} holds vectors: the classifiers take images")
        if images.shape[1] != images.shape[2]:
            height, width = images.shape[1:]
            raise InputError(
                f"images for --task rotation must be square, since they are turned: those of "
                f"{images.name} are {width}x{height} (--image-size makes them square)"
            )
        return TURNS
    y = images.train.y
    if y is None or images.test.y is None or not bool((images.test.y >= 0).any()):
        raise InputError(f"{images.name} has no labels: no classifier can be trained on it")
    if not images.is_image:
        raise InputError(f"{images.name} holds vectors: the classifiers take images")
    if len(images.classes) < 2:
        raise InputError(f"{images.name} has one class: there is nothing to tell apart")
    empty = [c for k, c in enumerate(images.classes) if not bool((y == k).any())]
    if empty:
        raise InputError(
            f"class {', '.join(empty)} of {images.name} has no training image: no classifier can "
            "learn it (--classes leaves it out)"
        )
    return len(images.classes)


def _held(
    folder: Path,
    config: Mapping[str, Any],
    images: Images,
    outputs: int,
    device: str,
    progress: Progress,
) -> Neutral:
    """The classifier in a folder of the cache, which is trained if it is not there."""
    arch, total, seed = config["arch"], config["iterations"], config["seed"]
    task: Task = config.get("task", "labels")
    train = images.train
    path = folder / "model.safetensors"

    def build() -> ClassifierNet:
        return NETS[arch](images.shape, outputs)

    if path.exists():
        try:
            return _read(path, build(), arch, task)
        except InputError as error:
            progress.say(f"the cached classifier can't be used ({error}): it is trained again")
            shutil.rmtree(folder)
    run = _opened(folder)
    if run is None:
        with Run.create(folder, config) as run:
            pass  # `alone` holds others off
    what = "classifier" if task == "labels" else "classifier of rotations"
    progress.say(
        f"training a {what} of {images.name}, once for this data set: {arch}, {total} iterations, "
        "then cached (--features pixels needs none)"
    )
    fabric = make_fabric(find_device(device).type)
    with own_random(seed, fabric.device):
        net = build().to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        method = (Classifier if task == "labels" else Rotation)(
            net, optimizer="sgd" if arch in BY_SGD else "adam", augment=config["augment"]
        )
        method.to(fabric.device)
        # each image of a batch is seen in all its turns, so that an iteration costs the same
        size = min(BATCH if task == "labels" else BATCH // TURNS, len(train))
        batches = Batches(train.x, train.y, size=size, seed=seed, device=fabric.device)

        def rate(iteration: int) -> float:
            done = iteration / total
            if arch == "silu-resnet":
                return min((iteration + 1) / (WARM * total), (1 - done) / (1 - WARM))
            return 1 - done if arch != "resnet56" else 0.1 ** ((done >= 0.5) + (done >= 0.75))

        try:
            fit(
                method,
                batches,
                total,
                rate=rate,
                run=run,
                fabric=fabric,
                progress=progress,
                checkpoint_every=max(1, min(1000, total // 4)),
                keep=1,
            )
        except CheckpointError as error:
            progress.say(f"its training can't be resumed ({error}): it begins anew")
            shutil.rmtree(folder)
            return _held(folder, config, images, outputs, device, progress)
    figure = accuracy_of(net.eval(), images.test, task, fabric.device)
    write_tensors(path, net.state_dict(), {"accuracy": list(figure), "config": config})
    for checkpoint in run.checkpoints().values():
        checkpoint.unlink()
    progress.say(f"the classifier's test accuracy: {figure}")
    return _read(path, build(), arch, task)


def accuracy_of(net: ClassifierNet, test: Part, task: Task, device: torch.device) -> Figure:
    """The accuracy of a classifier on test images, with its standard error over the images.

    Args:
        net: the classifier, in eval mode, on the device.
        test: the test images, with labels if the task is "labels".
        task: what it tells.
        device: the device.
    """
    if task == "rotation":
        return mean_figure(of_stored(lambda x: told_turns(net, x), test.x, device))
    assert test.y is not None
    return mean_figure(accuracy(of_stored(net, test.x, device), test.y))


def _opened(folder: Path) -> Run | None:
    """The run of an interrupted training, or None if there is none that can be resumed."""
    try:
        return Run(folder)
    except InputError:
        shutil.rmtree(folder, ignore_errors=True)
        return None


@dataclass(frozen=True)
class _Header:
    accuracy: tuple[float, float]


def _read(path: Path, net: ClassifierNet, arch: str, task: Task) -> Neutral:
    tensors, header = read_tensors(path, _Header)
    load_state(net, tensors, path)
    return Neutral(
        quick(net.eval()),
        arch,
        fingerprint(*tensors.values()),
        Figure(*header.accuracy),
        task,
        path,
    )

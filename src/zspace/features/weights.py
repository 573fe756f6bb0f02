"""The published weights of feature networks: their files, addresses and checksums."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from zspace.core import SILENT, Progress
from zspace.errors import InputError, cut, unknown
from zspace.storage.cache import alone, cache_folder, home_expanded, user_cache
from zspace.storage.fetch import fetch_any
from zspace.storage.reading import sha256_of


@dataclass(frozen=True)
class WeightFile:
    """A published file of weights.

    Attributes:
        file: its name.
        address: where it is published.
        sha256: its SHA-256, 64 hexadecimal digits.
    """

    file: str
    address: str
    sha256: str


@dataclass(frozen=True)
class Weights:
    """The weights of a network.

    Attributes:
        about: a description.
        files: the files that hold the weights, any one of which is enough.
        gives: what there is not without them.
    """

    about: str
    files: tuple[WeightFile, ...]
    gives: str


WEIGHTS: dict[str, Weights] = {
    "inception": Weights(
        "Inception of 2015, translated to TorchScript from TensorFlow's graph: 2048 pool_3 "
        "features and 1008 classes, as published FIDs and Inception Scores use them",
        (
            WeightFile(
                "inception-2015-12-05.pt",
                "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/"
                "inception-2015-12-05.pt",
                "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4",
            ),
        ),
        "FIDs that stand beside the published ones",
    ),
    "vgg16": Weights(
        "VGG16 trained on ImageNet by torchvision, from torchvision itself or in timm's copy, for "
        "features, and for regene's perceptual loss",
        (
            WeightFile(
                "vgg16.tv_in1k.safetensors",
                "https://huggingface.co/timm/vgg16.tv_in1k/resolve/main/model.safetensors",
                "57b026918159a6bf9faf8405c3a551903768e7138989d9c6224a14227203fad8",
            ),
            WeightFile(
                "vgg16-397923af.pth",
                "https://download.pytorch.org/models/vgg16-397923af.pth",
                "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
            ),
        ),
        "ReGene's perceptual loss",
    ),
}


def folders() -> list[Path]:
    """The folders that may hold weights: zspace's cache, then PyTorch's download folder."""
    own = os.environ.get("TORCH_HOME")
    hub = home_expanded("TORCH_HOME", own) if own else user_cache() / "torch"
    return [cache_folder() / "weights", hub / "hub" / "checkpoints"]


def find_weights(name: str) -> tuple[Path, WeightFile] | None:
    """The file of a network's weights, without a check of its content; None if there is none.

    Raises:
        InputError: the network is unknown.
    """
    if name not in WEIGHTS:
        raise unknown("network", name, WEIGHTS)
    for folder in folders():
        for known in WEIGHTS[name].files:
            if (folder / known.file).is_file():
                return folder / known.file, known
    return None


def checked_weights(name: str) -> tuple[Path, WeightFile]:
    """The file of a network's weights, after a check of its checksum.

    Raises:
        InputError: the network is unknown, there is no file (the message says which file is
            expected where), or its checksum is wrong.
    """
    found = find_weights(name)
    if found is None:
        wanted = " or ".join(f"{w.file} ({w.address})" for w in WEIGHTS[name].files)
        raise InputError(
            f"the weights of {name} are missing, which give {WEIGHTS[name].gives}: put {wanted} "
            f"into {folders()[0]}, or fetch it by 'zspace weights --download {name}'"
        )
    path, known = found
    sha256 = sha256_of(path)
    if sha256 != known.sha256:
        raise InputError(
            f"{path} has a wrong checksum: SHA-256 {sha256[:16]}..., the published file's is "
            f"{known.sha256[:16]}...; remove it and get it again from {known.address}"
        )
    return path, known


def download_weights(name: str, progress: Progress = SILENT) -> Path:
    """Fetch a network's weights into the cache, unless they are there already.

    Args:
        name: the network, a key of `WEIGHTS`.
        progress: called after every block that arrives.

    Returns the file.
    Raises:
        InputError: the network is unknown, the file can't be fetched, or its checksum is wrong.
    """
    if name not in WEIGHTS:
        raise unknown("network", name, WEIGHTS)
    known = WEIGHTS[name].files[0]
    path = folders()[0] / known.file
    with alone(path, lambda: progress.say(f"another process is fetching {path.name}")):
        if not path.is_file() or sha256_of(path) != known.sha256:
            fetch_any([known.address], path, known.sha256, progress)
    return path


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, or of a file that PyTorch saved, by name.

    No code in a file is executed.

    Raises:
        InputError: the file can't be read, or holds anything but tensors.
    """
    try:
        if path.suffix.lower() == ".safetensors":
            return load_file(path)
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError) as error:
        raise InputError(f"{path} can't be read: {cut(str(error))}") from error
    except Exception as error:  # the unpickler raises errors of many kinds
        raise InputError(f"{path} holds no plain tensors: {cut(str(error))}") from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise InputError(f"{path} holds no plain tensors")
    return state

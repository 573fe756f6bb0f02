"""Feature extractors by name, and extraction: in blocks, with progress, cached by content.

A distance between images is a distance between their features: a figure without the features'
name means nothing, so an `Extractor` carries its name and a checksum of what computes it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from zspace.core import SILENT, Progress
from zspace.data.images import allocate
from zspace.errors import InputError, unknown
from zspace.features.classifier import Neutral
from zspace.features.weights import checked_weights, file_sha256, read_state
from zspace.functional import as_float
from zspace.nets.vgg import VGG16, published_names
from zspace.storage.cache import cache_folder, fingerprint
from zspace.storage.files import load_state, read_tensors, write_tensors
from zspace.training import find_device

FEATURES = {
    "pixels": "the images themselves, averaged down to 32 pixels where larger (or the vectors)",
    "classifier": "the last hidden layer of the data set's neutral classifier",
    "inception": "2048 pool_3 features of the Inception of 2015 (zspace weights)",
    "vgg16": "4096 features of VGG16's second fully connected layer (zspace weights)",
    "file:PATH": "a TorchScript (.pt) or ONNX (.onnx) network: images (N, C, H, W) in [0, 1] in",
}

LARGEST = 32
"""Height and width of images whose pixels are features."""


@dataclass(frozen=True)
class Extractor:
    """A function from images to features.

    Attributes:
        name: stands beside every figure.
        identity: a checksum of what computes the features.
        compute: images (N, C, H, W), floats in [0, 1], to features (N, D) or (N, D, 1, 1).
        logits: likewise to a classifier's logits (N, K), where there is one.
        cached: keep what is extracted.
        block: images at a time.
    """

    name: str
    identity: str
    compute: Callable[[Tensor], Tensor]
    logits: Callable[[Tensor], Tensor] | None = None
    cached: bool = True
    block: int = 256


def find_extractor(name: str, neutral: Callable[[], Neutral], device: str = "auto") -> Extractor:
    """The extractor of that name.

    Args:
        name: of `FEATURES`, or "file:" and a path.
        neutral: gives the data set's classifier; called only where it is asked for.

    Raises:
        InputError: unknown name; missing, changed or unreadable weights.
    """
    where = find_device(device)
    if name == "pixels":
        return Extractor(name, "pixels", _pixels, cached=False, block=4096)
    if name == "classifier":
        found = neutral()
        net = found.net.to(where)
        return Extractor(
            f"classifier {found.name}",
            found.identity,
            lambda x: net.features(x.to(where)),
            lambda x: net(x.to(where)),
        )
    if name == "inception":
        path, known = checked_weights(name)
        script = _torchscript(path).to(where)
        return Extractor(
            name,
            known.sha256[:16],
            lambda x: script(_bytes(x).to(where), return_features=True),
            # its own softmax without the last bias, as the original score has it
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
        return _own_file(Path(name[5:]), where)
    raise unknown("features", name, FEATURES)


def _pixels(x: Tensor) -> Tensor:
    """Rows of numbers; images of more than 32 pixels are averaged down, or no distance between
    their covariances could be computed."""
    if x.ndim == 4 and max(x.shape[2:]) > LARGEST:
        x = adaptive_avg_pool2d(x, (min(LARGEST, x.shape[2]), min(LARGEST, x.shape[3])))
    return x.flatten(1)


def _bytes(x: Tensor) -> Tensor:
    """Three channels of 0..255, as the Inception network takes them."""
    return x.expand(-1, 3, -1, -1) * 255


def _torchscript(path: Path) -> nn.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch advises its exporter's files instead
            return torch.jit.load(str(path), map_location="cpu").eval()
    except (RuntimeError, OSError, ValueError) as error:
        first = str(error).strip().splitlines()[:1]
        raise InputError(f"{path} is no TorchScript file: {' '.join(first)[:200]}") from error


def _own_file(path: Path, where: torch.device) -> Extractor:
    if not path.is_file():
        raise InputError(f"the feature network '{path}' is no file")
    name, identity = f"file {path.name}", file_sha256(path)[:16]
    if path.suffix != ".onnx":
        script = _torchscript(path).to(where)
        return Extractor(name, identity, lambda x: script(x.to(where)))
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(
            f"{path}: ONNX networks need a package: pip install onnxruntime"
        ) from error
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors share no class of their own
        raise InputError(f"{path} is no ONNX file that can be run: {error}") from error
    entry = session.get_inputs()[0].name

    def run(x: Tensor) -> Tensor:
        outputs = session.run(None, {entry: x.cpu().contiguous().numpy()})
        return torch.from_numpy(np.asarray(outputs[0]))

    return Extractor(name, identity, run)


def extract(
    extractor: Extractor,
    x: Tensor,
    *,
    output: str = "features",
    keep: bool = False,
    progress: Progress = SILENT,
    what: str = "",
) -> Tensor:
    """Features (N, D) of stored data, float32 on the CPU.

    Args:
        x: uint8 images (N, C, H, W), floats in [0, 1] likewise, or vectors (N, D).
        output: "features" or "logits".
        keep: store them in the cache, by the extractor's and the data's checksums, and take them
            from there; an entry that can't be read is made again. For data that will come again.

    Raises:
        InputError: the network refuses the images, or gives NaN or no vectors.
    """
    compute = extractor.compute if output == "features" else extractor.logits
    if compute is None:
        raise InputError(
            f"the features {extractor.name} belong to no classifier: they have no logits"
        )
    if not (keep and extractor.cached):
        return _computed(compute, extractor, x, progress, what)
    name = f"{extractor.identity}-{output}-{fingerprint(x)}"
    path = cache_folder() / "features" / f"{name}.safetensors"
    if path.is_file():
        try:
            stored, header = read_tensors(path)
            if header == {"entry": name} and len(stored["x"]) == len(x):
                return stored["x"]
        except (InputError, KeyError):
            pass  # damaged: made again
    features = _computed(compute, extractor, x, progress, what)
    write_tensors(path, {"x": features}, {"entry": name})
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
            # one image alone, as often as the batch has room: the others must not matter
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
    """One block's features (N, D), or an `InputError`."""
    try:
        with torch.no_grad():
            found = compute(block)
    except InputError:
        raise
    except Exception as error:  # onnxruntime's errors share no class of their own
        last = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        raise InputError(
            f"the features {name} can't be computed of images {tuple(block.shape[1:])}: {last[0]}"
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

"""Export of a sampler and a decoder to one file, with which other programs generate images."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from zspace import __version__
from zspace.core import LatentModel, Sampler
from zspace.errors import InputError
from zspace.functional import stream
from zspace.nets.onnx import packages
from zspace.recipes.catalogue import listed, which
from zspace.storage.files import atomic

OPSET = 17
"""The version of ONNX's operators, which programs from 2022 on can read."""

CHECKED = 64
"""The number of images by which the file is compared with PyTorch."""

AGREEMENT = 1e-3
"""The largest difference of pixels in [0, 1] that counts as rounding; an image has 256 levels."""


class Generator(nn.Module):
    """A module that maps noise, and labels if the sampler knows any, to images or vectors.

    Noise is (N, K) and labels are (N,); images are (N, C, H, W) in [0, 1], vectors (N, D).

    Args:
        model: the model that decodes.
        sampler: the sampler of the model's codes.
    """

    def __init__(self, model: LatentModel, sampler: Sampler) -> None:
        super().__init__()
        self.model, self.sampler = model, sampler

    def forward(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        return self.model.decode(self.sampler.of_noise(noise, label))


@dataclass(frozen=True)
class Exported:
    """A description of an exported file.

    Attributes:
        path: the file.
        noise_dim: K, the size of the noise of one image.
        labels: the names of the labels that it takes, by number; empty if it takes none.
        difference: the largest difference between the file's images and PyTorch's from the same
            noise.
    """

    path: Path
    noise_dim: int
    labels: dict[int, str]
    difference: float


def export(
    model: LatentModel, sampler: Sampler, out: str | Path, *, classes: Sequence[str] = ()
) -> Exported:
    """Write an ONNX file that maps noise, and labels if the sampler knows any, to images.

    Its inputs are `noise`, float32 (N, K), to be drawn from N(0, I), and `label`, int64 (N,), from
    0; its output is `images`, float32 (N, C, H, W) in [0, 1], or `vectors`, (N, D). N is free. The
    file's metadata hold noise_dim and, as JSON, the names of the labels by number; other labels
    have not been learned and have no meaning. The file is only written if its images agree with
    PyTorch's for the same noise.

    Args:
        model: the model, on the CPU.
        sampler: the sampler of the model's codes, on the CPU.
        out: the file.
        classes: the names of the labels.

    Raises:
        InputError: the sampler's codes are not a function of noise, packages are missing, or the
            file's images differ from PyTorch's.
    """
    onnx, runtime = packages()
    if not sampler.noise_dim:
        raise InputError(
            f"this sampler ({type(sampler).__name__}) does not make its codes of noise alone, as a "
            f"file has to: choose --sampler {listed(which(lambda kind: kind.exportable))}"
        )
    whole = Generator(model, sampler).eval()
    arguments = _arguments(sampler, CHECKED)
    with torch.no_grad():
        result = "images" if whole(**arguments).ndim == 4 else "vectors"
    with atomic(Path(out)) as partial:
        with warnings.catch_warnings():
            # tracing warns of checks of shapes, which hold for every N
            warnings.simplefilter("ignore")
            torch.onnx.export(
                whole,
                tuple(arguments.values()),
                str(partial),
                dynamo=False,
                opset_version=OPSET,
                input_names=list(arguments),
                output_names=[result],
                dynamic_axes={name: {0: "N"} for name in (*arguments, result)},
            )
        file = onnx.load(partial)
        labels = {i: str(classes[i]) if i < len(classes) else str(i) for i in sampler.learned()}
        told = {
            "zspace": __version__,
            "noise_dim": str(sampler.noise_dim),
            "labels": json.dumps(labels),
        }
        onnx.helper.set_model_props(file, told)
        onnx.save(file, partial)
        session = runtime.InferenceSession(str(partial), providers=["CPUExecutionProvider"])
        arguments = _arguments(sampler, CHECKED + 1)  # another N than the one it was traced with
        with torch.no_grad():
            expected = whole(**arguments)
        found = session.run(None, {name: t.numpy() for name, t in arguments.items()})[0]
        difference = float((torch.from_numpy(found) - expected).abs().max())
        if not difference <= AGREEMENT * max(1.0, float(expected.abs().max())):
            raise InputError(
                f"the exported generator differs from PyTorch's by {difference:.3g}: it was not "
                "written"
            )
    return Exported(Path(out), sampler.noise_dim, labels, difference)


def _arguments(sampler: Sampler, n: int) -> dict[str, Tensor]:
    """Noise, and labels that have been learned, by the names of the file's inputs."""
    generator = torch.Generator().manual_seed(stream(n, 33))
    noise = torch.randn(n, sampler.noise_dim, generator=generator)
    learned = torch.tensor(sampler.learned())
    return {
        "noise": noise,
        **({"label": learned[torch.arange(n) % len(learned)]} if len(learned) else {}),
    }

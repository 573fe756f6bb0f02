"""Images and networks that the tests of features share."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper

from tests.conftest import random_images
from zspace.features.classifier import Arch, Neutral, Task

IMAGES = torch.from_numpy(random_images(10, 3, 12, 12))


def no_classifier(task: Task, arch: Arch) -> Neutral:
    raise AssertionError("no classifier is needed")


scripting = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


def onnx_file(path: Path, channels: int = 3) -> Path:
    """x -> the mean of each channel, times 2."""
    shape = ["n", channels, "h", "w"]
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["m"]),
        helper.make_node("Add", ["m", "m"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", channels, 1, 1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))
    return path

"""Networks in ONNX files, which are carried out by onnxruntime."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zspace.errors import InputError, cut
from zspace.storage.reading import whole

LARGEST = 2 << 30
"""The size in bytes up to which files are read; ONNX's own limit."""


LOOPS = ("Loop", "Scan")
"""The operators of ONNX that repeat a part of the network."""


def packages() -> tuple[Any, Any]:
    """The packages onnx and onnxruntime.

    Raises:
        InputError: one is missing; the message says how to install it.
    """
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise InputError(
            f"the package {error.name} is missing: pip install 'zspace[onnx]'"
        ) from error
    return onnx, onnxruntime


def _parts(message: Any) -> Iterator[tuple[str, Any]]:
    """All parts of a protobuf message by the name of their kind, however deep they lie."""
    yield message.DESCRIPTOR.name, message
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        many = isinstance(value, Iterable) and not hasattr(value, "ListFields")
        for inner in value if many else [value]:
            if hasattr(inner, "ListFields"):
                yield from _parts(inner)


class Onnx(nn.Module):
    """A network of the ONNX file whose bytes it holds, which maps a tensor to a tuple of tensors.

    It is carried out on the CPU, and its derivatives are not known.

    Args:
        size: the size of the file in bytes.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.file = nn.Parameter(torch.zeros(size, dtype=torch.uint8), requires_grad=False)
        self._session: Any = None

    @classmethod
    def read(cls, path: Path) -> Onnx:
        """The network of a file.

        Raises:
            InputError: the file can't be read, or is no network of a single input.
        """
        content = whole(path, LARGEST, "ONNX files")
        net = cls(len(content))
        net.file.data.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
        try:
            net.session()
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        return net

    def session(self) -> Any:
        """The session of onnxruntime that carries it out.

        Raises:
            InputError: onnxruntime is missing, or refuses the file; or the file has weights in
                other files, or several inputs.
        """
        if self._session is None:
            onnx, onnxruntime = packages()
            content = self.file.cpu().numpy().tobytes()
            try:
                model = onnx.load_model_from_string(content)
                parts = list(_parts(model))
            except Exception as error:  # protobuf's errors have no common class
                raise InputError(f"it is no ONNX file: {cut(str(error))}") from error
            if any(kind == "TensorProto" and part.external_data for kind, part in parts):
                raise InputError("its weights lie in other files: save it with all weights inside")
            if any(kind == "NodeProto" and part.op_type in LOOPS for kind, part in parts):
                raise InputError(f"it has loops ({', '.join(LOOPS)}), which may never end")
            try:
                quiet = onnxruntime.SessionOptions()
                quiet.log_severity_level = 4
                session = onnxruntime.InferenceSession(
                    content, quiet, providers=["CPUExecutionProvider"]
                )
            except Exception as error:
                raise InputError(f"it can't be run as an ONNX file: {cut(str(error))}") from error
            if len(session.get_inputs()) != 1:
                names = ", ".join(each.name for each in session.get_inputs())
                raise InputError(f"a network has one input, and this has {cut(names) or 'none'}")
            self._session = session
        return self._session

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_session": None}  # a session can't be copied

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        session = self.session()
        if torch.onnx.is_in_onnx_export():
            raise InputError(
                "a model of ONNX files can't be exported: adopt it as a PyTorch program (.pt2) or "
                "module"
            )
        try:
            given = x.detach().cpu().contiguous().numpy().astype(np.float32, copy=False)
        except RuntimeError as error:  # a tensor of torch.func
            raise InputError(
                "the derivatives of an ONNX file are not known: adopt the model as a PyTorch "
                "program (.pt2) or module"
            ) from error
        try:
            outputs = session.run(None, {session.get_inputs()[0].name: given})
        except Exception as error:
            raise InputError(
                f"the ONNX file can't be run on {tuple(x.shape)}: {cut(str(error))}"
            ) from error
        return tuple(torch.from_numpy(np.asarray(each)).to(x.device) for each in outputs)

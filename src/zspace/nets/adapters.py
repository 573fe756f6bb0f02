"""What stands between other people's networks and a latent model: ranges, shapes and outputs."""

from __future__ import annotations

import inspect
import logging
import sys
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import msgspec
import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from zspace.errors import InputError, cut, shown
from zspace.nets.graph import Description, Graph
from zspace.nets.onnx import Onnx
from zspace.nets.tracing import graph_of

Network = Callable[[Tensor], Any]
"""An encoder or a decoder: any function of a tensor (N, ...), such as a module."""


class Scale(msgspec.Struct, frozen=True):
    """The values that a network takes or gives for pixels x in [0, 1]: x * factor + offset.

    Attributes:
        factor, offset: one number, or one for each channel.
    """

    factor: tuple[float, ...] = (1.0,)
    offset: tuple[float, ...] = (0.0,)

    def __post_init__(self) -> None:
        if not all(self.factor) or len(self.factor) != len(self.offset):
            raise ValueError("a scale has factors other than 0, and as many offsets")

    def to(self, x: Tensor) -> Tensor:
        """Pixels in [0, 1] as the network takes them."""
        if self == Scale():
            return x
        return x * self._shaped(self.factor, x) + self._shaped(self.offset, x)

    def of(self, x: Tensor) -> Tensor:
        """What the network gives, as pixels in [0, 1] if it keeps its range."""
        if self == Scale():
            return x
        return (x - self._shaped(self.offset, x)) / self._shaped(self.factor, x)

    def _shaped(self, numbers: tuple[float, ...], x: Tensor) -> Tensor | float:
        if len(numbers) == 1:
            return numbers[0]
        return torch.tensor(numbers, device=x.device).view(-1, *[1] * (x.ndim - 2))


class Coded(nn.Module):
    """An encoder of any form, as one that gives codes (N, D), or means and log variances.

    Args:
        net: the encoder.
        scale: the values that it takes.
    """

    def __init__(self, net: nn.Module, scale: Scale) -> None:
        super().__init__()
        self.net, self.scale = net, scale

    def raw(self, x: Tensor) -> tuple[Tensor, ...]:
        """The codes, or the means and the log variances, in the shape in which it gives them."""
        return encoded(self.net(self.scale.to(x)))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(part.float().flatten(1) for part in self.raw(x))


class Decoded(nn.Module):
    """A decoder of any form, as one that maps codes (N, D) to a tuple of pixels in [0, 1].

    Args:
        net: the decoder.
        scale: the values that it gives.
        shape: the shape of a code as it takes it.
        bounded: whether what it gives are pixels, which are cut off at 0 and 1.
    """

    def __init__(self, net: nn.Module, scale: Scale, shape: tuple[int, ...], bounded: bool) -> None:
        super().__init__()
        self.net, self.scale, self.shape, self.bounded = net, scale, shape, bounded

    def raw(self, z: Tensor) -> Tensor:
        """What it gives, in its own range."""
        return decoded(self.net(z if len(self.shape) == 1 else z.unflatten(1, self.shape)))

    def forward(self, z: Tensor) -> tuple[Tensor]:
        x = self.scale.of(self.raw(z))
        return ((x.clamp(0, 1) if self.bounded else x).float(),)


def encoded(output: Any) -> tuple[Tensor, ...]:
    """What an encoder gives: codes, or the means and the log variances of their distributions.

    It may be a tensor, a pair of means and log variances, a distribution, or an object of
    diffusers, transformers or pythae that holds one of these.

    Raises:
        InputError: it is something else.
    """
    if isinstance(output, Tensor):
        return (output,)
    if isinstance(output, tuple | list):
        tensors = [part for part in output if isinstance(part, Tensor)]
        if len(tensors) == len(output) and len(tensors) in (1, 2):
            return tuple(tensors)
        if len(output) == 1:
            return encoded(output[0])
    if isinstance(output, Distribution):
        return output.mean, 2 * output.stddev.log()
    mean, log_variance = _held(output, "mean"), _held(output, "logvar")
    if isinstance(mean, Tensor) and isinstance(log_variance, Tensor):
        return mean, log_variance  # diffusers' DiagonalGaussianDistribution
    for name in ("latent_dist", "latents", "embedding", "pooler_output", "last_hidden_state"):
        found = _held(output, name)
        if found is not None:
            log_covariance = _held(output, "log_covariance")
            if isinstance(found, Tensor) and isinstance(log_covariance, Tensor):
                return found, log_covariance
            return encoded(found)
    raise InputError(
        f"the encoder gives {_told(output)}: expected are codes, a pair (means, log variances) or "
        "a distribution (wrap it in a function that gives one of these)"
    )


def decoded(output: Any) -> Tensor:
    """What a decoder gives: images or vectors.

    Raises:
        InputError: it is neither a tensor nor an object that holds one by a known name.
    """
    if isinstance(output, Tensor):
        return output
    if isinstance(output, tuple | list) and len(output) == 1:
        return decoded(output[0])
    for name in ("sample", "reconstruction", "logits"):
        found = _held(output, name)
        if isinstance(found, Tensor):
            return found
    raise InputError(
        f"the decoder gives {_told(output)}: expected is a tensor (wrap it in a function that "
        "gives one)"
    )


def _held(output: Any, name: str) -> Any:
    """What an object or a mapping holds under a name, else None."""
    return output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)


def _told(output: Any) -> str:
    if isinstance(output, tuple | list):
        return f"{len(output)} values ({cut(', '.join(type(part).__name__ for part in output))})"
    return f"a value of the type {type(output).__name__}, {cut(shown(output))}"


class _Called(nn.Module):
    """A function as a module, which holds the modules that the function uses."""

    def __init__(self, function: Network) -> None:
        super().__init__()
        self.function = function
        inner: Any = function.func if isinstance(function, partial) else function
        used = [getattr(inner, "__self__", None)]
        if inspect.isfunction(inner):
            seen = inspect.getclosurevars(inner)
            used += [*seen.nonlocals.values(), *seen.globals.values()]
        self.used = nn.ModuleList(each for each in used if isinstance(each, nn.Module))

    def forward(self, x: Tensor) -> Any:
        return self.function(x)


def whole_model(
    model: Any, range: tuple[float, float] | None
) -> tuple[Network, Network, tuple[float, float] | None]:
    """The encoder and the decoder of a whole model, and the range of its images."""
    package = type(model).__module__.partition(".")[0]
    if package == "pythae":
        return model.encoder, model.decoder, range
    encode, decode = getattr(model, "encode", None), getattr(model, "decode", None)
    if not callable(encode) or not callable(decode):
        raise InputError(
            f"{shown(type(model).__name__)} has no encode and decode: give an encoder and a decoder"
        )
    return encode, decode, (-1.0, 1.0) if range is None and package == "diffusers" else range


class _Script(nn.Module):
    """A TorchScript program, whose weights `torch.export` can take for constants alone."""

    def __init__(self, script: nn.Module) -> None:
        super().__init__()
        self.script = (script,)

    def forward(self, x: Tensor) -> Any:
        return self.script[0](x)


def module_of(network: Any, what: str, trust: bool) -> nn.Module:
    """A network as a module in eval mode; a path is read.

    Raises:
        InputError: it is neither a function nor a file that can be read.
    """
    if isinstance(network, str | Path):
        return _of_file(Path(network), trust)
    if isinstance(network, torch.jit.ScriptModule):
        return _Script(network.eval())
    if isinstance(network, nn.Module):
        if any(p.is_meta for p in network.parameters()):
            raise InputError(f"the {what} has no weights: it lies on the device meta")
        return network.eval()
    if callable(network):
        return _Called(network).eval()
    raise InputError(f"the {what} is {shown(network)}: expected is a module, a function or a file")


def torchscript(path: Path) -> nn.Module:
    """The network of a TorchScript file, a program, in eval mode on the CPU.

    Raises:
        InputError: it is none.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch recommends another file format
            return torch.jit.load(str(path), map_location="cpu").eval()
    except (RuntimeError, OSError, ValueError) as error:
        raise InputError(f"{path} is no TorchScript file") from error


def _of_file(path: Path, trust: bool) -> nn.Module:
    """The network of an ONNX file or, if it is trusted, of a PyTorch program.

    Raises:
        InputError: the file can't be read, or is a program that nobody trusts.
    """
    if path.suffix.lower() == ".onnx":
        return Onnx.read(path)
    if not path.is_file():
        raise InputError(f"{path} is no file")
    if not trust:
        raise InputError(
            f"{path} is no .onnx file: a PyTorch program can read and write your files while it is "
            "loaded. If you trust where it comes from, add --trust (trust=True in Python)"
        )
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if path.suffix.lower() == ".pt2":
                return graph_of(torch.export.load(path))
            return _Script(torchscript(path))
    except InputError:
        raise
    except Exception as error:  # whatever a program does
        raise InputError(f"{path} is no program of torch.export: {cut(str(error))}") from error
    finally:
        logging.disable(level)


def scale_of(range: Any, mean: Any, std: Any) -> Scale:
    """The values of pixels by their range, or by what was subtracted and divided by.

    Raises:
        InputError: both are given, or numbers that are none.
    """
    if range is not None and (mean, std) != (None, None):
        raise InputError("give range= or mean= and std=, not both")
    try:
        if range is not None:
            low, high = map(float, range)
            scale = Scale((high - low,), (low,))
        else:
            width = _numbers(1.0 if std is None else std)
            centre = _numbers(0.0 if mean is None else mean)
            n = max(len(width), len(centre))
            width, centre = (v * n if len(v) == 1 else v for v in (width, centre))
            factor = tuple(1 / s for s in width)
            scale = Scale(factor, tuple(-m * f for m, f in zip(centre, factor, strict=True)))
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise InputError(
            "range= takes two different numbers (LOW, HIGH); mean= and std= take a number, or one "
            "for each channel, std= no 0"
        ) from error
    if not all(abs(v) < 1e9 for v in (*scale.factor, *scale.offset)):
        raise InputError("range=, mean= and std= take finite numbers")
    return scale


def _numbers(value: Any) -> tuple[float, ...]:
    return (float(value),) if isinstance(value, int | float) else tuple(map(float, value))


def of_function(name: str, trust: bool) -> tuple[Any, Any]:
    """The encoder and the decoder that a function returns, or a whole model and None.

    Args:
        name: the function, as "package.module:function", in a package that is installed or lies in
            the current folder. It is called without arguments.
        trust: whether its code may run.

    Raises:
        InputError: it is not trusted, can't be imported, or fails.
    """
    place, _, function = name.partition(":")
    if not trust or not function:
        raise InputError(
            f"--model {name} names code, which can read and write your files: add --trust"
            if function
            else f"--model must be MODULE:FUNCTION, not '{name}'"
        )
    sys.path.insert(0, "")  # as in "python -m", modules of the current folder are found
    try:
        made = getattr(import_module(place), function)()
    except (Exception, SystemExit) as error:  # other people's code
        kind = type(error).__name__
        raise InputError(f"--model {name} failed: {kind}: {cut(str(error))}") from error
    finally:
        sys.path.remove("")
    return made if isinstance(made, tuple) and len(made) == 2 else (made, None)


class OnnxFile(msgspec.Struct, frozen=True, tag="onnx"):
    """An ONNX file among a run's weights, and what stands around it.

    Attributes:
        size: the size of the file in bytes.
        scale: the values that it takes or gives.
        shape: the shape of a code as a decoder takes it; empty for an encoder.
        bounded: whether a decoder gives pixels.
    """

    size: Annotated[int, msgspec.Meta(gt=0, lt=1 << 31)]
    scale: Scale
    shape: tuple[int, ...] = ()
    bounded: bool = False


def network_of(described: Description | OnnxFile) -> nn.Module:
    """The network without its weights that `description_of` has described."""
    if isinstance(described, Description):
        return Graph(described)
    net = Onnx(described.size)
    if not described.shape:
        return Coded(net, described.scale)
    return Decoded(net, described.scale, described.shape, described.bounded)


def description_of(network: nn.Module) -> Description | OnnxFile:
    """What a network that was stored is made from again, but for its weights."""
    if isinstance(network, Graph):
        return network.description
    assert isinstance(network, Coded | Decoded)
    assert isinstance(network.net, Onnx)
    size = network.net.file.numel()
    if isinstance(network, Coded):
        return OnnxFile(size, network.scale)
    return OnnxFile(size, network.scale, network.shape, network.bounded)

"""A device that stands in for CUDA, so that mixed devices are found on machines without a GPU.

`cuda` is the fixture. While it is in force, the device "cuda" exists: its tensors are `OnCuda`,
which hold their numbers on the CPU and compute there, but refuse what CUDA refuses:

- an operation on tensors of both devices, except copies between them (`to`, `copy_`), CPU scalars
  of no dimension, and CPU indices of a tensor on CUDA (CUDA indices of a CPU tensor are refused);
- a generator of the other device;
- `numpy()`, and whatever else reads a tensor as an array;
- float64, in a test that says so by `without_float64`: as on Apple's MPS.

CUDA's default generator is another one than the CPU's, with a state of its own.

What is not CUDA's: a CPU scalar passes in every operation, while CUDA refuses it in a few that are
not elementwise; kernels, their precision and their limits are the CPU's; `torch.autocast("cuda")`
is the CPU's. An operation that changes a tensor's shape in place, and the reverse mode of
torch.func (`jacrev`, `grad`), are not supported. PyTorch's own `FakeTensorMode` knows devices, too,
but has no numbers: nothing could be trained with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import wraps
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch._decomp.decompositions_for_jvp  # compiles PyTorch's functions as they are
from torch import Tensor, nn
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack
from torch.utils import _device
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_flatten, tree_map

from zspace.functional import tensors
from zspace.training import graphs

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
aten = torch.ops.aten
COPIES = {aten.copy_, aten._to_copy}
INDEXED = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_, aten._unsafe_index}
LISTED = {aten.cat, aten.stack}
MIXED = (
    "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!"
)

FLOAT64 = (torch.float64, torch.complex128)
NO_FLOAT64 = "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support it"


class OnCuda(Tensor):
    """A tensor on the device that stands in for CUDA; `held` has its numbers."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> OnCuda:
        made = Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            layout=held.layout,
            device=CPU,  # for C++, since a CPU build of PyTorch has no engine for CUDA's gradients
            requires_grad=False,
        )
        if held.dtype in FLOAT64 and CUDA.type in tensors.WITHOUT_FLOAT64:
            raise TypeError(NO_FLOAT64)
        # the zeros of forward-mode gradients have no memory
        made.held = torch.zeros(held.shape, dtype=held.dtype) if held._is_zerotensor() else held
        return made

    def __repr__(self) -> str:
        return f"OnCuda({self.held!r})"

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["held"], None

    @staticmethod
    def __tensor_unflatten__(inner: dict[str, Tensor], *_: Any) -> OnCuda:
        return OnCuda(inner["held"])

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with torch._C.DisableTorchFunctionSubclass(), _Inside():
            return func(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(func, args, kwargs or {})


class _Inside(TorchDispatchMode):
    """What C++ makes within an operation on CUDA, such as zeros to be filled, lies on CUDA."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        flat = tree_flatten((args, kwargs))[0]
        factory = not any(isinstance(x, Tensor) for x in flat)
        return computed(func, args, kwargs, here=factory)


def computed(func: Any, args: Any, kwargs: Any, *, here: bool = False) -> Any:
    """The result of an operation, on CUDA if one of its tensors is or if it is asked for `here`."""
    flat = tree_flatten((args, kwargs))[0]
    here = here or any(isinstance(x, OnCuda) for x in flat)
    if here:
        refuse_mixed(func, args, kwargs)
    plain_args, plain_kwargs = tree_map(
        lambda x: x.held if isinstance(x, OnCuda) else x, (args, kwargs)
    )
    drawn = here and torch.Tag.nondeterministic_seeded in func.tags
    by_default = drawn and kwargs.get("generator") is None
    with _disable_current_modes(), default_of_cuda() if by_default else nullcontext():
        out = func(*plain_args, **plain_kwargs)
    if not here:
        return out
    written = [a.alias_info is not None and a.alias_info.is_write for a in func._schema.arguments]
    if any(written):
        # what is changed in place, or is the place of the result, is returned itself
        given = {a.name: v for a, v in zip(func._schema.arguments, args, strict=False)} | kwargs
        changed = [given[a.name] for a, w in zip(func._schema.arguments, written, strict=True) if w]
        if not func._schema.returns:
            return None
        return changed[0] if len(func._schema.returns) == 1 else tuple(changed)
    return tree_map(lambda x: OnCuda(x) if isinstance(x, Tensor) else x, out)


def refuse_mixed(func: Any, args: Any, kwargs: Any) -> None:
    """Refuse tensors of both devices where CUDA does."""
    packet = func.overloadpacket
    flat = tree_flatten((args, kwargs))[0]
    tensors = [x for x in flat if isinstance(x, Tensor)]
    if packet in COPIES or all(isinstance(x, OnCuda) for x in tensors):
        return
    if packet in INDEXED:
        if not isinstance(args[0], OnCuda):
            raise RuntimeError(
                "indices should be either on cpu or on the same device as the indexed tensor (cpu)"
            )
        tensors = [x for x in args[2:] if isinstance(x, Tensor)]
        tensors = [x for x in tensors if isinstance(x, OnCuda) or x.ndim]
    elif packet not in LISTED and (isinstance(args[0], OnCuda) or packet.__name__[-1] != "_"):
        tensors = [x for x in tensors if isinstance(x, OnCuda) or x.ndim]
    if not all(isinstance(x, OnCuda) for x in tensors):
        raise RuntimeError(f"{MIXED} (in {func})")


class Generator(torch.Generator):
    """A CPU generator that remembers the device that it was made for."""

    place = CPU

    def __new__(cls, device: torch.device | str = "cpu") -> Generator:
        made = super().__new__(cls)
        made.place = CUDA if torch.device(device).type == "cuda" else CPU
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return self.place


def check_generator(generator: torch.Generator | None, device: torch.device) -> None:
    if generator is not None and generator.device.type != device.type:
        raise RuntimeError(
            f"Expected a '{device.type}' device type for generator but found "
            f"'{generator.device.type}'"
        )


DEFAULT = torch.Generator()
"""CUDA's default generator."""
get_state, set_state = torch.get_rng_state, torch.set_rng_state


@contextmanager
def default_of_cuda() -> Iterator[None]:
    """A context in which the CPU's default generator is CUDA's."""
    with _disable_current_modes():
        before = get_state()
        set_state(DEFAULT.get_state())
    try:
        yield
    finally:
        with _disable_current_modes():
            DEFAULT.set_state(get_state())
            set_state(before)


class _Moved(torch.autograd.Function):
    """A copy on the other device, whose gradient is moved back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, device: torch.device) -> Tensor:  # type: ignore[override]
        ctx.back = device_of(x)
        return moved(x.detach(), device)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return moved(gradient, ctx.back), None


def device_of(x: Tensor) -> torch.device:
    while torch._C._functorch.is_functorch_wrapped_tensor(x):
        x = torch._C._functorch.get_unwrapped(x)
    return CUDA if isinstance(x, OnCuda) else CPU


def moved(x: Tensor, device: torch.device) -> Tensor:
    """x on a device: itself if it lies there, else a copy."""
    if device_of(x).type == device.type:
        return x
    if x.requires_grad and torch.is_grad_enabled():
        return _Moved.apply(x, device)
    with _disable_current_modes():
        copy = x.held.clone() if isinstance(x, OnCuda) else OnCuda(x.detach().clone())
    return nn.Parameter(copy, x.requires_grad) if isinstance(x, nn.Parameter) else copy


def placed(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function that makes a tensor on any device, from one that makes it on the CPU."""

    @wraps(make)
    def made(*args: Any, device: Any = None, requires_grad: bool = False, **more: Any) -> Tensor:
        if any(isinstance(a, Tensor) for a in args):
            out = make(*args, **more)
            return out if device is None else moved(out, torch.device(device))
        where = CPU if device is None else torch.device(device)
        generator = more.get("generator")
        check_generator(generator, where)
        drawn = where.type == "cuda" and make.__name__.startswith(("rand", "normal"))
        own = drawn and generator is None
        # what is made within a transform of torch.func is a constant of it
        with (
            default_of_cuda() if own else nullcontext(),
            _disable_current_modes(),
            temporarily_clear_interpreter_stack(),
        ):
            x = moved(make(*args, device="cpu", **more), where)
        return x.requires_grad_() if requires_grad else x

    return made


def alike(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function that makes a tensor like a given one, on any device."""

    @wraps(make)
    def made(x: Tensor, *args: Any, device: Any = None, **more: Any) -> Tensor:
        out = make(x, *args, **more)
        return out if device is None else moved(out, torch.device(device))

    return made


def checked(draw: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function that draws for a tensor, which refuses a generator of the other device."""

    @wraps(draw)
    def drawn(x: Tensor, *args: Any, generator: Any = None, **more: Any) -> Tensor:
        check_generator(generator, device_of(x))
        return draw(x, *args, generator=generator, **more)

    return drawn


def inside(transform: Callable[..., Any]) -> Callable[..., Any]:
    """A transform of torch.func, within which C++ makes tensors where its arguments lie."""

    @wraps(transform)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        here = any(isinstance(x, OnCuda) for x in tree_flatten((args, kwargs))[0])
        with _Inside() if here else nullcontext():
            out = transform(*args, **kwargs)
        return inside(out) if callable(out) and not isinstance(out, Tensor) else out

    return wrapped


plain_to, plain_numpy, plain_array = Tensor.to, Tensor.numpy, Tensor.__array__
plain_list, autocast = Tensor.tolist, torch.autocast
plain_parse_to = torch._C._nn._parse_to


def parse_to(*args: Any, **kwargs: Any) -> Any:
    """The device, dtype, blocking and memory format that `to` of a tensor or module is told."""
    other = args[0] if args else kwargs.pop("other", kwargs.pop("tensor", None))
    if isinstance(other, Tensor):
        args = (device_of(other), other.dtype, *args[1:])
    return plain_parse_to(*args, **kwargs)


def to(self: Tensor, *args: Any, copy: bool = False, **kwargs: Any) -> Tensor:
    device, dtype, _, memory_format = parse_to(*args, **kwargs)
    there = device is not None and device.type == "cuda"
    x = plain_to(self, dtype) if there and dtype is not None else self  # float64 stays at home
    x = x if device is None else moved(x, device)
    rest = {"dtype": dtype, "memory_format": memory_format, "copy": copy or None}
    rest = {k: v for k, v in rest.items() if v is not None}
    return plain_to(x, **rest) if rest else x


def on_host(x: Tensor) -> Tensor:
    if device_of(x).type == "cuda":
        raise TypeError(
            "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the "
            "tensor to host memory first."
        )
    return x


LIKE = ("zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like")
NEW = ("new_zeros", "new_ones", "new_empty", "new_full")
DRAWN = ("bernoulli", "multinomial", "poisson")
DRAWN_IN_PLACE = ("normal_", "uniform_", "random_", "bernoulli_", "exponential_")
TRANSFORMS = ("jvp", "vmap")


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """The device that stands in for CUDA, which exists during the test."""

    def patch(owner: Any, **values: Any) -> None:
        for name, value in values.items():
            monkeypatch.setattr(owner, name, value)

    for function in _device._device_constructors():
        name = function.__name__
        if getattr(torch, name, None) is function:
            patch(torch, **{name: placed(function)})
    patch(torch, **{name: alike(getattr(torch, name)) for name in LIKE})
    patch(Tensor, **{name: alike(getattr(Tensor, name)) for name in NEW})
    patch(torch, **{name: checked(getattr(torch, name)) for name in DRAWN})
    patch(Tensor, **{name: checked(getattr(Tensor, name)) for name in DRAWN_IN_PLACE})
    patch(torch.func, **{name: inside(getattr(torch.func, name)) for name in TRANSFORMS})
    patch(
        Tensor,
        to=to,
        cpu=lambda self: moved(self, CPU),
        cuda=lambda self, *_: moved(self, CUDA),
        numpy=lambda self, **more: plain_numpy(on_host(self), **more),
        __array__=lambda self, *more: plain_array(on_host(self), *more),
        tolist=lambda self: plain_list(moved(self.detach(), CPU)),
        device=property(device_of),
        is_cuda=property(lambda self: device_of(self).type == "cuda"),
    )
    patch(
        torch,
        Generator=Generator,
        autocast=lambda device, *args, **more: autocast("cpu", *args, **more),
    )
    patch(
        torch.cuda,
        is_available=lambda: True,
        is_bf16_supported=lambda *_: True,
        device_count=lambda: 1,
        current_device=lambda: 0,
        set_device=lambda device: None,
        synchronize=lambda *_: None,
        empty_cache=lambda: None,
        get_device_capability=lambda *_: (7, 0),
        get_device_properties=lambda *_: SimpleNamespace(total_memory=1 << 30),
        get_rng_state=lambda *_: DEFAULT.get_state(),
        set_rng_state=lambda state, *_: DEFAULT.set_state(state),
        manual_seed_all=DEFAULT.manual_seed,
    )
    patch(torch._C._nn, _parse_to=parse_to)
    # it has neither graphs nor streams
    patch(graphs, captured=lambda device: None, quick=lambda device: nullcontext())
    patch(Tensor, pin_memory=lambda self: self)
    patch(torch.cuda, device=lambda device: nullcontext())
    DEFAULT.manual_seed(0)
    # a module that is moved keeps its parameters, which become tensors of another kind
    patch(torch.__future__, get_swap_module_params_on_conversion=lambda: True)
    return CUDA


@pytest.fixture
def without_float64(cuda: torch.device, monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """The device, which has no float64 during the test."""
    monkeypatch.setattr(tensors, "WITHOUT_FLOAT64", frozenset({cuda.type}))
    return cuda

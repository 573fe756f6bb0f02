"""Graphs of operators: what is traced, what is refused, and what others may have written."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import torch
from torch import Tensor, nn

import zspace
from tests.conftest import small
from zspace.errors import InputError
from zspace.nets.graph import Description, Graph, Step, Weight
from zspace.nets.operators import NUMBERS, OPERATORS
from zspace.nets.tracing import traced
from zspace.recipes import RECIPES


def stored(graph: Graph) -> Graph:
    """A graph that has been written and read."""
    again = Graph(msgspec.json.decode(msgspec.json.encode(graph.description), type=Description))
    again.load_state_dict(graph.state_dict())
    return again


class Called(nn.Module):
    def __init__(self, owner: nn.Module, name: str) -> None:
        super().__init__()
        self.owner, self.name = owner, name

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = getattr(self.owner, self.name)(x)
        return found


@pytest.mark.parametrize("name", RECIPES)
def test_every_models_encoder_and_decoder(name: str) -> None:
    model = zspace.train(name, "digits", **{**small(name), "iterations": 2})
    x = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    z = model.encode(x)
    for part, given in (("encode", x), ("decode", z)):
        graph = stored(traced(Called(model, part), given, part))
        graph.check(given.shape[1:])
        wanted = getattr(model, part)(given)
        torch.testing.assert_close(graph(given)[0], wanted, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(graph(given[:1])[0], wanted[:1], rtol=1e-4, atol=1e-5)


class Many(nn.Module):
    """Attention, gates, resizing, reductions, and sizes that are computed."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(2, 4, 3, padding=1))
        self.norm = nn.GroupNorm(2, 4)
        self.register_buffer("scale", torch.tensor([2, 3]))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        n = x.shape[0]
        a = nn.functional.silu(self.norm(self.conv(x)))
        a = nn.functional.interpolate(a, scale_factor=2, mode="bilinear", align_corners=False)
        b = a.reshape(n, -1, 8)
        b = self.attention(b, b, b)[0]
        gate, value = b.chunk(2, 2)
        out = torch.where(gate > 0, value, value * float("inf")).nan_to_num(0.0, 1.0, -1.0)
        return out.flatten(1), (a.amax((2, 3)) * self.scale.repeat(2)).clamp(min=-1)


def test_a_network_of_many_kinds_of_operators() -> None:
    torch.manual_seed(0)
    net = Many().eval()
    x = torch.randn(4, 2, 4, 4)
    graph = stored(traced(net, x, "it"))
    for n in (1, 4, 7):
        given = torch.randn(n, 2, 4, 4)
        for found, wanted in zip(graph(given), net(given), strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_batches_of_a_largest_size_are_divided() -> None:
    class AtMost(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1) + (1 if x.shape[0] < 16 else 2)

    graph = traced(AtMost(), torch.rand(4, 3), "it")
    assert graph.description.most == 15
    x = torch.rand(40, 3)
    torch.testing.assert_close(graph(x)[0], x + 1)


def test_a_network_whose_number_of_samples_has_become_a_constant() -> None:
    graph = stored(traced(Counting(), torch.rand(4, 3), "it"))
    assert (graph.description.least, graph.description.most) == (4, 4)
    for n in (1, 4, 11):
        x = torch.rand(n, 3)
        torch.testing.assert_close(graph(x)[0], x)


class Drawing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x)


class Counting(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), -1)


class Deciding(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if float(x.sum()) > 0 else -x


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (Drawing(), r"the operator 'aten.randn_like.default' is none"),
        (Deciding(), "can't be stored as a graph of operators"),
    ],
)
def test_what_cant_be_stored_is_refused(net: nn.Module, words: str) -> None:
    with pytest.raises(InputError, match=words):
        traced(net, torch.rand(4, 3), "it")


def described(*steps: Step, outputs: list[str] | None = None) -> Description:
    return Description("x", {}, list(steps), outputs or [steps[-1].name])


X: Any = {"of": "x"}


@pytest.mark.parametrize(
    ("operator", "args"),
    [
        ("aten.from_file.default", ["/etc/passwd", False, 8]),
        ("aten.add_.Tensor", [X, X]),
        ("aten.add.out", [X, X]),
        ("aten.set_.source_Tensor", [X, X]),
        ("aten.rand.default", [[2, 2]]),
        ("prims.add.default", [X, X]),
        ("os.system", ["true"]),
        ("aten.relu", [X]),
        ("aten.relu.nothing", [X]),
        ("", []),
    ],
)
def test_operators_that_are_not_allowed(operator: str, args: list[Any]) -> None:
    with pytest.raises(InputError, match="is none of those that zspace carries out"):
        Graph(described(Step("a", operator, args)))


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (described(Step("a", "aten.relu.default", [{"of": "b"}])), "takes 'b', which is not there"),
        (described(Step("x", "aten.relu.default", [X])), "two results named 'x'"),
        (
            described(Step("a", "aten.relu.default", [X]), outputs=["c"]),
            "are not among its results",
        ),
        (Description("x", {"w": Weight([1], "complex64")}, [], ["x"]), "wrong type or shape"),
        (Description("x", {"w": Weight([-1], "float32")}, [], ["x"]), "wrong type or shape"),
        (Description("x", {"w": Weight([1 << 30] * 3 + [0], "int8")}, [], ["x"]), "or shape"),
        (Description("x", {"forward": Weight([1], "float32")}, [], ["x"]), "can't be named"),
        (Description("x", {"a b": Weight([1], "float32")}, [], ["x"]), "can't be named"),
        (Description("x", {"_last": Weight([1], "float32")}, [], ["x"]), "can't be named"),
    ],
)
def test_descriptions_that_are_wrong(made: Description, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Graph(made)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (Step("a", "aten.full.default", [[1 << 40], 1.0]), "would make 1,099,511,627,776 numbers"),
        (Step("a", "mul", [3, "%99d"]), "sizes that are no whole numbers"),
        (Step("a", "mul", [["a"], 1 << 40]), "sizes that are no whole numbers"),
        (Step("a", "mul", [1 << 60, 1 << 60]), "a size that is too large"),
        (Step("a", "getitem", [X, 0]), "takes an item of what has none"),
        (Step("a", "aten.repeat.default", [X, [1 << 20, 1 << 10]]), "would make"),
        (Step("a", "aten.relu.default", [X, X, X]), "of the network's graph fails"),
        (Step("a", "aten.relu.default", [{"of": 3}]), "of the network's graph fails"),
        (Step("a", "aten.relu.default", [{"dtype": "float128"}]), "of the network's graph fails"),
        (Step("a", "aten.relu.default", [{"evil": 1}]), "argument of the kind 'evil'"),
        (Step("a", "aten.sym_size.int", [X, 0]), "does not give tensors"),
        (Step("a", "mul", [X, {"float": "many"}]), "of the network's graph fails"),
    ],
)
def test_graphs_that_cant_be_carried_out(step: Step, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Graph(described(step)).check((3,))


def test_results_that_grow_faster_than_samples() -> None:
    square = described(
        Step("n", "aten.sym_size.int", [X, 0]),
        Step("m", "mul", [{"of": "n"}, {"of": "n"}]),
        Step("y", "aten.full.default", [[{"of": "m"}, 2], 1.0]),
        Step("z", "aten.slice.Tensor", [{"of": "y"}, 0, 0, {"of": "n"}]),
    )
    with pytest.raises(InputError, match="grow faster than the number of samples"):
        Graph(square).check((3,))
    bounded = msgspec.structs.replace(square, most=65536)  # which is never divided
    with pytest.raises(InputError, match="grow faster than the number of samples"):
        Graph(bounded).check((3,))


def wide(name: str, of: str = "x", numbers: int = 1 << 25) -> Step:
    """A step that makes so many float32 numbers of each sample of 3."""
    return Step(name, "aten.constant_pad_nd.default", [{"of": of}, [0, numbers - 3], 1.0])


def test_results_that_are_large_together() -> None:
    # 128 MiB each: nine that are needed at the end are too many, one after the other are not
    def narrow(i: int) -> Step:  # a view, which holds all of what it is a part of
        return Step(f"n{i}", "aten.slice.Tensor", [{"of": f"w{i}"}, 1, 0, 3])

    together = [step for i in range(9) for step in (wide(f"w{i}"), narrow(i))]
    all_of_them = Step("y", "aten.cat.default", [[{"of": f"n{i}"} for i in range(9)], 1])
    with pytest.raises(InputError, match=r"results would take .* GiB for each sample"):
        Graph(described(*together, all_of_them)).check((3,))
    in_turn: list[Step] = []
    for i in range(9):
        copied = Step(f"c{i}", "aten.mul.Scalar", [{"of": f"n{i}"}, 1.0])
        in_turn += [wide(f"w{i}", f"c{i - 1}" if i else "x"), narrow(i), copied]
    assert Graph(described(*in_turn)).check((3,)) == [(3,)]


def test_samples_are_divided_so_that_their_results_have_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("zspace.nets.graph.ROOM", 10_000)
    count = Step("n", "aten.sym_size.int", [X, 0])
    told = Step("y", "aten.full.default", [[{"of": "n"}, 1], {"of": "n"}])
    graph = Graph(described(wide("w", numbers=1000), count, told))
    assert graph(torch.rand(5, 3))[0].flatten().tolist() == [5] * 5
    graph.check((3,))
    assert graph(torch.rand(5, 3))[0].flatten().tolist() == [2, 2, 2, 2, 1]


def test_what_fails_with_numbers_alone_is_told() -> None:
    index = Step("i", "aten.full.default", [[1], 99], {"dtype": {"dtype": "int64"}})
    graph = Graph(described(index, Step("y", "aten.index_select.default", [X, 1, {"of": "i"}])))
    graph.check((3,))
    with pytest.raises(InputError, match=r"aten.index_select.* of the network's graph fails"):
        graph(torch.rand(2, 3))


def test_arguments_that_are_nested_too_deeply() -> None:
    deep: Any = X
    for _ in range(3000):
        deep = [deep]
    with pytest.raises(InputError, match="nested too deeply"):
        Graph(described(Step("a", "aten.relu.default", [deep])))


def test_no_samples() -> None:
    graph = traced(Counting(), torch.rand(4, 3), "it")
    assert graph(torch.rand(0, 3))[0].shape == (0, 3)
    flat = traced(nn.Sequential(nn.Flatten(), nn.Linear(6, 2)), torch.rand(4, 2, 3), "it")
    assert flat(torch.rand(0, 2, 3))[0].shape == (0, 2)


class InPlace(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(inplace=True), nn.Linear(8, 4))

    def forward(self, x: Tensor) -> Tensor:
        z = self.net(x)
        z += 1
        z[:, 0] = 0
        return z


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTM(3, 5, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.cell(x)[0][:, -1]


@pytest.mark.parametrize(
    ("net", "shape"), [(InPlace(), (4, 3)), (Recurrent(), (4, 6, 3)), (nn.Dropout(0.5), (4, 3))]
)
def test_networks_that_change_tensors_or_repeat(net: nn.Module, shape: tuple[int, ...]) -> None:
    net, x = net.eval(), torch.rand(shape)
    graph = stored(traced(net, x, "it"))
    torch.testing.assert_close(graph(x)[0], net(x), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(graph(x[:1])[0], net(x[:1]), rtol=1e-5, atol=1e-6)


def test_the_allowed_operators_exist_and_change_nothing_in_place() -> None:
    """None of them takes a path or another text that names something outside."""
    for name in OPERATORS:
        packet = getattr(torch.ops.aten, name)
        assert any(not getattr(packet, o)._schema.is_mutable for o in packet.overloads()), name
    assert OPERATORS.isdisjoint({"from_file", "set_", "resize_", "rand", "randn", "bernoulli"})
    assert set(NUMBERS) == {"getitem", "add", "sub", "mul", "floordiv", "mod", "neg"}

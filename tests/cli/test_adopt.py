"""The command `zspace adopt`: files of several kinds, and functions."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import zspace
from tests.conftest import Cli
from tests.test_wrapping import Decoder, Encoder, x_of
from zspace.errors import InputError


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """An encoder and a decoder as ONNX, exported and TorchScript programs."""
    n = torch.export.Dim("N")
    for name, net, given in (("enc", Encoder(), x_of()), ("dec", Decoder(), torch.randn(5, 4))):
        net = net.eval()
        torch.onnx.export(
            net,
            (given,),
            str(tmp_path / f"{name}.onnx"),
            dynamo=False,
            input_names=["x"],
            output_names=["y"],
            dynamic_axes={"x": {0: "N"}, "y": {0: "N"}},
        )
        program = torch.export.export(net, (given,), dynamic_shapes=({0: n},), strict=False)
        torch.export.save(program, tmp_path / f"{name}.pt2")
        torch.jit.trace(net, given).save(str(tmp_path / f"{name}.pt"))
    return tmp_path


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["onnx", "pt2", "pt"])
def test_files(kind: str, files: Path, cli: Cli, refused: Callable[..., str]) -> None:
    run = files / "run"
    both = [f"--encoder={files / f'enc.{kind}'}", f"--decoder={files / f'dec.{kind}'}"]
    adopt = ["adopt", *both, "--data=digits", f"--out={run}"]
    if kind != "onnx":
        assert "can read and write your files" in refused(*adopt)
        assert not run.exists()
        adopt.append("--trust")
    assert "go on with: zspace sample" in cli(*adopt)[1]
    model = zspace.load(run)
    x = x_of()
    torch.testing.assert_close(model.encode(x), Encoder()(x), rtol=1e-4, atol=1e-5)
    z = model.encode(x)
    torch.testing.assert_close(model.decode(z), Decoder()(z), rtol=1e-4, atol=1e-5)
    assert f"the run {run} exists: choose another --out, or --overwrite it" in refused(*adopt)
    assert not cli(
        "sample", str(run), "--sampler=normal", "--n=4", f"--out={files / 's.png'}", "--quiet"
    )[0]
    novelty = ["novelty", str(run), "--density=normal", f"--out={files / 'n.csv'}", "--quiet"]
    export = ["export", str(run), "--sampler=normal", f"--out={files / 'g.onnx'}", "--quiet"]
    if kind == "onnx":
        assert "derivatives of an ONNX file are not known" in refused(*novelty)
        assert "a model of ONNX files can't be exported" in refused(*export)
    else:
        assert not cli(*novelty)[0]
        assert not cli(*export)[0]


@pytest.mark.filterwarnings("ignore")
def test_networks_that_do_not_fit_are_refused_in_one_line(
    files: Path, refused: Callable[..., str]
) -> None:
    """Though there is something to tell about the data."""
    encoder = files / "enc.onnx"
    adopt = ["adopt", f"--encoder={encoder}", f"--decoder={encoder}", "--data=digits"]
    assert "the ONNX file can't be run on (8, 4)" in refused(*adopt, f"--out={files / 'run'}")
    assert not (files / "run").exists()


def test_a_function(
    tmp_path: Path, cli: Cli, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_nets.py").write_text(
        "from tests.test_wrapping import Decoder, Encoder\n"
        "def both():\n    return Encoder(), Decoder()\n"
        "def wrong():\n    raise KeyError('no')\n"
    )
    adopt = ["adopt", "--data=digits", f"--out={tmp_path / 'run'}"]
    assert "add --trust" in refused(*adopt, "--model=own_nets:both")
    assert "must be MODULE:FUNCTION" in refused(*adopt, "--model=own_nets", "--trust")
    failed = refused(*adopt, "--model=own_nets:wrong", "--trust")
    assert "--model own_nets:wrong failed: KeyError: 'no'" in failed
    assert "No module named" in refused(*adopt, "--model=no_nets:both", "--trust")
    assert "give --encoder and --decoder, or --model" in refused(*adopt)
    assert "give --encoder and --decoder" in refused(*adopt, "--encoder=a.onnx")
    assert "--range takes 2 numbers" in refused(*adopt, "--model=own_nets:both", "--range=1")
    assert "--latent takes whole numbers" in refused(*adopt, "--model=a:b", "--latent=1.5")
    assert not cli(*adopt, "--model=own_nets:both", "--trust", "--latent=4", "--quiet")[0]
    sys.modules.pop("own_nets")
    (tmp_path / "own_nets.py").unlink()  # nothing of it is needed any more
    torch.testing.assert_close(
        zspace.load(tmp_path / "run").encode(x_of()), Encoder()(x_of()), rtol=1e-5, atol=1e-6
    )


def constant_file(path: Path, location: str | None = None, loop: bool = False) -> None:
    """An ONNX file that gives a constant, which may lie in another file, or a loop."""
    where = numpy_helper.from_array(np.ones((1, 4), np.float32), "c")
    if location is not None:
        where.ClearField("raw_data")
        where.data_location = TensorProto.EXTERNAL
        entry = where.external_data.add()
        entry.key, entry.value = "location", location
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1, 8, 8])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4])
    nodes = [
        helper.make_node("Constant", [], ["c"], value=where),
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("ReduceMean", ["f"], ["m"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["m", "c"], ["y"]),
    ]
    if loop:
        inner = helper.make_graph([], "body", [], [])
        nodes.append(helper.make_node("Loop", ["", ""], [], body=inner))
    graph = helper.make_graph(nodes, "g", [x], [y])
    opset = helper.make_opsetid("", 13)
    made = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    path.write_bytes(made.SerializeToString())


def test_onnx_files_that_reach_elsewhere_or_repeat(tmp_path: Path) -> None:
    path, secret = tmp_path / "e.onnx", tmp_path / "secret.bin"
    constant_file(path)
    zspace.wrap(path, Decoder(), data="digits")
    secret.write_bytes(np.arange(4, dtype=np.float32).tobytes())
    constant_file(path, "secret.bin")
    with pytest.raises(InputError, match="its weights lie in other files"):
        zspace.wrap(path, Decoder(), data="digits")
    constant_file(path, loop=True)
    with pytest.raises(InputError, match=r"it has loops .Loop, Scan., which may never end"):
        zspace.wrap(path, Decoder(), data="digits")

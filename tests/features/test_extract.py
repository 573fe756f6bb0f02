"""Feature extractors and their cache, networks of the user's own."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from tests.conftest import Told, random_images
from tests.features.shared import IMAGES, no_classifier, onnx_file, scripting
from zspace.errors import InputError
from zspace.evaluation.diagnose import Finding, diagnose
from zspace.evaluation.measurement import Measurement, Subject
from zspace.features import extract as features
from zspace.features.classifier import NETS, Arch, Neutral, Task
from zspace.features.extract import Extractor, extract, find_extractor, neutral_name
from zspace.metrics import Figure


def test_large_images_are_averaged_for_their_pixels() -> None:
    from zspace.features.extract import extract, find_extractor

    x = torch.from_numpy(random_images(3, 1, 64, 64))
    pixels = find_extractor("pixels", lambda: None)  # type: ignore[arg-type,return-value]
    found = extract(pixels, x)
    expected = (x.float() / 255).reshape(3, 32, 2, 32, 2).mean((2, 4)).flatten(1)
    torch.testing.assert_close(found, expected)


def found(measurement: Measurement, subject: Subject) -> dict[str, Finding]:
    return {f.name: f for f in diagnose(measurement, subject)}


def test_an_onnx_network(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "net.onnx")
    found = find_extractor(f"file:{path}", no_classifier)
    assert found.name == "file net.onnx"
    expected = 2 * (IMAGES.float() / 255).mean((2, 3))
    torch.testing.assert_close(extract(found, IMAGES), expected)
    wanted = r"can't be computed of images .*: a network must map images \(N, C, H, W\) to vectors"
    with pytest.raises(InputError, match=wanted):
        extract(found, IMAGES[:, :1])


def test_an_onnx_network_is_guarded_as_adopted_ones_are(tmp_path: Path) -> None:
    model = onnx.load(str(onnx_file(tmp_path / "net.onnx")))
    tensor = helper.make_tensor("t", TensorProto.FLOAT, [1], [0.0])
    loop = helper.make_node("Loop", ["", "", "x"], ["z"], body=helper.make_graph([], "b", [], []))
    del model.graph.node[:]
    model.graph.node.append(loop)
    onnx.save(model, str(tmp_path / "loop.onnx"))
    with pytest.raises(InputError, match=r"loop\.onnx: it has loops"):
        find_extractor(f"file:{tmp_path / 'loop.onnx'}", no_classifier)
    constant = onnx.load(str(onnx_file(tmp_path / "net.onnx")))
    del constant.graph.node[:], constant.graph.input[:]
    constant.graph.node.append(helper.make_node("Constant", [], ["y"], value=tensor))
    onnx.save(constant, str(tmp_path / "constant.onnx"))
    with pytest.raises(InputError, match=r"constant\.onnx: a network has one input"):
        find_extractor(f"file:{tmp_path / 'constant.onnx'}", no_classifier)


@scripting
def test_a_torchscript_network(tmp_path: Path) -> None:
    class Mean(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean((2, 3))

    path = tmp_path / "net.pt"
    torch.jit.script(Mean()).save(str(path))
    with pytest.raises(InputError, match="is a program, which can read and write your files"):
        find_extractor(f"file:{path}", no_classifier, "cpu")
    found = find_extractor(f"file:{path}", no_classifier, "cpu", trust=True)
    torch.testing.assert_close(extract(found, IMAGES), (IMAGES.float() / 255).mean((2, 3)))
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=r"net\.pt is no TorchScript file$"):
        find_extractor(f"file:{path}", no_classifier, "cpu", trust=True)
    (tmp_path / "net.onnx").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=r"net\.onnx: it is no ONNX file"):
        find_extractor(f"file:{tmp_path / 'net.onnx'}", no_classifier)
    with pytest.raises(InputError, match=r"gone.pt. is no file"):
        find_extractor("file:gone.pt", no_classifier)
    with pytest.raises(InputError, match="did you mean 'pixels'"):
        find_extractor("pixel", no_classifier)


def made(compute: Callable[[Tensor], Tensor], name: str = "made") -> Extractor:
    return Extractor(name, hashlib.sha256(name.encode()).hexdigest()[:16], compute, block=4)


@pytest.mark.parametrize(
    "compute, message",
    [
        (lambda x: x.mean((2, 3)) * math.nan, "hold NaN"),
        (lambda x: x[:1].flatten(1), "give no vectors"),
        (lambda x: x.flatten(1).long(), "give no vectors"),
        (lambda x: x @ torch.zeros(5, 5), "can't be computed of images"),
        (lambda x: x.mean(), "give no vectors"),
        (lambda x: x.mean((1, 2, 3)), "give no vectors"),
        (lambda x: x.flatten(1)[:, :0], "give no vectors"),
        (lambda x: x.flatten(1)[:, : 10 * len(x)], "have 40 numbers for some images, 20 for"),
        (lambda x: x.flatten(1) + torch.randn(len(x), 1), "depend on chance"),
        (lambda x: x.flatten(1) - x.flatten(1).mean(0), "depend on chance, or on the images"),
    ],
)
def test_networks_that_give_no_features(compute: Callable[[Tensor], Tensor], message: str) -> None:
    with pytest.raises(InputError, match=message):
        extract(made(compute), IMAGES)


def test_features_are_streamed_and_cached(cache: Path) -> None:
    seen: list[int] = []

    def compute(x: Tensor) -> Tensor:
        seen.append(len(x))
        return x.mean((2, 3))

    told = Told()
    one = made(compute, "streamed")
    first = extract(one, IMAGES, keep=True, what="it", progress=told)
    assert seen == [4, 4, 4, 2]  # the first block twice
    assert [call[:3] for call in told.calls] == [("streamed of it", n, 10) for n in (4, 8, 10)]
    again = extract(one, IMAGES, keep=True)
    assert len(seen) == 4
    assert torch.equal(first, again)
    extract(one, IMAGES[:6], keep=True)  # other data
    assert len(seen) == 7
    extract(made(compute, "another"), IMAGES, keep=True)  # another network
    assert len(seen) == 11
    # a damaged entry is made again
    for path in (cache / "features").glob(f"{one.identity}*"):
        path.write_bytes(path.read_bytes()[:60])
    assert torch.equal(extract(one, IMAGES, keep=True), first)
    assert len(seen) == 15
    assert torch.equal(extract(one, IMAGES, keep=True), first)
    assert len(seen) == 15


def test_an_entry_of_other_data_is_not_taken(cache: Path) -> None:
    one = made(lambda x: x.mean((2, 3)), "moved")
    extract(one, IMAGES, keep=True)
    extract(one, IMAGES[:6], keep=True)
    a, b = sorted((cache / "features").glob(f"{one.identity}*"))
    a.write_bytes(b.read_bytes())
    assert len(extract(one, IMAGES, keep=True)) == 10
    assert len(extract(one, IMAGES[:6], keep=True)) == 6


def test_every_feature_has_a_line_for_people() -> None:
    assert set(features.FEATURES) == {
        "pixels",
        "classifier",
        "rotation",
        "zoo:judge-NAME",
        "inception",
        "vgg16",
        "file:PATH",
    }


@pytest.mark.parametrize(
    "name, asked, shown",
    [
        ("classifier", ("labels", "cnn"), "classifier cnn"),
        ("classifier:silu-resnet", ("labels", "silu-resnet"), "classifier silu-resnet"),
        ("rotation", ("rotation", "cnn"), "rotation cnn"),
        ("rotation:silu-resnet", ("rotation", "silu-resnet"), "rotation silu-resnet"),
    ],
)
def test_a_classifier_of_the_data_by_its_network(
    name: str, asked: tuple[Task, Arch], shown: str
) -> None:
    def neutral(task: Task, arch: Arch) -> Neutral:
        assert (task, arch) == asked
        outputs = 10 if task == "labels" else 4
        net = NETS[arch]((3, 12, 12), outputs).eval()
        return Neutral(net, arch, "mark", Figure(0.5, 0.1), task)

    found = find_extractor(name, neutral, "cpu")
    assert (found.name, found.identity) == (shown, "mark")
    features = extract(found, IMAGES)
    assert features.shape == (10, 128 if asked[1] == "cnn" else 256)
    assert found.classifies == (asked[0] == "labels"), "turns are no classes of the data"
    if found.head is not None:
        assert found.head(features).shape == (10, 10)


def test_networks_that_there_are_not() -> None:
    for name in ("classifier:vgg", "rotation:vgg", "rotation:"):
        with pytest.raises(InputError, match=r"unknown network of the features .*known: cnn, drop"):
            find_extractor(name, no_classifier)
    assert neutral_name("pixels:cnn") is None

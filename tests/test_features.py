"""Feature extractors, their cache, published weights, the neutral classifier."""

from __future__ import annotations

import hashlib
import http.server
import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from safetensors.torch import save_file
from torch import Tensor, nn

from tests.conftest import Cli, Told, random_images
from zspace.data import load
from zspace.data.images import Images, Part
from zspace.errors import InputError
from zspace.features import classifier as neutral
from zspace.features import extract as features
from zspace.features import weights
from zspace.features.classifier import Neutral, neutral_classifier
from zspace.features.extract import Extractor, extract, find_extractor
from zspace.features.weights import WEIGHTS, WeightFile, Weights
from zspace.methods.classifier import SHIFT, Classifier, shifted
from zspace.nets.classifiers import cnn, resnet56
from zspace.nets.vgg import VGG16, published_names

IMAGES = torch.from_numpy(random_images(10, 3, 12, 12))


def no_classifier() -> Neutral:
    raise AssertionError("no classifier is needed")


class Script(nn.Module):
    """What the published Inception takes: bytes in, features or probabilities out."""

    def forward(
        self, x: Tensor, return_features: bool = False, no_output_bias: bool = False
    ) -> Tensor:
        small = x.mean((2, 3))
        if return_features:
            return small
        return torch.softmax(small / 100, 1)


@pytest.fixture
def inception(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A stand-in for the published file, with the checksum that the table expects."""
    path = cache / "weights" / WEIGHTS["inception"].files[0].file
    path.parent.mkdir(exist_ok=True)
    torch.jit.script(Script()).save(str(path))
    known = WEIGHTS["inception"].files[0]
    held = replace(known, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setitem(WEIGHTS, "inception", Weights("a stand-in", (held,)))
    yield path
    path.unlink(missing_ok=True)


scripting = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


@scripting
def test_inception_from_the_cache(inception: Path) -> None:
    found = find_extractor("inception", no_classifier, "cpu")
    x = extract(found, IMAGES)
    torch.testing.assert_close(x, IMAGES.float().mean((2, 3)), rtol=1e-4, atol=1e-3)
    grey = extract(found, IMAGES[:, :1])
    torch.testing.assert_close(grey, IMAGES[:, :1].float().mean((2, 3)).expand(-1, 3))
    p = torch.softmax(extract(found, IMAGES, output="logits"), 1)
    torch.testing.assert_close(p, torch.softmax(IMAGES.float().mean((2, 3)) / 100, 1))


@scripting
def test_weights_that_are_not_the_published_ones(
    inception: Path, cli: Cli, refused: Callable[..., str], runs: dict[str, Path]
) -> None:
    assert "checksum as published" in cli("weights")[1]
    inception.write_bytes(inception.read_bytes() + b"0")
    message = refused("evaluate", runs["ae"], "--features=inception")
    assert "wrong checksum" in message
    assert str(inception) in message
    assert "WRONG CHECKSUM" in cli("weights")[1]


@pytest.mark.parametrize("name", WEIGHTS)
def test_missing_weights_say_what_goes_where(
    name: str, cli: Cli, cache: Path, refused: Callable[..., str], runs: dict[str, Path]
) -> None:
    message = refused("evaluate", runs["ae"], "--features", name)
    assert WEIGHTS[name].files[0].file in message
    assert str(cache / "weights") in message
    out = cli("weights")[1]
    assert all(f.file in out and f.sha256 in out and f.address in out for f in WEIGHTS[name].files)
    assert str(cache / "torch" / "hub" / "checkpoints") in out


def tiny_vgg(monkeypatch: pytest.MonkeyPatch) -> VGG16:
    """VGG16 with few channels, in the same layers."""
    monkeypatch.setattr("zspace.nets.vgg.BLOCKS", ((2, 2), (2, 2), (2, 2, 2), (2, 2, 2), (2, 2, 2)))
    real = nn.Linear

    def small(inputs: int, outputs: int) -> nn.Linear:
        return real({25088: 98, 4096: 8}[inputs], 8)

    monkeypatch.setattr("zspace.nets.vgg.nn.Linear", small)
    torch.manual_seed(0)
    return VGG16().eval()


@pytest.mark.parametrize("form", ["torchvision", "timm"])
def test_vgg16_from_either_published_form(
    form: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vgg = tiny_vgg(monkeypatch)
    state = vgg.state_dict()
    tensors = {k: v.clone() for k, v in state.items() if k.startswith("features.")}
    timm = form == "timm"
    for own, theirs in (("fc1", "0"), ("fc2", "3")):
        for kind in ("weight", "bias"):
            value = state[f"{own}.{kind}"].clone()
            if timm and kind == "weight":
                side = 7 if own == "fc1" else 1
                value = value.reshape(len(value), -1, side, side)
            name = f"pre_logits.{own}.{kind}" if timm else f"classifier.{theirs}.{kind}"
            tensors[name] = value
    tensors["head.fc.weight" if timm else "classifier.6.weight"] = torch.zeros(5, 8)
    path = cache / "weights" / ("v.safetensors" if timm else "v.pth")
    path.parent.mkdir(exist_ok=True)
    if timm:
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(WEIGHTS, "vgg16", Weights("tiny", (WeightFile(path.name, "", digest),)))
    found = extract(find_extractor("vgg16", no_classifier, "cpu"), IMAGES)
    with torch.no_grad():
        expected = vgg(IMAGES.float() / 255)
    torch.testing.assert_close(found, expected)
    path.unlink()
    assert not published_names({"other": torch.zeros(1)})


def test_weights_never_run_code(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (cache / "executed",))

    path = cache / "evil.pth"
    torch.save({"x": Evil()}, path)
    with pytest.raises(InputError, match="holds no plain tensors"):
        weights.read_state(path)
    assert not (cache / "executed").exists()


def test_weights_are_downloaded_and_checked(
    tmp_path: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    cli: Cli,
    refused: Callable[..., str],
) -> None:
    (tmp_path / "net.pt").write_bytes(b"weights of a network")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *a: object, **k: object) -> None:
            super().__init__(*a, directory=str(tmp_path), **k)  # type: ignore[arg-type]

        def log_message(self, *a: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/net.pt"
    good = hashlib.sha256(b"weights of a network").hexdigest()
    try:
        for digest, status in ((good, 0), ("0" * 64, 2)):
            known = WeightFile("net.pt", address, digest)
            monkeypatch.setitem(WEIGHTS, "inception", Weights("", (known,)))
            if status:
                assert "has a wrong checksum" in cli("weights", "--download=inception")[2]
            else:
                assert cli("weights", "--download=inception")[0] == 0
                path = cache / "weights" / "net.pt"
                assert path.read_bytes() == b"weights of a network"
                path.unlink()
            assert not (cache / "weights" / "net.pt").exists()
    finally:
        server.shutdown()
        server.server_close()
    known = WeightFile("net.pt", address, good)
    monkeypatch.setitem(WEIGHTS, "inception", Weights("", (known,)))
    assert "can't be fetched" in refused("weights", "--download=inception")
    assert "did you mean 'inception'" in refused("weights", "--download=inceptoin")


# a network of the user's own


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


def test_an_onnx_network(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "net.onnx")
    found = find_extractor(f"file:{path}", no_classifier)
    assert found.name == "file net.onnx"
    expected = 2 * (IMAGES.float() / 255).mean((2, 3))
    torch.testing.assert_close(extract(found, IMAGES), expected)
    with pytest.raises(InputError, match="can't be computed"):
        extract(found, IMAGES[:, :1])


@scripting
def test_a_torchscript_network(tmp_path: Path) -> None:
    class Mean(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean((2, 3))

    path = tmp_path / "net.pt"
    torch.jit.script(Mean()).save(str(path))
    found = find_extractor(f"file:{path}", no_classifier, "cpu")
    torch.testing.assert_close(extract(found, IMAGES), (IMAGES.float() / 255).mean((2, 3)))
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="is no TorchScript file"):
        find_extractor(f"file:{path}", no_classifier, "cpu")
    (tmp_path / "net.onnx").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="is no ONNX file"):
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


# classifiers


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_resnet56_has_the_published_size() -> None:
    """He et al., Table 6: 0.85 million parameters, counted here from the layers' sizes."""
    net = resnet56((3, 32, 32), 10)
    # (inputs, outputs) of each stage's first convolution, and of its 17 others
    pairs = [(3, 16), (16, 16), (16, 32), (32, 64)]
    pairs += [(c, c) for c in (16, 32, 64) for _ in range(17)]
    assert count(net) == sum(9 * a * b + 2 * b for a, b in pairs) + 64 * 10 + 10 == 853_018
    convolutions = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 55
    assert net.features(torch.rand(2, 3, 32, 32)).shape == (2, 64)


@pytest.mark.parametrize("build", [cnn, resnet56])
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 48)])
def test_classifiers_of_all_sizes(
    build: Callable[[tuple[int, ...], int], nn.Module], shape: tuple[int, ...]
) -> None:
    assert build(shape, 5)(torch.rand(2, *shape)).shape == (2, 5)
    with pytest.raises(InputError, match="8 pixels or more"):
        build((1, 4, 4), 5)


def test_shifted_images() -> None:
    x = torch.rand(3, 2, 6, 6)
    middle = (SHIFT + 0.5) / (2 * SHIFT + 1)
    assert torch.equal(shifted(x, torch.full((3, 2), middle)), x)
    moved = shifted(x, torch.tensor([[0.0, middle]] * 3))  # down by SHIFT, zeros above
    assert torch.equal(moved[:, :, SHIFT:], x[:, :, : 6 - SHIFT])
    assert float(moved[:, :, :SHIFT].abs().max()) == 0


def test_the_classifier_is_trained_once_and_says_its_accuracy(
    cache: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    first = neutral_classifier(load("digits"), seed=5, device="cpu", progress=told)
    assert first.accuracy.value > 0.9
    assert "test accuracy" in told.said[-1]
    monkeypatch.setattr(neutral, "fit", None)  # it must not be trained again
    again = neutral_classifier(load("digits"), seed=5, device="cpu")
    assert again.identity == first.identity
    status, out, _ = cli("classifier", "--data=digits", "--seed=5", "--quiet", "--device=cpu")
    assert status == 0
    assert out == f"cnn {first.identity} of digits: test accuracy {first.accuracy}\n"


def test_a_damaged_classifier_is_trained_again(cache: Path) -> None:
    digits = load("digits")
    first = neutral_classifier(digits, seed=6, iterations=5, device="cpu")
    folders = {p: p.stat().st_mtime for p in (cache / "classifiers").iterdir()}
    newest = max(folders, key=lambda p: folders[p])
    (newest / "model.safetensors").write_bytes(b"broken")
    told = Told()
    again = neutral_classifier(digits, seed=6, iterations=5, device="cpu", progress=told)
    assert "can't be used" in told.said[0]
    assert again.identity == first.identity
    # one that was cut short goes on
    (newest / "model.safetensors").unlink()
    (newest / "config.yaml").write_text("[")
    assert neutral_classifier(digits, seed=6, iterations=5, device="cpu").identity == first.identity


def test_resnet56_trains(cli: Cli) -> None:
    status, out, err = cli("classifier", "--arch=resnet56", "--augment=crop-flip", "--device=cpu")
    assert status == 0, err
    assert "resnet56" in out


def test_data_that_no_classifier_can_learn(refused: Callable[..., str], tmp_path: Path) -> None:
    x = random_images(30, 8, 8)
    np.save(tmp_path / "x.npy", x)
    assert "has no labels" in refused("classifier", f"--data={tmp_path / 'x.npy'}")
    assert "holds vectors" in refused("classifier", "--data=mog2")
    assert "--iterations must be at least 1" in refused("classifier", "--iterations=0")
    assert "--arch must be one of cnn, resnet56" in refused("classifier", "--arch=vgg")
    part = Part(torch.from_numpy(x)[:, None], torch.arange(30) % 2)
    images = Images("mine", part, part, part, ("a", "b", "c"))
    one = replace(images, classes=("a",))
    with pytest.raises(InputError, match="has one class"):
        neutral_classifier(one)
    with pytest.raises(InputError, match="class c of mine has no training image"):
        neutral_classifier(images)


def test_a_classifier_method_needs_labels() -> None:
    from zspace.core import Batches

    method = Classifier(cnn((1, 8, 8), 2))
    with pytest.raises(InputError, match="needs data with labels"):
        next(method.objectives(Batches(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), size=2)))


def test_every_feature_has_a_line_for_people() -> None:
    assert set(features.FEATURES) == {"pixels", "classifier", "inception", "vgg16", "file:PATH"}

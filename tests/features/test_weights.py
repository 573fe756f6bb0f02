"""Published weights: where they lie, how they are checked and fetched."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tests.conftest import Cli
from tests.features.shared import IMAGES, no_classifier, scripting
from tests.https import served
from zspace.errors import InputError
from zspace.features import weights
from zspace.features.extract import extract, find_extractor
from zspace.features.weights import WEIGHTS, WeightFile, Weights
from zspace.nets.vgg import VGG16, published_names


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
    monkeypatch.setitem(WEIGHTS, "inception", Weights("a stand-in", (held,), ""))
    yield path
    path.unlink(missing_ok=True)


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
    monkeypatch.setitem(WEIGHTS, "vgg16", Weights("tiny", (WeightFile(path.name, "", digest),), ""))
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
    content = b"weights of a network"
    good = hashlib.sha256(content).hexdigest()
    with served({"net.pt": content}, tmp_path, monkeypatch) as server:
        address = server.address + "net.pt"
        for digest, status in ((good, 0), ("0" * 64, 2)):
            known = WeightFile("net.pt", address, digest)
            monkeypatch.setitem(WEIGHTS, "inception", Weights("", (known,), ""))
            if status:
                assert "has a wrong checksum" in cli("weights", "--download=inception")[2]
            else:
                assert cli("weights", "--download=inception")[0] == 0
                path = cache / "weights" / "net.pt"
                assert path.read_bytes() == content
                path.unlink()
            assert not (cache / "weights" / "net.pt").exists()
    plain = WeightFile("net.pt", address.replace("https", "http"), good)
    monkeypatch.setitem(WEIGHTS, "inception", Weights("", (plain,), ""))
    assert "is no https address" in refused("weights", "--download=inception")
    known = WeightFile("net.pt", address, good)
    monkeypatch.setitem(WEIGHTS, "inception", Weights("", (known,), ""))
    assert "can't be fetched" in refused("weights", "--download=inception")
    assert "did you mean 'inception'" in refused("weights", "--download=inceptoin")

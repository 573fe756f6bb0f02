"""Models that were trained elsewhere: what they may be, and what is said of those that can't."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal

import zspace
from tests.conftest import Cli, Told
from zspace.errors import InputError
from zspace.evaluation.evaluate import evaluate
from zspace.generation.export import export
from zspace.methods.wrapped import Wrapped, WrappedVAE
from zspace.nets.adapters import Scale
from zspace.wrapping import wrap


class Encoder(nn.Module):
    """Codes of four numbers for images 8x8, in the form that is asked for."""

    def __init__(self, form: Callable[[Tensor], Any] = lambda z: z) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net, self.form = nn.Sequential(nn.Flatten(), nn.Linear(64, 4)), form

    def forward(self, x: Tensor) -> Any:
        return self.form(self.net(x))


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.net = nn.Sequential(nn.Linear(4, 64), nn.Sigmoid(), nn.Unflatten(1, (1, 8, 8)))

    def forward(self, z: Tensor) -> Tensor:
        x: Tensor = self.net(z)
        return x


class Output(dict[str, Any]):
    """What pythae and transformers give: values by name."""


def x_of(n: int = 5) -> Tensor:
    return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(2))


def test_the_same_autoencoder_has_the_same_figures(tmp_path: Path) -> None:
    """Trained here, or wrapped: to the last digit."""
    options: dict[str, Any] = {"arch": "fc", "hidden": 16, "latent_dim": 3, "iterations": 20}
    model = zspace.train("vae", "digits", out=tmp_path / "own", **options)
    encoder: Any = model
    wrap(lambda x: encoder.moments(x)[:2], model.decoder, data="digits", out=tmp_path / "other")
    own, other = (evaluate(tmp_path / name, n=150, device="cpu") for name in ("own", "other"))
    assert own["rows"] == other["rows"]
    assert len(own["rows"]) == 5


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        (lambda z: z, Wrapped),
        (lambda z: (z,), Wrapped),
        (lambda z: [z, z - 1], WrappedVAE),
        (lambda z: Independent(Normal(z, (0.5 * (z - 1)).exp()), 1), WrappedVAE),
        (lambda z: Output(embedding=z), Wrapped),
        (lambda z: Output(embedding=z, log_covariance=z - 1), WrappedVAE),
        (lambda z: Output(latents=z), Wrapped),
        (lambda z: Output(last_hidden_state=z), Wrapped),
    ],
)
@pytest.mark.parametrize("stored", [False, True])
def test_what_an_encoder_may_give(
    form: Callable[[Tensor], Any], kind: type, stored: bool, tmp_path: Path
) -> None:
    encoder, out = Encoder(form), tmp_path / "run" if stored else None
    model = wrap(encoder, Decoder(), data="digits", out=out)
    if stored:
        model = zspace.load(tmp_path / "run")
    assert type(model) is kind
    assert model.latent_dim == 4
    x = x_of()
    torch.testing.assert_close(model.encode(x), encoder.net(x))
    torch.testing.assert_close(model.decode(model.encode(x)), Decoder()(encoder.net(x)))
    if isinstance(model, WrappedVAE):
        mean, log_variance = model.moments(x)
        torch.testing.assert_close(log_variance, mean - 1)
        assert model.sample(3).shape == (3, 1, 8, 8)
    else:
        assert model.prior is None


@pytest.mark.parametrize(
    ("options", "inside"),
    [
        ({"range": (-1, 1)}, lambda x: 2 * x - 1),
        ({"range": (0, 255)}, lambda x: 255 * x),
        ({"mean": 0.5, "std": 0.25}, lambda x: (x - 0.5) / 0.25),
        ({"mean": [0.5], "std": [0.25]}, lambda x: (x - 0.5) / 0.25),
    ],
)
def test_ranges(options: dict[str, Any], inside: Callable[[Tensor], Tensor]) -> None:
    seen: list[Tensor] = []

    def encode(x: Tensor) -> Tensor:
        seen.append(x)
        return x.flatten(1)

    model = wrap(encode, lambda z: z.view(-1, 1, 8, 8), data="digits", **options)
    x = x_of()
    z = model.encode(x)
    torch.testing.assert_close(seen[-1], inside(x))
    torch.testing.assert_close(model.decode(z), x)


def test_a_range_for_each_channel() -> None:
    scale = Scale((2.0, 4.0, 8.0), (-1.0, 0.0, 1.0))
    x = torch.rand(2, 3, 4, 4)
    torch.testing.assert_close(scale.to(x)[:, 2], 8 * x[:, 2] + 1)
    torch.testing.assert_close(scale.of(scale.to(x)), x)


def test_another_range_for_what_comes_out() -> None:
    model = wrap(
        Encoder(),
        lambda z: 2 * Decoder()(z) - 1,
        data="digits",
        mean=0.5,
        std=2,
        output_range=(-1, 1),
    )
    z = torch.randn(3, 4)
    torch.testing.assert_close(model.decode(z), Decoder()(z))


def test_codes_that_are_maps(tmp_path: Path) -> None:
    down, up = nn.Conv2d(1, 2, 2, 2), nn.ConvTranspose2d(2, 1, 2, 2)
    model = wrap(
        down, lambda z: up(z).sigmoid(), data="digits", latent=(2, 4, 4), out=tmp_path / "run"
    )
    x = x_of()
    assert model.encode(x).shape == (5, 32)
    again = zspace.load(tmp_path / "run")
    torch.testing.assert_close(again.decode(again.encode(x)), up(down(x)).sigmoid())
    assert model.code_shape == again.code_shape == (2, 4, 4)
    flow = zspace.fit_sampler(tmp_path / "run", "flow-matching", {"iterations": 2, "width": 8})
    assert flow.shape == (2, 4, 4)


def test_vectors(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32) * 5
    first = nn.Linear(6, 2)
    wrap(first, nn.Linear(2, 6), data=rows, out=tmp_path / "run")
    model = zspace.load(tmp_path / "run")
    torch.testing.assert_close(model.encode(torch.from_numpy(rows)), first(torch.from_numpy(rows)))


def test_a_whole_model() -> None:
    class Whole(nn.Module):
        encode, decode = Encoder(), Decoder()

    class Plain:
        def encode(self, x: Tensor) -> Tensor:
            return Encoder()(x)

        def decode(self, z: Tensor) -> Tensor:
            return Decoder()(z)

    for model in (Whole(), Plain()):
        torch.testing.assert_close(wrap(model, data="digits").encode(x_of()), Encoder()(x_of()))
    with pytest.raises(InputError, match="'Linear' has no encode and decode"):
        wrap(nn.Linear(1, 1), data="digits")


def test_every_command_takes_its_run(tmp_path: Path, cli: Cli) -> None:
    run = str(tmp_path / "run")
    wrap(Encoder(lambda z: (z, z - 1)), Decoder(), data="digits", out=run)
    assert {path.name for path in Path(run).glob("*.png")} == {
        "samples.png",
        "reconstructions.png",
        "interpolation.png",
    }
    quick = ["--quiet", "--device=cpu"]
    out = f"--out={tmp_path / 's.npz'}"
    assert not cli("fit-sampler", run, "--sampler=mixture", *quick)[0]
    assert not cli("sample", run, "--sampler=mixture", "--n=4", out, *quick)[0]
    assert not cli("encode", run, f"--out={tmp_path / 'z.npz'}", *quick)[0]
    assert not cli("imagine", run, "--n=2", f"--out={tmp_path / 'i.png'}", *quick)[0]
    assert not cli("novelty", run, f"--out={tmp_path / 'n.csv'}", *quick)[0]
    assert not cli("diagnose", run, "--n=100", "--features=pixels", *quick)[0]
    assert not cli("report", run, "--n=100", "--features=pixels", "--map=pca", *quick)[0]
    assert not cli("export", run, f"--out={tmp_path / 'g.onnx'}", "--quiet")[0]
    with pytest.raises(InputError, match="was trained elsewhere: it can't be resumed"):
        zspace.resume(run)


def broken(change: Callable[[Tensor], Any]) -> nn.Module:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return change(x.flatten(1)[:, :4])

    return Broken()


BAD_ENCODERS: dict[str, tuple[Any, str]] = {
    "fails": (nn.Linear(3, 4), r"encoder can't take a tensor \(8, 1, 8, 8\) of floats from 0 to 1"),
    "a text": ("no such thing", "no such thing is no file"),
    "a number": (3, "the encoder is 3: expected is a module, a function or a file"),
    "one code": (broken(lambda z: z.mean(0, keepdim=True)), r"gives \(1, 4\) for 8 samples"),
    "a scalar": (broken(lambda z: z.sum()), "gives|can't take"),
    "nothing": (broken(lambda z: None), "gives a value of the type NoneType"),
    "three": (broken(lambda z: (z, z, z)), "gives 3 values"),
    "NaN": (broken(lambda z: z / 0), "gives NaN or infinite numbers"),
    "chance": (broken(torch.randn_like), "other codes for the same input a second time"),
    "batch": (broken(lambda z: z - z.mean(0)), "depends on the samples beside it"),
    "unequal": (broken(lambda z: (z, z[:, :2])), "log variances of different shapes"),
}


@pytest.mark.parametrize("name", BAD_ENCODERS)
def test_encoders_that_are_refused(name: str) -> None:
    encoder, words = BAD_ENCODERS[name]
    with pytest.raises(InputError, match=words):
        wrap(encoder, Decoder(), data="digits")


BAD_DECODERS: dict[str, tuple[Any, str]] = {
    "fails": (nn.Linear(3, 4), r"decoder can't take a tensor \(8, 4\)"),
    "shape": (nn.Linear(4, 64), r"decoder gives \(8, 64\) for the codes of images \(8, 1, 8, 8\)"),
    "range": (lambda z: 255 * Decoder()(z), "decoder gives values from .* and its range is 0 to 1"),
    "chance": (lambda z: torch.rand(len(z), 1, 8, 8), "other images for the same input"),
    "none": (lambda z: None, "the decoder gives a value of the type NoneType"),
}


@pytest.mark.parametrize("name", BAD_DECODERS)
def test_decoders_that_are_refused(name: str) -> None:
    decoder, words = BAD_DECODERS[name]
    with pytest.raises(InputError, match=words):
        wrap(Encoder(), decoder, data="digits")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"latent": 5}, r"gives codes of shape \(4,\), where latent= says \(5,\)"),
        ({"range": (0, 0)}, "two different numbers"),
        ({"range": (0, 1, 2)}, "two different numbers"),
        ({"range": (0, float("inf"))}, "finite numbers"),
        ({"range": (0, 1), "mean": 0.5}, "not both"),
        ({"std": 0}, "std= no 0"),
        ({"mean": [0.5, 0.5], "std": [1, 1, 1]}, "one for each channel"),
        ({"image_sise": 3}, "unknown option of wrap 'image_sise': did you mean 'image_size'"),
    ],
)
def test_options_that_are_refused(options: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        wrap(Encoder(), Decoder(), data="digits", out=tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("output_range", [(0, 1), (-1, 1)])
def test_a_range_that_would_fit_better_is_told(output_range: tuple[float, float]) -> None:
    told = Told()
    pixels: Any = wrap(
        lambda x: x.flatten(1),
        lambda z: z.view(-1, 1, 8, 8),
        data="digits",
        output_range=output_range,
        progress=told,
    )
    words = "nearer to the images if 0 were black and 1 white in what the decoder gives"
    assert any(words in line for line in told.said) == (output_range == (-1, 1))
    assert pixels.latent_dim == 64


def test_dropout_and_batch_norm_are_in_eval_mode() -> None:
    encoder = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Dropout(0.5), nn.Linear(64, 4))
    encoder.train()
    model = wrap(encoder, Decoder(), data="digits")
    assert torch.equal(model.encode(x_of()), model.encode(x_of()))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(latent_dim="four"), "is damaged"),
        (lambda d: d["encoder"]["steps"][0].update(operator="aten.from_file.default"), "damaged"),
        (lambda d: d["decoder"]["weights"].clear(), "is damaged"),
        (lambda d: d.update(latent_dim=400), "is damaged"),
        (lambda d: d["encoder"].update(type="pickle"), "is damaged"),
    ],
)
def test_descriptions_that_others_have_changed(
    change: Callable[[Any], None], words: str, tmp_path: Path
) -> None:
    wrap(Encoder(), Decoder(), data="digits", out=tmp_path / "run")
    path = tmp_path / "run" / "networks.json"
    described = json.loads(path.read_text())
    change(described)
    path.write_text(json.dumps(described))
    with pytest.raises(InputError, match=words):
        zspace.load(tmp_path / "run")
    path.unlink()
    with pytest.raises(InputError, match=r"networks.json is missing"):
        zspace.load(tmp_path / "run")


BLOCKS: dict[str, Any] = {
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
    "block_out_channels": (4, 4),
    "norm_num_groups": 2,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["AutoencoderKL", "VQModel", "AutoencoderTiny"])
def test_models_of_diffusers(name: str, tmp_path: Path) -> None:
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    if name == "AutoencoderTiny":
        sizes: dict[str, Any] = {
            "encoder_block_out_channels": (4, 4),
            "decoder_block_out_channels": (4, 4),
            "num_encoder_blocks": (1, 1),
            "num_decoder_blocks": (1, 1),
        }
    else:
        sizes = BLOCKS
    made = getattr(diffusers, name)(in_channels=3, out_channels=3, latent_channels=2, **sizes)
    model = wrap(made, data="digits", channels=3, image_size=16, out=tmp_path / "run")
    x = torch.rand(3, 3, 16, 16)
    encoded = made.encode(2 * x - 1)
    z = encoded.latents if name != "AutoencoderKL" else encoded.latent_dist.mean
    expected = made.decode(z).sample.add(1).div(2).clamp(0, 1)
    again = zspace.load(tmp_path / "run")
    assert isinstance(model, WrappedVAE) == (name == "AutoencoderKL")
    torch.testing.assert_close(again.encode(x), z.flatten(1), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(again.decode(again.encode(x)), expected, rtol=1e-3, atol=1e-3)
    sampler = zspace.fit_sampler(tmp_path / "run", "normal")
    assert export(again, sampler, tmp_path / "g.onnx").difference < 1e-3


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["VAE", "AE", "RAE_L2"])
def test_models_of_pythae(name: str, tmp_path: Path) -> None:
    models = pytest.importorskip("pythae.models")
    config = {"RAE_L2": "RAE_L2_Config"}.get(name, f"{name}Config")
    made = getattr(models, name)(getattr(models, config)(input_dim=(1, 8, 8), latent_dim=3))
    wrap(made, data="digits", out=tmp_path / "run")
    model = zspace.load(tmp_path / "run")
    x = x_of()
    z = made.encoder(x)["embedding"]
    torch.testing.assert_close(model.encode(x), z, rtol=1e-4, atol=1e-5)
    expected = made.decoder(z)["reconstruction"]
    torch.testing.assert_close(model.decode(z), expected, rtol=1e-4, atol=1e-5)

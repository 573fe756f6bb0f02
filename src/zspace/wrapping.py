"""`wrap`, by which a model that was trained elsewhere becomes one of zspace's."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from math import prod
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor, nn

from zspace.core import SILENT, LatentModel, Progress, as_progress
from zspace.data import DataOptions, Images
from zspace.data.given import Data, check_apart, check_options, images_of, keep
from zspace.display import pictures
from zspace.errors import InputError, cut
from zspace.execution import facts_of
from zspace.functional import as_float
from zspace.methods.wrapped import Wrapped, WrappedVAE
from zspace.nets.adapters import (
    Coded,
    Decoded,
    Network,
    OnnxFile,
    Scale,
    description_of,
    module_of,
    network_of,
    scale_of,
    whole_model,
)
from zspace.nets.graph import Description, Graph
from zspace.nets.onnx import Onnx
from zspace.nets.tracing import traced
from zspace.options import checked, options_of
from zspace.storage.cache import fingerprint
from zspace.storage.config import Facts
from zspace.storage.files import read_json, write_tensors, write_text
from zspace.storage.run import Run

RECIPE = "wrapped"
"""What a run's configuration has as its recipe if its model was trained elsewhere."""

FILE = "networks.json"
"""The file of a run that describes the networks of such a model."""

LOOKED_AT = 8
"""The number of images by which a model is checked."""

BEYOND = 0.1
"""How far pixels in [0, 1] may lie outside on average, where they are cut off."""


class _Networks(msgspec.Struct, frozen=True):
    """The networks of a run whose model was trained elsewhere, as `FILE` has them.

    Those of codes alone have the codes' checksum.
    """

    latent_dim: int
    variational: bool
    encoder: Description | OnnxFile
    decoder: Description | OnnxFile
    code_shape: tuple[int, ...] = ()
    codes: str = ""


def wrap(
    encoder: Any,
    decoder: Network | str | Path | None = None,
    *,
    data: Data,
    out: str | Path | None = None,
    overwrite: bool = False,
    range: tuple[float, float] | None = None,
    mean: Sequence[float] | float | None = None,
    std: Sequence[float] | float | None = None,
    output_range: tuple[float, float] | None = None,
    latent: int | Sequence[int] | None = None,
    trust: bool = False,
    progress: Progress = SILENT,
    **options: Any,
) -> LatentModel:
    """Make an encoder and a decoder that were trained elsewhere a model like any other.

    They are checked on a few images. With `out` they are stored as a run, which every command and
    every function that takes a run understands: as the graphs of their operators and their weights,
    so that nothing of their code is needed or carried out later.

    Args:
        encoder: a module or function of images (N, C, H, W), or vectors, that gives codes (N, ...)
            in a tensor, a pair of means and log variances, a distribution, or an object of
            diffusers, transformers or pythae. Or the path of an ONNX file. Or a whole model of
            diffusers or pythae, or any object with `encode` and `decode`.
        decoder: a module or function of codes, or a path; None if `encoder` is a whole model.
        data: what `train` takes: the data that belong to the model.
        out: the folder of the run; None stores nothing.
        overwrite: whether to replace an existing run.
        range: the values (LOW, HIGH) that stand for black and white in what the encoder takes and
            the decoder gives. None means (0, 1), or (-1, 1) for a model of diffusers.
        mean, std: instead of `range`: what has been subtracted from pixels in [0, 1], and by what
            they have been divided, for all channels or for each.
        output_range: the values that the decoder gives for black and white, if they are others.
        latent: the size or the shape (N is left out) that a code must have; None takes what the
            encoder gives.
        trust: whether a network may be a file that holds a program (.pt2 or TorchScript).
        progress: told what the user should know about the data.
        options: options of the data (`zspace.data.DataOptions`).

    Returns the model, in eval mode. A code of several dimensions is flattened to a vector (D,).
    Raises:
        InputError: the networks do not fit the data or one another, change from call to call, give
            numbers that are not finite or out of range, or can't be stored.
    """
    settings = checked(options_of(DataOptions), options, "option of wrap")
    check_options(data, settings)
    source = str(data) if isinstance(data, str | Path) else None
    if out is not None:
        check_apart(Path(out), [source], folder=True)
        Run.check_new(Path(out), overwrite=overwrite)
    if decoder is None:
        encoder, decoder, range = whole_model(encoder, range)
    taken = scale_of(range, mean, std)
    given = taken if output_range is None else scale_of(output_range, None, None)
    networks = module_of(encoder, "encoder", trust), module_of(decoder, "decoder", trust)
    images = images_of(data, settings)
    said = as_progress(progress)
    model = _joined(*networks, taken, given, latent, images, said)
    if out is not None:
        config = {"recipe": RECIPE, "data": source, **settings}
        _store(model, images, config, Path(out), overwrite, said)
    for note in images.notes:  # at last, so that a refusal stands alone
        said.say(note)
    return model


def _store(
    model: Wrapped | WrappedVAE,
    images: Images,
    config: dict[str, Any],
    out: Path,
    overwrite: bool,
    progress: Progress,
    codes: str = "",
) -> None:
    """Store a model as a run: its networks become graphs of their operators, on the CPU.

    If it is of codes alone, their checksum is given.
    """
    x = _some(images, model.place.device)
    with torch.no_grad():
        z = model.encode(x)
    for name, example in (("encoder", x), ("decoder", z)):
        part = getattr(model, name)
        if not isinstance(part.net, Onnx):
            setattr(model, name, traced(part, example, f"the {name}"))
    model.cpu()
    described = _Networks(
        model.latent_dim,
        isinstance(model, WrappedVAE),
        description_of(model.encoder),
        description_of(model.decoder),
        model.code_shape or (),
        codes,
    )
    with Run.create(out, config, overwrite=overwrite) as made, ExitStack() as unless_made:
        unless_made.callback(shutil.rmtree, made.folder, ignore_errors=True)
        run = Run(out, config=config, facts=facts_of(images))
        if config["data"] is None:
            keep(images, out, progress)
        write_text(run.folder / FILE, msgspec.json.encode(described).decode())
        write_tensors(run.model_file, model.state_dict(), run.header(0))
        pictures.draw(run, model, images)
        unless_made.pop_all()


def run_of_codes(data: Path, out: Path, progress: Progress = SILENT) -> Path:
    """The run of codes alone, whose model leaves them as they are.

    It is made if it is not there, or if the file's codes have changed since it was. Four fifths of
    the codes are for samplers; the others are test data, unless the file has some.

    Args:
        data: a file of codes (N, D), .npy or .npz, and their labels if it has any.
        out: the folder of the run.
        progress: told what the user should know about the codes.

    Raises:
        InputError: the file holds no codes, or the folder something else.
    """
    settings = checked(options_of(DataOptions), {"validation": 0.0}, "option")
    images = images_of(data, settings)
    if images.is_image:
        raise InputError(
            f"{data} holds images: codes are (N, D) ('zspace train' trains a model on images)"
        )
    config = {"recipe": RECIPE, "data": str(data), **settings}
    checksum = _checksum(images)
    there = (out / "config.yaml").is_file()
    if there:
        held = Run(out).config
        named = held["data"] if held.get("recipe") == RECIPE else None
        if not isinstance(named, str) or Path(named).resolve() != data.resolve():
            raise InputError(
                f"{out} is a run of something else: choose another --out ('zspace fit-sampler "
                f"{out} --sampler NAME' fits a sampler to its codes)"
            )
        whole = (out / FILE).is_file() and Run(out).model_file.is_file()  # a full disk, a kill
        if whole and read_json(out / FILE, _Networks).codes == checksum:
            return out
        if whole:
            progress.say(f"{data} has changed: {out}, with its samplers, is made anew")
    Run.check_new(out, overwrite=there)
    for note in images.notes:
        progress.say(note)
    model = _joined(nn.Identity(), nn.Identity(), Scale(), Scale(), None, images, progress)
    _store(model, images, config, out, there, progress, checksum)
    return out


def check_codes(run: Run, images: Images | None = None) -> None:
    """Check that the codes that a run was made of are still those of its file, if it is there.

    Args:
        run: the run; one that is not of codes alone passes.
        images: its data, if they have been read already.

    Raises:
        InputError: the codes have changed.
    """
    path = run.folder / FILE
    if run.config.get("recipe") != RECIPE or not path.is_file():
        return
    known, source = read_json(path, _Networks).codes, str(run.config["data"])
    if not known or (images is None and not Path(source).is_file()):
        return
    if _checksum(images or images_of(source, run.config)) != known:
        again = f"'zspace fit-sampler {source} --sampler NAME' makes the run anew"
        raise InputError(f"{source} has changed since {run.folder} was made of its codes: {again}")


def _checksum(images: Images) -> str:
    return fingerprint(images.train.x, images.train.y, images.test.x, images.test.y)


def stored_model(run: Run, facts: Facts) -> LatentModel:
    """The untrained model of a run that `wrap` has stored, for the weights of its file.

    Args:
        run: the run.
        facts: the facts about its data.

    Raises:
        InputError: the description of its networks is missing or wrong.
    """
    path = run.folder / FILE
    networks = read_json(path, _Networks)
    try:
        encoder, decoder = network_of(networks.encoder), network_of(networks.decoder)
        code = (networks.latent_dim,)
        if isinstance(encoder, Graph):
            given = [code] * (1 + networks.variational)
            _check_shapes("encoder", encoder.check(facts.shape), given)
        if isinstance(decoder, Graph):
            _check_shapes("decoder", decoder.check(code), [facts.shape])
    except InputError as error:
        raise InputError(f"{path} is damaged: {error}") from error
    kind = WrappedVAE if networks.variational else Wrapped
    model = kind(encoder, decoder, networks.latent_dim)
    model.sample_shape, model.code_shape = facts.shape, networks.code_shape or None
    return model


def _check_shapes(name: str, found: list[tuple[int, ...]], wanted: list[tuple[int, ...]]) -> None:
    if found != wanted:
        raise InputError(f"its {name} gives {found} for a sample, where {wanted} is expected")


def _some(images: Images, place: torch.device) -> Tensor:
    """A few images as floats on a device."""
    return as_float(images.train.x[:LOOKED_AT].to(place))


def _joined(
    encoder: nn.Module,
    decoder: nn.Module,
    taken: Scale,
    given: Scale,
    latent: int | Sequence[int] | None,
    images: Images,
    progress: Progress,
) -> Wrapped | WrappedVAE:
    """The model of two networks, after a check on a few images.

    Raises:
        InputError: see `wrap`.
    """
    places = {p.device for net in (encoder, decoder) for p in net.parameters()}
    if len(places) > 1:
        raise InputError(f"the networks lie on several devices: {cut(', '.join(map(str, places)))}")
    place = places.pop() if places else torch.device("cpu")
    coder = Coded(encoder, taken)
    x = _some(images, place)
    codes = _tried(coder, x, "encoder", "codes")
    if len(codes) == 2 and codes[0].shape != codes[1].shape:
        shapes = " and ".join(str(tuple(each.shape)) for each in codes)
        raise InputError(f"the encoder gives means and log variances of different shapes: {shapes}")
    with torch.no_grad():
        shape = tuple(coder.raw(x)[0].shape[1:])
    if latent is not None:
        wanted = (latent,) if isinstance(latent, int) else tuple(latent)
        if shape != wanted:
            raise InputError(
                f"the encoder gives codes of shape {shape}, where latent= says {wanted}"
            )
    maker = Decoded(decoder, given, shape, images.is_image)
    (again,) = _tried(maker, codes[0], "decoder", "images")
    if again.shape != x.shape:
        raise InputError(
            f"the decoder gives {tuple(again.shape)} for the codes of images {tuple(x.shape)}: "
            "expected is the same shape"
        )
    if images.is_image:
        _check_range(maker, codes[0], x, progress)
    kind = WrappedVAE if len(codes) == 2 else Wrapped
    model = kind(coder, maker, prod(shape)).eval().to(place)
    model.sample_shape = images.shape
    model.code_shape = shape if len(shape) == 3 else None
    return model


def _tried(network: nn.Module, x: Tensor, what: str, gives: str) -> tuple[Tensor, ...]:
    """What a network gives, after a check that it is a function of each sample alone.

    Raises:
        InputError: it fails, or gives other shapes, no finite numbers, or other ones a second time.
    """
    try:
        with torch.no_grad():
            first, again, alone = network(x), network(x), network(x[:1])
    except InputError:
        raise
    except Exception as error:  # other people's code
        low, high = (f"{float(v):.2g}" for v in x.aminmax())
        raise InputError(
            f"the {what} can't take a tensor {tuple(x.shape)} of floats from {low} to {high}: "
            f"{cut(str(error))}"
        ) from error
    for one, two, three in zip(first, again, alone, strict=True):
        if one.ndim < 2 or len(one) != len(x) or not one.numel():
            raise InputError(
                f"the {what} gives {tuple(one.shape)} for {len(x)} samples: expected are {gives} "
                f"({len(x)}, ...)"
            )
        if not bool(torch.isfinite(one).all()):
            raise InputError(f"the {what} gives NaN or infinite numbers")
        near = 1e-3 * (float(one.std(correction=0)) or 1.0)
        if not torch.allclose(one, two, rtol=1e-3, atol=near):
            raise InputError(
                f"the {what} gives other {gives} for the same input a second time, in eval mode, "
                "too: give one without randomness, which returns the mean and not a sample"
            )
        if not torch.allclose(one[:1], three, rtol=1e-2, atol=10 * near):
            raise InputError(
                f"what the {what} gives for a sample depends on the samples beside it, in eval "
                "mode, too: batch norm must use its running statistics"
            )
    return first


def _check_range(maker: Decoded, z: Tensor, x: Tensor, progress: Progress) -> None:
    """Check that a decoder gives values of its range, and tell if another range fits better.

    Raises:
        InputError: they lie far outside.
    """
    with torch.no_grad():
        raw = maker.raw(z)
    inside = maker.scale.of(raw)
    low, high = (float(v) for v in raw.aminmax())
    if float((inside - inside.clamp(0, 1)).abs().mean()) > BEYOND:
        black = float(maker.scale.to(torch.zeros_like(x)).min())
        white = float(maker.scale.to(torch.ones_like(x)).max())
        raise InputError(
            f"the decoder gives values from {low:.3g} to {high:.3g}, and its range is {black:.3g} "
            f"to {white:.3g}: name it by range= or output_range="
        )
    own = float((inside.clamp(0, 1) - x).square().mean())
    for ends in ((0, 1), (-1, 1), (0, 255)):
        other = scale_of(ends, None, None).of(raw).clamp(0, 1)
        if float((other - x).square().mean()) < own / 4:
            progress.say(
                f"reconstructions would be nearer to the images if {ends[0]} were black and "
                f"{ends[1]} white in what the decoder gives (output_range=)"
            )
            return

"""What the tests share: tiny runs, small files in the real formats, the command line in process."""

from __future__ import annotations

import gzip
import os
import shutil
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from threadpoolctl import threadpool_limits

import zspace
from tests.cuda import cuda as cuda
from tests.cuda import without_float64 as without_float64
from zspace.cli import main
from zspace.core import LatentModel, Progress, Sampler
from zspace.core.progress import NO_FIGURES
from zspace.display import pictures
from zspace.features import classifier as neutral
from zspace.generation.fit import read_sampler, refit_sampler
from zspace.options import options_of
from zspace.recipes import find
from zspace.training import devices

HELP = ["-h", "--help"]
"""The names of the option for help, which click keeps from a command's first context on."""

SMALL = {"width": 4, "hidden": 16, "latent_dim": 3, "batch_size": 16}
"""Hyper-parameters that make the autoencoders' recipes quick."""
SMALLER = {
    "second_hidden": 16,
    "pseudo_inputs": 5,
    "flow_hidden": 8,
    "ratio_hidden": 8,
    "codebook": 8,
    "embedding": 2,
    "prior_width": 8,
    "prior_blocks": 1,
    "code_channels": 2,
    "flow_width": 8,
    "flow_blocks": 1,
}
"""Those of some recipes alone."""


def small(recipe: str) -> dict[str, Any]:
    """Hyper-parameters that make any recipe quick."""
    if recipe == "regene":
        return {"width": 4, "decoder_width": 4, "batch_size": 16, "perceptual": 0.0}
    known = options_of(find(recipe))
    if recipe in ("gen", "aae"):  # whose networks for grey images have no convolutions
        del known["width"]
    return {name: value for name, value in {**SMALL, **SMALLER}.items() if name in known}


Cli = Callable[..., tuple[int, str, str]]
Refused = Callable[..., str]


@pytest.fixture(autouse=True)
def _alike() -> None:
    """Every test begins in the same state, whichever ran before it."""
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def _single() -> Iterator[None]:
    """NumPy's threads wait busily: on cores that others use they take tens of times as long."""
    with pytest.MonkeyPatch.context() as patch, threadpool_limits(1):
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # of processes that tests start
            patch.setenv(name, "1")
        yield


@pytest.fixture(scope="session", autouse=True)
def _timed() -> Iterator[None]:
    """No test depends on how fast this machine is: bf16 is said to take half the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(devices, "slowdown_of_bf16", lambda device: 0.5)
        yield


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of the tests' own, with classifiers that are trained briefly."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("ZSPACE_CACHE", str(folder))
        patch.setenv("TORCH_HOME", str(folder / "torch"))
        patch.setitem(neutral.ITERATIONS, "cnn", 200)
        patch.setitem(neutral.ITERATIONS, "resnet56", 2)
        patch.setitem(neutral.ITERATIONS, "dropout-cnn", 200)
        patch.setitem(neutral.ITERATIONS, "silu-resnet", 2)
        yield folder


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings end without pictures."""
    monkeypatch.setattr(pictures, "draw", lambda *_, **__: None)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run `zspace ARGS` in this process: exit status, standard output, standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return call


@pytest.fixture
def refused(cli: Cli) -> Callable[..., str]:
    """Run a command that must be refused: one line, exit status 2. Returns the line."""

    def call(*arguments: object) -> str:
        status, out, err = cli(*arguments)
        assert status == 2, (status, out, err)
        assert out == ""
        assert err.startswith("zspace: ")
        assert len(err.splitlines()) == 1, err
        return err

    return call


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small finished run of some recipes on the digits. Tests must not change them."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("runs")
    recipes = ("ae", "vae", "flexae-sr", "gen")
    for recipe in recipes:
        options = {"iterations": 20, "device": "cpu", **small(recipe)}
        zspace.train(recipe, "digits", out=root / recipe, **options)
    options = {"width": 16, "decoder_width": 32, "batch_size": 32, "iterations": 500}
    zspace.train(
        "regene",
        "digits",
        out=root / "regene",
        device="cpu",
        rate=4e-3,
        classifier_iterations=100,
        **options,
    )
    return {recipe: root / recipe for recipe in (*recipes, "regene")}


@pytest.fixture(autouse=True)
def _samplers_go(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test fits for one of the shared runs is not there for the next one."""
    shared = request.getfixturevalue("runs") if "runs" in request.fixturenames else {}
    yield
    for folder in shared.values():
        shutil.rmtree(folder / "samplers", ignore_errors=True)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets, where the environment names one."""
    folder = os.environ.get("ZSPACE_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("no real data: ZSPACE_DATA names no folder")
    return Path(folder)


def write_idx(path: Path, array: np.ndarray, *, zipped: bool = False) -> Path:
    """An IDX file of unsigned bytes, as MNIST is published."""
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    content = head + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if zipped else content)
    return path


def random_images(n: int, *shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype=np.uint8)


@pytest.fixture(scope="session")
def told_apart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VAE of the digits that tells some of them apart. Tests must not change it."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("vae") / "run"
    zspace.train(
        "vae-mlp",
        "digits",
        out=out,
        latent_dim=2,
        hidden=64,
        iterations=1200,
        device="cpu",
        prior_loss="mmd",
    )
    return out


def width(picture: Path) -> int:
    with Image.open(picture) as opened:
        return opened.size[0]


@pytest.fixture(scope="session")
def rendered_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VAE of the digits with residual networks, and an LSR-GAN of it. Not to be changed."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("lsrgan")
    zspace.train(
        "vae",
        "digits",
        out=root / "vae",
        arch="resnet",
        likelihood="log-mse",
        width=4,
        latent_dim=3,
        iterations=20,
        device="cpu",
    )
    zspace.train(
        "lsrgan",
        "digits",
        out=root / "lsrgan",
        encoder=str(root / "vae"),
        width=4,
        iterations=15,
        device="cpu",
    )
    return root


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small_run(folder: Path, recipe: str = "ae") -> Path:
    small = {"width": 4, "hidden": 16, "latent_dim": 3, "batch_size": 16}
    zspace.train(recipe, "digits", out=folder, iterations=10, device="cpu", **small)
    return folder


LONGEST = ("killed_at_random_times", "test_wheel")
"""Parts of the names of the tests that take minutes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests first: the others run beside them."""
    items.sort(key=lambda item: not any(name in item.nodeid for name in LONGEST))


class Told(Progress):
    """Remembers what it was told: (what, done, total, figures) of each call, and every message."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, int | None, dict[str, float]]] = []
        self.said: list[str] = []
        self.what = ""

    def __call__(
        self, done: int, total: int | None = None, figures: Mapping[str, float] = NO_FIGURES
    ) -> None:
        self.calls.append((self.what, done, total, dict(figures)))

    def about(self, what: str) -> Told:
        part = Told()
        part.calls, part.said, part.what = self.calls, self.said, what
        return part

    def say(self, message: str) -> None:
        self.said.append(message)


def sampler_of(run: Path, name: str, model: LatentModel) -> Sampler:
    """A run's sampler, fitted first where the run has none for the model."""
    return read_sampler(run, name, model) or refit_sampler(run, name, model)

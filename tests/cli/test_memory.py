"""What commands hold does not grow with what is asked for, and what they write stays the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import zspace
from tests.conftest import Cli, random_images
from tests.memory import lines
from zspace.cli import output
from zspace.core import LatentModel, Variational
from zspace.data import load as load_data
from zspace.functional import as_float, blockwise
from zspace.functional.sheets import sheet, to_uint8
from zspace.generation import drawing

ROWS = 2_000, 402_000
"""The smaller and the larger number of images or codes."""

GROWTH = 100
"""How much more memory the larger number may take, in MiB.

There is room for what one draw of 65,536 codes takes and for the data that are read, but not for
the images or the codes of all, as floats of 98 MiB that are held more than once.
"""

COMMANDS = """
import shlex, sys
from zspace.cli import main
for command in sys.argv[1:]:
    try:
        main(shlex.split(command))
    except SystemExit as stop:
        assert not stop.code, stop.code
    print("peak", peak())
"""


def growth(smaller: str, larger: str) -> float:
    """How much the second of two commands adds to the peak of the first in one process, in MiB."""
    said = [line for line in lines(COMMANDS, smaller, larger) if line.startswith("peak ")]
    first, second = (float(line.split()[1]) for line in said)
    return second - first


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model whose codes are as large as its images."""
    out = tmp_path_factory.mktemp("memory") / "vae"
    options = {"arch": "fc", "hidden": 16, "latent_dim": 64, "batch_size": 16}
    zspace.train("vae", "digits", out=out, iterations=2, device="cpu", **options)
    return out


def inputs(folder: Path, n: int) -> None:
    """Images of n rows as data, and as the test part of data; and codes of n rows."""
    x, few = random_images(n, 8, 8), random_images(50, 8, 8)
    np.savez(folder / f"{n}.npz", images=few, images_validation=few, images_test=x)
    np.save(folder / f"{n}.npy", x)
    codes = np.random.default_rng(0).standard_normal((n, 64), np.float32)
    np.savez(folder / f"codes-{n}.npz", codes=codes)


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        "sample RUN --n {n}",
        "encode RUN --data FOLDER/{n}.npy",
        "decode RUN FOLDER/codes-{n}.npz",
        "augment RUN --per-class {tenth} --weights dirichlet",
        "sample RUN --sampler convex --n {n} --weights dirichlet",
        "reconstruct RUN --data FOLDER/{n}.npz --n {n}",
        "imagine RUN --data FOLDER/{n}.npz --n {n} --draws 1",
        "interpolate RUN --data FOLDER/{n}.npz --n {half} --steps 2",
    ],
)
def test_memory_does_not_grow(run: Path, tmp_path: Path, command: str) -> None:
    given: list[str] = []
    for n in ROWS:
        inputs(tmp_path, n)
        filled = command.replace("RUN", str(run)).replace("FOLDER", str(tmp_path))
        filled = filled.format(n=n, half=n // 2, tenth=n // 10)
        given.append(f"{filled} --out {tmp_path}/out-{n}.npz")
    assert growth(*given) < GROWTH


@pytest.mark.slow
def test_memory_of_a_sheet_and_a_folder(run: Path, tmp_path: Path) -> None:
    for name, sizes in (("sheet.png", (12_000, 200_000)), ("folder", (1_000, 40_000))):
        assert (
            growth(*(f"sample {run} --n {n} --out {tmp_path}/{n}-{name}" for n in sizes)) < GROWTH
        )


def stored(path: Path, name: str = "images") -> np.ndarray:
    with np.load(path) as file:
        return file[name]


def of_prior(model: LatentModel, n: int) -> torch.Tensor:
    assert model.prior is not None
    with torch.no_grad():
        z = model.prior.sample(n, generator=torch.Generator().manual_seed(4))
        return blockwise(model.decode, z)


def test_samples_in_blocks_are_those_of_one_draw(
    cli: Cli, runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to the codes of one draw; from there on the generator draws the next."""
    run, out = runs["vae"], tmp_path / "x.npz"
    sampling = ["sample", run, "--n=700", "--seed=4", "--out", out]
    assert cli(*sampling)[0] == 0
    assert np.array_equal(stored(out), to_uint8(of_prior(zspace.load(run), 700)))
    monkeypatch.setattr(drawing, "DRAWN", 512)
    assert cli(*sampling)[0] == 0
    several = stored(out)
    assert several.shape == (700, 8, 8)
    assert np.array_equal(several[:512], to_uint8(of_prior(zspace.load(run), 512)))
    assert len({image.tobytes() for image in several}) > 600, "the second draw is another"


def test_what_is_made_in_blocks_is_what_python_makes_at_once(
    cli: Cli, runs: dict[str, Path], tmp_path: Path
) -> None:
    run, out = runs["vae"], tmp_path / "x.npz"
    model, x = zspace.load(run), as_float(load_data("digits").test.x)
    assert isinstance(model, Variational)
    assert cli("reconstruct", run, "--n=300", "--out", out)[0] == 0
    assert np.array_equal(stored(out), to_uint8(model.reconstruct(x[:300])))
    assert np.array_equal(stored(out, "originals"), to_uint8(x[:300]))
    assert cli("imagine", run, "--n=300", "--draws=3", "--seed=5", "--out", out)[0] == 0
    imagined = model.imagine(x[:300], 3, seed=5).flatten(0, 1)
    assert np.array_equal(stored(out), to_uint8(imagined))
    assert np.array_equal(stored(out, "originals"), to_uint8(x[:300]))
    assert cli("encode", run, "--part=test", "--out", out)[0] == 0
    with torch.no_grad():
        codes = blockwise(model.encode, x)
    assert np.array_equal(stored(out, "codes"), codes.numpy())
    assert cli("interpolate", run, "--n=150", "--steps=4", "--out", out)[0] == 0
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    lines = model.interpolate(x[order[:150]], x[order[150:300]], 4)
    lines[:, 0], lines[:, -1] = x[order[:150]], x[order[150:300]]
    assert np.array_equal(stored(out), to_uint8(lines.flatten(0, 1)))


def test_posterior_draws_in_blocks_leave_the_global_numbers_alone(runs: dict[str, Path]) -> None:
    model, x = zspace.load(runs["vae"]), load_data("digits").test.x[:300]
    assert isinstance(model, Variational)
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    drawn: list[torch.Tensor] = []
    between: list[float] = []
    for z in model.draw_blocks(x, 2, seed=1):
        drawn.append(z)
        between.append(float(torch.rand(1)))
    assert [len(z) for z in drawn] == [256, 44]
    assert between == expected[:2].tolist()
    assert torch.equal(torch.cat(drawn), model.draw(x, 2, seed=1))
    assert len(torch.cat(drawn).flatten(0, 1).unique(dim=0)) == 600


def test_a_sheet_has_so_many_images_and_says_so(
    cli: Cli, runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "SHOWN", 6)
    run, out = runs["vae"], tmp_path / "x.png"
    np.save(tmp_path / "codes.npy", np.zeros((9, 3), np.float32))
    for arguments, most, asked in (
        (["sample", run, "--n=9", "--seed=4"], 6, 9),
        (["sample", run, "--n=20", "--sampler=convex"], 6, 20),
        (["decode", run, tmp_path / "codes.npy"], 6, 9),
        (["reconstruct", run, "--n=5"], 3, 5),
        (["imagine", run, "--n=5", "--draws=2"], 2, 5),
        (["interpolate", run, "--n=5", "--steps=3"], 2, 5),
        (["neighbours", run, "--count=5", "--k=1", "--features=pixels"], 1, 5),
    ):
        status, said, err = cli(*arguments, "--out", out)
        assert status == 0, err
        assert f"{out}: {most} of {asked} are shown, since a sheet has 6 images at most" in err
        assert str(out) in said
        assert "--k" in err if arguments[0] == "neighbours" else "an .npz file or a new fold" in err
        assert "are shown" not in cli(*arguments, "--quiet", "--out", out)[2]
        if arguments[-1] == "--seed=4":
            with Image.open(out) as shown:
                expected = sheet(of_prior(zspace.load(run), 6))
                assert np.array_equal(np.asarray(shown), np.asarray(expected))
    assert "are shown" not in cli("sample", run, "--n=6", "--out", out)[2]
    assert "are shown" not in cli("sample", run, "--n=9", "--out", tmp_path / "x.npz")[2]

"""`zspace fit-sampler`, and samplers that learn in every command."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import zspace
from tests.conftest import Cli, Refused, small_run
from tests.samplers.shared import BRIEF, LEARNED
from zspace.core import Density
from zspace.generation.fit import fit_sampler, read_sampler


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("learned") / "run")


def test_nothing_is_fitted_for_what_is_refused(run: Path, cli: Cli, tmp_path: Path) -> None:
    before = sorted((run / "samplers").glob("*"))
    out = str(tmp_path / "x.png")
    for command, message in (
        (["sample", str(run), "--sampler", "two-stage", "--label", "7", "--out", out], "no labels"),
        (
            ["novelty", str(run), "--density", "two-stage", "--out", str(tmp_path / "s.csv")],
            "of known density",
        ),
        (["export", str(run), "--sampler", "two-stage", "--decoder", "x"], "unknown decoder"),
    ):
        (run / "samplers" / "two-stage.safetensors").unlink(missing_ok=True)
        shutil.rmtree(run / "samplers" / "two-stage", ignore_errors=True)
        status, _, err = cli(*command, "--quiet")
        assert status == 2
        assert message in err
        assert not (run / "samplers" / "two-stage").exists()
    assert set((run / "samplers").glob("*")) <= set(before)


def test_a_run_without_a_prior_names_the_samplers_that_it_holds(
    refused: Callable[..., str], tmp_path: Path
) -> None:
    run = small_run(tmp_path / "run")
    shutil.rmtree(run / "samplers", ignore_errors=True)
    sample = ["sample", run, "--out", tmp_path / "x.png"]
    assert "of its own: choose another sampler (--sampler normal, mixture, kde" in refused(*sample)
    for name in ("normal", "simple"):
        fit_sampler(run, name)
    message = refused(*sample)
    assert (
        "has no prior of its own: the run holds normal, simple, of which --sampler takes one"
        in message
    )


@pytest.mark.parametrize("precision", ["bf16", "32"])  # float32 begins anew
@pytest.mark.parametrize("name", LEARNED)
def test_commands_know_them(name: str, precision: str, run: Path, cli: Cli, tmp_path: Path) -> None:
    fitted = ["fit-sampler", str(run), "--sampler", name, "--precision", precision]
    status, out, err = cli(*fitted, "--iterations", "12", "--batch-size", "32")
    assert status == 0, err
    assert out.strip() == f"{run}/samplers/{name}.safetensors"
    assert "12/12" in err
    status, _, err = cli(
        "sample", str(run), "--sampler", name, "--n", "4", "--out", str(tmp_path / "x.npz")
    )
    assert status == 0, err
    assert np.load(tmp_path / "x.npz")["images"].shape == (4, 8, 8)


def test_samples_of_a_label_and_bad_options(run: Path, cli: Cli, tmp_path: Path) -> None:
    fit_sampler(run, "flow-matching", BRIEF)
    out = str(tmp_path / "x.png")
    sample = ["sample", str(run), "--n", "4", "--out", out]
    matching = ["--sampler", "flow-matching", "--label", "7", "--guidance", "2"]
    for solving in (["--steps", "3"], ["--solver", "adaptive"]):
        status, _, err = cli(*sample, *matching, *solving)
        assert status == 0, err
    adaptive = "--steps 3 has no effect with --solver adaptive: it belongs to --solver heun"
    for given, message in (
        (["--sampler", "flow-matching", "--label", "x"], "x"),
        (["--sampler", "flow-matching", "--steps", "0"], "--steps must be at least 1"),
        ([*matching, "--steps", "3", "--solver", "adaptive"], adaptive),
        (["--sampler", "flow-matching", "--solver", "euler"], "--solver must be one of heun"),
        (["--sampler", "flow-matching", "--combine", "2"], "--combine belongs to --sampler convex"),
        (["--sampler", "normal", "--steps", "3"], "--steps belongs to --sampler flow-matching"),
        (["--sampler", "normal", "--from", "images"], "--from belongs to --sampler convex"),
        (["--sampler", "flow-machting"], "flow-matching"),
    ):
        status, _, err = cli(*sample, *given)
        assert status == 2
        assert message in err
        assert "Traceback" not in err
    fitted = ["fit-sampler", str(run), "--sampler"]
    for given, message in (
        (["flow-matching", "--iterations", "0"], "--iterations must be at least 1"),
        (["flow-matching", "--pairing", "best"], "--pairing must be one of mean, random, ot"),
        (["flow-matching", "--noise", "1"], "--noise must be below 1"),
        (["flow-matching", "--classes", "3"], "--classes 3: the data have a label 9"),
        (["flow-matching", "--solver", "adaptive", "--steps", "3"], adaptive),
        (["flow", "--precision", "16"], "precision"),
        (["normal", "--precision", "bf16"], "--precision bf16 has no effect on the sampler normal"),
        (["convex", "--concentration", "2"], "it belongs to --weights dirichlet"),
        (["two-stage", "--steps", "3"], "--steps"),
    ):
        status, _, err = cli(*fitted, *given)
        assert status == 2
        assert message in err
    status, text, _ = cli("fit-sampler", "--help")
    assert status == 0
    assert "Options of --sampler flow-matching" in text
    assert "--critic-steps" in text


def test_measured_like_the_others(run: Path, cli: Cli) -> None:
    fit_sampler(run, "flow-matching", BRIEF)
    status, _, err = cli(
        "evaluate",
        str(run),
        "--n",
        "100",
        "--samplers",
        "flow-matching,normal",
        "--metrics",
        "fid,accuracy",
        "--quiet",
    )
    assert status == 0, err
    status, out, err = cli("compare", str(run), "--quiet")
    assert status == 0, err
    assert "flow-matching" in out


def codes_file(tmp_path: Path) -> Path:
    """Codes of three classes in three dimensions."""
    random = np.random.default_rng(0)
    y = random.integers(0, 3, 400)
    z = (4 * np.eye(3)[y] + random.normal(size=(400, 3))).astype(np.float32)
    np.savez(tmp_path / "codes.npz", codes=z, labels=y)
    np.save(tmp_path / "codes.npy", z)
    return tmp_path / "codes"


@pytest.mark.parametrize("others", [400, 300])
@pytest.mark.parametrize("sampler", ["normal", "flow-matching"])
def test_codes_that_have_changed_are_fitted_anew(
    sampler: str, others: int, tmp_path: Path, cli: Cli
) -> None:
    path, run = codes_file(tmp_path), tmp_path / "run"
    fit = ["fit-sampler", f"{path}.npy", f"--out={run}", f"--sampler={sampler}", "--device=cpu"]
    fit += [] if sampler == "normal" else ["--iterations=3", "--batch-size=16"]
    assert cli(*fit, "--quiet")[0] == 0
    assert "has changed" not in cli(*fit)[2]
    np.save(f"{path}.npy", np.load(f"{path}.npy")[:others] + 100)
    status, _, err = cli(*fit)
    assert status == 0
    assert "codes.npy has changed" in err
    out = tmp_path / "new.npy"
    sample = ["sample", str(run), f"--sampler={sampler}", f"--out={out}", "--n=50"]
    assert cli(*sample, "--quiet", "--device=cpu")[0] == 0
    assert np.load(out).mean() == pytest.approx(101.3, abs=5)


def test_a_learned_fit_belongs_to_its_data(tmp_path: Path, cli: Cli) -> None:
    images, run = tmp_path / "images.npy", tmp_path / "run"
    random = np.random.default_rng(0).integers(0, 256, (60, 8, 8), np.uint8)
    np.save(images, random)
    quick = ["--quiet", "--device=cpu"]
    train = ["train", "ae", f"--data={images}", f"--out={run}", "--iterations=1", "--width=4"]
    assert cli(*train, "--hidden=8", "--batch-size=8", *quick)[0] == 0
    fit = ["fit-sampler", str(run), "--sampler=flow-matching", "--iterations=3", "--batch-size=8"]
    assert cli(*fit, *quick)[0] == 0
    assert "this fit of 3 iterations is done" in cli(*fit, "--device=cpu")[2]
    np.save(images, 255 - random)
    assert "this one begins anew" in cli(*fit, "--device=cpu")[2]


def test_codes_alone(tmp_path: Path, cli: Cli, refused: Callable[..., str]) -> None:
    path, run = codes_file(tmp_path), str(tmp_path / "run")
    quick = ["--quiet", "--device=cpu"]
    fit = ["fit-sampler", f"{path}.npz", f"--out={run}"]
    for sampler in ("simple", "mixture"):
        status, _, err = cli(*fit, f"--sampler={sampler}", *quick)
        assert status == 0, err
    out = tmp_path / "new.npy"
    sample = ["sample", run, f"--out={out}", *quick]
    assert not cli(*sample, "--sampler=simple", "--label=2", "--n=50")[0]
    drawn = np.load(out)
    assert drawn.shape == (50, 3)
    assert drawn.mean(0).round() == pytest.approx([0, 0, 4], abs=1)
    scores = tmp_path / "s.csv"
    status, said, _ = cli("novelty", run, f"--data={path}.npy", f"--out={scores}", "--device=cpu")
    assert "-log p(x) of 400 vectors, by the density mixture" in said
    density = read_sampler(tmp_path / "run", "mixture", zspace.load(run))
    assert isinstance(density, Density)
    log_p = density.log_prob(torch.from_numpy(np.load(f"{path}.npy")))
    found = np.loadtxt(scores, delimiter=",", skiprows=1, usecols=(1, 2, 3, 4))
    np.testing.assert_allclose(found[:, 0], -log_p.numpy(), atol=1e-4)
    assert not found[:, 2:].any()  # the identity has no volume and no error
    # the run's only sampler is the default, where the model has no prior
    (tmp_path / "run" / "samplers" / "simple.safetensors").unlink()
    assert not cli(*sample)[0]
    other = refused("fit-sampler", run, "--sampler=kde", "--out=x")
    assert "--out belongs to a file of codes" in other
    np.save(tmp_path / "images.npy", np.zeros((50, 8, 8), np.uint8))
    images = ["fit-sampler", str(tmp_path / "images.npy"), "--sampler=normal"]
    assert "holds images: codes are (N, D)" in refused(*images)
    assert not (tmp_path / "images").exists()
    assert "no such folder or file" in refused("fit-sampler", "no.npy", "--sampler=normal")


def test_what_is_refused_leaves_the_run_of_codes_as_it_was(
    tmp_path: Path, refused: Refused
) -> None:
    path, run = codes_file(tmp_path), tmp_path / "run"
    fit = ["fit-sampler", f"{path}.npz", f"--out={run}", "--quiet"]
    wrong = {
        "--components must be at least 1": ["--sampler=mixture", "--components=0"],
        "--device must be one of": ["--sampler=normal", "--device=nonsense"],
        "theta": ["--sampler=medium2"],
    }
    for words, options in wrong.items():
        assert words in refused(*fit, *options)
        assert not run.exists()
    zspace.wrapping.run_of_codes(Path(f"{path}.npz"), run)
    fit_sampler(run, "normal")
    np.savez(f"{path}.npz", codes=np.load(f"{path}.npz")["codes"] + 1)
    assert "--components must be" in refused(*fit, "--sampler=mixture", "--components=0")
    assert (run / "samplers" / "normal.safetensors").exists()


@pytest.mark.parametrize("lost", ["networks.json", "model.safetensors"])
def test_a_run_of_codes_that_was_cut_short_is_made_anew(
    lost: str, tmp_path: Path, cli: Cli
) -> None:
    path, run = codes_file(tmp_path), tmp_path / "run"
    fit = ["fit-sampler", f"{path}.npz", f"--out={run}", "--sampler=normal", "--device=cpu"]
    assert cli(*fit, "--quiet")[0] == 0
    (run / lost).unlink()
    status, _, err = cli(*fit)
    assert status == 0, err
    assert "has changed" not in err


def test_training_on_codes_is_told(tmp_path: Path, cli: Cli) -> None:
    path = codes_file(tmp_path)
    train = ["train", "ae", f"--data={path}.npy", f"--out={tmp_path / 'r'}", "--iterations=1"]
    _, _, err = cli(*train, "--hidden=8", "--device=cpu")
    assert "if they are codes, 'zspace fit-sampler" in err


def test_codes_that_have_changed_are_not_measured_as_those_of_before(
    tmp_path: Path, cli: Cli, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, run = codes_file(tmp_path), tmp_path / "run"
    quick = ["--quiet", "--device=cpu"]
    monkeypatch.chdir(tmp_path)
    fit = ["fit-sampler", "codes.npz", f"--out={run}", "--sampler=normal"]
    assert cli(*fit, *quick)[0] == 0
    assert cli("fit-sampler", f"{path}.npz", f"--out={run}", "--sampler=simple", *quick)[0] == 0
    evaluate = ["evaluate", run, "--metrics=fid", *quick]
    compare = ["compare", run, "--columns=fid", *quick]
    for command in (evaluate, compare):
        status, _, err = cli(*command)
        assert status == 0, err
    held = dict(np.load(f"{path}.npz"))
    np.savez(f"{path}.npz", **{**held, "codes": held["codes"] * 3 + 20})
    for command in (evaluate, compare):
        message = refused(*command)
        assert "codes.npz has changed" in message
        assert "'zspace fit-sampler codes.npz --sampler NAME' makes the run anew" in message
    assert cli(*fit, *quick)[0] == 0
    assert cli(*evaluate)[0] == 0

"""Names that an option had before, and short ones, are understood wherever it is given."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import zspace
from tests.conftest import SMALL, Cli, Refused
from zspace.errors import InputError
from zspace.options import checked, options_of
from zspace.recipes import RECIPES
from zspace.storage.config import read_config
from zspace.storage.files import read_tensors, write_tensors

TRAINING = ["--iterations=2", "--width=4", "--hidden=16", "--batch-size=16", "--device=cpu"]


@pytest.mark.parametrize("flag", ["--learning-rate", "--lr", "--rate"])
def test_every_name_of_an_option_means_the_same(flag: str, cli: Cli, tmp_path: Path) -> None:
    run = tmp_path / "run"
    status, _, err = cli("train", "ae", f"{flag}=3e-3", "--out", run, *TRAINING)
    assert status == 0, err
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["learning_rate"] == 3e-3
    assert "rate" not in config


def test_help_shows_the_names_that_people_use(cli: Cli) -> None:
    for command in (("train", "ae"), ("fit-sampler",)):
        _, out, _ = cli(*command, "--help")
        assert "--learning-rate, --lr X" in out
        assert "--rate" not in out.replace("--learning-rate", "")


def test_an_option_is_given_by_one_name_alone(refused: Refused, tmp_path: Path) -> None:
    options = options_of(RECIPES["ae"])
    with pytest.raises(InputError, match="--learning-rate is given twice"):
        checked(options, {"rate": 1e-3, "lr": 1e-3})
    file = tmp_path / "config.yaml"
    file.write_text("recipe: ae\ndata: digits\nrate: -1\n")
    assert "--learning-rate must be above 0" in refused("train", "--config", file)


def test_a_run_of_the_former_name_is_read_and_resumed(tmp_path: Path) -> None:
    """Its config.yaml and the headers of its files say `rate`."""
    run = tmp_path / "run"
    zspace.train("ae", "digits", out=run, iterations=20, device="cpu", **SMALL)
    whole = (run / "model.safetensors").read_bytes()
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("learning_rate:", "rate:"))
    for path in (run / "model.safetensors", *(run / "checkpoints").iterdir()):
        tensors, header = read_tensors(path, dict)
        header["config"]["rate"] = header["config"].pop("learning_rate")
        write_tensors(path, tensors, header)
    assert read_config(run / "config.yaml")["learning_rate"] == 2e-4
    zspace.load(run)
    (run / "model.safetensors").unlink()
    last = max((run / "checkpoints").iterdir())
    last.unlink()
    zspace.resume(run)
    assert (run / "model.safetensors").read_bytes() == whole

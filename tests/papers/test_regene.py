"""ReGene's tables and figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import Cli, random_images, width
from zspace import papers
from zspace.api import run_options
from zspace.options import checked


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shelf")


REGENE = [name for name in papers.EXPERIMENTS if name.startswith("regene/")]


@pytest.mark.parametrize("name", REGENE)
def test_experiments_run(name: str, cli: Cli, shelf: Path, tmp_path: Path) -> None:
    experiment = papers.find(name)
    if "digits" not in experiment.data:
        pytest.skip(f"{name} needs {', '.join(experiment.data) or 'faces'}")
    status, out, err = cli(
        "reproduce",
        name,
        "--scale=smoke",
        "--data=digits",
        "--quiet",
        "--device=cpu",
        "--out",
        tmp_path / "o",
        "--runs",
        shelf,
    )
    assert status == 0, err
    assert (tmp_path / "o" / "table.md").is_file()
    assert "ours is of" in out


@pytest.mark.parametrize("name", REGENE)
def test_every_scale_asks_for_what_there_is(name: str) -> None:
    known = run_options("regene")
    for scale in papers.find(name).scales.values():
        given = scale.settings["options"]
        assert checked(known, given).items() >= given.items()
    assert papers.find(name).scales["paper"].reductions == ""


def test_faces_and_folders(
    cli: Cli, refused: Callable[..., str], real_data: Path, tmp_path: Path
) -> None:
    assert "regene/fig11 needs --data-dir" in refused(
        "reproduce", "regene/fig11", "--scale=smoke", "--out", tmp_path / "x"
    )
    for kind in ("anime", "celeba"):
        (tmp_path / "faces" / kind).mkdir(parents=True)
        for i, image in enumerate(random_images(60, 16, 16, 3, seed=len(kind))):
            Image.fromarray(image).save(tmp_path / "faces" / kind / f"{i}.png")
    experiment = papers.find("regene/fig11")
    options = {**experiment.scales["smoke"].settings["options"], "train_size": None}
    scale = replace(experiment.scales["smoke"], settings={"options": options})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(
            papers.EXPERIMENTS, "regene/fig11", replace(experiment, scales={"smoke": scale})
        )
        status, _, err = cli(
            "reproduce",
            "regene/fig11",
            "--scale=smoke",
            "--quiet",
            "--data-dir",
            tmp_path / "faces",
            "--out",
            tmp_path / "o",
        )
        assert status == 0, err
    status, _, err = cli(
        "reproduce",
        "regene/fig9",
        "--scale=smoke",
        "--quiet",
        "--data-dir",
        real_data / "celeba-10k",
        "--out",
        tmp_path / "p",
    )
    assert status == 0, err
    assert width(tmp_path / "p" / "matrix.png") > 300

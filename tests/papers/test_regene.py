"""ReGene's tables and figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import Cli, random_images, width
from tests.papers.smoke import reproduced
from zspace import papers


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shelf")


REGENE = [name for name in papers.EXPERIMENTS if name.startswith("regene/")]


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in REGENE if "digits" in papers.find(n).data])
def test_experiments_run(name: str, cli: Cli, shelf: Path, tmp_path: Path) -> None:
    reproduced(cli, name, tmp_path / "o", shelf)


def test_faces_need_a_folder(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "regene/fig11 needs --data-dir" in refused(
        "reproduce", "regene/fig11", "--scale=smoke", "--out", tmp_path / "x"
    )


@pytest.mark.slow
def test_faces_and_folders(cli: Cli, real_data: Path, tmp_path: Path) -> None:
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

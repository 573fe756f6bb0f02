"""ReGene's tables and figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.conftest import Cli, random_images, width
from tests.papers.smoke import reproduced
from zspace import papers
from zspace.data import Images
from zspace.data.images import Part
from zspace.metrics import Figure
from zspace.options import checked, options_of
from zspace.papers.entries import Entry
from zspace.papers.regene.losses import LOSSES
from zspace.papers.regene.trained import Trained, over_trainings
from zspace.recipes.regene import regene


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shelf")


REGENE = [name for name in papers.EXPERIMENTS if name.startswith("regene/")]


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in REGENE if "digits" in papers.find(n).data])
def test_experiments_run(name: str, cli: Cli, shelf: Path, tmp_path: Path) -> None:
    reproduced(cli, name, tmp_path / "o", shelf)


def test_trainings_are_averaged_and_their_deviation_is_named() -> None:
    def entry(what: str, value: float, error: float) -> Entry:
        return Entry(what, "MAE", Figure(value, error), "pixels", "mnist test", 10)

    whole, alone = over_trainings(
        [[entry("a", 1.0, 0.5), entry("b", 3.0, 0.5)], [entry("a", 3, 1)]]
    )
    assert whole.ours == pytest.approx((2.0, 2**0.5))
    assert whole.uncertainty == "deviation over 2 trainings"
    assert alone.ours == (3.0, 0.5)
    assert alone.uncertainty == "error of the measurement"


def test_losses_of_figure_16_are_of_logits_and_of_the_softmax() -> None:
    assert len(LOSSES) == 7
    for name, options in LOSSES.items():
        assert name == "cross-entropy" or options["loss_of"] in name
        assert checked(options_of(regene), options).items() >= options.items()
    for scale in ("small", "paper"):
        settings = papers.find("regene/fig16").scales[scale].settings
        assert (settings["per_class"], settings["seeds"]) == (500, 3)


@pytest.mark.parametrize(
    "name, n, part",
    [
        ("celeba", 9_000, "9,000 of 162,770 training images"),
        ("celeba", 162_770, ""),
        ("mnist", 54_000, ""),
        ("mnist", 60_000, ""),
        ("a folder", 10, ""),
    ],
)
def test_a_part_of_a_set_is_never_called_the_whole(name: str, n: int, part: str) -> None:
    train = Part(torch.empty(n, 0))
    of = Trained(None, None, Images(name, train, train, train), None)  # type: ignore[arg-type]
    assert (of.data, of.part) == (f"{name} test", part)
    entry = Entry("x", "MAE", Figure(1.0, 0.0), "pixels", of.data, n, 1.0, None, "pixels", of.data)
    assert (replace(entry, part=of.part).difference()[0] is None) == bool(part)


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

"""ReGene's tables and figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from tests.conftest import Cli, width
from tests.papers.smoke import reproduced
from tests.papers.trial import trial_of
from zspace import papers
from zspace.data import Images, load, load_whole
from zspace.data.images import Part
from zspace.errors import InputError
from zspace.generation import gallery
from zspace.generation.combine import convex_of
from zspace.metrics import Figure
from zspace.options import checked, options_of
from zspace.papers.entries import Entry, over_trainings
from zspace.papers.lab import Lab
from zspace.papers.regene.figures import augment_of, fig3
from zspace.papers.regene.pictures import passing
from zspace.papers.regene.scales import HELD_OUT, NO_PERCEPTUAL, VGG
from zspace.papers.regene.tables import fig15a
from zspace.papers.regene.trained import USUAL, Trained, faces_of, trained
from zspace.recipes.base import Facts
from zspace.recipes.regene import regene
from zspace.samplers import Convex
from zspace.storage.run import Run

REGENE = [name for name in papers.EXPERIMENTS if name.startswith("regene/")]


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


@pytest.mark.parametrize(
    "name, n, part",
    [
        ("celeba", 9_000, "9,000 of 200,000 training images"),
        ("celeba", 162_770, "162,770 of 200,000 training images"),
        ("mnist", 54_000, "54,000 of 60,000 training images"),
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


@pytest.mark.parametrize(
    "name, option, said, unsaid",
    [
        ("regene/table2", "perceptual", NO_PERCEPTUAL, ""),
        ("regene/table2", "validation", "", HELD_OUT),
        ("regene/fig17", "perceptual", NO_PERCEPTUAL, ""),
    ],
)
def test_what_is_left_out_is_said(name: str, option: str, said: str, unsaid: str) -> None:
    scale = papers.find(name).scales["paper"]
    less = papers.find(name).without[option](scale)
    assert less.settings["options"][option] == 0
    assert less.settings["options"].items() >= scale.settings["options"].items()
    assert said in less.reductions
    assert VGG not in less.choices or option != "perceptual"
    assert said not in scale.reductions or not said
    assert unsaid in scale.reductions
    assert unsaid not in less.reductions or not unsaid
    again = papers.find(name).without[option](less)
    assert again.reductions == less.reductions


@pytest.mark.usefixtures("small_sets")
def test_the_command_leaves_things_out(
    cli: Cli, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    experiment = papers.find("regene/table2")
    trial = trial_of(experiment, perceptual=1.0)
    monkeypatch.setitem(papers.EXPERIMENTS, experiment.name, trial)
    command = ("reproduce", experiment.name, "--scale=trial", "--data=digits", "--quiet")
    status, out, err = cli(*command, "--perceptual=0", "--validation=0", "--device=cpu")
    assert status == 0, err
    assert NO_PERCEPTUAL in out
    (folder,) = (tmp_path / "reproductions").iterdir()
    assert folder.name == "regene-table2-digits-trial-no-perceptual-no-validation"
    table = json.loads((folder / "table.json").read_text())
    config = Run(folder / "runs" / table["runs"][0]).config
    assert config["perceptual"] == config["validation"] == 0
    assert "regene/fig3 takes no --perceptual 0" in refused(
        "reproduce", "regene/fig3", "--scale=smoke", "--perceptual=0", "--out", tmp_path / "x"
    )


def test_faces_are_cropped_as_the_paper_has_it(tmp_path: Path) -> None:
    for name, crop in (("fig9", "140"), ("fig10", "none"), ("table3", "140"), ("collage", "140")):
        for scale in papers.find(f"regene/{name}").scales.values():
            lab = Lab(tmp_path, scale.settings)
            assert faces_of(lab, "celeba") == {"label_attribute": "Male", "crop": crop}
            assert faces_of(lab, "mnist") == {}
    assert ("none", 128) in papers.find("regene/crops").scales["paper"].settings["crops"]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The options with which a run is asked for, which is refused."""
    noted: list[dict[str, Any]] = []

    def refuse(_self: Lab, _recipe: str, _data: str, **options: Any) -> Run:
        noted.append(options)
        raise InputError("no training")

    monkeypatch.setattr(Lab, "trained", refuse)
    return noted


def test_experiments_share_the_runs_that_are_the_same(
    tmp_path: Path, asked: list[dict[str, Any]], celeba: Path
) -> None:
    """CelebA has 64 pixels, and images of 28 and 32 have 4 blocks, said or not."""
    paper = {n: papers.find(f"regene/{n}").scales["paper"].settings for n in ("fig9", "table3")}
    experiments: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("table3", "celeba", {}),
        ("fig9", "celeba", {}),
        ("table3", "celeba", {"crop": "140", "image_size": 64}),
        ("table3", "cifar10", {}),
        ("table3", "cifar10", {"blocks": 4, "convolutions": 1}),
    )
    for name, data, options in experiments:
        with pytest.raises(InputError, match="no training"):
            trained(Lab(tmp_path, paper[name], data), **options)
    assert asked[0] == asked[1] == asked[2]
    assert checked(options_of(regene), asked[3]) == checked(options_of(regene), asked[4])
    shape = load("celeba", data_dir=celeba).train.x.shape[1:]
    assert tuple(shape) == (3, USUAL["celeba"]["image_size"], USUAL["celeba"]["image_size"])
    for data, shape in (("mnist", (1, 28, 28)), ("cifar10", (3, 32, 32))):
        found = regene(Facts(shape, ("a", "b"), True, 100), perceptual=0.0, iterations=9).found
        assert found.items() >= USUAL[data].items()


def test_digits_are_not_mirrored_for_the_neutral_classifier() -> None:
    assert augment_of("resnet56", "mnist") == augment_of("resnet56", "digits") == "crop"
    assert augment_of("resnet56", "cifar10") is augment_of("cnn", "mnist") is None


@pytest.mark.parametrize("name", ["table3", "fig6", "fig15a"])
def test_the_papers_averages_are_of_three_trainings(name: str) -> None:
    scales = papers.find(f"regene/{name}").scales
    assert [scales[s].settings["seeds"] for s in ("smoke", "small", "paper")] == [1, 3, 3]


def test_what_a_figure_needs_or_chooses_is_said() -> None:
    for name in REGENE:
        experiment = papers.find(name)
        colour = not experiment.data or bool({"cifar10", "celeba"} & set(experiment.data))
        assert ("VGG16's weights (zspace weights), or --perceptual 0" in experiment.needs) == colour
        for which, scale in experiment.scales.items():
            assert scale.about() != "the settings of the paper"
            assert (VGG in scale.choices) == (colour and which == "paper")
            assert (NO_PERCEPTUAL in scale.reductions) == (colour and which != "paper")
    assert "two folders of faces, anime and another" in papers.find("regene/fig11").needs


def test_faces_need_a_folder(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "regene/fig11 needs --data-dir" in refused(
        "reproduce", "regene/fig11", "--scale=smoke", "--out", tmp_path / "x"
    )


@pytest.mark.usefixtures("small_sets")
def test_two_folders_of_faces_are_two_classes(
    cli: Cli, anime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[list[int]] = []
    matrix = gallery.matrix

    def noted(of: gallery.Gallery, labels: Sequence[int]) -> gallery.Sheet:
        drawn.append([*labels])
        return matrix(of, labels)

    monkeypatch.setattr(gallery, "matrix", noted)
    trial = trial_of(papers.find("regene/fig11"), train_size=80)
    monkeypatch.setitem(papers.EXPERIMENTS, "regene/fig11", trial)
    command = ("reproduce", "regene/fig11", "--scale=trial", "--quiet", "--device=cpu")
    two = f"{anime / 'celeba'},{anime / 'anime'}"
    status, _, err = cli(*command, "--data-dir", two, "--out", tmp_path)
    assert status == 0, err
    (run,) = (tmp_path / "runs").iterdir()
    assert Run(run).facts.classes == ("celeba", "anime")
    assert drawn == [[1]]  # anime's


def test_the_decoder_sees_all_faces_cropped_as_the_classifiers(
    celeba: Path, tmp_path: Path
) -> None:
    """The guide's way to the paper's 15,000 images of each class beside all for the decoder."""
    faces, _ = load_whole("celeba", data_dir=celeba, crop="140", image_size=16)
    np.save(tmp_path / "faces.npy", faces.x.numpy())
    own: dict[str, Any] = {
        "data_dir": celeba,
        "crop": "140",
        "label_attribute": "Male",
        "image_size": 16,
    }
    images = load("celeba", train_per_class=20, **own)
    few = trial_of(papers.find("regene/fig9")).scales["trial"].settings["options"]
    options = {k: v for k, v in few.items() if k in options_of(regene)}
    facts = Facts((3, 16, 16), images.classes, True, 40)
    plan = regene(facts, **options, decoder_data=str(tmp_path / "faces.npy"))
    part = plan.stages[1].data(images)
    assert (len(images.train), len(part)) == (40, 120)
    assert part.y is not None
    assert all((part.y == x).flatten(1).all(1).any() for x in images.train.x)


@pytest.mark.slow
def test_an_experiment_runs_at_smoke(cli: Cli, real_data: Path, tmp_path: Path) -> None:
    reproduced(cli, "regene/fig9", tmp_path / "p", f"--data-dir={real_data / 'celeba-10k'}")
    assert width(tmp_path / "p" / "matrix.png") > 300


@pytest.mark.usefixtures("small_sets")
def test_the_autoencoder_of_figure_3_has_the_decoders_schedule(tmp_path: Path) -> None:
    settings = trial_of(papers.find("regene/fig3")).scales["trial"].settings
    options = {k: v for k, v in settings["options"].items() if k != "learning_rate"}
    lab = Lab(tmp_path, {**settings, "options": options}, "digits", device="cpu", quiet=True)
    fig3(lab)
    regenes, autoencoder = (Run(tmp_path / "runs" / name).config for name in lab.runs)
    assert autoencoder["learning_rate"] == 1e-3
    decoder = regenes["iterations"] - regenes["classifier_iterations"]
    assert autoencoder["iterations"] == autoencoder["schedule_iterations"] == decoder
    assert autoencoder["batch_size"] == regenes["batch_size"]


@pytest.mark.parametrize("data, batch", [("mnist", 128), ("cifar10", 64), ("celeba", 32)])
def test_colour_is_trained_for_less_at_scale_small(
    data: str, batch: int, tmp_path: Path, asked: list[dict[str, Any]]
) -> None:
    small = papers.find("regene/closest").scales["small"]
    with pytest.raises(InputError, match="no training"):
        trained(Lab(tmp_path, small.settings, data))
    with pytest.raises(InputError, match="no training"):
        trained(Lab(tmp_path, small.settings, data), "some.npz")  # a file of some of the images
    assert asked[0]["batch_size"] == asked[1]["batch_size"] == batch
    assert "CIFAR-10: " in small.reductions
    assert "CelebA: " in small.reductions


def test_sheets_leave_out_classes_of_which_the_judges_pass_too_little(tmp_path: Path) -> None:
    y = torch.arange(3).repeat(20)
    convex = Convex(2).fit(torch.rand(60, 2, generator=torch.Generator().manual_seed(0)), y)
    convex.with_judges({"image space": lambda z, label: torch.full((len(z),), label != 1)})
    lab, of = Lab(tmp_path, {}), Trained(*[cast(Any, None)] * 3, convex)
    assert passing(lab, of, range(3)) == [0, 2]
    (note,) = lab.notes
    assert note.startswith("class 1: 12 combinations of 2 were wanted")
    with pytest.raises(InputError, match="the judges pass too little of every class: class 1: "):
        passing(lab, of, [1])


@pytest.mark.usefixtures("small_sets")
def test_where_judges_pass_too_little_distances_are_of_combinations_that_none_saw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strict(*args: Any) -> Convex:
        convex = convex_of(*args)
        convex.with_judges({"image space": lambda z, label: torch.full((len(z),), label != 1)})
        return convex

    monkeypatch.setitem(trained.__globals__, "convex_of", strict)
    scale = trial_of(papers.find("regene/fig15a")).scales["trial"]
    lab = Lab(tmp_path, scale.settings, "digits", device="cpu", quiet=True)
    entries = fig15a(lab)
    assert [e.what for e in entries if e.what.endswith("generated, unjudged")] == [
        "original (test) vs generated, unjudged",
        "original (training) vs generated, unjudged",
        "reconstructed (test) vs generated, unjudged",
        "reconstructed (training) vs generated, unjudged",
    ]
    assert any(note.startswith("class 1: 12 combinations of 2 were wanted") for note in lab.notes)

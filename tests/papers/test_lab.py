"""The surroundings of experiments: data that were moved or replaced since a run was trained."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.papers.conftest import faces_in
from zspace.errors import InputError
from zspace.evaluation.novelty import novelty
from zspace.papers import categorical
from zspace.papers.lab import Lab
from zspace.papers.samplers.tables import fit_flow
from zspace.storage.run import Run

TINY: dict[str, Any] = {
    "iterations": 4,
    "latent_dim": 2,
    "hidden": 8,
    "batch_size": 8,
    "image_size": 8,
    "label_attribute": "Male",
}


def faces(folder: Path) -> Path:
    folder.mkdir()
    return faces_in(folder, 120, 40, 24)


def replaced(folder: Path) -> Path:
    faces(folder)
    for one, other in (("000000", "000001"), ("000001", "000002")):
        shutil.copy(
            folder / "img_align_celeba" / f"{other}.jpg", folder / "img_align_celeba" / f"{one}.jpg"
        )
    return folder


def lab_of(tmp_path: Path, there: Path, **changed: Any) -> Lab:
    settings = {"options": TINY, "samples": 4, "precision": "32", **changed}
    return Lab(tmp_path, settings, "celeba", str(there), "cpu", True, tmp_path / "shelf")


def a_run(lab: Lab) -> Run:
    return lab.trained("vae-mlp", "celeba", **TINY)


def test_what_experiments_ask_of_a_run_follows_its_data(tmp_path: Path) -> None:
    a_run(lab_of(tmp_path, faces(tmp_path / "here")))
    (tmp_path / "here").rename(tmp_path / "there")
    lab = lab_of(tmp_path, tmp_path / "there")
    run = a_run(lab)
    assert len(lab.images(run).test) == 56
    found = categorical._tuned(lab, run, "simple", trials=3, min_accuracy=None)  # pyright: ignore[reportPrivateUsage]
    assert len(found.classes) == 2
    fit_flow(lab_of(tmp_path, tmp_path / "there", options={"iterations": 3, "width": 8}), run)
    scored = novelty(run.folder, data="celeba", images=lab.images(run), **lab.where(run))
    assert len(scored.part) == 56
    again = novelty(run.folder, data_dir=str(tmp_path / "there"), density="normal")
    assert again.variance == scored.variance


def test_other_images_of_the_same_name_are_refused(tmp_path: Path) -> None:
    a_run(lab_of(tmp_path, faces(tmp_path / "here")))
    lab = lab_of(tmp_path, replaced(tmp_path / "others"))
    run = a_run(lab)
    with pytest.raises(InputError, match="other"):
        lab.images(run)
    with pytest.raises(InputError, match="other"):
        lab.measured(run, "pixels")

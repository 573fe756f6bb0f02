"""The ladders of degradations as an experiment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Cli, Refused
from zspace.papers import judges


def test_ladders_are_measured_once(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    words = ["reproduce", "all/judges", "--scale=smoke", "--data=digits", "--device=cpu", "--quiet"]
    words += ["--features=rotation,pixels,classifier:cnn", f"--out={out}"]
    status, said, err = cli(*words)
    assert status == 0, err
    assert "| pixels: blur 0.5 | Frechet |" in said
    assert "| rotation cnn: undisturbed | Frechet |" in said
    text = (out / "ladders.md").read_text()
    for part in ("| noise, standard deviation | undisturbed | 0.02 |", "| classifier cnn |"):
        assert part in text
    assert text.count("the ladder is") == 7
    assert "a ladder is monotone if" in text
    assert (out / "judges.png").is_file()
    table = json.loads((out / "table.json").read_text())
    assert table["verdicts"]["pixels"]["blur"] == "monotone"
    assert len(table["entries"]) == 3 * (1 + 7 * 5)
    monkeypatch.setattr(judges, "climb", None)  # nothing is measured twice
    assert cli(*words)[0] == 0


def test_faces_are_judged_at_32_pixels(tmp_path: Path, cli: Cli, celeba: Path) -> None:
    words = ["reproduce", "all/judges", "--scale=smoke", "--data=celeba", f"--data-dir={celeba}"]
    status, _, err = cli(*words, "--features=pixels", f"--out={tmp_path}", "--quiet")
    assert status == 0, err
    assert "One class: " in (tmp_path / "ladders.md").read_text()
    kept = json.loads((tmp_path / "table.json").read_text())
    assert len(kept["entries"]) == 1 + 7 * 5


def test_judges_that_there_are_not(tmp_path: Path, refused: Refused) -> None:
    words = ("reproduce", "all/judges", "--scale=smoke", "--data=digits", f"--out={tmp_path / 'o'}")
    assert "unknown features 'pixel': did you mean 'pixels'?" in refused(*words, "--features=pixel")
    assert "no features of a file" in refused(*words, "--features=pixels,file:net.onnx")
    assert "unknown network of the features rotation" in refused(*words, "--features=rotation:x")
    assert "--features must be names with commas" in refused(*words, "--features=pixels,")
    words = ("reproduce", "gen/fig1", "--scale=smoke", f"--out={tmp_path / 'o'}")
    assert "gen/fig1 takes no --features: leave it out" in refused(*words, "--features=pixels")
    assert not (tmp_path / "o").exists()

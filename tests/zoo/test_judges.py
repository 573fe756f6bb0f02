"""A packed judge is the same network for everyone, and is taken for nothing else."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.conftest import Cli, Refused
from tests.zoo.conftest import TOLD
from zspace.data import Images, load
from zspace.errors import InputError
from zspace.features.classifier import Neutral, neutral_classifier
from zspace.features.extract import extract, find_extractor
from zspace.storage import published
from zspace.storage.files import read_tensors
from zspace.storage.published import get_judge, judge_of, judges
from zspace.zoo.card import judge_card
from zspace.zoo.pack import pack_run
from zspace.zoo.pack_judge import main, pack_judge
from zspace.zoo.told import Told

ABOUT = Told("A small judge", "CC BY 4.0", 0.01, "one core")
OPTIONS = ("--about=A small judge", "--licence=CC BY 4.0", "--hours=0.01", "--hardware=one core")


@pytest.fixture(scope="session")
def digits() -> Images:
    return load("digits")


@pytest.fixture(scope="session")
def judged(
    packed: Path, digits: Images, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Neutral]]:
    """A folder with packed models and two packed judges, and the classifiers that these were."""
    folder = tmp_path_factory.mktemp("judges") / "zoo"
    shutil.copytree(packed, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(published, "INDEX", folder / "index.json")
        patch.setenv("ZSPACE_CACHE", str(tmp_path_factory.mktemp("cache")))
        labels = neutral_classifier(digits, iterations=30, device="cpu")
        turns = neutral_classifier(digits, task="rotation", iterations=30, device="cpu")
        pack_judge(labels, digits, "judge-digits", ABOUT, out=folder, half="float16", n=100)
        pack_judge(turns, digits, "judge-turns", ABOUT, out=folder, n=50)
        for each in (labels, turns):
            assert each.path is not None
    return folder, {"judge-digits": labels, "judge-turns": turns}


@pytest.fixture
def there(
    judged: tuple[Path, dict[str, Neutral]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The folder of the judges, where they are looked for, and an empty cache."""
    folder = tmp_path / "zoo"
    shutil.copytree(judged[0], folder)
    monkeypatch.setattr(published, "INDEX", folder / "index.json")
    monkeypatch.setattr(published, "_releases", lambda: None)
    monkeypatch.setenv("ZSPACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ZSPACE_ZOO", str(folder))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return folder


def not_asked(task: str, arch: str) -> Neutral:
    raise AssertionError("a judge is no classifier of the data")


def test_a_judge_is_the_classifier_that_was_packed(
    judged: tuple[Path, dict[str, Neutral]], there: Path, digits: Images
) -> None:
    for name, neutral in judged[1].items():
        found = find_extractor(f"zoo:{name}", not_asked, "cpu")
        assert found.name == f"zoo:{name}"
        assert judges()[name].sha256.startswith(found.identity)
        theirs = extract(found, digits.test.x)
        with torch.no_grad():
            ours = neutral.net.features(digits.test.x.float() / 255)
        torch.testing.assert_close(theirs, ours, atol=0.03, rtol=0.03)
        assert found.classifies == (neutral.task == "labels")
    weights, _ = read_tensors(get_judge("judge-digits"), dict)
    halves = {k for k, t in weights.items() if t.dtype == torch.float16}
    assert halves
    assert all(k.endswith("weight") and weights[k].ndim > 1 for k in halves)
    assert all(
        t.dtype == torch.float32 for k, t in weights.items() if k.endswith(("bias", "mean", "var"))
    )


def test_a_card_says_what_the_index_says(there: Path, cli: Cli) -> None:
    for name, entry in judges().items():
        assert (there / name / "card.md").read_text(encoding="utf-8") == judge_card(name, entry)
        status, out, err = cli("zoo", f"zoo:{name}")
        assert status == 0, err
        assert out == judge_card(name, entry)
        for part in ("Frechet, undisturbed", "Frechet, blur 0.5", "Accuracy", "zspace classifier"):
            assert part in out
        assert str(there.parent) not in out
    assert "--task rotation" in judges()["judge-turns"].commands[0]
    status, out, _ = cli("zoo")
    assert status == 0
    models, names = (part for part in out.split("\n\n") if part.startswith("| "))
    assert "| exact |" in models
    assert "judge-" not in models
    assert "| judge-digits | digits | 8x8 grey | cnn | labels |" in names
    assert "| quarter turns |" in names


def test_a_run_is_measured_by_a_judge(there: Path, cli: Cli) -> None:
    words = ("evaluate", "zoo:exact", "--samplers=normal", "--n=100", "--device=cpu", "--quiet")
    status, out, err = cli(*words, "--features=zoo:judge-digits", "--metrics=fid,prd,accuracy")
    assert status == 0, err
    for figure in ("fid", "f8", "accuracy"):
        assert f"{figure} (zoo:judge-digits)" in out
    folder = published.get("exact")
    stored = json.loads((folder / "evaluation.json").read_text())
    assert stored["features_identity"] == judge_of("judge-digits").sha256[:16]
    assert [*(there.parent / "cache" / "features").glob(f"{stored['features_identity']}*")]
    assert not (there.parent / "cache" / "classifiers").exists(), "no classifier was trained"
    # one that tells turns has no accuracy, and one of other classes none of these
    status, _, err = cli(*words, "--features=zoo:judge-turns", "--metrics=accuracy")
    assert status == 2
    assert "the metric accuracy needs a classifier's logits" in err


def test_classes_of_another_name_are_not_told(there: Path, cli: Cli) -> None:
    index = json.loads(published.judges_index().read_text())
    index["judge-digits"]["facts"]["classes"] = [f"class {i}" for i in range(10)]
    published.judges_index().write_text(json.dumps(index))
    words = ("evaluate", "zoo:exact", "--samplers=normal", "--n=100", "--device=cpu", "--quiet")
    status, _, err = cli(*words, "--features=zoo:judge-digits", "--metrics=accuracy")
    assert status == 2
    assert "logits of the data's classes, and the features zoo:judge-digits tell others" in err


def test_a_judge_is_no_run_and_a_model_no_judge(there: Path, refused: Refused) -> None:
    for command in ("evaluate", "resume"):
        assert "zoo:judge-digits is a judge, and no run: --features zoo:judge-digits" in refused(
            command, "zoo:judge-digits"
        )
    assert "is a judge, and no run" in refused("sample", "zoo:judge-digits", "--out=x.png")
    assert "zoo:exact is a model, and no judge" in refused(
        "evaluate", "zoo:exact", "--features=zoo:exact"
    )
    assert "unknown judge of the zoo 'judge-digit': did you mean 'judge-digits'?" in refused(
        "evaluate", "zoo:exact", "--features=zoo:judge-digit"
    )
    published.judges_index().unlink()
    assert "this zspace comes with none" in refused(
        "evaluate", "zoo:exact", "--features=zoo:judge-digits"
    )


def test_images_of_another_size(there: Path) -> None:
    found = find_extractor("zoo:judge-digits", not_asked, "cpu")
    with pytest.raises(InputError, match=r"are of images of 8x8 grey, not of 9x8 RGB: choose"):
        extract(found, torch.zeros(4, 3, 8, 9, dtype=torch.uint8))


def test_a_judge_is_fetched_and_checked(there: Path, cli: Cli, refused: Refused) -> None:
    published.get("exact")
    status, _, err = cli("zoo", "--get=all", f"--from={there}", "--quiet")
    assert status == 0, err
    held = there.parent / "cache" / "zoo" / judge_of("judge-digits").sha256[:16]
    assert (held / "judge-digits.safetensors").is_file()
    (there / "judge-digits" / "model.safetensors").unlink()
    assert get_judge("judge-digits").parent == held
    # a damaged file is not taken from the cache, and not from elsewhere
    file = held / "judge-digits.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert "the file of zoo:judge-digits was not found" in refused(
        "evaluate", "zoo:exact", "--features=zoo:judge-digits"
    )
    (there / "judge-digits.safetensors").write_bytes(file.read_bytes())
    assert "has a wrong checksum" in refused("zoo", "--get=judge-digits", f"--from={there}")


def test_a_card_has_no_path_of_the_machine_that_made_it(
    judged: tuple[Path, dict[str, Neutral]], there: Path, digits: Images, tmp_path: Path
) -> None:
    mine = replace(digits, name=str(there))
    entry = pack_judge(judged[1]["judge-turns"], mine, "judge-x", ABOUT, out=tmp_path / "out", n=40)
    assert entry.data == there.name
    assert str(there) not in (tmp_path / "out" / "judge-x" / "card.md").read_text()


@pytest.mark.parametrize("name", ["digits", "judge-A", "judge-../x"])
def test_a_name_of_a_judge(
    name: str, judged: tuple[Path, dict[str, Neutral]], digits: Images, tmp_path: Path
) -> None:
    neutral = judged[1]["judge-digits"]
    with pytest.raises(InputError, match=r"judge-digits|must be of small letters"):
        pack_judge(neutral, digits, name, ABOUT, out=tmp_path)


def test_a_name_of_a_judge_is_none_of_a_model(original: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is one of a judge: leave out judge-"):
        pack_run(original, "judge-x", TOLD, out=tmp_path)


def test_the_packer_as_a_command(
    there: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["judge-mine", "--data=digits", "--iterations=3", "--n=40", f"--out={tmp_path / 'out'}"]
    main([*words, *OPTIONS], standalone_mode=False)
    assert "judge-mine: " in capsys.readouterr().out
    assert judges()["judge-mine"].iterations == 3
    for wrong, message in (("--arch=vgg", "--arch must be one of"), ("--data=none", "none")):
        with pytest.raises(SystemExit) as stop:
            main([*words, *OPTIONS, wrong])
        assert stop.value.code == 2
        assert message in capsys.readouterr().err

"""Configurations: a flat mapping of plain values, in which nothing is hidden."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Refused
from zspace.errors import InputError
from zspace.storage.config import LARGEST, MOST, dump_config, read_config

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + last] * 9)}]\n"
    for last, name in zip("abcdefgh", "bcdefghi", strict=True)
)

WRONG = {
    "bomb": (BOMB, "line 1 holds an alias or anchor"),
    "alias": ("recipe: &r ae\ndata: *r\n", "line 1 holds an alias or anchor"),
    "tag": ("recipe: !!python/name:os.system x\n", "line 1 holds a tag"),
    "int": ("recipe: ae\nwidth: !!int ''\n", "line 2 holds a tag"),
    "timestamp": ("width: !!timestamp 'x'\n", "line 1 holds a tag"),
    "bool": ("width: !!bool 'x'\n", "line 1 holds a tag"),
    "list": ("classes:\n- 1\n- 2\n", "line 2 holds a list or nested mapping"),
    "nested": ("a: {b: {c: 1}}\n", "line 1 holds a list or nested mapping"),
    "key": ("? [1]\n: 2\n", "line 1 holds a list or nested mapping"),
    "brackets": ("[" * 100_000, "it must hold a mapping of options to values"),
    "nul": ('data: "a\\0b"\n', "holds a text with a character of code 0"),
    "surrogate": ('data: "\\ud800"\n', "holds a text that is no UTF-8"),
    "spelling": ("train_size: 1\ntrain-size: 2\n", "has train-size twice"),
    "alias of a name": ("lr: 1\nlearning_rate: 2\n", "has learning_rate twice"),
    "text": ("just words\n", "it must hold a mapping of options to values"),
    "empty": ("", "is empty"),
    "twice": ("seed: 1\nseed: 2\n", "line 2 holds 'seed' a second time"),
    "two": ("a: 1\n---\na: 2\n", "expected a single document"),
    "quote": ("a: 'x\n", "while scanning a quoted scalar"),
    "many": ("".join(f"a{i}: 1\n" for i in range(MOST + 1)), f"more than {MOST} options"),
    "large": ("a: '" + "x" * LARGEST + "'", "is larger than 1 MiB, the limit of configurations"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_flat_mapping_is_refused(refused: Refused, tmp_path: Path, what: str) -> None:
    text, words = WRONG[what]
    path = tmp_path / "config.yaml"
    path.write_text(text)
    began = time.monotonic()
    message = refused("train", "ae", "--config", path, "--out", tmp_path / "run")
    assert words in message
    assert len(message) < 300
    assert time.monotonic() - began < 30
    assert not (tmp_path / "run").exists()


def test_values_are_read_as_yaml_1_2_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "a: 1e-3\nb: 1:59:59\nc: yes\nd: 0x10\ne: 010\nf: 2001-01-01\ng: ~\nh: True\ni: -.5\n"
        "j: .inf\nk: '1'\nl: 5.\nlearning-rate: 2\n"
    )
    assert read_config(path) == {
        "a": 0.001,
        "b": "1:59:59",
        "c": "yes",
        "d": "0x10",
        "e": 10,
        "f": "2001-01-01",
        "g": None,
        "h": True,
        "i": -0.5,
        "j": math.inf,
        "k": "1",
        "l": 5.0,
        "learning_rate": 2,
    }


TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Co", "Cn")), max_size=20)
VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
AMBIGUOUS = st.sampled_from(
    [
        "1e-3",
        "yes",
        "0x1F",
        "1:2",
        "null",
        "",
        "~",
        "2001-01-01",
        "010",
        ".5",
        "<<",
        "=",
        "- a",
        "a: b",
    ]
)


@given(st.dictionaries(st.from_regex(r"\A[a-z_]{3,10}\Z"), VALUES | AMBIGUOUS, max_size=8))
def test_what_is_written_is_read_again(config: dict[str, Any]) -> None:
    """By zspace with the same types, and by any reader of YAML 1.1."""
    import tempfile

    text = dump_config(config)
    with tempfile.NamedTemporaryFile(suffix=".yaml") as file:
        Path(file.name).write_text(text, encoding="utf-8")
        if not config:
            assert read_config(Path(file.name)) == {}
            return
        held = read_config(Path(file.name))
    assert {k: (type(v), v) for k, v in held.items()} == {
        k: (type(v), v) for k, v in config.items()
    }
    assert yaml.safe_load(text) == config


@pytest.mark.parametrize("value", ["9" * 5000, "9" * 300, "-" + "1" * 30])
def test_a_number_of_many_digits_is_one_short_line(
    refused: Refused, tmp_path: Path, value: str
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"seed: {value}\n")
    message = refused("train", "ae", "--config", path, "--out", tmp_path / "run")
    assert message.startswith("zspace: --seed must be ")
    assert len(message) < 450


def test_a_file_that_can_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is missing"):
        read_config(tmp_path / "none.yaml")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        read_config(tmp_path / "folder.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xff\n")
    with pytest.raises(InputError, match="is no configuration in YAML"):
        read_config(tmp_path / "latin.yaml")

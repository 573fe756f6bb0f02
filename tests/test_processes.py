"""The environment variables that torchrun sets, and all that they may hold by mistake."""

from __future__ import annotations

import pytest

from tests.conftest import Refused
from zspace.errors import InputError
from zspace.processes import Processes, processes

NAMES = ("WORLD_SIZE", "RANK", "LOCAL_WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
WHOLE = dict(zip(NAMES, ("4", "3", "2", "1", "localhost", "29500"), strict=True))


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def test_what_torchrun_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    assert processes() == Processes(0, 1, 1)
    for name, value in WHOLE.items():
        monkeypatch.setenv(name, value)
    assert processes() == Processes(3, 4, 2)


@pytest.mark.parametrize(
    "changed",
    [
        *({name: value} for name in NAMES if name != "MASTER_ADDR" for value in ("", "x", "-1")),
        *({name: "1" * 30} for name in NAMES if name != "MASTER_ADDR"),
        *({name: "0"} for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_PORT")),
        {"WORLD_SIZE": "1.5"},
        {"WORLD_SIZE": "3"},
        {"RANK": "4"},
        {"LOCAL_RANK": "2"},
        {"LOCAL_WORLD_SIZE": "3"},
        {"MASTER_PORT": "65536"},
        *({name: None} for name in NAMES if name != "WORLD_SIZE"),
    ],
    ids=str,
)
def test_what_it_never_sets_is_one_line(
    monkeypatch: pytest.MonkeyPatch, refused: Refused, changed: dict[str, str | None]
) -> None:
    for name, value in {**WHOLE, **changed}.items():
        if value is not None:
            monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=r"the environment variable [A-Z_]+ must be .* torchrun"):
        processes()
    monkeypatch.setenv("RANK", next(iter(changed.values())) or "x")
    assert "the environment variable" in refused("train", "ae", "--iterations=1", "--out=never")

"""What is packed is what the run was, as exactly as its precision allows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import zspace
from tests.zoo.conftest import TOLD
from zspace.errors import InputError
from zspace.evaluation.results import current_evaluation
from zspace.generation.fit import read_sampler, weights_fingerprint
from zspace.storage import published
from zspace.storage.files import read_header, read_tensors, write_tensors
from zspace.storage.packed import Packed, pack, read_packed
from zspace.storage.published import entries, entry_of
from zspace.zoo.card import card
from zspace.zoo.check import check
from zspace.zoo.halves import Stored, averaged, by_prefix
from zspace.zoo.index import check_name
from zspace.zoo.pack import main, pack_run


def drawn(run: object, sampler: str, n: int = 16) -> torch.Tensor:
    model = zspace.load(run)  # pyright: ignore[reportArgumentType]
    held = read_sampler(run, sampler, model)  # pyright: ignore[reportArgumentType]
    assert held is not None, "it was fitted to these weights"
    with torch.no_grad():
        return model.decode(held.draw(n, generator=torch.Generator().manual_seed(3)))


def test_a_model_in_float32_draws_the_same_images(original: Path, zoo: Path) -> None:
    ours, theirs = zspace.load(original), zspace.load("zoo:exact")
    assert weights_fingerprint(ours) == weights_fingerprint(theirs)
    for name in ("flow-matching", "normal"):
        assert torch.equal(drawn("zoo:exact", name), drawn(original, name))
    evaluation = current_evaluation("zoo:exact", n=100)
    assert evaluation is not None
    assert evaluation["run"] == "zoo:exact"


def test_a_model_of_half_precision_draws_nearly_the_same(original: Path, zoo: Path) -> None:
    ours, theirs = zspace.load(original), zspace.load("zoo:rounded")
    assert weights_fingerprint(ours) != weights_fingerprint(theirs)
    for name in ("flow-matching", "normal"):
        torch.testing.assert_close(
            drawn("zoo:rounded", name), drawn(original, name), atol=0.02, rtol=0
        )
    assert all(t.dtype != torch.bfloat16 for t in theirs.state_dict().values())
    assert current_evaluation("zoo:rounded", n=100) is not None, "of the rounded weights"
    small = {k: v for k, v in theirs.state_dict().items() if v.ndim < 2 or v.numel() < 4096}
    for name, value in small.items():
        assert torch.equal(value, ours.state_dict()[name]), name
    assert entry_of("rounded").bytes < entry_of("exact").bytes


def test_raw_weights_beside_their_average_are_not_stored(packed: Path) -> None:
    file = packed / "exact" / "model.safetensors"
    header = read_header(file, Packed)
    raw = {k for k in header.same if k.startswith("sampler/flow-matching/velocity.")}
    assert raw
    stored, _ = read_tensors(file, dict)
    assert not raw & stored.keys()
    assert raw <= read_packed(file)[0].keys()


def test_a_card_says_what_the_index_says(packed: Path, zoo: Path) -> None:
    for name, entry in entries().items():
        text = (packed / name / "card.md").read_text(encoding="utf-8")
        assert text == card(name, entry)
        for part in ("zspace train ae --data digits --iterations 2", "fit-sampler", "CC BY", " ± "):
            assert part in text
        assert (packed / name / "samples.png").is_file()
        header = read_header(packed / name / "model.safetensors", dict)
        assert str(packed.parent) not in text + json.dumps(header)


def test_a_card_is_checked(zoo: Path) -> None:
    assert check("exact").n == 359
    entry = entry_of("exact")
    assert entry.checked is not None


def test_a_card_that_promises_too_much(
    zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = json.loads(published.INDEX.read_text())
    index["exact"]["checked"]["value"] = 0.01
    (tmp_path / "index.json").write_text(json.dumps(index))
    monkeypatch.setattr(published, "INDEX", tmp_path / "index.json")
    with pytest.raises(InputError, match="zoo:exact departs from its card: Frechet, flow-matching"):
        check("exact")
    index["exact"]["checked"] = None
    (tmp_path / "index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match="no figure that is quick to check"):
        check("exact")


def test_weights_that_only_training_needs_are_left_out(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "INDEX", tmp_path / "index.json")
    monkeypatch.setenv("ZSPACE_ZOO", str(tmp_path / "zoo"))
    parts = ("latent_critic", "image_critic")
    pack_run(runs["flexae-sr"], "small", TOLD, out=tmp_path / "zoo", left_out=parts, n=50)
    model = zspace.load("zoo:small")
    zeros = {k for k, v in model.state_dict().items() if k.startswith(parts) and not v.any()}
    assert any(k.startswith("latent_critic") and k.endswith("weight") for k in zeros)
    assert entry_of("small").parameters < sum(p.numel() for p in model.parameters())
    # a training from these weights begins with critics that can learn
    small = {"width": 4, "hidden": 16, "latent_dim": 3, "batch_size": 16, "iterations": 1}
    fresh = zspace.train("flexae-sr", "digits", init_from="zoo:small", device="cpu", **small)
    state = fresh.state_dict()
    assert all(state[k].any() for k in zeros if state[k].ndim > 1)
    with pytest.raises(InputError, match="the packed model draws other images by prior"):
        pack_run(runs["flexae-sr"], "small", TOLD, out=tmp_path / "no", left_out=["decoder"], n=50)


@pytest.mark.parametrize("name", ["", "A", "../x", "a/b", "-a", "a b"])
def test_a_name_of_a_model(original: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="has 65 characters: 64 at most"):
        check_name("a" * 65)
    check_name("a" * 64)
    with pytest.raises(InputError, match="must be of small letters, digits and dashes"):
        pack_run(original, name, TOLD, out=tmp_path)


def test_what_is_not_packed(
    original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["x", *(f"--{n}=x" for n in ("about", "good-at", "failures", "licence", "hardware"))]
    words += ["--hours=1", f"--out={tmp_path}"]
    with pytest.raises(SystemExit) as stop:
        main([str(tmp_path / "none"), *words])
    assert stop.value.code == 2
    assert "is no folder" in capsys.readouterr().err
    with pytest.raises(InputError, match="unknown sampler of the run 'kde'"):
        pack_run(original, "x", TOLD, out=tmp_path, samplers=["kde"])
    for pair in ("none=encoder", "encoder", "=x"):
        with pytest.raises(InputError, match=r"--replace .*expected FROM=TO"):
            pack_run(original, "x", TOLD, out=tmp_path, replaced=[pair])


def test_what_is_stored_of_tensors() -> None:
    big, small = torch.rand(64, 64), torch.rand(3, 3)
    state = {"a": big, "b": big.clone(), "c": small, "d": torch.full((64, 64), 1e9), "n": small}
    stored = Stored()
    stored.add("m/", state, state, torch.float16, {"n": "c"}, ["z"])
    assert stored.same == {"m/b": "m/a", "m/n": "m/c"}
    assert stored.tensors["m/a"].dtype == torch.float16
    assert stored.tensors["m/d"].dtype == torch.float32, "infinite in float16"
    with pytest.raises(InputError, match="is of half precision"):
        stored.add("h/", {"a": big.half()}, [], None)
    with pytest.raises(InputError, match="c can't be replaced by a: not alike"):
        stored.add("h/", state, [], None, {"c": "a"})
    assert averaged({"v.a": big, "inner.v.module.a": big}) == {"v.a": "inner.v.module.a"}
    assert by_prefix({"raw.a": big}, ["raw.=mean."]) == {"raw.a": "mean.a"}


@pytest.mark.parametrize(
    "more, message",
    [
        ({"zeros": {"model/x": [1 << 30, 1 << 30]}}, "claims to unpack to far more"),
        ({"zeros": {"model/x": [-1]}}, "damaged header"),
        ({"same": {"model/x": "model/none"}}, "is said to be the same as model/none"),
        ({"same": {f"model/{i}": "model/a" for i in range(5000)}}, "claims to unpack to far more"),
        ({"samplers": {"../../x": {}}}, "damaged header"),
        ({"samplers": {"a/b": {}}}, "damaged header"),
    ],
)
def test_a_file_that_claims_too_much(
    packed: Path, tmp_path: Path, more: dict[str, object], message: str
) -> None:
    header = read_header(packed / "exact" / "model.safetensors", dict)
    file = tmp_path / "model.safetensors"
    write_tensors(file, {"model/a": torch.zeros(100_000)}, {**header, **more})
    with pytest.raises(InputError, match=message):
        read_packed(file)


def test_a_packed_file_is_the_same_each_time(packed: Path, tmp_path: Path) -> None:
    file = packed / "exact" / "model.safetensors"
    tensors, header = read_tensors(file, Packed)
    pack(tmp_path / "again.safetensors", tensors, header)
    assert (tmp_path / "again.safetensors").read_bytes() == file.read_bytes()

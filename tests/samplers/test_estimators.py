"""Samplers as estimators: any codes in, of the same kind out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from zspace.core import Density, Sampler
from zspace.errors import InputError
from zspace.recipes import catalogue
from zspace.samplers import KDE, Convex, FlowMatching, LearnedFlow, Mixture, Normal, Simple
from zspace.storage.files import write_tensors

OPTIONS: dict[str, dict[str, Any]] = {
    "mixture": {"components": 2},
    "kde": {"centres": 50},
    "medium1": {"theta": "0.5,1,0.2"},
    "medium2": {"theta": "0.5,1,0.2;1,1,1;0,1,0"},
    "flow-matching": {"iterations": 5, "width": 8, "blocks": 1},
    "flow": {"iterations": 5, "hidden": 8},
    "two-stage": {"iterations": 5, "hidden": 8},
    "pushforward": {"iterations": 3, "hidden": 8},
}


def made(name: str) -> Sampler:
    """A sampler that has not been told the size of a code."""
    kind: Any = catalogue.SAMPLERS[name]
    return kind(**OPTIONS.get(name, {}))


def codes(dim: int = 3) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    y = np.arange(120) % 3
    return rng.normal(size=(120, dim)) + 3 * y[:, None], y


@pytest.mark.parametrize("name", catalogue.SAMPLERS)
def test_arrays_in_arrays_out(name: str) -> None:
    z, y = codes()
    sampler = made(name).fit(z, y)
    drawn = sampler.sample(7, seed=1)
    assert isinstance(drawn, np.ndarray)
    assert drawn.shape == (7, 3)
    assert drawn.dtype == np.float32
    assert np.isfinite(drawn).all()
    np.testing.assert_array_equal(drawn, sampler.sample(7, seed=1))
    assert not np.array_equal(drawn, sampler.sample(7, seed=2))
    if isinstance(sampler, Density):
        log_p = sampler.log_prob(z)
        assert isinstance(log_p, np.ndarray)
        assert log_p.shape == (120,)
        np.testing.assert_array_equal(log_p, sampler.score_samples(z))


@pytest.mark.parametrize("name", catalogue.SAMPLERS)
def test_tensors_in_tensors_out_and_the_same(name: str) -> None:
    z, y = codes()
    of_arrays = made(name).fit(z, y).sample(7, seed=1)
    sampler = made(name).fit(torch.from_numpy(z).float(), torch.from_numpy(y))
    drawn = sampler.sample(7, seed=1)
    assert isinstance(drawn, Tensor)
    np.testing.assert_array_equal(drawn.numpy(), of_arrays)
    sized: Any = catalogue.SAMPLERS[name]
    same = sized(3, **OPTIONS.get(name, {})).fit(torch.from_numpy(z).float(), torch.from_numpy(y))
    assert torch.equal(same.sample(7, seed=1), drawn)


@pytest.mark.parametrize("name", catalogue.SAMPLERS)
def test_a_stored_sampler_comes_back(name: str, tmp_path: Path) -> None:
    z, y = codes()
    sampler = made(name).fit(z, np.array(["ant", "bee", "cat"])[y])
    path = tmp_path / "s.safetensors"
    sampler.save(path)
    again = Sampler.load(path)
    assert type(again) is type(sampler)
    np.testing.assert_array_equal(again.sample(7, seed=1), sampler.sample(7, seed=1))
    assert again.names == ("ant", "bee", "cat")
    if sampler.by_label:
        np.testing.assert_array_equal(again.sample(2, "bee", seed=1), sampler.sample(2, 1, seed=1))
    other = Normal if name != "normal" else KDE
    with pytest.raises(InputError, match=f"holds a {type(sampler).__name__}, not a"):
        other.load(path)


@pytest.mark.parametrize("name", catalogue.SAMPLERS)
def test_a_state_is_loaded_into_the_same_constructor_call(name: str) -> None:
    z, y = codes()
    sampler = made(name).fit(z, y)
    again = made(name)
    again.load_state_dict(sampler.state_dict())
    np.testing.assert_array_equal(again.sample(7, seed=1).numpy(), sampler.sample(7, seed=1))
    kind: Any = catalogue.SAMPLERS[name]
    sized = kind(3, **OPTIONS.get(name, {}))
    sized.load_state_dict(sampler.state_dict())
    np.testing.assert_array_equal(sized.sample(7, seed=1).numpy(), sampler.sample(7, seed=1))


def test_a_state_of_another_size_is_refused() -> None:
    state = Normal(4).state_dict()
    with pytest.raises(RuntimeError, match="size mismatch"):
        Normal(3).load_state_dict(state)


@pytest.mark.parametrize("name", ["normal", "mixture", "kde", "simple", "flow-matching", "flow"])
def test_fitting_begins_anew_with_the_size_of_the_codes(name: str) -> None:
    z, y = codes()
    wide, y_wide = codes(5)
    sampler = made(name).fit(z, y).fit(wide, y_wide)
    assert sampler.sample(2, seed=0).shape == (2, 5)
    np.testing.assert_array_equal(
        sampler.sample(9, seed=0), made(name).fit(wide, y_wide).sample(9, seed=0)
    )


def test_a_given_size_is_kept() -> None:
    with pytest.raises(InputError, match="have 3 numbers each, this sampler is of 4: leave its"):
        Normal(4).fit(codes()[0])


@pytest.mark.parametrize("sampler", [Normal(), Mixture(), FlowMatching(), Convex(), Simple()])
def test_what_was_not_fitted_says_so(sampler: Sampler, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has seen no codes: call fit"):
        sampler.sample(3)
    with pytest.raises(InputError, match="has seen no codes: call fit"):
        sampler.save(tmp_path / "s")
    if isinstance(sampler, Density):
        with pytest.raises(InputError, match="has seen no codes: call fit"):
            sampler.log_prob(codes()[0])


def test_progress_is_told_and_can_stop() -> None:
    z, _ = codes()
    seen: list[int] = []

    def stop(done: int, total: int | None, figures: object) -> None:
        seen.append(done)
        if done == 20:
            raise StopIteration

    flow = LearnedFlow(iterations=1000, hidden=8).fit(z, progress=stop)
    assert seen == [10, 20]
    assert not flow.training
    short = LearnedFlow(iterations=20, hidden=8).fit(z)
    np.testing.assert_array_equal(flow.sample(5, seed=0), short.sample(5, seed=0))

    def fail(*_: object) -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        Mixture(components=2).fit(z, progress=fail)


def test_names_of_labels() -> None:
    z, y = codes()
    texts = ["dog", "cat", "eel"]
    flow = FlowMatching(iterations=5, width=8).fit(z, [texts[k] for k in y])
    assert flow.names == ("cat", "dog", "eel")
    assert flow.sample(2, "eel", seed=0).shape == (2, 3)
    with pytest.raises(InputError, match="unknown label 'cow'"):
        flow.sample(2, "cow")


@pytest.mark.parametrize(
    ("z", "y", "message"),
    [
        ("abc", None, "codes must be numbers"),
        ([[1.0], [1.0, 2.0]], None, "codes must be numbers"),
        (np.zeros(5), None, r"codes must be \(N, D\), not \(5,\)"),
        (np.zeros((5, 2, 2)), None, r"codes must be \(N, D\), not \(5, 2, 2\)"),
        (np.zeros((1, 2)), None, "N at least 2"),
        (np.full((5, 2), np.nan), None, "NaN or infinite"),
        (np.eye(5), np.arange(4), r"labels must be \(5,\), one for each code, not \(4,\)"),
        (np.eye(5), np.full(5, 0.5), "whole numbers from 0"),
        (np.eye(5), np.full(5, 10**11), "whole numbers from 0 to 99,999"),
        (np.eye(5), np.full(5, np.inf), "whole numbers from 0"),
        (np.zeros((5, 0)), None, "with D at least 1"),
        (torch.eye(5).to_sparse(), None, "a dense tensor"),
        (torch.eye(5) * 1j, None, "of real numbers"),
        (np.eye(5), np.full(5, -2), "whole numbers from 0"),
        (np.eye(5), np.array([None] * 5), "labels must be whole numbers or texts"),
        (np.eye(5), ["a", "b", "a", float("nan"), "b"], "some labels are texts and others NaN"),
        (np.eye(5), np.array(["a", "b", "a", np.nan, 1], object), "texts and others NaN"),
        (np.eye(5), [[1], [1, 2], [1], [2], [3]], "the labels differ in shape"),
        (np.eye(5), np.zeros(5, dtype=complex), "labels must be whole numbers or texts"),
    ],
)
def test_codes_and_labels_that_can_not_be_used(z: Any, y: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Normal().fit(z, y)


def test_what_was_fitted_refuses_other_codes_and_numbers() -> None:
    normal = Normal().fit(codes()[0])
    with pytest.raises(InputError, match="have 2 numbers each, this density is of 3"):
        normal.log_prob(np.zeros((4, 2)))
    with pytest.raises(InputError, match="n must be a whole number from 0"):
        normal.sample(-1)


def test_a_folder_and_no_sampler_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder: give the sampler's file"):
        Sampler.load(tmp_path)
    with pytest.raises(InputError, match="gone"):
        Sampler.load(tmp_path / "gone")


@pytest.mark.parametrize(
    "y",
    [
        np.arange(120) % 3,
        (np.arange(120) % 3).astype(object),
        (np.arange(120) % 3).astype(np.uint16)[:, None],
        np.eye(3)[np.arange(120) % 3],
        torch.arange(120) % 3,
        [float(i % 3) for i in range(120)],
    ],
)
def test_labels_of_every_form(y: Any) -> None:
    z, own = codes()
    same = Simple().fit(z, own).sample(9, label=2, seed=0)
    np.testing.assert_array_equal(Simple().fit(z, y).sample(9, label=np.int64(2), seed=0), same)


@pytest.mark.parametrize("name", catalogue.SAMPLERS)
def test_codes_with_gradients_and_of_double_precision(name: str, tmp_path: Path) -> None:
    z, y = codes()
    double = torch.from_numpy(z).requires_grad_()
    sampler = made(name).fit(double, torch.from_numpy(y))
    np.testing.assert_array_equal(
        sampler.sample(4, seed=0).numpy(), made(name).fit(z, y).sample(4, seed=0)
    )
    sampler.save(tmp_path / "s")
    torch.testing.assert_close(
        Sampler.load(tmp_path / "s").sample(4, seed=0), sampler.sample(4, seed=0), rtol=0, atol=0
    )
    if isinstance(sampler, Density):
        assert sampler.log_prob(torch.from_numpy(z)).dtype == torch.float32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FlowMatching(iterations=-3), "iterations must be at least 1, not -3"),
        (lambda: FlowMatching(iterations=2.5), "iterations must be a whole number"),
        (lambda: FlowMatching(iterations="5"), "iterations must be a number, not the text '5'"),
        (lambda: FlowMatching(pairing="x"), "pairing must be one of mean, random, ot"),
        (lambda: FlowMatching(guidance=float("nan")), "guidance must be a number"),
        (lambda: FlowMatching(seed=-1), "seed must be at least 0"),
        (lambda: Mixture(components=0), "components must be at least 1"),
        (lambda: Mixture(components="x"), "components must be a number, not the text 'x'"),
        (lambda: Simple(theta=2), "theta must be at most 1"),
        (lambda: KDE(bandwidth=0), "bandwidth must be at least 0.0001"),
        (lambda: Convex(weights=[0.5, 0.5]), "weights must be a text"),
    ],
)
def test_options_are_checked_at_once(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}"):
        make()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n": 1.5}, "n must be a whole number from 0"),
        ({"n": True}, "n must be a whole number"),
        ({"n": 10**12}, "n must be a whole number"),
        ({"n": 2, "seed": "a"}, "seed must be a whole number"),
        ({"n": 2, "seed": -1}, "seed must be a whole number"),
        ({"n": 2, "seed": 1, "generator": torch.Generator()}, "either a seed or a generator"),
        ({"n": 2, "label": [1]}, "label must be a whole number"),
        ({"n": 2, "label": "b"}, "was fitted to no named labels"),
    ],
)
def test_what_can_not_be_drawn(given: dict[str, Any], message: str) -> None:
    sampler = Simple().fit(*codes())
    with pytest.raises(InputError, match=message):
        sampler.sample(**given)


@pytest.mark.parametrize("fails", [ValueError, KeyboardInterrupt, StopIteration])
def test_a_fit_that_fails_leaves_what_was_there(fails: type[BaseException]) -> None:
    z, y = codes()
    mixture = Mixture(components=2).fit(z, ["cat", "dog", "eel"] * 40)
    before = mixture.sample(5, seed=0)

    def fail(*_: object) -> None:
        raise fails

    with pytest.raises(InputError if fails is StopIteration else fails):
        mixture.fit(codes(5)[0], y, progress=fail)
    np.testing.assert_array_equal(mixture.sample(5, seed=0), before)
    assert mixture.names == ("cat", "dog", "eel")
    fresh = Normal()
    with pytest.raises(InputError, match="NaN or infinite"):
        fresh.fit(np.full((5, 2), np.nan))
    with pytest.raises(InputError, match="has seen no codes"):
        fresh.sample(1)
    assert Simple().fit(z, ["a", "b", "c"] * 40).fit(z, y % 2).labels == 2


def test_a_clone_and_a_changed_sampler(tmp_path: Path) -> None:
    from sklearn.base import clone

    z, y = codes()
    flow = FlowMatching(iterations=5, width=8)
    assert repr(clone(flow)) == repr(flow) == "FlowMatching(iterations=5, width=8)"
    before = flow.fit(z, y).sample(4, 1, seed=0)
    other = flow.changed(steps=3, guidance=2.0)
    other.save(tmp_path / "flow")
    again = Sampler.load(tmp_path / "flow")
    np.testing.assert_array_equal(again.sample(4, 1, seed=0), other.sample(4, 1, seed=0))
    assert np.abs(other.sample(4, 1, seed=0) - before).max() > 1e-3
    np.testing.assert_array_equal(flow.sample(4, 1, seed=0), before)  # it is as it was
    assert "steps" not in repr(flow)
    combined = Convex(dim=3).fit(z, y).changed(combine=3)
    combined.save(tmp_path / "convex")
    again = Convex.load(tmp_path / "convex")
    assert again.combine == 3
    drawn = combined.sample(4, 1, seed=0)
    assert isinstance(drawn, np.ndarray)  # as the codes that it was fitted to
    np.testing.assert_array_equal(again.sample(4, 1, seed=0), drawn)


def stored(path: Path, sampler: Sampler, **tensors: Tensor) -> Path:
    sampler.load_state_dict({**sampler.state_dict(), **tensors})
    sampler.save(path)
    return path


def test_files_with_impossible_values_are_refused(tmp_path: Path) -> None:
    z, y = codes()
    path = tmp_path / "s"
    cases = (
        (KDE(centres=9).fit(z), {"count": torch.tensor(10**12)}, "there are 1000000000000 centres"),
        (KDE(centres=9).fit(z), {"count": torch.tensor(0)}, "there are 0 centres"),
        (Mixture(components=2).fit(z), {"weights": torch.tensor([2.0, -1])}, "not above 0"),
        (Convex().fit(z, y), {"owners": torch.full((120,), 10**12)}, "labels are out of range"),
        (Simple().fit(z, y), {"counts": torch.tensor([1, -1, 2])}, "below 0"),
    )
    for sampler, tensors, message in cases:
        with pytest.raises(InputError, match=f"is damaged: .*{message}"):
            Sampler.load(stored(path, sampler, **tensors))


def test_a_small_file_can_not_ask_for_memory(tmp_path: Path) -> None:
    for header in (
        {"sampler": "mixture", "dim": 1000, "options": {"components": 10_000}},
        {"sampler": "normal", "dim": 200_000, "options": {}},
        {"sampler": "convex", "dim": 2, "options": {"combine": 1 << 40}},
    ):
        write_tensors(tmp_path / "s", {"mean": torch.zeros(3)}, header)
        with pytest.raises(InputError, match=r"far larger|at most 10000"):
            Sampler.load(tmp_path / "s")
    write_tensors(tmp_path / "s", {"mean": torch.zeros(3)}, {"model": 1})
    with pytest.raises(InputError, match="holds no sampler"):
        Sampler.load(tmp_path / "s")


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1e9])
@pytest.mark.parametrize("name", ["normal", "mixture", "kde", "flow-matching", "flow"])
def test_densities_do_not_depend_on_the_codes_unit(name: str, scale: float) -> None:
    z, y = codes()
    sampler, other = made(name).fit(z, y), made(name).fit(scale * z, y)
    assert isinstance(sampler, Density)
    assert isinstance(other, Density)
    expected = sampler.log_prob(z) - 3 * np.log(scale)
    np.testing.assert_allclose(other.log_prob(scale * z), expected, atol=2e-3)
    drawn = other.sample(50, seed=0) / scale
    np.testing.assert_allclose(drawn, sampler.sample(50, seed=0), atol=2e-2)

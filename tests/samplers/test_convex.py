"""Convex combinations and their judges."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.samplers.labelled import labelled
from zspace.core import SILENT, Batches, Classifying
from zspace.errors import InputError
from zspace.samplers import Convex
from zspace.samplers.convex import TooFewError


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    dim=st.integers(1, 12),
    classes=st.integers(2, 6),
    n=st.integers(2, 6),
)
def test_lemma_1(seed: int, dim: int, classes: int, n: int) -> None:
    """Codes on one side of a hyperplane, or of one class of a linear layer: so are combinations."""
    g = torch.Generator().manual_seed(seed)
    z = torch.randn(200, dim, generator=g, dtype=torch.float64)
    w = torch.randn(dim, classes, generator=g, dtype=torch.float64)
    b = torch.randn(classes, generator=g, dtype=torch.float64)
    y = (z @ w + b).argmax(1)
    side = (z @ w[:, 0] + b[0] > 0).long()
    for owners, judge in (
        (y, lambda c: (c @ w + b).argmax(1)),
        (side, lambda c: (c @ w[:, 0] + b[0] > 0).long()),
    ):
        for weights_of in ("uniform", "dirichlet"):
            convex = Convex(dim, combine=n, weights=weights_of)
            convex.fit_to(z, owners, SILENT)  # in double precision
            for label in owners.unique().tolist():
                if int((owners == label).sum()) > n:
                    made = convex.combined(n, label, generator=g).codes
                    assert bool((judge(made) == label).all())


def test_lemma_1_needs_separable_classes() -> None:
    """A class on both sides of another: half of its combinations lie in that other class."""
    z = torch.cat([torch.full((50, 1), -3.0), torch.full((50, 1), 3.0), torch.zeros(50, 1)])
    z = z + 0.1 * torch.randn(150, 1, generator=torch.Generator().manual_seed(0))
    y = torch.tensor([0] * 100 + [1] * 50)
    convex = Convex(1).fit(z, y)
    made = convex.combined(400, 0, generator=torch.Generator().manual_seed(1))
    inside = made.codes.abs()[:, 0] < 1  # the other class's place
    apart = (made.sources < 50).sum(1) == 1
    assert torch.equal(inside, apart)
    assert 0.4 < float(inside.float().mean()) < 0.6
    # no hyperplane separates them: the sides are those of x = 1, on which class 0 has both
    assert bool((made.codes[~inside].abs() > 1).all())


@pytest.mark.parametrize("weights_of", ["uniform", "dirichlet", "0.5,0.3,0.2"])
def test_combinations_are_what_they_say(weights_of: str) -> None:
    z, y = labelled()
    convex = Convex(3, combine=3, weights=weights_of).fit(z, y)
    made = convex.combined(50, 1, generator=torch.Generator().manual_seed(3))
    assert made.codes.shape == (50, 3)
    assert made.trials == {}
    assert made.drawn == 50
    for code, rows, w in zip(made.codes, made.sources, made.weights, strict=True):
        assert len(set(rows.tolist())) == 3
        assert bool((y[rows] == 1).all())
        assert float(w.sum()) == pytest.approx(1, abs=1e-6)
        assert bool((w >= 0).all())
        torch.testing.assert_close(code, (w[:, None] * z[rows]).sum(0))
    if weights_of == "uniform":
        torch.testing.assert_close(made.weights, torch.full((50, 3), 1 / 3))
        assert len({tuple(sorted(rows.tolist())) for rows in made.sources}) == 50
    elif weights_of == "dirichlet":
        assert float(made.weights.std()) > 0.1
    else:
        torch.testing.assert_close(made.weights[7], torch.tensor([0.5, 0.3, 0.2]))
        assert len({tuple(rows.tolist()) for rows in made.sources}) == 50
    again = convex.combined(50, 1, generator=torch.Generator().manual_seed(3))
    assert torch.equal(again.codes, made.codes)


def test_dirichlet_weights_have_their_moments() -> None:
    z, y = labelled(300, 2, 1)
    for concentration in (0.3, 5.0):
        convex = Convex(2, combine=3, weights="dirichlet", concentration=concentration).fit(z, y)
        w = convex.combined(5000, 0, generator=torch.Generator().manual_seed(0)).weights
        variance = (1 / 3) * (2 / 3) / (3 * concentration + 1)
        assert float(w.mean()) == pytest.approx(1 / 3, abs=1e-6)
        assert float(w[:, 0].var()) == pytest.approx(variance, rel=0.1)


class Known(Classifying):
    """A classifier of the line: two classes on either side of 0, p(1 | z) = sigmoid(4 z).

    Images are one pixel; the decoder rounds to a tenth, so that both spaces differ.
    """

    def __init__(self) -> None:
        super().__init__(nn.Identity(), nn.Identity(), None, 1)
        self.register_buffer("thresholds", torch.tensor([0.6, 0.8]))

    def decode(self, z: Tensor) -> Tensor:
        return (z * 10).round() / 10

    def probabilities(self, z: Tensor) -> Tensor:
        p = torch.sigmoid(4 * z[:, 0])
        return torch.stack([1 - p, p], 1)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        raise NotImplementedError

    def objectives(self, batches: Batches):  # type: ignore[no-untyped-def]
        raise NotImplementedError


@pytest.mark.parametrize("n", [1, 7, 40, 300])
def test_trials_are_counted_exactly(n: int) -> None:
    """Against a classifier whose answers are known, candidate by candidate."""
    # class 1 reaches over the boundary: some of its combinations are no longer of it
    z = torch.linspace(-1, 2, 120)[:, None]
    convex = Convex(1).fit(z, torch.ones(120, dtype=torch.int64))
    judges = Known().judges()
    asked: list[float] = []

    def watched(code: Tensor, label: int) -> Tensor:
        asked.extend(code[:, 0].tolist())
        return judges["latent space"](code, label)

    convex.with_judges({**judges, "latent space": watched})
    made = convex.combined(n, 1, generator=torch.Generator().manual_seed(5))
    latent = image = 0
    trials: dict[str, int] = {}
    kept: list[float] = []
    for i, value in enumerate(asked, 1):
        if value <= 0:  # p(1 | z) is not above one half
            continue
        latent += 1
        if latent == n:
            trials["latent space"] = i
        if 1 / (1 + math.exp(-4 * round(value * 10) / 10)) < 0.8:
            continue
        image += 1
        kept.append(value)
        if image == n:
            trials["image space"] = i
            break
    assert made.trials == trials
    assert made.drawn == trials["image space"]
    assert made.codes[:, 0].tolist() == kept
    assert n == 1 or trials["image space"] > trials["latent space"] > n


def test_a_judge_that_passes_every_third() -> None:
    z, y = labelled(60, 2, 1)
    convex = Convex(2).fit(z, y)
    counts = {"a": 0, "b": 0}

    def every(name: str, k: int) -> Callable[[Tensor, int], Tensor]:
        def judge(code: Tensor, label: int) -> Tensor:
            start = counts[name]
            counts[name] += len(code)
            return (torch.arange(start, counts[name]) + 1) % k == 0

        return judge

    convex.with_judges({"a": every("a", 3), "b": every("b", 2)})
    made = convex.combined(100, 0)
    assert made.trials == {"a": 300, "b": 600}
    # of the judge that passed too few, all candidates are counted
    counts.update(a=0, b=0)
    with pytest.raises(TooFewError) as error:
        convex.changed(most_trials=4).combined(100, 0)
    assert error.value.trials == {"a": 300, "b": 400}


def test_it_gives_up_and_says_why() -> None:
    z, y = labelled(60, 2, 2)
    convex = Convex(2, most_trials=10).fit(z, y)
    convex.with_names(("cat", "dog"))
    convex.with_judges(
        {"latent space": lambda c, k: c[:, 0] > 0, "image space": lambda c, k: c[:, 0] > 9}
    )
    with pytest.raises(InputError) as error:
        convex.combined(20, 1)
    text = str(error.value)
    assert "class dog: 20 combinations of 2 were wanted, 200 tried" in text
    assert "0 passed in image space" in text
    assert "given up after 10 for each" in text
    assert "the judge of the image space passes 0 of what it sees" in text
    # 30 images have 435 pairs
    with pytest.raises(InputError, match="435 tried; there are no more of its 30 images"):
        replace_judges(convex).combined(436, 0)
    assert replace_judges(convex).combined(435, 0).drawn == 435
    assert replace_judges(convex).changed(weights="dirichlet").combined(436, 0).drawn == 436


def test_the_last_combinations_are_found_many_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    convex = Convex(2).fit(*labelled(120, 2, 1))
    draws: list[int] = []
    draw = Convex._draw  # pyright: ignore[reportPrivateUsage]

    def counted(self: Convex, codes: int, size: int, *rest: Any) -> torch.Tensor:
        draws.append(size)
        return draw(self, codes, size, *rest)

    monkeypatch.setattr(Convex, "_draw", counted)
    assert convex.combined(7140, 0).drawn == 7140
    # the last one alone is one of 7140: some 45,000 candidates find all, whatever their number
    assert len(draws) < 1000


def test_weights_that_are_equal_make_no_new_combination() -> None:
    z, y = labelled(8, 2, 1)
    for weights_of, possible in (("0.5,0.5", 28), ("0.25,0.5,0.25", 168), ("0.7,0.3", 56)):
        convex = Convex(2, weights=weights_of).fit(z, y)
        made = convex.combined(possible, 0, generator=torch.Generator().manual_seed(0)).codes
        assert len({tuple(c) for c in made.mul(1e4).round().tolist()}) == possible
        with pytest.raises(InputError, match=f"{possible} tried; there are no more"):
            convex.combined(possible + 1, 0)
    # weights say how many are combined, whatever was stored
    assert Convex(2, combine=5).fit(z, y).changed(weights="0.2,0.8").combine == 2
    with pytest.raises(InputError, match="class 0 has 8 generated images: too few to combine 9"):
        Convex(2, combine=9).fit(z, y).over(z, y).combined(1, 0)


def test_rare_classes_are_left_out_where_no_label_is_asked_for() -> None:
    z, y = labelled(31, 2, 3)
    y[y == 2] = 1
    y[5] = 2
    convex = Convex(2).fit(z, y)
    assert convex.sample(50).shape == (50, 2)
    with pytest.raises(InputError, match="class 2 has 1 image: too few"):
        convex.sample(1, 2)
    with pytest.raises(InputError, match="no class has 40 images"):
        convex.changed(combine=40).sample(1)


def test_changed_options_keep_the_kind_of_arrays() -> None:
    z, y = labelled(7)
    for codes, kind in ((z, torch.Tensor), (z.numpy(), np.ndarray)):
        convex = Convex(3).fit(codes, y)
        assert isinstance(convex.changed(weights="dirichlet").sample(4, 0), kind)


def replace_judges(convex: Convex) -> Convex:
    other = convex.changed()
    other.with_judges({})
    return other


def test_what_the_convex_sampler_refuses() -> None:
    z, y = labelled(7)
    convex = Convex(3, combine=3).fit(z, y)
    with pytest.raises(InputError, match="class 1 has 2 images: too few to combine 3"):
        convex.combined(1, 1)
    for label in (-1, 3):
        with pytest.raises(InputError, match=f"label {label} is none of the 3"):
            convex.combined(1, label)
    with pytest.raises(InputError, match="the data have none"):
        Convex(3).fit(z)
    for few in ([-1] * 7, [1, *[-1] * 6]):
        with pytest.raises(InputError, match="need 2 codes or more whose labels are known, not"):
            Convex(3).fit(z, torch.tensor(few))
    for given_weights in ("0.5,0.6", "-0.5,1.5", "0.5", "nan,1", "1,0"):
        with pytest.raises(InputError, match=r"above 0 that sum to 1, not"):
            Convex(3, weights=given_weights, combine=2)
    with pytest.raises(InputError, match="--weights has 2 numbers, --combine is 3"):
        Convex(3, weights="0.5,0.5", combine=3)
    with pytest.raises(InputError, match="one number: 2 codes or more"):
        Convex(3, weights="1")
    with pytest.raises(InputError, match="uniform, dirichlet or numbers"):
        Convex(3, weights="even")
    assert Convex(3, weights="0.2,0.3,0.5").combine == 3


def test_unknown_labels_are_left_out_and_sources_kept() -> None:
    z, y = labelled(100)
    y[:50] = -1
    convex = Convex(3, sources=20).fit(z, y)
    assert len(convex.codes) == 20
    assert int(convex.rows.min()) >= 50
    assert torch.equal(convex.codes, z[convex.rows])
    drawn = convex.sample(30, generator=torch.Generator().manual_seed(0))
    assert drawn.shape == (30, 3)


def test_only_classes_of_enough_codes_are_learned() -> None:
    z, y = torch.randn(7, 2), torch.tensor([0, 0, 0, 1, 2, 2, -1])
    assert Convex(combine=2).fit(z, y).learned() == [0, 2]
    assert Convex(combine=3).fit(z, y).learned() == [0]

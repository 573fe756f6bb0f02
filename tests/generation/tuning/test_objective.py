"""The objective that theta is chosen by."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.samplers.shared import classes
from zspace.data.images import Images, Part
from zspace.generation.tuning import objective as objectives
from zspace.generation.tuning.objective import Objective
from zspace.samplers import Simple


class Blobs(nn.Module):
    """A decoder of 2-D codes: two pixels as bright as the code says."""

    def __init__(self) -> None:
        super().__init__()
        self.at = nn.Parameter(torch.zeros(1))

    def decode(self, z: Tensor) -> Tensor:
        return (0.5 + z / 40).clamp(0, 1).reshape(-1, 1, 1, 2)


def objective(least: float | None = None, samples: int = 60) -> Objective:
    """Three classes on a line; the judge finds class 1 where the first pixel is in the middle."""
    z, y = classes()
    z = z - 10
    noise = torch.randn(3, samples, 5, 2, generator=torch.Generator().manual_seed(2))

    def judge(x: Tensor) -> Tensor:
        place = 40 * (x[:, 0, 0, 0] - 0.5)
        return torch.stack([-(place + 10).abs(), -place.abs(), -(place - 10).abs()], 1)

    model: Any = Blobs()
    return Objective(model, Simple(2).fit(z, y), judge, noise, least)


class Same(Blobs):
    """An autoencoder that changes nothing."""

    def encode(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    def decode(self, z: Tensor) -> Tensor:
        return z.reshape(-1, 1, 1, 1)


def test_a_classifier_is_judged_on_all_classes_and_known_labels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # sorted by class, as folders are read, with as many images of no known label in the end
    y = torch.tensor([0] * 300 + [1] * 300 + [-1] * 600)
    part = Part((255 * (y == 1)).to(torch.uint8).reshape(-1, 1, 1, 1), y)
    images = Images("sorted", part, part, part, ("dark", "bright"))
    monkeypatch.setattr(objectives, "SEEN", 200)

    class Judge(nn.Module):
        def __init__(self, bright: float) -> None:
            super().__init__()
            self.bright = bright

        def forward(self, x: Tensor) -> Tensor:
            light = self.bright * x.flatten(1)
            return torch.cat([0.5 - light, light - 0.5], 1)

    model: Any = Same()
    for bright, expected in ((1.0, 1.0), (0.0, 0.5)):  # right; and all is dark to it
        found: Any = SimpleNamespace(net=Judge(bright))
        monkeypatch.setattr(objectives, "neutral_classifier", lambda *_, found=found, **__: found)
        _, accuracy = objectives.reconstruction_classifier(model, images, device="cpu")
        assert accuracy.value == pytest.approx(expected, abs=0.15 * (bright == 0))


def test_objective_is_the_papers() -> None:
    of = objective()
    theta = torch.tensor([[0.4], [0.9], [0.2]])
    score = of.score(theta, 2, [0, 1, 2])
    for label in range(3):
        own = of.sampler
        draws = own.mean[label] + theta[label] * own.deviation[label] * of.noise[label, :, :2]
        x = (of.model.decode(draws.mean(1)) * 255).round().flatten(1).double()
        pairs = [
            float(x[i] @ x[j] / (x[i].norm() * x[j].norm()))
            for i in range(len(x))
            for j in range(len(x))
            if i != j
        ]
        assert float(score.cosine[label]) == pytest.approx(np.mean(pairs), abs=1e-6)
        right = of.judge(x.float().reshape(-1, 1, 1, 2) / 255).argmax(1) == label
        assert float(score.accuracy[label]) == pytest.approx(float(right.double().mean()))
    value = float((score.cosine + 1 - score.accuracy).mean())
    assert of.value(score.cosine, score.accuracy) == pytest.approx(value)


def test_a_least_accuracy_comes_before_the_cosine() -> None:
    of = objective(0.9)
    cosine = torch.tensor([0.5, 0.7])
    assert of.value(cosine, torch.tensor([0.9, 1.0])) == pytest.approx(0.6)
    assert of.value(cosine, torch.tensor([0.8, 0.7])) == pytest.approx(2.3)
    assert of.value(cosine, torch.tensor([0.8, 1.0])) > of.value(torch.ones(2), torch.ones(2))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 10), min_size=3, max_size=3), st.floats(0.1, 2.5), st.booleans())
def test_what_is_not_judged_could_not_win(thetas: list[int], bound: float, least: bool) -> None:
    of = objective(0.9 if least else None, samples=20)
    theta = torch.tensor(thetas)[:, None] / 10
    group = [0, 1, 2]
    whole = of.score(theta, 1, group)
    short = of.score(theta, 1, group, bound)
    if bool(short.accuracy.isnan().any()):
        assert of.value(whole.cosine, whole.accuracy) >= bound
    else:
        assert torch.equal(short.accuracy, whole.accuracy)

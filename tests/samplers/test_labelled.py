"""Codes that hold a label."""

from __future__ import annotations

import pytest
import torch

from tests.conftest import seeded
from zspace.errors import InputError
from zspace.samplers.labelled import Labelled


def test_codes_of_a_conditional_model_hold_the_label() -> None:
    prior = Labelled(4, 3)
    z = prior.sample(3000, generator=seeded())
    assert z.shape == (3000, 7)
    assert torch.equal(z[:, 4:].sum(1), torch.ones(3000))
    assert float((z[:, 4:].mean(0) - 1 / 3).abs().max()) < 0.04
    assert bool((prior.sample(5, 2)[:, 6] == 1).all())
    with pytest.raises(InputError, match="label 3 is none of the 3"):
        prior.sample(5, 3)
    with pytest.raises(InputError, match="knows no labels"):
        Labelled(4, 0).sample(5, 1)

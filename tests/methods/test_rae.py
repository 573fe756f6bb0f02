"""RAE against its formula."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import zspace
from tests.conftest import small
from tests.methods.steps import steps, vectors
from zspace.methods.rae import RAE


@pytest.mark.parametrize("regulariser", ["l2", "gradient-penalty", "spectral-norm", "none"])
def test_rae_by_its_formula(regulariser: str) -> None:
    torch.manual_seed(0)
    encoder, decoder = nn.Linear(5, 2), nn.Linear(2, 5)
    model = RAE(encoder, decoder, 2, regulariser=regulariser, beta=0.3, weight=0.7)  # type: ignore[arg-type]
    ((_, terms),) = steps(model, vectors())
    x = next(vectors())[0]
    z = encoder(x)
    expected = {
        "reconstruction": ((decoder(z) - x) ** 2).sum(1).mean(),
        "codes": 0.15 * (z**2).sum(1).mean(),
    }
    if regulariser == "l2":
        expected["weights"] = 0.7 * ((decoder.weight**2).sum() + (decoder.bias**2).sum())
    if regulariser == "gradient-penalty":  # of a linear decoder: ||W^T v||^2, on average ||W||^2
        drawn = vectors()
        next(drawn)
        v = drawn.normal(5)
        expected["jacobian"] = 0.7 * ((v @ decoder.weight) ** 2).sum(1).mean()
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value)


def test_a_penalty_of_weight_0_is_not_computed() -> None:
    model = RAE(nn.Linear(5, 2), nn.Linear(2, 5), 2, regulariser="gradient-penalty", weight=0)
    ((_, terms),) = steps(model, vectors())
    assert terms.keys() == {"reconstruction", "codes"}


def test_spectral_norm_bounds_the_decoders_layers() -> None:
    options = {**small("rae"), "iterations": 30, "regulariser": "spectral-norm"}
    model = zspace.train("rae", "digits", device="cpu", **options)
    for layer in model.decoder.modules():
        if isinstance(layer, nn.Linear):
            largest = torch.linalg.matrix_norm(layer.weight, 2)
            assert float(largest.detach()) == pytest.approx(1, abs=0.1)

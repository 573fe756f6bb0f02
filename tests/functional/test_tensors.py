"""Images as floats, functions in blocks."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from zspace.functional import as_float, blockwise, convex
from zspace.functional.tensors import all_finite, exact, own_random
from zspace.samplers import KDE


def test_images_become_floats_and_vectors_stay() -> None:
    images = torch.tensor([[[[0, 51, 255]]]], dtype=torch.uint8)
    assert as_float(images).flatten().tolist() == pytest.approx([0, 0.2, 1])
    vectors = torch.tensor([[-3.0, 7.0]])
    assert torch.equal(as_float(vectors), vectors)


def test_blockwise_is_the_function_itself() -> None:
    x = torch.randn(10, 3)
    assert torch.equal(blockwise(torch.exp, x, block=3), x.exp())


def test_convex_takes_one_weight_for_each_sample() -> None:
    a, b, weight = torch.rand(3, 2, 4), torch.rand(3, 2, 4), torch.tensor([[0.0], [0.25], [1.0]])
    mixed = convex(a, b, weight)
    torch.testing.assert_close(mixed[0], b[0])
    torch.testing.assert_close(mixed[1], 0.25 * a[1] + 0.75 * b[1])
    torch.testing.assert_close(mixed[2], a[2])


def test_own_random_numbers_leave_those_outside_as_they_were() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    first = torch.rand(2)
    with own_random(5, torch.device("cpu")):
        inside = torch.rand(2)
    assert torch.equal(torch.cat([first, torch.rand(2)]), expected)
    torch.manual_seed(5)
    assert torch.equal(inside, torch.rand(2))


def newer() -> list[Any]:
    backends: Any = torch.backends
    return [backends.cuda.matmul, backends.mkldnn.matmul, backends.cudnn.conv, backends.cudnn.rnn]


@pytest.mark.skipif(
    not hasattr(torch.backends.cudnn, "conv"), reason="PyTorch has one way to set precisions"
)
@pytest.mark.parametrize("chosen", [("tf32", "ieee", "tf32", "ieee"), ("ieee",) * 4])
def test_precisions_are_as_before_whichever_way_they_were_set(chosen: tuple[str, ...]) -> None:
    before = [part.fp32_precision for part in newer()]
    try:
        for part, precision in zip(newer(), chosen, strict=True):
            part.fp32_precision = precision
        KDE().fit(torch.randn(30, 2))
        with exact(torch.zeros(1)):
            assert [part.fp32_precision for part in newer()[:2]] == ["ieee"] * 2
        assert tuple(part.fp32_precision for part in newer()) == chosen
    finally:
        for part, precision in zip(newer(), before, strict=True):
            part.fp32_precision = precision


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_one_number_that_is_not_finite_is_found_wherever_it_stands(dtype: torch.dtype) -> None:
    x = torch.linspace(-1, 1, 300 * 7).reshape(300, 7).to(dtype)
    assert all_finite(x)
    assert all_finite(x[:0])
    assert all_finite(torch.ones(3, dtype=torch.uint8))
    for number in (math.nan, math.inf, -math.inf):
        for row in (0, 123, 299):
            y = x.clone()
            y[row, 4] = number
            assert not all_finite(y)
            assert not all_finite(y.T)

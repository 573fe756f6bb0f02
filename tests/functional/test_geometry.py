"""The volume of a decoder's image, against automatic differentiation."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from zspace.errors import InputError
from zspace.functional import jacobian_log_determinant
from zspace.nets.gen import GENNets


@pytest.mark.parametrize("kind", ["net", "conv"])
def test_jacobian_determinant_against_autograd(kind: str) -> None:
    torch.manual_seed(0)
    if kind == "net":
        net: nn.Module = GENNets((1, 4, 4), 3, 16).decoder()
    else:
        from zspace.nets.flexae import FlexAENets

        net = FlexAENets((1, 8, 8), 3, 4, 16).decoder()
    net = net.double().eval()
    z = torch.randn(5, 3).double()
    with torch.no_grad():
        ours, rank = jacobian_log_determinant(net, z)
        some_at_a_time = jacobian_log_determinant(net, z, directions=2)
    torch.testing.assert_close(some_at_a_time, (ours, rank))
    assert rank.tolist() == [3] * 5
    for i in range(5):
        jacobian = torch.autograd.functional.jacobian(lambda code: net(code[None]).flatten(), z[i])
        expected = 0.5 * torch.linalg.slogdet(jacobian.T @ jacobian)[1]
        assert float(ours[i]) == pytest.approx(float(expected), abs=1e-8)


@pytest.mark.parametrize(("slope", "rank"), [(1e-3, 8), (1e-4, 8), (0.0, 6)])
def test_directions_that_hardly_matter_count_as_they_are(slope: float, rank: int) -> None:
    """In float32, and along no axis: their squares are below its precision."""
    generator = torch.Generator().manual_seed(0)
    widths = torch.tensor([1.0] * 6 + [slope] * 2, dtype=torch.float64)
    across, along = (
        torch.linalg.qr(torch.randn(n, 8, generator=generator, dtype=torch.float64))[0]
        for n in (40, 8)
    )
    net = nn.Linear(8, 40, bias=False)
    with torch.no_grad():
        net.weight.copy_(across @ widths.diag() @ along.mT)
        volume, found = jacobian_log_determinant(net, torch.randn(5, 8, generator=generator))
    assert found.tolist() == [rank] * 5
    if slope:
        torch.testing.assert_close(volume, widths.log().sum().expand(5), rtol=0, atol=1e-2)


def test_a_singular_jacobian_has_its_least_volume() -> None:
    torch.manual_seed(0)
    net = nn.Linear(3, 6, bias=False).double()
    with torch.no_grad():
        net.weight[:, 2] = 0
    volume, rank = jacobian_log_determinant(net, torch.randn(4, 3).double())
    assert rank.tolist() == [2] * 4
    values = torch.linalg.svdvals(net.weight.detach())
    expected = values[0].log() * 2 + values[1].log() + math.log(1e-6)
    torch.testing.assert_close(volume, expected.expand(4))
    with torch.no_grad():
        net.weight.zero_()
    with pytest.raises(InputError, match="constant"):
        jacobian_log_determinant(net, torch.randn(4, 3).double())

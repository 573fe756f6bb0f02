"""Ways between codes that a sampler draws."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import Cli, seeded
from zspace.errors import InputError
from zspace.functional import great_circle
from zspace.generation.between import codes_between
from zspace.recipes import catalogue
from zspace.samplers import KDE, FlowMatching, Mixture, Normal


def test_a_great_circle_is_followed_at_one_speed() -> None:
    a, b = torch.randn(2, 5, 7, generator=seeded()).unbind(0)
    a, b = (x / x.norm(dim=1, keepdim=True) for x in (a, b))
    points = great_circle(a, b, 9)
    torch.testing.assert_close(points[:, 0], a)
    torch.testing.assert_close(points[:, -1], b)
    torch.testing.assert_close(points.norm(dim=2), torch.ones(5, 9))
    steps = (points[:, 1:] * points[:, :-1]).sum(2).acos()
    torch.testing.assert_close(steps, steps[:, :1].expand_as(steps), rtol=1e-3, atol=1e-4)


def test_points_on_the_circle_are_as_long_as_normal_noise() -> None:
    a, b = torch.randn(2, 400, 256, generator=seeded()).unbind(0)
    middle = great_circle(a, b, 3)[:, 1].norm(dim=1).mean()
    assert float(middle) == pytest.approx(16, rel=0.02)
    assert float(((a + b) / 2).norm(dim=1).mean()) == pytest.approx(16 / 2**0.5, rel=0.02)


def test_opposite_vectors_of_other_lengths_have_no_detour() -> None:
    """The formula for vectors of one length goes 50 times as far as either here."""
    points = great_circle(torch.tensor([[2.0, 0.0]]), torch.tensor([[-1.0, 0.01]]), 5)
    torch.testing.assert_close(points.norm(dim=2), torch.linspace(2, 1, 5)[None], atol=1e-3, rtol=0)


def test_what_lies_between_is_as_likely_as_what_is_drawn() -> None:
    """In two dimensions, where noise often lies opposite other noise."""
    normal = Normal(2).fit(torch.randn(500, 2, generator=seeded()))
    ways = codes_between(normal, 20_000, 5, None, seeded())
    drawn = normal.draw(20_000, generator=seeded(1))
    for z in ways.unbind(1):
        torch.testing.assert_close(z.T.cov(), drawn.T.cov(), atol=0.05, rtol=0)
        for share in (0.5, 0.99, 0.9999):
            lengths = [x.norm(dim=1).quantile(share) for x in (z, drawn)]
            torch.testing.assert_close(*lengths, atol=0, rtol=0.1 if share > 0.99 else 0.03)


@pytest.mark.parametrize("scale", [1.0, 2.0, -1.0])
def test_parallel_vectors_have_a_straight_line(scale: float) -> None:
    a = torch.randn(2, 3, generator=seeded())
    points = great_circle(a, scale * a, 5)
    assert bool(torch.isfinite(points).all())
    torch.testing.assert_close(points[:, 0], a)
    torch.testing.assert_close(points[:, -1], scale * a)


def test_the_ends_are_what_the_sampler_draws() -> None:
    z = torch.randn(300, 3, generator=seeded()) * torch.tensor([1.0, 2.0, 3.0]) + 5
    normal = Normal().fit(z)
    ways = codes_between(normal, 4, 6, None, torch.Generator().manual_seed(1))
    assert ways.shape == (4, 6, 3)
    noise = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(ways[:, 0], normal.of_noise(noise))
    kde = KDE().fit(z)
    assert KDE.jumps
    line = codes_between(kde, 4, 5, None, torch.Generator().manual_seed(1))
    torch.testing.assert_close(line[:, 2], (line[:, 0] + line[:, 4]) / 2)


def test_labels_are_kept_on_the_way() -> None:
    y = torch.arange(400) % 2
    z = torch.randn(400, 2, generator=seeded()) * 0.1 + 4.0 * y[:, None]
    flow = FlowMatching(iterations=300, width=32, blocks=1, batch_size=128).fit(z, y)
    for label in (0, 1):
        ways = codes_between(flow, 5, 7, label, seeded())
        assert float((ways - 4 * label).abs().median()) < 0.5


def test_samplers_that_choose_one_of_several_jump() -> None:
    """Those whose noise decides on a component or a code, by their own words and by trial."""
    z = torch.cat([torch.randn(200, 2, generator=seeded()) + 50 * i for i in range(3)])
    y = torch.arange(3).repeat_interleave(200)
    for name, kind in catalogue.SAMPLERS.items():
        if not kind.exportable or kind.learns or name.startswith("medium"):
            continue
        fitted = kind(2).fit(z, y)
        noise = torch.randn(400, fitted.noise_dim, generator=seeded())
        near = noise + 1e-4 * torch.randn(noise.shape, generator=seeded(1))
        label = y[:400] if fitted.labels else None
        moved = float((fitted.of_noise(noise, label) - fitted.of_noise(near, label)).abs().max())
        assert kind.jumps or moved < 1, name
    assert Mixture.jumps
    assert not Normal.jumps


def test_the_command(
    runs: dict[str, Path], tmp_path: Path, cli: Cli, refused: Callable[..., str]
) -> None:
    run, out = runs["vae"], tmp_path / "x.npz"
    command = ("interpolate", run, "--sampler=prior", "--n=3", "--steps=4")
    status, _, err = cli(*command, f"--out={out}")
    assert status == 0, err
    assert np.load(out)["images"].shape == (12, 8, 8)
    assert cli(*command, f"--out={tmp_path / 'x.png'}")[0] == 0
    status, _, err = cli(
        "interpolate", run, "--sampler=simple", "--label=3", f"--out={tmp_path / 'y.png'}"
    )
    assert status == 0, err
    assert "knows no labels" in refused(*command, "--label=3", f"--out={out}")
    assert "--label belongs to --sampler" in refused(
        "interpolate", run, "--label=3", f"--out={out}"
    )
    assert "not both" in refused(*command, "--data=digits", f"--out={out}")
    assert "unknown sampler" in refused("interpolate", run, "--sampler=priorr", f"--out={out}")


def test_a_label_that_was_never_learned() -> None:
    y = torch.tensor([0, 2]).repeat(20)
    sampler = FlowMatching(2, iterations=2, batch_size=8).fit(torch.randn(40, 2), y)
    with pytest.raises(InputError, match="class 1 has no training image"):
        codes_between(sampler, 2, 3, 1, seeded())

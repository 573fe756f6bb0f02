"""What the page can ask for: every answer is what the library gives; bad requests are refused."""

from __future__ import annotations

import base64
import io
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from zspace.core import Classifying, Variational, codes, decoded
from zspace.errors import InputError
from zspace.exploring import views
from zspace.exploring.maps import coloured, placed, told_of
from zspace.exploring.pictures import packed, sprite, unpacked
from zspace.exploring.requests import Source
from zspace.exploring.space import Space
from zspace.exploring.work import Steps
from zspace.functional import as_float, great_circle
from zspace.samplers import FlowMatching


def images(told: dict[str, Any]) -> np.ndarray:
    """The images of a sprite, uint8 (n, H, W)."""
    content = base64.b64decode(told["url"].partition(",")[2])
    whole = np.asarray(Image.open(io.BytesIO(content)))
    height, width = told["height"], told["width"]
    rows = whole.reshape(whole.shape[0] // height, height, told["columns"], width)
    return rows.swapaxes(1, 2).reshape(-1, height, width)[: told["n"]]


def done(steps: Steps) -> torch.Tensor:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def test_a_sprite_keeps_every_pixel() -> None:
    x = torch.randint(256, (7, 1, 5, 4), dtype=torch.uint8)
    assert np.array_equal(images(sprite(x)), x[:, 0].numpy())
    assert images(sprite(torch.randn(3, 6))).shape == (3, 1, 6)


def test_numbers_travel_exactly() -> None:
    z = torch.randn(3, 5)
    assert torch.equal(unpacked(packed(z), (5,)), z)
    for text in ("?", packed(z)[:-4], "", packed(torch.full((1, 5), torch.nan))):
        with pytest.raises(InputError):
            unpacked(text, (5,))


def test_shown_images_come_with_codes_and_reconstructions(spaces: dict[str, Space]) -> None:
    space = spaces["vae"]
    told = views.Show([5, 9]).answer(space)
    x = space.x(torch.tensor([5, 9]))
    assert np.array_equal(images(told["images"]), x[:, 0].numpy())
    z = codes(space.trained, x)
    torch.testing.assert_close(unpacked(told["codes"], (space.trained.latent_dim,)), z)
    assert np.array_equal(images(told["sprite"]), decoded(space.trained, z)[:, 0].numpy())
    with pytest.raises(InputError, match="none of number"):
        views.Show([10**6]).answer(space)


def test_a_temperature_near_1_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of codes nine tenths of which are of one class, drawn without a label."""
    monkeypatch.setattr(views, "pictured", lambda space, z, decoder: z)
    y = (torch.arange(200) % 10 > 0).long()
    z = torch.randn(200, 2) + 8 * y[:, None]
    flow = FlowMatching(iterations=20, width=8).fit(z, y)

    def drawn(temperature: float) -> Any:
        space: Any = SimpleNamespace(sampler=lambda _: flow, device=torch.device("cpu"))
        return views.Draw("any", n=500, seed=3, temperature=temperature).answer(space)

    torch.testing.assert_close(drawn(1.0), drawn(1 - 1e-6), rtol=1e-3, atol=1e-3)


def test_draws_follow_from_the_seed_and_the_temperature(spaces: dict[str, Space]) -> None:
    space = spaces["vae"]
    first = views.Draw("prior", n=9, seed=1).answer(space)
    assert first == views.Draw("prior", n=9, seed=1).answer(space)
    assert first != views.Draw("prior", n=9, seed=2).answer(space)
    dim = space.trained.latent_dim
    z = unpacked(views.Draw("prior", n=9, seed=1, temperature=0.5).answer(space)["codes"], (dim,))
    torch.testing.assert_close(z, unpacked(first["codes"], (dim,)) / 2)
    mean = space.axes.mean
    sure = unpacked(views.Draw("mixture", n=4, temperature=0).answer(spaces["ae"])["codes"], (dim,))
    torch.testing.assert_close(sure, spaces["ae"].axes.mean.expand(4, dim))
    assert mean.shape == (dim,)
    for wrong in (
        views.Draw("prior", label=1),
        views.Draw("prior", guidance=1.0),
        views.Draw("none"),
        views.Draw("prior", decoder="none"),
    ):
        with pytest.raises(InputError):
            wrong.answer(space)


def test_a_place_of_the_map_is_decoded(spaces: dict[str, Space]) -> None:
    space = spaces["vae"]
    told = views.At(0.5, -0.25).answer(space)
    places = unpacked(told["places"], (2,))
    torch.testing.assert_close(places, torch.tensor([[0.5, -0.25]]), atol=1e-5, rtol=0)


def test_the_nearest_of_a_training_image_is_itself(spaces: dict[str, Space]) -> None:
    space = spaces["vae"]
    item = int((~space.of_test).nonzero()[0])
    for by in ("pixels", "codes"):
        told = views.Near(Source(item=item), by=by, k=3).answer(space)
        assert told["items"][0] == item
        assert not any(space.of_test[told["items"]])
    x = space.x(torch.tensor([item]))
    assert views.Near(Source(pixels=packed(x)), k=1).answer(space)["items"] == [item]
    with pytest.raises(InputError, match="which image"):
        views.Near(Source()).answer(space)


def test_walks_begin_and_end_at_the_chosen_codes(spaces: dict[str, Space]) -> None:
    space = spaces["vae"]
    dim = space.trained.latent_dim
    ends = space.codes()[:4]
    line = unpacked(views.Walk(packed(ends[:2]), steps=5).answer(space)["codes"], (dim,))
    torch.testing.assert_close(line[[0, 2, 4]], torch.stack([ends[0], ends[:2].mean(0), ends[1]]))
    round_ = views.Walk(packed(ends[:2]), "sphere", 5).answer(space)
    expected = great_circle(ends[:1], ends[1:2], 5)[0]
    torch.testing.assert_close(unpacked(round_["codes"], (dim,)), expected)
    square = views.Walk(packed(ends), steps=3).answer(space)
    z = unpacked(square["codes"], (dim,)).reshape(3, 3, dim)
    corners = torch.stack([z[0, 0], z[0, 2], z[2, 0], z[2, 2]])
    torch.testing.assert_close(corners, ends)
    with pytest.raises(InputError, match="2 or 4 codes"):
        views.Walk(packed(ends[:3])).answer(space)


def test_arithmetic_adds_the_difference_of_class_means(spaces: dict[str, Space]) -> None:
    space = spaces["vae"]
    z = space.codes()[:1]
    told = views.Arithmetic(packed(z), 3, 1).answer(space)
    made = unpacked(told["codes"], (space.trained.latent_dim,))
    means = space.class_means()
    at = told["strengths"].index(1.0)
    torch.testing.assert_close(made[at], z[0] + means[3] - means[1])
    with pytest.raises(InputError, match="none of number 99"):
        views.Arithmetic(packed(z), 99, 1).answer(space)


@pytest.mark.parametrize("kind", ("dimensions", "principal"))
def test_directions_are_the_widest_first(spaces: dict[str, Space], kind: Any) -> None:
    space = spaces["vae"]
    told = views.Directions(kind, 3).answer(space)
    assert told["deviations"] == sorted(told["deviations"], reverse=True)
    assert told["strips"]["n"] == 21
    assert len(told["used"]) == 3
    vectors = unpacked(told["vectors"], (space.trained.latent_dim,))
    torch.testing.assert_close(vectors.norm(dim=1), torch.tensor(told["deviations"]))


def test_combinations_are_judged(spaces: dict[str, Space]) -> None:
    space = spaces["regene"]
    model = space.trained
    assert isinstance(model, Classifying)
    members = views.Members(2, n=3).answer(space)
    told = views.Combine(members["codes"], [1.0, 0.5, 0.5], 2).answer(space)
    z = unpacked(members["codes"], (model.latent_dim,))
    combined = torch.tensor([0.5, 0.25, 0.25]) @ z
    torch.testing.assert_close(unpacked(told["codes"], (model.latent_dim,))[0], combined)
    assert [j["judge"] for j in told["judges"]] == ["latent space", "image space"]
    assert told["judges"][0]["confidence"] == pytest.approx(
        float(model.probabilities(combined[None])[0, 2]), abs=1e-5
    )
    with pytest.raises(InputError, match="not 0 for all"):
        views.Combine(members["codes"], [0.0, 0.0, 0.0], 2).answer(space)


def test_posteriors_are_drawn_from(spaces: dict[str, Space]) -> None:
    space = spaces["vae"]
    model = space.trained
    assert isinstance(model, Variational)
    told = views.Imagine(Source(item=3), n=4, seed=5).answer(space)
    expected = model.draw(as_float(space.x(torch.tensor([3]))), 4, seed=5)[0]
    torch.testing.assert_close(unpacked(told["codes"], (model.latent_dim,)), expected)
    assert [*told["rows"]] == ["decoder"]
    with pytest.raises(InputError, match="no posterior"):
        views.Imagine(Source(item=3)).answer(spaces["ae"])


def test_saved_codes_are_an_npz_file(spaces: dict[str, Space]) -> None:
    space = spaces["vae"]
    z = space.codes()[:3]
    content = base64.b64decode(views.Save(packed(z)).answer(space)["file"])
    with np.load(io.BytesIO(content)) as held:
        assert np.array_equal(held["codes"], z.numpy())
        assert held["images"].shape == (3, 1, 8, 8)


def test_maps_and_colours(spaces: dict[str, Space]) -> None:
    space = spaces["vae"]
    assert done(placed(space, "pca", 600)).shape == (600, 2)
    curved = done(placed(space, "tsne", 60))
    assert curved.shape == (60, 2)
    assert bool(torch.isfinite(curved).all())
    for by, n in (("density", 200), ("error", 200), ("novelty", 40)):
        values = done(coloured(space, by, n))
        assert values.shape == (n,)
        assert bool(torch.isfinite(values).all())


def test_a_drawing_option_holds_for_one_request() -> None:
    """Guidance and steps of one request leave the sampler of the next as it was."""
    space = Space.of_run("zoo:fashion-flow")
    usual = views.Draw("prior", n=2, label=3)
    first = images(usual.answer(space)["sprite"])
    for option in ({"guidance": 4.0}, {"steps": 1}):
        other = views.Draw("prior", n=2, label=3, **option)
        assert np.abs(images(other.answer(space)["sprite"]).astype(int) - first).max() > 20
    assert np.array_equal(images(usual.answer(space)["sprite"]), first)


def test_a_map_is_told_with_the_variance_that_it_shows(spaces: dict[str, Space]) -> None:
    space = spaces["vae"]
    told = told_of(space, done(placed(space, "pca", 50)), 1.0, done=True)
    variances = np.linalg.eigvalsh(np.cov(space.codes().double().numpy().T))[::-1]
    assert told["variance"] == pytest.approx(variances[:2].sum() / variances.sum(), rel=1e-4)

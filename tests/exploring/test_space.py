"""A latent space: the order of its images, its linear map, its samplers and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import zspace
from tests.conftest import SMALL, Told, seeded, small
from zspace.core import codes, decoded
from zspace.errors import InputError
from zspace.exploring.space import Axes, Space, check_alike
from zspace.recipes import catalogue
from zspace.samplers import Convex, Normal
from zspace.storage.run import Run


def test_an_image_is_called_by_its_number(spaces: dict[str, Space]) -> None:
    space = spaces["vae"]
    items = torch.arange(len(space.order))
    x, labels = space.x(items), space.labels()
    test = space.of_test
    assert torch.equal(x[test].flatten(1).sum(1).sort()[0], sums(space.images.test.x))
    assert torch.equal(x[~test].flatten(1).sum(1).sort()[0], sums(space.images.train.x))
    where = space.order.argsort()[3]  # the number of the fourth test image
    assert space.images.test.y is not None
    assert labels[where] == space.images.test.y[3]


def sums(x: torch.Tensor) -> torch.Tensor:
    return x.flatten(1).sum(1).sort()[0]


def test_codes_are_the_models(spaces: dict[str, Space]) -> None:
    space = spaces["vae"]
    z = space.codes(300)
    torch.testing.assert_close(z, codes(space.trained, space.x(torch.arange(300))))
    assert space.encoded >= 300
    assert [*space.encode(10)] == []


def test_the_linear_map_has_the_principal_axes() -> None:
    z = torch.randn(500, 3) * torch.tensor([1.0, 5.0, 2.0]) + 3
    axes = Axes.of(z)
    torch.testing.assert_close(axes.vectors.T @ axes.vectors, torch.eye(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(axes.project(z).std(0), axes.deviations[:2])
    assert float(axes.vectors[1, 0].abs()) > 0.95
    places = torch.tensor([[0.5, -1.0]])
    torch.testing.assert_close(axes.project(axes.code_at(places)), places)


def test_codes_of_one_number_lie_on_a_line() -> None:
    axes = Axes.of(torch.randn(50, 1))
    assert axes.project(torch.randn(4, 1))[:, 1].abs().max() == 0
    assert axes.code_at(torch.zeros(2, 2)).shape == (2, 1)


def test_samplers_are_fitted_and_not_stored(
    spaces: dict[str, Space], runs: dict[str, Path]
) -> None:
    space = spaces["ae"]
    assert space.sampler_names == ["normal", "mixture"]
    assert space.sampler("normal") is space.sampler("normal")
    assert space.density[0] == "normal"
    convex = spaces["regene"].sampler("convex")
    assert isinstance(convex, Convex)
    assert len(convex.judges) == 2
    assert not (runs["ae"] / "samplers").exists()
    with pytest.raises(InputError, match="unknown sampler 'norml': did you mean 'normal'"):
        space.sampler("norml")


def test_views_say_why_they_are_not_there(spaces: dict[str, Space]) -> None:
    assert "posterior" in spaces["ae"].refusals()["imagine"]
    assert spaces["vae"].refusals() == {}
    vectors = Space(
        "v", None, zspace.train("ae", torch.rand(60, 5).numpy(), iterations=2, **SMALL), points()
    )
    assert {*vectors.refusals()} >= {"generate", "walk", "imagine", "train", "combine"}
    with pytest.raises(InputError, match="have no labels"):
        vectors.labels()


def points() -> zspace.data.Images:
    from zspace.data.images import Images, Part

    return Images("v", *(Part(torch.rand(40, 5)) for _ in range(3)))


def test_a_run_without_weights_has_its_training_alone(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    with Run.create(tmp_path / "new", Run(runs["vae"]).config) as run:
        run.log(10, {"loss": 2.0})
        space = Space.of_run(tmp_path / "new")
        assert {*space.refusals()} >= {"map", "generate", "compare"}
        assert "train" not in space.refusals()
        with pytest.raises(InputError, match="has no checkpoint yet"):
            space.codes()
        assert space.described()["dim"] == 0


def test_runs_of_other_data_are_not_shown_together(
    spaces: dict[str, Space], tmp_path: Path
) -> None:
    zspace.train("ae", "digits", out=tmp_path / "a", iterations=2, classes="0,1", **SMALL)
    with pytest.raises(InputError, match="is of other data"):
        check_alike([spaces["vae"], Space.of_run(tmp_path / "a")])
    check_alike([spaces["vae"], spaces["ae"]])
    zspace.train("ae", "digits", out=tmp_path / "b", iterations=2, train_size=900, **SMALL)
    with pytest.raises(InputError, match=r"other images of digits \(900\)"):
        check_alike([spaces["vae"], Space.of_run(tmp_path / "b")])


def test_a_model_of_the_zoo_needs_no_data(tmp_path: Path) -> None:
    """Images that it draws stand for its data, unless a folder of data was named."""
    told = Told()
    space = Space.of_run("zoo:fashion-flow", progress=told)
    assert space.described()["drawn"]
    assert space.described()["data"] == "images that it draws"
    assert space.labels().bincount().tolist() == [13, 13, 13, 13, 12] * 2
    assert (len(space.images.train), len(space.images.test)) == (112, 16)
    assert any("fashion-mnist, the data of fashion-flow, are not here" in t for t in told.said)
    with pytest.raises(InputError, match="holds no fashion-mnist"):
        Space.of_run("zoo:fashion-flow", data_dir=str(tmp_path))
    prior = space.trained.samplers()["prior"].changed(steps=8)
    x = decoded(space.trained, prior.draw(13, 0, generator=seeded()))  # those of class 0
    found = torch.cat([space.images.test.x[:2], space.images.train.x[:11]])
    assert torch.equal(sums(found), sums(x))


def test_a_sampler_of_maps_is_fitted_to_maps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {**small("latent-flow"), "iterations": 2}
    zspace.train("latent-flow", "digits", out=tmp_path / "run", **options)
    asked: list[tuple[str, dict[str, str]]] = []

    def make(name: str, dim: int, options: dict[str, str]) -> Normal:
        asked.append((name, options))
        return Normal(dim)

    space = Space.of_run(tmp_path / "run")
    shape = ",".join(map(str, space.trained.code_shape or ()))
    monkeypatch.setattr(catalogue, "make", make)
    for name, expected in (("flow-matching", {"code_shape": shape}), ("flow", {}), ("kde", {})):
        space._found(name)
        assert asked[-1] == (name, expected)
    assert shape.count(",") == 2

"""Latent flow: the losses of its autoencoder, and what its flow is given to learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import zspace
from tests.conftest import Cli, small
from zspace.core import Batches
from zspace.data import Images, load
from zspace.data.images import Part
from zspace.errors import InputError
from zspace.functional import normal_kl, real_loss
from zspace.methods.latent_flow import LatentFlow, apart
from zspace.recipes import RECIPES, Facts
from zspace.samplers import FlowMatching
from zspace.training import descend, owners_alone


def model(**options: Any) -> LatentFlow:
    torch.manual_seed(0)
    given = {**small("latent-flow"), "iterations": 40, **options}
    plan = RECIPES["latent-flow"](Facts((1, 8, 8), ("a", "b"), train_images=64), **given)  # type: ignore[call-arg]
    assert isinstance(plan.model, LatentFlow)
    return plan.model


def test_every_network_begins_by_the_seed() -> None:
    first, second = (
        zspace.train("latent-flow", pictures(), seed=s, iterations=2, **small("latent-flow"))
        for s in (1, 2)
    )
    assert isinstance(first, LatentFlow)
    assert isinstance(second, LatentFlow)
    ours, theirs = (m.prior.velocity.enter.weight for m in (first, second))
    assert not torch.equal(ours.sign(), theirs.sign())  # two iterations do not turn them


def pictures(n: int = 64) -> Images:
    x = torch.randint(0, 256, (n, 1, 8, 8), generator=torch.Generator().manual_seed(1))
    part = Part(x.to(torch.uint8), torch.arange(n) % 2)
    return Images("random", part, part, part, ("a", "b"))


def batches(step: int = 0) -> Batches:
    made = Batches(pictures().train.x, size=16)
    made.step = step
    return made


def test_the_losses_are_those_of_the_formula() -> None:
    made = model()
    (name, terms), *_ = made.objectives(batches(step=5))
    assert name == "autoencoder"
    assert set(terms) == {"pixels", "perceptual", "kl", "fooling"}
    again = batches(step=5)
    x, _ = next(again)
    mean, log_variance = made.moments(x)
    z = mean + (log_variance / 2).exp() * again.normal(made.latent_dim)
    rebuilt = made.decode(z)
    pixels = 64 * (rebuilt - x).abs().mean()
    torch.testing.assert_close(terms["pixels"], pixels)
    torch.testing.assert_close(terms["kl"], 1e-3 * normal_kl(mean, log_variance))
    own = made.discriminator.features(rebuilt)
    torch.testing.assert_close(
        terms["perceptual"], 64 * 0.3 * apart(own, made.discriminator.features(x))
    )
    fooling = real_loss(made.discriminator(rebuilt))
    last = made.decoder[-2].weight
    lengths = [
        torch.autograd.grad(loss, last, retain_graph=True)[0].norm()
        for loss in (terms["pixels"] + terms["perceptual"], fooling)
    ]
    torch.testing.assert_close(terms["fooling"], 0.5 * lengths[0] / (lengths[1] + 1e-4) * fooling)


def test_both_losses_pull_equally_at_the_last_layer() -> None:
    made = model(adversarial=1.0)
    (_, terms), *_ = made.objectives(batches(step=5))
    last = made.decoder[-2].weight
    pulls = [
        torch.autograd.grad(loss, last, retain_graph=True)[0].norm()
        for loss in (terms["pixels"] + terms["perceptual"], terms["fooling"])
    ]
    torch.testing.assert_close(*pulls, rtol=1e-2, atol=0)


def test_the_distance_of_maps_is_that_of_their_directions() -> None:
    a = torch.randn(2, 5, 3, 3)
    assert float(apart([a], [3 * a])) == pytest.approx(0, abs=1e-6)
    assert float(apart([a], [-a])) == pytest.approx(4, abs=1e-5)
    assert float(apart([a, a], [-a, a])) == pytest.approx(4, abs=1e-5)


def test_the_adversarial_loss_begins_later_and_may_be_left_out() -> None:
    assert "fooling" not in next(iter(model().objectives(batches(step=2))))[1]  # 3 of 10 alone
    assert "fooling" in next(iter(model().objectives(batches(step=3))))[1]
    assert model().repeats(batches(2)) != model().repeats(batches(3))
    without = model(adversarial=0.0, perceptual=0.0)
    # nothing is spent on a discriminator that no loss would use
    ((name, terms),) = without.objectives(batches(step=9))
    assert {name} == without.optimizers().keys() == {"autoencoder"}
    assert set(terms) == {"pixels", "kl"}
    for weights in ({"adversarial": 0.0}, {"perceptual": 0.0}):
        assert "discriminator" in model(**weights).optimizers()


def test_the_flow_learns_the_standardised_codes_of_both_sides() -> None:
    made = model(mirror=True).eval()
    images = pictures()
    part = made.codes(images)
    x = images.train.x.float() / 255
    with torch.no_grad():
        z = torch.cat([made.encode(x), made.encode(x.flip(3))])
    torch.testing.assert_close(part.x * made.prior.deviation + made.prior.mean, z)
    torch.testing.assert_close(part.x.mean(0), torch.zeros(made.latent_dim), atol=1e-4, rtol=0)
    assert part.y is not None
    assert images.train.y is not None
    assert torch.equal(part.y, torch.cat([images.train.y] * 2))
    assert made.prior.counts.tolist() == [64, 64]
    assert len(model().codes(images)) == 64


def test_the_flow_draws_the_codes_that_it_was_given() -> None:
    """Two kinds of images, all black and all white, by their labels."""
    n = 128
    x = torch.zeros(n, 1, 8, 8, dtype=torch.uint8)
    x[n // 2 :] = 255
    part = Part(x, (torch.arange(n) >= n // 2).long())
    images = Images("two", part, part, part, ("black", "white"))
    options = {**small("latent-flow"), "flow_width": 16, "width": 8, "batch_size": 32}
    trained = zspace.train("latent-flow", images, iterations=560, first_iterations=160, **options)
    for label in (0, 1):
        made = trained.sample(32, label, generator=torch.Generator().manual_seed(label))
        rebuilt = trained.reconstruct(torch.full((1, 1, 8, 8), float(label)))
        assert float((made - rebuilt).abs().mean()) < 0.1
        assert float((made - label).abs().mean()) < 0.3


def test_labels_guidance_and_steps(tmp_path: Path, cli: Cli) -> None:
    options = [f"--{k.replace('_', '-')}={v}" for k, v in small("latent-flow").items()]
    run = tmp_path / "r"
    status, _, err = cli("train", "latent-flow", "--iterations=4", *options, f"--out={run}")
    assert status == 0, err
    trained = zspace.load(run)
    assert trained.code_shape == (2, 4, 4)
    assert isinstance(trained.prior, FlowMatching)
    assert trained.prior.learned() == list(range(10))
    status, _, err = cli("sample", run, "--label=3", "--n=2", f"--out={tmp_path / 'a.png'}")
    assert status == 0, err
    for i, more in enumerate(["--guidance=3", "--steps=3", "--solver=adaptive"]):
        status, _, err = cli(
            "sample", run, "--label=3", "--n=2", more, f"--out={tmp_path / f'{i}.npz'}"
        )
        assert status == 0, err
    drawn = [np.load(tmp_path / f"{i}.npz")["images"] for i in range(3)]
    assert not np.array_equal(drawn[0], drawn[1])
    status, _, err = cli("sample", run, "--temperature=2", "--n=2", f"--out={tmp_path / 'b.png'}")
    assert status == 2
    status, _, err = cli("sample", run, "--label=ten", "--n=2", f"--out={tmp_path / 'b.png'}")
    assert status == 2
    assert len(err.splitlines()) == 1


def test_a_sampler_of_a_model_with_maps_is_a_u_net(tmp_path: Path, cli: Cli) -> None:
    run = tmp_path / "r"
    options = [f"--{k.replace('_', '-')}={v}" for k, v in small("vq-vae").items()]
    status, _, err = cli("train", "vq-vae", "--iterations=2", *options, f"--out={run}")
    assert status == 0, err
    fit = ("fit-sampler", run, "--sampler=flow-matching", "--iterations=2", "--width=8")
    status, _, err = cli(*fit)
    assert status == 0, err
    from zspace.generation.fit import read_sampler

    held = read_sampler(run, "flow-matching", zspace.load(run))
    assert isinstance(held, FlowMatching)
    assert held.shape == zspace.load(run).code_shape == (2, 2, 2)
    assert held.options["code_shape"] == "2,2,2"
    status, _, err = cli(*fit, "--code-shape=3,2,2")
    assert status == 2
    assert "codes of 8 numbers are no maps of 3x2x2" in err


def test_a_flow_of_maps_is_a_density() -> None:
    """log p of codes whose divergence is exact, by a U-Net that has learned them."""
    z = torch.randn(600, 8, generator=torch.Generator().manual_seed(0)).numpy()
    z[:, 4:] = 2 * z[:, :4]  # the second channel is twice the first
    noisy = z + 0.1 * np.random.default_rng(0).normal(size=z.shape).astype("float32")
    flow = FlowMatching(code_shape="2,2,2", iterations=150, width=16, blocks=1, batch_size=128)
    flow.fit(noisy)
    wrong = noisy.copy()
    wrong[:, 4:] *= -1
    assert np.median(flow.log_prob(noisy[:64])) > np.median(flow.log_prob(wrong[:64])) + 8
    drawn = flow.sample(200, seed=0)
    assert np.corrcoef(drawn[:, 0], drawn[:, 4])[0, 1] > 0.8


def test_options_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="leaves none for the flow"):
        model(iterations=4, first_iterations=4)
    with pytest.raises(InputError, match="codes of 12 numbers are no maps of 2x2x2"):
        FlowMatching(code_shape="2,2,2").fit(torch.randn(20, 12))


def test_an_update_of_the_autoencoder_leaves_the_discriminator_as_it_is() -> None:
    made = model()
    optimizers = made.optimizers()
    owners_alone(made, optimizers)
    for name, terms in made.objectives(batches(step=5)):
        before = {k: p.clone() for k, p in made.named_parameters()}
        descend(optimizers[name], terms)
        moved = {k.split(".")[0] for k, p in made.named_parameters() if not p.equal(before[k])}
        expected = {"encoder", "decoder"} if name == "autoencoder" else {"discriminator"}
        assert moved <= expected


def test_digits_are_rebuilt_with_sharp_edges() -> None:
    images = load("digits")
    trained = zspace.train(
        "latent-flow",
        images,
        iterations=320,
        first_iterations=300,
        width=16,
        flow_width=8,
        flow_blocks=1,
        learning_rate=2e-3,
    )
    x: Tensor = images.test.x[:64].float() / 255
    error = float((trained.reconstruct(x) - x).square().mean())
    assert error < 0.25 * float((x - x.mean(0)).square().mean())

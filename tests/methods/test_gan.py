"""GANs against their formulas."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.conftest import seeded, small
from tests.methods.steps import steps, vectors
from zspace.core import Batches
from zspace.methods.gan import GAN, Adversary
from zspace.nets.mlp import mlp
from zspace.recipes import RECIPES, Facts
from zspace.samplers.labelled import Labelled
from zspace.training import fit


@pytest.mark.parametrize("adversary", ["logistic", "wasserstein", "hinge"])
def test_gan_losses_by_their_formulas(adversary: Adversary) -> None:
    torch.manual_seed(0)
    critic, decoder = mlp(8, [6], 1, nn.Tanh), nn.Linear(5, 5)
    model = GAN(
        nn.Linear(5, 5),
        decoder,
        critic,
        Labelled(2, 3),
        5,
        adversary=adversary,
        critic_steps=1,
        rate=1e-3,
        betas=(0.5, 0.9),
    )
    drawn = vectors()
    (x, y), noise = next(drawn), drawn.normal(2)
    assert y is not None
    e = torch.eye(3)[y]
    fake = decoder(torch.cat([noise, e], 1))
    shown, made = torch.cat([x, e], 1), torch.cat([fake, e], 1).detach()
    c_x, c_g = critic(shown), critic(made)
    found = [
        (name, {k: v.detach() for k, v in terms.items()}) for name, terms in steps(model, vectors())
    ]
    assert [name for name, _ in found] == ["critic", "generator", "encoder"]
    total = sum(found[0][1].values())
    if adversary == "logistic":
        expected = -c_x.sigmoid().log().mean() - (1 - c_g.sigmoid()).log().mean()
    elif adversary == "hinge":
        expected = (1 - c_x).clamp(min=0).mean() + (1 + c_g).clamp(min=0).mean()
    else:
        mix = drawn.uniform(1)
        u = (mix * x + (1 - mix) * fake.detach()).requires_grad_()
        (gradient,) = torch.autograd.grad(critic(torch.cat([u, e], 1)).sum(), u)
        expected = c_g.mean() - c_x.mean() + 10 * ((gradient.norm(dim=1) - 1) ** 2).mean()
    torch.testing.assert_close(total, expected.detach())


def test_a_conditional_gan_draws_the_class_that_is_asked_for() -> None:
    """Two classes of vectors' images: dark and bright ones."""
    torch.manual_seed(0)
    y = torch.arange(400) % 2
    x = (60 + 140 * y[:, None, None, None] + torch.randint(0, 20, (400, 1, 8, 8))).byte()
    options = {**small("dcgan"), "arch": "fc", "learning_rate": 1e-3}
    model = RECIPES["dcgan"](Facts((1, 8, 8), ("dark", "bright")), **options).model  # type: ignore[call-arg]
    fit(model, Batches(x, y, size=32), 300)
    dark, bright = (float(model.sample(50, label, generator=seeded()).mean()) for label in (0, 1))
    assert bright - dark > 0.25
    codes = model.encode(torch.cat([torch.full((5, 1, 8, 8), v) for v in (0.27, 0.82)]))
    assert codes.shape == (10, 5)


def test_gans_without_labels_are_unconditional() -> None:
    model = RECIPES["dcgan"](Facts((1, 8, 8)), **small("dcgan")).model  # type: ignore[call-arg]
    assert model.latent_dim == 3
    fit(model, Batches(torch.zeros(40, 1, 8, 8, dtype=torch.uint8), size=8), 2)
    assert model.sample(2).shape == (2, 1, 8, 8)


def test_the_penalty_is_of_the_gradient_in_the_image_alone() -> None:
    torch.manual_seed(0)
    critic = nn.Linear(8, 1, bias=False)
    critic.weight.data = torch.tensor([[0.6, 0.8, 0.0, 0.0, 0.0, 9.0, 9.0, 9.0]])
    model = GAN(
        nn.Linear(5, 5),
        nn.Linear(5, 5),
        critic,
        Labelled(2, 3),
        5,
        adversary="wasserstein",
        critic_steps=1,
        rate=1e-3,
        betas=(0.5, 0.9),
    )
    name, terms = next(steps(model, vectors()))
    assert name == "critic"
    assert float(terms["penalty"].detach()) == pytest.approx(0, abs=1e-10)

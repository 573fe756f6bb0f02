"""VampPrior against PyTorch's mixture."""

from __future__ import annotations

import torch
from torch import nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from tests.conftest import seeded, small
from zspace.core import Batches
from zspace.recipes import RECIPES, Facts
from zspace.samplers.vamp import VampPrior
from zspace.training import descend


def test_vampprior_against_pytorchs_mixture() -> None:
    torch.manual_seed(0)
    net = nn.Linear(4, 6)
    prior = VampPrior((4,), 5, lambda u: net(u).chunk(2, 1))
    mean, log_variance = net(prior.pseudo_inputs).chunk(2, 1)
    each = Independent(Normal(mean, (0.5 * log_variance).exp()), 1)
    expected = MixtureSameFamily(Categorical(torch.ones(5)), each)
    z = torch.randn(600, 3, generator=seeded())
    torch.testing.assert_close(prior.log_prob(z), expected.log_prob(z))
    with torch.no_grad():
        drawn = prior.sample(50_000, generator=seeded())
    torch.testing.assert_close(drawn.mean(0), expected.mean.detach(), atol=0.03, rtol=0)
    torch.testing.assert_close(drawn.var(0), expected.variance.detach(), atol=0.05, rtol=0.03)


def test_pseudo_inputs_learn_and_leave_batch_norm_alone() -> None:
    plan = RECIPES["vampprior"](Facts((1, 8, 8)), **small("vampprior"))  # type: ignore[call-arg]
    model = plan.model
    x = torch.rand(16, 1, 8, 8, generator=seeded())
    data = Batches((x * 255).byte(), size=16)
    alone = [m.running_mean for m in model.encoder.modules() if isinstance(m, nn.BatchNorm2d)]
    assert alone[0] is not None
    optimizers = model.optimizers()
    before = model.state_dict()["prior.pseudo_inputs"].clone()
    for name, terms in model.objectives(data):
        descend(optimizers[name], terms)
    assert not torch.equal(before, model.state_dict()["prior.pseudo_inputs"])
    # one pass in train mode: that of the images
    counts = [
        m.num_batches_tracked for m in model.encoder.modules() if isinstance(m, nn.BatchNorm2d)
    ]
    assert [int(c) for c in counts if c is not None] == [1]
    assert model.training

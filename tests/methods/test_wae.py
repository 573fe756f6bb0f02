"""WAE by an MMD and by a GAN, against their formulas."""

from __future__ import annotations

import torch
from torch import nn

from tests.conftest import seeded
from tests.methods.steps import steps, vectors
from zspace.core import Batches
from zspace.methods.wae import WAE
from zspace.nets.mlp import mlp
from zspace.samplers import Normal as StandardNormal
from zspace.training import fit


def test_wae_by_an_mmd_leads_codes_to_its_prior() -> None:
    torch.manual_seed(0)
    data = Batches(3 + 2 * torch.randn(2000, 2, generator=seeded()), size=100)
    model = WAE(nn.Linear(2, 2), nn.Linear(2, 2), StandardNormal(2), None, 2, weight=100, rate=3e-3)
    fit(model, data, 1500)
    with torch.no_grad():
        z = model.encode(data.x)
    assert float(z.mean(0).abs().max()) < 0.2
    assert float((z.std(0) - 1).abs().max()) < 0.2


def test_wae_gan_by_its_formula() -> None:
    torch.manual_seed(0)
    discriminator = mlp(2, [8], 1)
    model = WAE(nn.Linear(5, 2), nn.Linear(2, 5), StandardNormal(2), discriminator, 2, weight=7.0)
    x = next(vectors())[0]
    torch.manual_seed(5)
    drawn = StandardNormal(2).sample(16)
    torch.manual_seed(5)
    (_, ae), (name, judged) = steps(model, vectors())
    z = model.encoder(x)
    s_z, s_p = discriminator(z).sigmoid(), discriminator(drawn).sigmoid()
    error = ((model.decoder(z) - x) ** 2).sum(1).mean()
    torch.testing.assert_close(ae["reconstruction"], error)
    torch.testing.assert_close(ae["fooling"], 7 * -s_z.log().mean())
    assert name == "discriminator"
    expected = -7 * (s_p.log().mean() + (1 - s_z).log().mean())
    torch.testing.assert_close(sum(judged.values()), expected)

"""The conditional VAE against its formula."""

from __future__ import annotations

import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from tests.methods.steps import steps, vectors
from zspace.methods.cvae import CVAE
from zspace.samplers.labelled import Labelled


def test_cvae_by_its_formula() -> None:
    torch.manual_seed(0)
    encoder, decoder, classifier = nn.Linear(8, 4), nn.Linear(5, 5), nn.Linear(5, 3)
    model = CVAE(encoder, decoder, classifier, Labelled(2, 3), 5, beta=2.0)
    drawn = vectors()
    x, y = next(drawn)
    assert y is not None
    e = torch.eye(3)[y]
    mean, log_variance = encoder(torch.cat([x, e], 1)).chunk(2, 1)
    z = mean + (log_variance / 2).exp() * drawn.normal(2)
    (_, terms), (_, judged) = steps(model, vectors())
    error = ((decoder(torch.cat([z, e], 1)) - x) ** 2).sum(1).mean()
    torch.testing.assert_close(terms["reconstruction"], error)
    q, p = Normal(mean, (log_variance / 2).exp()), Normal(torch.zeros(2), torch.ones(2))
    torch.testing.assert_close(terms["kl"], 2 * kl_divergence(q, p).sum(1).mean())
    log_p = classifier(x).log_softmax(1)
    torch.testing.assert_close(judged["cross-entropy"], -log_p[torch.arange(16), y].mean())
    code = model.encode(x)
    torch.testing.assert_close(code[:, 2:], log_p.exp())

"""Spectral normalisation of a network's layers."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm


def spectrally_normalised(net: nn.Module) -> None:
    """Divide the weight of each layer of a network by its largest singular value from now on.

    The singular value is estimated by one power iteration in each pass in train mode.
    Reference: Miyato et al., Spectral Normalization (2018), Algorithm 1.
    """
    for layer in net.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            spectral_norm(layer)

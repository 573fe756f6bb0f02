"""Spectral normalisation."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm


def spectrally_normalised(net: nn.Module) -> None:
    """From now on each layer's weight is divided by its largest singular value.

    That is estimated by one power iteration for each pass in train mode (Miyato et al., 2018,
    Algorithm 1).
    """
    for layer in net.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            spectral_norm(layer)

"""VGG16 as a feature network (Simonyan and Zisserman, 2015, configuration D)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""The channels of VGG16's convolutions, block by block."""

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""The means and standard deviations of ImageNet's channels.

The published weights were trained on images standardised by them.
"""


class VGG16(nn.Module):
    """VGG16 up to its second fully connected layer, whose 4096 activations are the features.

    It maps images (N, 1 or 3, H, W) in [0, 1] to features (N, 4096). Images are scaled to 224 by
    224 (bilinear, with antialiasing), and grey ones are copied to three channels.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for block in BLOCKS:
            for out in block:
                layers += [nn.Conv2d(channels, out, 3, padding=1), nn.ReLU()]
                channels = out
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.fc1, self.fc2 = nn.Linear(512 * 7 * 7, 4096), nn.Linear(4096, 4096)
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION)[:, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x.expand(-1, 3, -1, -1)
        x = interpolate(x, (224, 224), mode="bilinear", antialias=True)
        x = self.features((x - self.mean) / self.deviation).flatten(1)
        return torch.relu(self.fc2(torch.relu(self.fc1(x))))


class FirstConvolution(nn.Module):
    """VGG16's first convolution and its ReLU.

    It maps images (N, 1 or 3, H, W) in [0, 1] to (N, 64, H, W). Images keep their size, and grey
    ones are copied to three channels.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 64, 3, padding=1)
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION)[:, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.conv((x.expand(-1, 3, -1, -1) - self.mean) / self.deviation))

    def take(self, tensors: Mapping[str, Tensor]) -> None:
        """Load this layer's weights from published tensors, under torchvision's names."""
        self.conv.weight.data.copy_(tensors["features.0.weight"])
        assert self.conv.bias is not None
        self.conv.bias.data.copy_(tensors["features.0.bias"])


def published_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Published tensors under the names that `VGG16` has for them, without those it does not use.

    torchvision calls the fully connected layers classifier.0 and classifier.3; timm stores them as
    convolutions, pre_logits.fc1 and pre_logits.fc2.
    """
    theirs = {
        "classifier.0": "fc1",
        "classifier.3": "fc2",
        "pre_logits.fc1": "fc1",
        "pre_logits.fc2": "fc2",
    }
    found: dict[str, Tensor] = {}
    for name, value in tensors.items():
        stem, _, kind = name.rpartition(".")
        if stem.startswith("features."):
            found[name] = value
        elif stem in theirs:
            found[f"{theirs[stem]}.{kind}"] = value.flatten(1) if value.ndim == 4 else value
    return found

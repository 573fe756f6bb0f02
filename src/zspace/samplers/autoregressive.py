"""An autoregressive distribution of discrete codes on a grid, the prior of VQ-VAE."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, cross_entropy

from zspace.core import Sampler
from zspace.functional import blockwise, full_precision
from zspace.samplers.normal import no_labels


class MaskedConv2d(nn.Conv2d):
    """A convolution that sees only the places before its own, in reading order.

    Args:
        channels, out: the numbers of input and output channels.
        kernel: the side of the kernel, odd.
        own: whether it also sees its own place.

    Reference: van den Oord et al., Pixel Recurrent Neural Networks (2016), section 3.4, masks A and
    B.
    """

    mask: Tensor

    def __init__(self, channels: int, out: int, kernel: int, *, own: bool) -> None:
        super().__init__(channels, out, kernel, padding=kernel // 2)
        before = torch.zeros(kernel, kernel)
        before[: kernel // 2] = 1
        before[kernel // 2, : kernel // 2 + own] = 1
        self.register_buffer("mask", before, persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        return conv2d(input, self.weight * self.mask, self.bias, padding=self.padding)


class PixelCNN(nn.Module):
    """A PixelCNN, which gives the logits of each index on a grid given those before it.

    It maps indices (N, H, W) to logits (N, K, H, W). It has a 7 by 7 convolution with mask A;
    residual blocks of ReLU, 1 by 1, ReLU, 3 by 3 with mask B, ReLU and 1 by 1; and two layers of
    1 by 1 convolutions.

    Args:
        values: K, the number of indices.
        width: the number of channels.
        blocks: the number of residual blocks.

    Reference: van den Oord et al. (2016), Table 1.
    """

    def __init__(self, values: int, width: int, blocks: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(values, width)
        self.first = MaskedConv2d(width, width, 7, own=False)
        half = max(1, width // 2)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.ReLU(),
                nn.Conv2d(width, half, 1),
                nn.ReLU(),
                MaskedConv2d(half, half, 3, own=True),
                nn.ReLU(),
                nn.Conv2d(half, width, 1),
            )
            for _ in range(blocks)
        )
        self.last = nn.Sequential(
            nn.ReLU(), nn.Conv2d(width, width, 1), nn.ReLU(), nn.Conv2d(width, values, 1)
        )

    def forward(self, indices: Tensor) -> Tensor:
        h = self.first(self.embedding(indices).movedim(-1, 1))
        for block in self.blocks:
            h = h + block(h)
        logits: Tensor = self.last(h)
        return full_precision(logits)


class Autoregressive(Sampler):
    """An autoregressive distribution of indices on a grid, whose embeddings are a code.

        p(k) = prod_i p(k_i | k_1 ... k_(i-1))

    Args:
        values: K, the size of the codebook.
        embedding: e, the size of an embedding.
        grid: the height H and width W of the grid; a code has e H W numbers, channels first.
        width, blocks: the channels and the residual blocks of the `PixelCNN`.

    Attributes:
        codebook: the embeddings (K, e).

    Reference: van den Oord et al., Neural Discrete Representation Learning (2017), section 3.3.
    """

    def __init__(
        self,
        values: int,
        embedding: int,
        grid: tuple[int, int],
        *,
        width: int = 64,
        blocks: int = 4,
    ) -> None:
        super().__init__()
        self.grid = grid
        self.net = PixelCNN(values, width, blocks)
        self.codebook = nn.Parameter(torch.empty(values, embedding).uniform_(-1, 1) / values)

    def embed(self, indices: Tensor) -> Tensor:
        """The embeddings (N, e, H, W) of indices (N, H, W)."""
        return self.codebook[indices].movedim(-1, 1)

    def negative_log_likelihood(self, indices: Tensor) -> Tensor:
        """The mean of -log p(k) over grids of indices (N, H, W), a scalar in nats."""
        losses = cross_entropy(self.net(indices), indices, reduction="none")
        return losses.flatten(1).sum(1).mean()

    def draw(
        self, n: int, label: int | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        no_labels(label)
        height, width = self.grid

        def draw(rows: Tensor) -> Tensor:
            k = torch.zeros(len(rows), height, width, dtype=torch.long, device=rows.device)
            for i in range(height):
                for j in range(width):
                    # the rows below have no influence
                    logits = self.net(k[:, : i + 1])[:, :, i, j]
                    k[:, i, j] = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
            return self.embed(k).flatten(1)

        return blockwise(draw, torch.arange(n, device=self.codebook.device))

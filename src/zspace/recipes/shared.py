"""Options that several recipes share, each with its help and its range."""

from __future__ import annotations

from typing import Annotated, Literal

from zspace.methods.vae import Likelihood
from zspace.options import About

Iterations = Annotated[int, About("training iterations", least=1)]
BatchSize = Annotated[int, About("images of a batch (2 at least: batch norm)", least=2)]
LatentDim = Annotated[
    int | None,
    About(
        "size of a code (unset: 20 for grey images, 64 for colour, 2 for vectors; resnet 128)",
        least=1,
    ),
]
Width = Annotated[int, About("channels of the first convolution; the second has twice", least=1)]
Hidden = Annotated[
    int | None,
    About(
        "units of a fully connected layer (unset: conv 1024 for images, 128 for vectors; fc 512)",
        least=1,
    ),
]
VAELikelihood = Annotated[
    Likelihood,
    About(
        "reconstruction term, summed over pixels; log-mse: a Gaussian of the likeliest variance, "
        "learned-variance: of a learned one"
    ),
]
Beta = Annotated[float, About("weight of the KL divergence", least=0)]
Architecture = Annotated[
    Literal["conv", "fc", "resnet"],
    About("the FlexAE paper's networks, fully connected ones (GEN's), or LSR-GAN's residual ones"),
]
PlainArchitecture = Annotated[
    Literal["conv", "fc"], About("the FlexAE paper's networks, or fully connected ones (GEN's)")
]
LearningRate = Annotated[float, About("learning rate of Adam", above=0)]
Components = Annotated[
    int | None,
    About("Gaussians of the mixture (unset: as many as classes, or 10)", least=2, most=1000),
]
Separation = Annotated[
    float,
    About("distance of neighbours on the mixture's ring, in their deviations", above=0, most=1000),
]

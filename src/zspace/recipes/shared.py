"""The options that several recipes share, each with its help and its range."""

from __future__ import annotations

from typing import Annotated, Literal

from zspace.methods.vae import Likelihood
from zspace.options import About

Iterations = Annotated[int, About("training iterations", least=1)]
BatchSize = Annotated[int, About("images in a batch, at least 2 because of batch norm", least=2)]
LatentDim = Annotated[
    int | None,
    About(
        "size of a code (unset: 20 for grey images, 64 for colour, 2 for vectors; resnet 128)",
        least=1,
    ),
]
Width = Annotated[
    int,
    About(
        "channels of the first convolution; the second has twice as many",
        least=1,
        of={"arch": ("conv", "resnet", "regene")},
    ),
]
Hidden = Annotated[
    int | None,
    About(
        "units of a fully connected layer (unset: conv 1024 for images, 128 for vectors; fc 512)",
        least=1,
        of={"arch": ("conv", "fc")},
    ),
]
VAELikelihood = Annotated[
    Likelihood,
    About(
        "likelihood of the reconstruction, summed over pixels: squared-error blurs, bernoulli is "
        "for grey images; log-mse is a Gaussian with the likeliest variance, learned-variance one "
        "with a learned variance"
    ),
]
Beta = Annotated[float, About("weight of the KL divergence", least=0)]
Architecture = Annotated[
    Literal["conv", "fc", "resnet"],
    About("networks: the FlexAE paper's, GEN's fully connected ones, or LSR-GAN's residual ones"),
]
PlainArchitecture = Annotated[
    Literal["conv", "fc"], About("networks: the FlexAE paper's, or GEN's fully connected ones")
]
LearningRate = Annotated[float, About("learning rate of Adam", above=0)]
MIXTURE = {"prior": ("mixture",), "target": ("mixture",)}
"""What the options of a mixture belong to, a prior or a target."""
Components = Annotated[
    int | None,
    About(
        "number of Gaussians in the mixture (unset: one per class, or 10)",
        least=2,
        most=1000,
        of=MIXTURE,
    ),
]
Separation = Annotated[
    float,
    About(
        "distance between neighbours on the mixture's ring, in units of their deviation",
        above=0,
        most=1000,
        of=MIXTURE,
    ),
]

"""From an autoencoder of your own to a generator with honest figures.

python examples/own_autoencoder.py [FOLDER]
"""

import sys
from pathlib import Path

import torch
from torch import nn

import zspace

out = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/examples")

# an autoencoder that knows nothing of zspace, trained as usual
torch.manual_seed(0)
x = zspace.data.load("digits").train.x / 255
encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 8))
decoder = nn.Sequential(
    nn.Linear(8, 128), nn.ReLU(), nn.Linear(128, 64), nn.Sigmoid(), nn.Unflatten(1, (1, 8, 8))
)
optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 2e-3)
for _ in range(1500):
    batch = x[torch.randint(len(x), (128,))]
    loss = (decoder(encoder(batch)) - batch).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# what zspace adds: a run, samplers of its codes, and figures with their errors
zspace.wrap(encoder, decoder, data="digits", out=out / "own", overwrite=True)
for sampler in ("mixture", "flow-matching"):
    zspace.fit_sampler(out / "own", sampler)
for row in zspace.evaluate(out / "own", metrics="fid", features="pixels")["rows"]:
    for figure in row["figures"].values():
        print(
            f"Frechet distance of {row['subject']}: {figure['value']:.2f} ± {figure['error']:.2f}"
        )

"""Codes without a model: fit a density, draw more of them, and find the odd ones.

python examples/latents_alone.py [FOLDER]
"""

import sys
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from zspace.samplers import FlowMatching

out = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/examples")
out.mkdir(parents=True, exist_ok=True)

# any vectors will do: here the first eight principal components of the digits 0 to 8
digits = load_digits()
codes = torch.from_numpy(PCA(8).fit_transform(digits.data).astype(np.float32))
labels = torch.from_numpy(digits.target)
known = labels < 9
train, held_out = (torch.from_numpy(rows) for rows in np.split(np.flatnonzero(known), [1300]))

density = FlowMatching(8).fit(codes[train], labels[train])
new = density.sample(1000, label=7, generator=torch.Generator().manual_seed(0))
np.save(out / "sevens.npy", new.numpy())
print(f"{len(new)} new codes of the digit 7: {out / 'sevens.npy'}")
print(f"log p of held-out codes:      {density.log_prob(codes[held_out]).mean():.2f}")
print(f"log p of a digit never seen:  {density.log_prob(codes[~known]).mean():.2f}")

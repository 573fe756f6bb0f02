"""Codes without a model: fit a density, draw more of them, and find the odd ones.

python examples/latents_alone.py [FOLDER]
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from zspace.samplers import FlowMatching

out = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/examples")
out.mkdir(parents=True, exist_ok=True)

# any vectors will do: here the first eight principal components of the digits 0 to 8
digits = load_digits()
codes = PCA(8).fit_transform(digits.data)
known = digits.target < 9
train, held_out = np.split(np.flatnonzero(known), [1300])

density = FlowMatching().fit(codes[train], digits.target[train])
new = density.sample(1000, label=7, seed=0)
np.save(out / "sevens.npy", new)
density.save(out / "density.safetensors")  # Sampler.load reads it
print(f"{len(new)} new codes of the digit 7: {out / 'sevens.npy'}")
print(f"log p of held-out codes:      {density.score_samples(codes[held_out]).mean():.2f}")
print(f"log p of a digit never seen:  {density.score_samples(codes[~known]).mean():.2f}")

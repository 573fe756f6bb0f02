"""An autoencoder of diffusers as a run: samples, figures, an ONNX file.

pip install 'zspace[diffusers,onnx]'
python examples/diffusers_vae.py [FOLDER]
"""

import sys
from pathlib import Path

import torch
from diffusers import AutoencoderKL

import zspace
from zspace.generation.export import export

out = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/examples")

# in place of AutoencoderKL.from_pretrained("..."): a tiny one, which has learned nothing
torch.manual_seed(0)
vae = AutoencoderKL(
    in_channels=1,
    out_channels=1,
    latent_channels=1,
    down_block_types=["DownEncoderBlock2D"] * 2,
    up_block_types=["UpDecoderBlock2D"] * 2,
    block_out_channels=[8, 8],
    norm_num_groups=4,
)
run = out / "diffusers"
model = zspace.wrap(vae, data="digits", out=run, overwrite=True)
print(f"codes of {model.latent_dim} numbers, images of {model.sample_shape}")
sampler = zspace.fit_sampler(run, "mixture")
images = model.decode(sampler.sample(16))
print(f"drew images {tuple(images.shape)}")
found = zspace.evaluate(run, metrics=["mse", "fid"], samplers=["mixture"], features="pixels")
print({row["subject"]: sorted(row["figures"]) for row in found["rows"]})
written = export(model, sampler, out / "diffusers.onnx")
print(f"{written.path}: images within {written.difference:.1g} of PyTorch's")

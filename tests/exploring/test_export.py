"""The page of one file, without a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

import zspace
from zspace.data.images import Images, Part
from zspace.exploring.export import write_page
from zspace.exploring.space import Space


def test_a_few_samples_have_no_curved_map(tmp_path: Path) -> None:
    many, few = (Images("v", *(Part(torch.rand(n, 5)) for _ in range(3))) for n in (40, 4))
    small: dict[str, Any] = {"iterations": 2, "batch_size": 8, "latent_dim": 2, "device": "cpu"}
    model = zspace.train("vae", many, **small)
    for images, methods in ((few, '["pca"]'), (many, '["pca","tsne"]')):
        page = write_page(
            [Space("run", None, model.eval(), images)], tmp_path / str(len(images.train))
        )
        assert f'"methods":{methods}' in page.read_text().replace(" ", "")

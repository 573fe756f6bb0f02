"""LSR-GAN's schedule, and which runs it can render."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import zspace
from zspace.core import Variational
from zspace.methods.lsrgan import LSRGAN
from zspace.recipes import Facts, find


def test_what_can_not_be_rendered(
    rendered_runs: Path, runs: dict[str, Path], refused: Callable[..., str], tmp_path: Path
) -> None:
    def train(*options: str) -> str:
        return refused("train", "lsrgan", "--out", tmp_path / "x", "--quiet", *options)

    encoder = f"--encoder={rendered_runs / 'vae'}"
    for name in ("ae", "gen", "flexae-sr"):
        message = train(f"--encoder={runs[name]}")
        assert (
            "has no posterior q(z | x): lsrgan renders the encoder of a run such as vae" in message
        )
    assert "--latent-dim 7 belongs to the VAE that lsrgan trains itself" in train(
        encoder, "--latent-dim=7"
    )
    assert "--beta 2.0 belongs" in train(encoder, "--beta=2")
    assert "--blocks plain belongs" in train(encoder, "--blocks=plain")
    message = train(encoder, "--image-size=16")
    assert "takes samples of shape (1, 8, 8), these data have (1, 16, 16)" in message
    assert "is no folder" in train(f"--encoder={tmp_path / 'nothing'}")
    assert "is no run" in train(f"--encoder={tmp_path}")
    assert "--encoder-config belongs to --encoder" in train("--encoder-config={}")
    assert "--encoder-config is damaged: Input data" in train(encoder, "--encoder-config={")
    assert "Expected `object`" in train(encoder, "--encoder-config=[]")
    assert "names no recipe" in train(encoder, "--encoder-config={}")
    model = zspace.load(rendered_runs / "vae")
    assert isinstance(model, Variational)
    wrapped = tmp_path / "wrapped"
    zspace.wrap(lambda x: model.moments(x)[:2], model.decode, data="digits", out=wrapped)
    assert "no recipe that is known here builds the encoder of" in train(f"--encoder={wrapped}")
    assert "leaves none for the renderer" in train("--iterations=5", "--vae-iterations=5")
    assert "--weight must be at least 0" in train("--weight=-1")
    assert "--encoder must be the folder of a run" in train("--encoder=")
    message = refused(
        "train", "lsrgan", encoder, "--out", rendered_runs / "vae", "--overwrite", "--quiet"
    )
    assert "is the run that this one begins with: choose another" in message
    assert (rendered_runs / "vae" / "model.safetensors").exists()
    message = refused(
        "train",
        "vae",
        "--init-from",
        rendered_runs / "vae",
        "--out",
        rendered_runs / "vae",
        "--overwrite",
        "--quiet",
    )
    assert "is the run that this one begins with" in message
    assert "--hidden 5 has no effect with --arch resnet" in refused(
        "train", "vae", "--arch=resnet", "--hidden=5", "--out", tmp_path / "x"
    )
    assert "images, not vectors" in train("--data=mog2")
    assert "fewer than a batch" in train("--batch-size=5000")
    assert not (tmp_path / "x").exists()


def test_an_encoder_whose_weights_are_not_its_configurations(
    rendered_runs: Path, refused: Callable[..., str], tmp_path: Path
) -> None:
    shutil.copytree(rendered_runs / "vae", tmp_path / "vae")
    text = (tmp_path / "vae" / "config.yaml").read_text()
    (tmp_path / "vae" / "config.yaml").write_text(text.replace("latent_dim: 3", "latent_dim: 4"))
    message = refused(
        "train", "lsrgan", f"--encoder={tmp_path / 'vae'}", "--out", tmp_path / "x", "--quiet"
    )
    assert "another configuration: there latent_dim is 3" in message
    assert not (tmp_path / "x").exists()


def test_the_paper_trains_for_its_epochs() -> None:
    plan = find("lsrgan")(Facts((3, 32, 32), train_images=45_000))
    assert [stage.iterations for stage in plan.stages] == [100 * 1406, 500 * 1406]
    assert {stage.batch_size for stage in plan.stages} == {32}
    assert plan.model.latent_dim == 128
    for stage in plan.stages:
        for optimizer in stage.method.optimizers().values():
            for group in optimizer.param_groups:
                assert (group["lr"], group["betas"]) == (2e-4, (0.5, 0.999))
    assert isinstance(plan.model, LSRGAN)
    assert plan.model.weight == 1 / 128

"""ReGene: the decoder's stage, its losses, the thresholds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import zspace
from tests.conftest import random_images, small
from tests.functional.plain import plain_similarity
from tests.recipes.regene import regene
from zspace.core import Batches, codes
from zspace.data import load as load_data
from zspace.features import weights
from zspace.functional import as_float
from zspace.methods.regene import Phase, ReGene
from zspace.recipes import Facts, find
from zspace.storage.reading import sha256_of
from zspace.storage.run import Run
from zspace.training import fit, owners_alone


def test_the_decoder_stage_never_runs_the_encoder() -> None:
    """The latents are computed once: what the encoder sees is counted."""
    images = load_data("digits")
    torch.manual_seed(0)
    facts = Facts(images.shape, images.classes, True, len(images.train))
    plan = find("regene")(facts, **small("regene"))  # type: ignore[call-arg]
    model = plan.model
    assert isinstance(model, ReGene)
    seen: list[int] = []
    model.encoder.module.register_forward_hook(lambda module, x, y: seen.append(len(x[0])))
    first, second = plan.stages
    data = first.data(images)
    fit(first.method, Batches(data.x, data.y, size=32), 3)
    assert sum(seen) == 96
    seen.clear()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    data = second.data(images)
    assert sum(seen) == len(images.train) + len(images.validation)
    seen.clear()
    fit(second.method, Batches(data.x, data.y, size=32), 5)
    assert seen == []
    for k, v in model.state_dict().items():
        if not k.startswith(("decoder.", "thresholds")):
            assert torch.equal(v, before[k]), k
    torch.testing.assert_close(data.x, codes(model, images.train.x))
    assert data.y is images.train.x


def test_one_iteration_of_the_decoder_is_equation_6() -> None:
    torch.manual_seed(0)
    plan = regene(
        (3, 16, 16),
        width=2,
        decoder_width=4,
        perceptual=0.7,
        ssim=0.4,
        ssim_window=5,
        schedule="mnist",
    )
    model = plan.model  # type: ignore[attr-defined]
    vgg = model.features.module
    z, x = torch.randn(8, model.latent_dim), torch.randint(0, 256, (8, 3, 16, 16)).byte()
    batches = Batches(z, x, size=8)
    owners_alone(model, model.optimizers())
    ((name, terms),) = list(model.objectives(batches))
    batches = Batches(z, x, size=8)
    zs, xs = next(batches)
    y, image = model.decode(zs).detach(), xs.float() / 255
    plain = np.mean(
        [
            np.mean(
                [plain_similarity(a.numpy(), b.numpy(), 5, 1.5) for a, b in zip(p, q, strict=True)]
            )
            for p, q in zip(y.double(), image.double(), strict=True)
        ]
    )
    assert name == "decoder"
    assert terms["mae"].item() == pytest.approx(float((y - image).abs().mean()), rel=1e-5)
    assert terms["ssim"].item() == pytest.approx(0.4 * (1 - plain), rel=1e-4)
    mean, deviation = (
        torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )

    def first(images: Tensor) -> Tensor:
        return torch.relu(vgg.conv((images - mean) / deviation)).detach()

    expected = 0.7 * float((first(y) - first(image)).abs().mean())
    assert terms["perceptual"].item() == pytest.approx(expected, rel=1e-5)


def test_thresholds_are_mean_confidences_of_held_out_images(runs: dict[str, Path]) -> None:
    model = zspace.load(runs["regene"])
    assert isinstance(model, ReGene)
    held_out = load_data("digits").validation
    assert held_out.y is not None
    with torch.no_grad():
        p = model.probabilities(model.encode(as_float(held_out.x)))
    for label in range(10):
        mean = p[held_out.y == label, label].mean()
        assert float(model.thresholds[label]) == pytest.approx(float(mean), abs=1e-5)
    assert 0.5 < float(model.thresholds.min()) < float(model.thresholds.max()) < 1


def test_thresholds_without_a_validation_part_are_of_the_test_images() -> None:
    images = load_data("digits", validation=0)
    torch.manual_seed(0)
    facts = Facts(images.shape, images.classes, True, len(images.train))
    model = find("regene")(facts, **small("regene")).model  # type: ignore[call-arg]
    assert isinstance(model, ReGene)
    model.latents(images)
    with torch.no_grad():
        p = model.eval().probabilities(model.encode(as_float(images.test.x)))
    assert images.test.y is not None
    for label in range(10):
        mean = p[images.test.y == label, label].mean()
        assert float(model.thresholds[label]) == pytest.approx(float(mean), abs=1e-5)


@pytest.fixture
def published_vgg(monkeypatch: pytest.MonkeyPatch, cache: Path) -> dict[str, Tensor]:
    """A weights file as torchvision's, made here, in the cache under its published name."""
    torch.manual_seed(0)
    tensors = {"features.0.weight": torch.randn(64, 3, 3, 3), "features.0.bias": torch.randn(64)}
    path = cache / "weights" / "vgg16-397923af.pth"
    path.parent.mkdir(exist_ok=True)
    torch.save(tensors, path)
    known = weights.WEIGHTS["vgg16"]
    file = replace(known.files[1], sha256=sha256_of(path))
    monkeypatch.setitem(weights.WEIGHTS, "vgg16", replace(known, files=(known.files[0], file)))
    yield tensors  # type: ignore[misc]
    path.unlink(missing_ok=True)


def test_perceptual_loss_takes_the_published_convolution(
    published_vgg: dict[str, Tensor], tmp_path: Path, cache: Path
) -> None:
    np.savez(tmp_path / "d.npz", images=random_images(120, 16, 16, 3), labels=np.arange(120) % 3)
    options = {"width": 2, "decoder_width": 4, "batch_size": 8, "iterations": 20}
    model = zspace.train("regene", tmp_path / "d.npz", out=tmp_path / "r", device="cpu", **options)
    assert isinstance(model, ReGene)
    assert model.features is not None
    assert torch.equal(model.features.module.conv.weight, published_vgg["features.0.weight"])
    assert any("decoder.perceptual" in line for line in Run(tmp_path / "r").losses())
    # a run holds what it was trained with: it is read, and gone on with, without the file
    (cache / "weights" / "vgg16-397923af.pth").unlink()
    loaded = zspace.load(tmp_path / "r")
    assert isinstance(loaded, ReGene)
    assert loaded.features is not None
    assert torch.equal(loaded.features.module.conv.bias, published_vgg["features.0.bias"])
    zspace.resume(tmp_path / "r", iterations=24)


def test_phases_after_the_last_stay() -> None:
    model = regene(iterations=100, classifier_iterations=10).model  # type: ignore[attr-defined]
    assert model.phase(10**6) == model.phases[-1]
    assert isinstance(model.phases[0], Phase)

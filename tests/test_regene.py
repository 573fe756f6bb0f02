"""ReGene: networks, losses, stages, convex combinations and their judges, commands, experiments."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import conv_transpose2d

import zspace
from tests.conftest import Cli, random_images, sampler_of, small
from zspace import papers
from zspace.api import run_options
from zspace.core import Batches, Classifying, Sampler, codes
from zspace.data import load as load_data
from zspace.errors import InputError
from zspace.evaluation.evaluate import evaluate
from zspace.features import weights
from zspace.functional import as_float, classification_error, structural_similarity
from zspace.generation import gallery
from zspace.generation.combine import Generation, augmented, convex_of, generate
from zspace.methods.regene import Phase, ReGene
from zspace.nets.classifiers import densenet
from zspace.nets.regene import ReGeneNets
from zspace.options import checked
from zspace.recipes import Facts, find
from zspace.recipes.regene import SCHEDULES
from zspace.samplers import Convex
from zspace.storage.run import Run
from zspace.training import fit, owners_alone

TEN = tuple("0123456789")


# networks


def convolutions(net: nn.Module) -> list[tuple[int, int, int]]:
    return [
        (layer.in_channels, layer.out_channels, layer.kernel_size[0])
        for layer in net.modules()
        if isinstance(layer, nn.Conv2d)
    ]


def sides(net: nn.Sequential, x: Tensor) -> list[int]:
    """The image's side after each convolution."""
    found: list[int] = []
    for layer in net:
        x = layer(x)
        if isinstance(layer, nn.Conv2d):
            found.append(x.shape[3])
    return found


def test_the_networks_are_those_of_tables_a5_to_a7() -> None:
    mnist = ReGeneNets((1, 28, 28))
    assert mnist.latent_dim == 1152
    assert convolutions(mnist.encoder()) == [(1, 128, 3)] + [(128, 128, 3)] * 5
    assert sides(mnist.encoder(), torch.rand(2, 1, 28, 28)) == [28, 28, 14, 7, 3, 3]
    assert convolutions(mnist.decoder()) == [
        (128, 512, 3),
        (512, 512, 3),
        (512, 512, 3),
        (512, 256, 3),
        *[(256, 256, 3)] * 5,
        (256, 1, 3),
    ]
    assert sides(mnist.decoder(), torch.rand(2, 1152)) == [5, 7, 7, 14, 14, 14, 28, 28, 28, 28]
    cifar = ReGeneNets((3, 32, 32), last_kernels=(9, 11))
    assert cifar.latent_dim == 2048
    kernels = [k for _, _, k in convolutions(cifar.encoder())]
    assert kernels == [3, 3, 3, 3, 9, 11]
    assert sides(cifar.decoder(), torch.rand(1, 2048))[::3] == [4, 8, 16, 32, 32]
    faces = ReGeneNets((3, 64, 64))
    assert (faces.latent_dim, len(faces.sides)) == (2048, 5)
    assert len(convolutions(faces.encoder())) == 7
    assert len(convolutions(faces.decoder())) == 16
    assert ReGeneNets((3, 128, 128)).latent_dim == 2048
    assert ReGeneNets((1, 8, 8)).sides == [(8, 8), (4, 4), (2, 2)]
    # the order of Tables A.5 to A.7: batch norm before the activation in E, after it in D
    names = [type(layer).__name__ for layer in mnist.encoder()][:4]
    assert names == ["Conv2d", "BatchNorm2d", "LeakyReLU", "Conv2d"]
    names = [type(layer).__name__ for layer in mnist.decoder()][:4]
    assert names == ["Unflatten", "Conv2d", "LeakyReLU", "BatchNorm2d"]


@pytest.mark.parametrize(
    "blocks, each, latent",
    [(4, 1, 2048), (4, 3, 2048), (5, 1, 512), (5, 3, 512), (6, 1, 128), (6, 3, 128)],
)
def test_the_grid_of_table_1(blocks: int, each: int, latent: int) -> None:
    nets = ReGeneNets((3, 32, 32), blocks=blocks, convolutions=each)
    assert nets.latent_dim == latent
    assert len(convolutions(nets.encoder())) == blocks * each + 2
    small_one = replace(nets, width=2, decoder_width=4)
    z = small_one.encoder()(torch.rand(2, 3, 32, 32))
    assert small_one.decoder()(z).shape == (2, 3, 32, 32)


def test_a_transposed_convolution_of_stride_1_is_a_convolution() -> None:
    x, w = torch.randn(2, 3, 3, 3), torch.randn(3, 4, 3, 3)
    for valid, padding in ((0, 2), (1, 1)):
        theirs = conv_transpose2d(x, w, padding=valid)
        ours = torch.nn.functional.conv2d(x, w.flip(2, 3).transpose(0, 1), padding=padding)
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_densenet_bc_100_has_its_published_size() -> None:
    body, features = densenet((3, 32, 32))
    total = sum(p.numel() for p in body.parameters()) + (features + 1) * 10
    # Huang et al., Table 2: 0.8 million
    assert (features, total) == (342, 769_162)


# losses


def plain_similarity(x: np.ndarray, y: np.ndarray, window: int, deviation: float) -> float:
    """SSIM of two grey images, place by place."""
    offsets = np.arange(window) - window // 2
    g = np.exp(-0.5 * (offsets / deviation) ** 2)
    w = np.outer(g, g) / g.sum() ** 2
    found = []
    for i in range(x.shape[0] - window + 1):
        for j in range(x.shape[1] - window + 1):
            a, b = x[i : i + window, j : j + window], y[i : i + window, j : j + window]
            ma, mb = (w * a).sum(), (w * b).sum()
            va, vb = (w * (a - ma) ** 2).sum(), (w * (b - mb) ** 2).sum()
            cov = (w * (a - ma) * (b - mb)).sum()
            c1, c2 = 0.01**2, 0.03**2
            found.append(
                (2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
            )
    return float(np.mean(found))


def test_ssim_is_the_definition_and_torchmetrics() -> None:
    from torchmetrics.functional.image import structural_similarity_index_measure

    torch.manual_seed(0)
    x = torch.rand(2, 1, 14, 17, dtype=torch.float64)
    y = (x + 0.2 * torch.randn_like(x)).clamp(0, 1)
    for window in (11, 5):
        for pair, ours in zip(
            zip(x, y, strict=True), structural_similarity(x, y, window), strict=True
        ):
            plain = plain_similarity(pair[0][0].numpy(), pair[1][0].numpy(), window, 1.5)
            assert float(ours) == pytest.approx(plain, abs=1e-10)
    x, y = torch.rand(3, 3, 32, 32), torch.rand(3, 3, 32, 32)
    _, whole = structural_similarity_index_measure(
        x, y, data_range=1.0, return_full_image=True, reduction="none"
    )
    inner = whole[..., 5:-5, 5:-5].flatten(1).mean(1)
    torch.testing.assert_close(structural_similarity(x, y), inner, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(structural_similarity(x, x), torch.ones(3))


def test_ssim_has_a_gradient() -> None:
    torch.manual_seed(0)
    x, y = torch.rand(2, 1, 1, 7, 7, dtype=torch.float64)
    x.requires_grad_()
    assert torch.autograd.gradcheck(lambda a: structural_similarity(a, y, 5), (x,))
    for window in (8, 9):
        with pytest.raises(InputError, match="window must be odd"):
            structural_similarity(x, y, window)


def test_the_four_losses_of_section_6_7() -> None:
    torch.manual_seed(0)
    logits, y = torch.randn(6, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 0, 1])
    p = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(1, keepdims=True)
    truth = np.eye(4)[y]
    others = (p * (1 - truth)).max(1)
    plain = {
        "cross-entropy": -np.log((p * truth).sum(1)),
        "hinge": np.maximum(0, 1 + others - (p * truth).sum(1)),
        "cosine": 1 - (p * truth).sum(1) / np.sqrt((p**2).sum(1)),
        "mse": ((p - truth) ** 2).mean(1),
    }
    for loss, each in plain.items():
        ours = classification_error(logits, y, loss)  # type: ignore[arg-type]
        assert float(ours) == pytest.approx(each.mean(), abs=1e-12), loss


# the recipe


def regene(shape: tuple[int, ...] = (1, 28, 28), images: int = 51_200, **options: object) -> object:
    return find("regene")(Facts(shape, TEN, True, images), **options)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "shape, first, second, batches, phases",
    [
        # appendix A.1.1: 50 epochs; 200 with both terms at 1e-3, 100 with MAE at 1e-4
        ((1, 28, 28), 50, 300, (512, 512), [(200, 1, 1, 0, 1e-3), (100, 1, 0, 0, 1e-4)]),
        # A.1.3
        (
            (3, 32, 32),
            100,
            300,
            (512, 512),
            [(100, 1, 1, 1, 1e-3), (100, 1, 0, 1, 1e-3), (100, 1, 0, 0, 1e-4)],
        ),
        # A.1.4
        (
            (3, 64, 64),
            50,
            700,
            (256, 128),
            [(300, 1, 1, 1, 5e-4), (300, 1, 0, 1, 5e-4), (100, 1, 0, 0, 5e-4)],
        ),
    ],
)
def test_schedules_are_the_papers(
    shape: tuple[int, ...],
    first: int,
    second: int,
    batches: tuple[int, int],
    phases: list[tuple[int, float, float, float, float]],
) -> None:
    plan = regene(shape, width=2, decoder_width=2)
    classifier, decoder = plan.stages  # type: ignore[attr-defined]
    assert (classifier.batch_size, decoder.batch_size) == batches
    assert classifier.iterations == first * 51_200 // batches[0]
    assert decoder.iterations == second * 51_200 // batches[1]
    per_epoch = 51_200 // batches[1]
    found = [
        (p.length / per_epoch, p.mae, p.ssim, p.perceptual, p.rate) for p in decoder.method.phases
    ]
    assert found == phases
    start = 0
    for length, *_, rate in phases:
        first_of, last_of = start * per_epoch, (start + length) * per_epoch - 1
        for iteration in (first_of, last_of):
            assert decoder.rate(iteration) * phases[0][4] == pytest.approx(rate)
        start += length
    assert decoder.rate(start * per_epoch + 5) * phases[0][4] == pytest.approx(phases[-1][4])
    drop = 5 if shape[1] == 64 else 20
    epoch = 51_200 // batches[0]
    rates = [classifier.rate(i) for i in (0, drop * epoch - 1, drop * epoch, 2 * drop * epoch)]
    assert rates == pytest.approx([1, 1, 0.99, 0.99**2])
    assert classifier.method.optimizers()["classifier"].param_groups[0]["lr"] == 0.005


def test_what_is_asked_for_changes_the_schedule() -> None:
    plan = regene(
        iterations=1000, classifier_iterations=100, ssim=0.5, perceptual=0.3, learning_rate=2e-3
    )
    first, last = plan.model.phases  # type: ignore[attr-defined]
    assert (first.length, last.length) == (600, 300)
    assert (first.ssim, first.perceptual, first.rate) == (0.5, 0.3, 2e-3)
    assert (last.ssim, last.perceptual, last.rate) == (0, 0, pytest.approx(2e-4))
    assert plan.model.features is not None  # type: ignore[attr-defined]
    assert regene().model.features is None  # type: ignore[attr-defined]
    assert sum(SCHEDULES["celeba"].phases[i].length for i in range(3)) == 700
    small_set = regene((1, 8, 8), 1293)
    assert small_set.stages[0].batch_size == 64  # type: ignore[attr-defined]


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


# Lemma 1


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    dim=st.integers(1, 12),
    classes=st.integers(2, 6),
    n=st.integers(2, 6),
)
def test_lemma_1(seed: int, dim: int, classes: int, n: int) -> None:
    """Codes on one side of a hyperplane, or of one class of a linear layer: so are combinations."""
    g = torch.Generator().manual_seed(seed)
    z = torch.randn(200, dim, generator=g, dtype=torch.float64)
    w = torch.randn(dim, classes, generator=g, dtype=torch.float64)
    b = torch.randn(classes, generator=g, dtype=torch.float64)
    y = (z @ w + b).argmax(1)
    side = (z @ w[:, 0] + b[0] > 0).long()
    for owners, judge in (
        (y, lambda c: (c @ w + b).argmax(1)),
        (side, lambda c: (c @ w[:, 0] + b[0] > 0).long()),
    ):
        for weights_of in ("uniform", "dirichlet"):
            convex = Convex(dim, combine=n, weights=weights_of).fit(z, owners)
            for label in owners.unique().tolist():
                if int((owners == label).sum()) > n:
                    made = convex.combined(n, label, generator=g).codes
                    assert bool((judge(made) == label).all())


def test_lemma_1_needs_separable_classes() -> None:
    """A class on both sides of another: half of its combinations lie in that other class."""
    z = torch.cat([torch.full((50, 1), -3.0), torch.full((50, 1), 3.0), torch.zeros(50, 1)])
    z = z + 0.1 * torch.randn(150, 1, generator=torch.Generator().manual_seed(0))
    y = torch.tensor([0] * 100 + [1] * 50)
    convex = Convex(1).fit(z, y)
    made = convex.combined(400, 0, generator=torch.Generator().manual_seed(1))
    inside = made.codes.abs()[:, 0] < 1  # the other class's place
    apart = (made.sources < 50).sum(1) == 1
    assert torch.equal(inside, apart)
    assert 0.4 < float(inside.float().mean()) < 0.6
    # no hyperplane separates them: the sides are those of x = 1, on which class 0 has both
    assert bool((made.codes[~inside].abs() > 1).all())


# the convex sampler


def labelled(n: int = 30, dim: int = 3, classes: int = 3) -> tuple[Tensor, Tensor]:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(0)), torch.arange(
        n
    ) % classes


@pytest.mark.parametrize("weights_of", ["uniform", "dirichlet", "0.5,0.3,0.2"])
def test_combinations_are_what_they_say(weights_of: str) -> None:
    z, y = labelled()
    convex = Convex(3, combine=3, weights=weights_of).fit(z, y)
    made = convex.combined(50, 1, generator=torch.Generator().manual_seed(3))
    assert made.codes.shape == (50, 3)
    assert made.trials == {}
    assert made.drawn == 50
    for code, rows, w in zip(made.codes, made.sources, made.weights, strict=True):
        assert len(set(rows.tolist())) == 3
        assert bool((y[rows] == 1).all())
        assert float(w.sum()) == pytest.approx(1, abs=1e-6)
        assert bool((w >= 0).all())
        torch.testing.assert_close(code, (w[:, None] * z[rows]).sum(0))
    if weights_of == "uniform":
        torch.testing.assert_close(made.weights, torch.full((50, 3), 1 / 3))
        assert len({tuple(sorted(rows.tolist())) for rows in made.sources}) == 50
    elif weights_of == "dirichlet":
        assert float(made.weights.std()) > 0.1
    else:
        torch.testing.assert_close(made.weights[7], torch.tensor([0.5, 0.3, 0.2]))
        assert len({tuple(rows.tolist()) for rows in made.sources}) == 50
    again = convex.combined(50, 1, generator=torch.Generator().manual_seed(3))
    assert torch.equal(again.codes, made.codes)


def test_dirichlet_weights_have_their_moments() -> None:
    z, y = labelled(300, 2, 1)
    for concentration in (0.3, 5.0):
        convex = Convex(2, combine=3, weights="dirichlet", concentration=concentration).fit(z, y)
        w = convex.combined(5000, 0, generator=torch.Generator().manual_seed(0)).weights
        variance = (1 / 3) * (2 / 3) / (3 * concentration + 1)
        assert float(w.mean()) == pytest.approx(1 / 3, abs=1e-6)
        assert float(w[:, 0].var()) == pytest.approx(variance, rel=0.1)


class Known(Classifying):
    """A classifier of the line: two classes on either side of 0, p(1 | z) = sigmoid(4 z).

    Images are one pixel; the decoder rounds to a tenth, so that both spaces differ.
    """

    def __init__(self) -> None:
        super().__init__(nn.Identity(), nn.Identity(), None, 1)
        self.register_buffer("thresholds", torch.tensor([0.6, 0.8]))

    def decode(self, z: Tensor) -> Tensor:
        return (z * 10).round() / 10

    def probabilities(self, z: Tensor) -> Tensor:
        p = torch.sigmoid(4 * z[:, 0])
        return torch.stack([1 - p, p], 1)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        raise NotImplementedError

    def objectives(self, batches: Batches):  # type: ignore[no-untyped-def]
        raise NotImplementedError


@pytest.mark.parametrize("n", [1, 7, 40, 300])
def test_trials_are_counted_exactly(n: int) -> None:
    """Against a classifier whose answers are known, candidate by candidate."""
    # class 1 reaches over the boundary: some of its combinations are no longer of it
    z = torch.linspace(-1, 2, 120)[:, None]
    convex = Convex(1).fit(z, torch.ones(120, dtype=torch.int64))
    judges = Known().judges()
    asked: list[float] = []

    def watched(code: Tensor, label: int) -> Tensor:
        asked.extend(code[:, 0].tolist())
        return judges["latent space"](code, label)

    convex.with_judges({**judges, "latent space": watched})
    made = convex.combined(n, 1, generator=torch.Generator().manual_seed(5))
    latent = image = 0
    trials: dict[str, int] = {}
    kept: list[float] = []
    for i, value in enumerate(asked, 1):
        if value <= 0:  # p(1 | z) is not above one half
            continue
        latent += 1
        if latent == n:
            trials["latent space"] = i
        if 1 / (1 + math.exp(-4 * round(value * 10) / 10)) < 0.8:
            continue
        image += 1
        kept.append(value)
        if image == n:
            trials["image space"] = i
            break
    assert made.trials == trials
    assert made.drawn == trials["image space"]
    assert made.codes[:, 0].tolist() == kept
    assert n == 1 or trials["image space"] > trials["latent space"] > n


def test_a_judge_that_passes_every_third() -> None:
    z, y = labelled(60, 2, 1)
    convex = Convex(2).fit(z, y)
    counts = {"a": 0, "b": 0}

    def every(name: str, k: int) -> Callable[[Tensor, int], Tensor]:
        def judge(code: Tensor, label: int) -> Tensor:
            start = counts[name]
            counts[name] += len(code)
            return (torch.arange(start, counts[name]) + 1) % k == 0

        return judge

    convex.with_judges({"a": every("a", 3), "b": every("b", 2)})
    made = convex.combined(100, 0)
    assert made.trials == {"a": 300, "b": 600}


def test_it_gives_up_and_says_why() -> None:
    z, y = labelled(60, 2, 2)
    convex = Convex(2, most_trials=10).fit(z, y)
    convex.with_names(("cat", "dog"))
    convex.with_judges(
        {"latent space": lambda c, k: c[:, 0] > 0, "image space": lambda c, k: c[:, 0] > 9}
    )
    with pytest.raises(InputError) as error:
        convex.combined(20, 1)
    text = str(error.value)
    assert "class dog: 20 combinations of 2 were wanted, 200 tried" in text
    assert "0 passed in image space" in text
    assert "given up after 10 for each" in text
    assert "the judge of the image space passes 0 of what it sees" in text
    # 30 images have 435 pairs
    with pytest.raises(InputError, match="435 tried; there are no more of its 30 images"):
        replace_judges(convex).combined(436, 0)
    assert replace_judges(convex).combined(435, 0).drawn == 435
    assert replace_judges(convex).changed(weights="dirichlet").combined(436, 0).drawn == 436


def test_weights_that_are_equal_make_no_new_combination() -> None:
    z, y = labelled(8, 2, 1)
    for weights_of, possible in (("0.5,0.5", 28), ("0.25,0.5,0.25", 168), ("0.7,0.3", 56)):
        convex = Convex(2, weights=weights_of).fit(z, y)
        made = convex.combined(possible, 0, generator=torch.Generator().manual_seed(0)).codes
        assert len({tuple(c) for c in made.mul(1e4).round().tolist()}) == possible
        with pytest.raises(InputError, match=f"{possible} tried; there are no more"):
            convex.combined(possible + 1, 0)
    # weights say how many are combined, whatever was stored
    assert Convex(2, combine=5).fit(z, y).changed(weights="0.2,0.8").combine == 2
    with pytest.raises(InputError, match="class 0 has 8 generated images: too few to combine 9"):
        Convex(2, combine=9).fit(z, y).over(z, y).combined(1, 0)


def test_rare_classes_are_left_out_where_no_label_is_asked_for() -> None:
    z, y = labelled(31, 2, 3)
    y[y == 2] = 1
    y[5] = 2
    convex = Convex(2).fit(z, y)
    assert convex.sample(50).shape == (50, 2)
    with pytest.raises(InputError, match="class 2 has 1 image: too few"):
        convex.sample(1, 2)
    with pytest.raises(InputError, match="no class has 40 images"):
        convex.changed(combine=40).sample(1)


def replace_judges(convex: Convex) -> Convex:
    other = convex.changed()
    other.with_judges({})
    return other


def test_what_the_convex_sampler_refuses() -> None:
    z, y = labelled(7)
    convex = Convex(3, combine=3).fit(z, y)
    with pytest.raises(InputError, match="class 1 has 2 images: too few to combine 3"):
        convex.combined(1, 1)
    for label in (-1, 3):
        with pytest.raises(InputError, match=f"label {label} is none of the 3"):
            convex.combined(1, label)
    with pytest.raises(InputError, match="the data have none"):
        Convex(3).fit(z)
    for given_weights in ("0.5,0.6", "-0.5,1.5", "0.5", "nan,1", "1,0"):
        with pytest.raises(InputError, match=r"above 0 that sum to 1, not"):
            Convex(3, weights=given_weights, combine=2)
    with pytest.raises(InputError, match="--weights has 2 numbers, --combine is 3"):
        Convex(3, weights="0.5,0.5", combine=3)
    with pytest.raises(InputError, match="one number: 2 codes or more"):
        Convex(3, weights="1")
    with pytest.raises(InputError, match="uniform, dirichlet or numbers"):
        Convex(3, weights="even")
    assert Convex(3, weights="0.2,0.3,0.5").combine == 3


def test_unknown_labels_are_left_out_and_sources_kept() -> None:
    z, y = labelled(100)
    y[:50] = -1
    convex = Convex(3, sources=20).fit(z, y)
    assert len(convex.codes) == 20
    assert int(convex.rows.min()) >= 50
    assert torch.equal(convex.codes, z[convex.rows])
    drawn = convex.sample(30, generator=torch.Generator().manual_seed(0))
    assert drawn.shape == (30, 3)


@pytest.mark.parametrize("recipe", ["ae", "vae", "flexae-sr", "gen", "regene"])
def test_it_fits_any_model(runs: dict[str, Path], recipe: str, tmp_path: Path) -> None:
    model = zspace.load(runs[recipe])
    convex = sampler_of(runs[recipe], "convex", model)
    assert isinstance(convex, Convex)
    made = convex.combined(5, 3, generator=torch.Generator().manual_seed(0))
    assert set(made.trials) == ({"latent space", "image space"} if recipe == "regene" else set())
    train = load_data("digits").train
    assert train.y is not None
    assert bool((train.y[made.sources] == 3).all())
    z = codes(model, train.x)
    torch.testing.assert_close(made.codes, z[made.sources].mean(1), rtol=1e-4, atol=1e-5)
    # what was stored is what was fitted
    again = sampler_of(runs[recipe], "convex", model)
    assert isinstance(again, Convex)
    assert torch.equal(again.codes, convex.codes)


# generations


def test_siblings_and_children(runs: dict[str, Path]) -> None:
    model = zspace.load(runs["regene"])
    convex = convex_of(runs["regene"], model, {})
    for origin in ("latents", "images"):
        made: list[Generation] = generate(
            model,
            convex,
            12,
            2,
            generations=3,
            origin=origin,  # type: ignore[arg-type]
            generator=torch.Generator().manual_seed(0),
        )
        assert len(made) == 3
        for last, following in pairwise(made):
            z = last.combined.codes if origin == "latents" else codes(model, last.x)
            expected = z[following.combined.sources].mean(1)
            torch.testing.assert_close(following.combined.codes, expected, rtol=1e-4, atol=1e-5)
            assert int(following.combined.sources.max()) < 12


def test_commands(runs: dict[str, Path], cli: Cli, tmp_path: Path) -> None:
    run = runs["regene"]
    status, out, _ = cli(
        "sample", run, "--sampler", "convex", "--label", 3, "--combine", 2, "--n", 50
    )
    assert status == 0
    assert out.startswith("class 3: 50 combinations of 2; trials: latent space 5")
    assert "image space" in out
    npz = tmp_path / "g.npz"
    status, out, _ = cli(
        "sample",
        run,
        "--sampler=convex",
        "--n",
        62,
        "--combine",
        3,
        "--out",
        npz,
        "--generations",
        2,
        "--from",
        "images",
    )
    assert status == 0
    assert "class 0, generation 2: 7 combinations of 3" in out
    with np.load(npz) as stored:
        assert stored["images"].shape == (62, 8, 8)
        assert np.bincount(stored["labels"]).tolist() == [7] * 2 + [6] * 8
        assert stored["sources"].shape == stored["weights"].shape == (62, 3)
        assert stored["images_1"].shape == (62, 8, 8)
        assert stored["sources_1"].shape == (62, 3)
    read = load_data(str(npz))
    assert read.classes == TEN
    folder = tmp_path / "g"
    assert cli("sample", run, "--sampler=convex", "--n", 30, "--out", folder)[0] == 0
    rows = (folder / "sources.csv").read_text().splitlines()
    assert len(rows) == 30
    assert (folder / "4" / "000012.png").is_file()
    assert load_data(str(folder)).classes == TEN
    sheet = tmp_path / "g.png"
    assert cli("sample", run, "--sampler=convex", "--n", 9, "--out", sheet)[0] == 0
    assert width(sheet) > 100
    # other models have no judges, and say so
    status, out, _ = cli(
        "sample", runs["vae"], "--sampler=convex", "--label=1", "--n=4", "--weights=dirichlet"
    )
    assert "no judges" in out
    assert cli("fit-sampler", run, "--sampler=convex", "--combine=3")[0] == 0
    model = zspace.load(run)
    fitted = sampler_of(run, "convex", model)
    assert isinstance(fitted, Convex)
    assert fitted.combine == 3
    assert cli("fit-sampler", run, "--sampler=convex")[0] == 0


def test_augment_writes_what_data_reads(runs: dict[str, Path], cli: Cli, tmp_path: Path) -> None:
    run = runs["regene"]
    for out in (tmp_path / "more", tmp_path / "more.npz"):
        status, said, _ = cli("augment", run, "--per-class", 12, "--out", out)
        assert status == 0
        assert "120 generated images of 10 classes" in said
        images = load_data(str(out))
        assert images.classes == TEN
        assert sum(len(p) for p in (images.train, images.validation, images.test)) == 120
        whole = tmp_path / f"all{out.suffix}"
        assert cli("augment", run, "--per-class", 5, "--originals", "--out", whole)[0] == 0
        beside, digits = load_data(str(whole)), load_data("digits")
        assert len(beside.train) == len(digits.train) + 50
        assert beside.train.y is not None
        assert torch.bincount(beside.train.y).min() >= 5
        x = digits.test.x
        assert len(beside.test) == len(x)
        if out.suffix:
            assert torch.equal(beside.test.x, x)
            assert torch.equal(beside.train.x[: len(digits.train)], digits.train.x)
    # a class's name that can't be a folder's
    zspace.train(
        "ae", named(tmp_path), out=tmp_path / "r", iterations=2, device="cpu", **small("ae")
    )
    assert cli("augment", tmp_path / "r", "--per-class", 12, "--out", tmp_path / "n")[0] == 0
    assert load_data(str(tmp_path / "n")).classes == ("Ankle boot", "T-shirt-top")


def width(picture: Path) -> int:
    with Image.open(picture) as opened:
        return opened.size[0]


def named(folder: Path) -> str:
    path = folder / "named.npz"
    np.savez(
        path,
        images=random_images(90, 8, 8),
        labels=np.arange(90) % 2,
        classes=np.array(["T-shirt/top", "Ankle boot"]),
    )
    return str(path)


def test_augmented_images_pass_the_judges(runs: dict[str, Path]) -> None:
    model = zspace.load(runs["regene"])
    assert isinstance(model, ReGene)
    made = augmented(
        model,
        convex_of(runs["regene"], model, {}),
        8,
        TEN,
        generator=torch.Generator().manual_seed(0),
    )
    assert made.y is not None
    with torch.no_grad():
        p = model.probabilities(model.encode(as_float(made.x)))
    confident = p[torch.arange(80), made.y]
    # images are rounded to 256 levels after they were judged
    assert bool((confident > model.thresholds[made.y] - 0.05).all())


# pictures


@pytest.fixture(scope="module")
def pictures(runs: dict[str, Path]) -> gallery.Gallery:
    model = zspace.load(runs["regene"])
    images = load_data("digits")
    return gallery.Gallery(
        model,
        convex_of(runs["regene"], model, {}),
        images.train,
        images.classes,
        torch.Generator().manual_seed(0),
    )


def test_matrix_has_sources_on_its_edges(pictures: gallery.Gallery) -> None:
    sheet = gallery.matrix(pictures, [3, 5], 4)
    assert sheet.x.shape == (50, 1, 8, 8)
    model = pictures.model
    for start in (0, 25):
        block = sheet.x[start : start + 25].unflatten(0, (5, 5))
        torch.testing.assert_close(block[0, 1:], block[1:, 0])
        z = model.encode(block[0, 1:])
        with torch.no_grad():
            torch.testing.assert_close(block[2, 3], model.decode((z[[1]] + z[[2]]) / 2)[0])
            torch.testing.assert_close(block[4, 4], model.decode(z[[3]])[0])
    assert len(sheet.framed) == 16


def test_overlay_and_interpolation(pictures: gallery.Gallery) -> None:
    sheet = gallery.overlay(pictures, [1], (2, 3))
    line = sheet.x[5:10]  # three sources, generation, their mean
    torch.testing.assert_close(line[4], line[:3].mean(0))
    with torch.no_grad():
        z = pictures.model.encode(line[:3]).mean(0, keepdim=True)
        torch.testing.assert_close(line[3], pictures.model.decode(z)[0], rtol=1e-3, atol=1e-4)
    rows = gallery.interpolation(pictures, [0, 9])
    assert rows.columns == 11
    assert rows.x.shape[0] == 22


def test_closest_matches_are_the_closest(pictures: gallery.Gallery) -> None:
    x = torch.rand(3, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    pool = torch.rand(40, 1, 12, 12, generator=torch.Generator().manual_seed(1))
    pool[17] = (x[1] + 0.05 * pool[17]).clamp(0, 1)
    found = gallery.by_squares(x, pool, 3)
    plain = (x[:, None] - pool[None]).square().flatten(2).mean(2)
    values, order = plain.sort(1)
    assert torch.equal(found.indices, order[:, :3])
    torch.testing.assert_close(found.values, values[:, :3], rtol=1e-4, atol=1e-6)
    similar = gallery.by_similarity(x, pool, 3)
    each = [
        plain_similarity(x[1, 0].double().numpy(), p[0].double().numpy(), 11, 1.5) for p in pool
    ]
    assert similar.indices[1].tolist() == np.argsort(each)[::-1][:3].tolist()
    assert int(similar.indices[1, 0]) == 17
    sheet, values_by = gallery.closest(replace(pictures, features=lambda im: im.flatten(1)), [2], 2)
    assert sheet.columns == 9
    assert len(sheet.x) == 27
    assert values_by["MSE, original"] == pytest.approx(values_by["features, original"], rel=1e-4)


def test_every_picture_is_drawn(runs: dict[str, Path], cli: Cli, tmp_path: Path) -> None:
    for kind in (*gallery.SHEETS, *gallery.MAPS):
        out = tmp_path / f"{kind}.png"
        more = ["--label", "1,7"] if kind in gallery.SHEETS else []
        if kind == "closest-generations":
            more += ["--most-trials", 1000]
        status, _, err = cli("gallery", runs["regene"], kind, "--out", out, *more)
        assert status == 0, (kind, err)
        assert width(out) > 50


def test_sparsity_and_means() -> None:
    z = torch.zeros(6, 4)
    z[:, 0], z[:3, 1] = 1.0, 4.0
    z[:, 2] = 0.01
    assert gallery.sparsity(z) == 0.5
    means = gallery.class_means(z, torch.tensor([0, 0, 0, 1, 1, 1]), 2)
    assert means[:, 1].tolist() == [4.0, 0.0]


# perceptual loss


@pytest.fixture
def published_vgg(monkeypatch: pytest.MonkeyPatch, cache: Path) -> dict[str, Tensor]:
    """A weights file as torchvision's, made here, in the cache under its published name."""
    torch.manual_seed(0)
    tensors = {"features.0.weight": torch.randn(64, 3, 3, 3), "features.0.bias": torch.randn(64)}
    path = cache / "weights" / "vgg16-397923af.pth"
    path.parent.mkdir(exist_ok=True)
    torch.save(tensors, path)
    known = weights.WEIGHTS["vgg16"]
    file = replace(known.files[1], sha256=weights.file_sha256(path))
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


def test_without_weights_the_perceptual_loss_is_refused(
    refused: Callable[..., str], tmp_path: Path
) -> None:
    np.savez(tmp_path / "d.npz", images=random_images(120, 16, 16, 3), labels=np.arange(120) % 3)
    out = tmp_path / "r"
    for more in ([], ["--perceptual=1"]):
        text = refused(
            "train",
            "regene",
            "--data",
            tmp_path / "d.npz",
            "--out",
            out,
            "--width=2",
            "--decoder-width=2",
            "--iterations=10",
            *more,
        )
        assert "the weights of vgg16 are missing" in text
        assert "--perceptual 0 leaves that term out" in text
        assert not out.exists()
    text = refused("train", "regene", "--out", out, "--perceptual=1", "--iterations=10")
    assert "vgg16 are missing" in text


# bad input


def test_what_regene_refuses(
    refused: Callable[..., str], runs: dict[str, Path], tmp_path: Path
) -> None:
    np.save(tmp_path / "u.npy", random_images(60, 8, 8))
    np.savez(
        tmp_path / "v.npz",
        data=np.random.default_rng(0).random((60, 12), np.float32),
        labels=np.arange(60) % 3,
    )
    np.savez(tmp_path / "s.npz", images=random_images(60, 3, 3), labels=np.arange(60) % 3)
    out = ("--out", tmp_path / "r")

    def train(*more: object) -> str:
        return refused("train", "regene", *out, *more)

    assert "needs labelled data" in train("--data", tmp_path / "u.npy")
    assert "images, not vectors" in train("--data", tmp_path / "v.npz")
    assert "too small to be halved 2 times" in train("--data", tmp_path / "s.npz")
    assert "too small to be halved 4 times" in train("--blocks=5")
    assert "--ssim-window 11 must be odd, and no larger" in train("--ssim-window=11")
    assert "--ssim-window 4 must be odd" in train("--ssim-window=4")
    assert "leaves none for the decoder" in train("--iterations=10", "--classifier-iterations=10")
    assert "--loss must be one of" in train("--loss=l1")
    assert "needs labelled data" in train("--classes=3")
    run = runs["regene"]

    def sample(*more: object) -> str:
        return refused("sample", run, "--sampler=convex", *more)

    assert "sum to 1" in sample("--weights=0.5,0.7")
    assert "sum to 1" in sample("--weights=-0.5,1.5")
    assert "unknown class '11'" in sample("--label=11")
    assert "--combine must be at least 2" in sample("--combine=1")
    assert "too few to combine 500" in sample("--combine=500", "--label=3")
    assert "unknown origin 'pixels'" in sample("--generations=2", "--from=pixels")
    assert "--generations must be at least 1" in sample("--generations=-1")
    assert "--n must be at least 1" in sample("--n=0")
    assert "a multiple of 6, not 15" in train("--encoder=densenet", "--depth=15")
    broken = tmp_path / "broken"
    shutil.copytree(run, broken)
    (broken / "samplers").mkdir(exist_ok=True)
    (broken / "samplers" / "convex.safetensors").write_bytes(b"x" * 40)
    text = refused("sample", broken, "--sampler=convex", "--label=1")
    assert "--sampler convex' makes it again" in text
    assert "belongs to --sampler convex" in refused(
        "sample", runs["vae"], "--combine=3", "--out", tmp_path / "x.png"
    )
    assert "--out is missing" in refused("sample", runs["vae"])
    assert "unknown picture 'matrx': did you mean 'matrix'" in refused(
        "gallery", run, "matrx", "--out", tmp_path / "x.png"
    )
    assert ".png" in refused("gallery", run, "matrix", "--out", tmp_path / "x.gif")
    assert "FILE.npz or a folder" in refused(
        "augment", run, "--per-class=3", "--out", tmp_path / "x.png"
    )
    assert "--per-class must be at least 1" in refused(
        "augment", run, "--per-class=0", "--out", tmp_path / "x"
    )
    zspace.train(
        "ae", tmp_path / "u.npy", out=tmp_path / "a", iterations=2, device="cpu", **small("ae")
    )
    assert "the data have none" in refused("sample", tmp_path / "a", "--sampler=convex")
    assert "convex combinations" in refused(
        "augment", tmp_path / "a", "--per-class=3", "--out", tmp_path / "x"
    )
    assert "has no labels" in refused(
        "gallery", tmp_path / "a", "collage", "--out", tmp_path / "x.png"
    )
    assert "--arch regene" in refused("train", "ae", *out, "--arch=regene", "--latent-dim=3")
    assert not (tmp_path / "r").exists()


# measuring


def test_evaluation_knows_the_classifier_and_the_labels(runs: dict[str, Path]) -> None:
    found = evaluate(runs["regene"], metrics=["classified", "accuracy", "mae"], device="cpu")
    rows = {row["subject"]: row["figures"] for row in found["rows"]}
    model = zspace.load(runs["regene"])
    assert isinstance(model, ReGene)
    test = load_data("digits").test
    with torch.no_grad():
        p = model.probabilities(model.encode(as_float(test.x)))
    own = float((p.argmax(1) == test.y).float().mean())
    assert rows["codes"]["classified"]["value"] == pytest.approx(own)
    assert own > 0.9
    # the judged generations of a class are taken for it by another classifier, too
    assert rows["convex"]["accuracy"]["value"] > 0.9
    with pytest.raises(InputError, match="needs a model with a classifier of its own"):
        evaluate(runs["vae"], metrics=["classified"], device="cpu")


def test_samplers_say_how_many_labels_they_know() -> None:
    class Plain(Sampler):
        def sample(self, n: int, label: int | None = None, *, generator: object = None) -> Tensor:
            return torch.zeros(n, 1)

    assert Plain().labels == 0
    z, y = labelled()
    assert Convex(3).fit(z, y).labels == 3


# experiments


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shelf")


REGENE = [name for name in papers.EXPERIMENTS if name.startswith("regene/")]


@pytest.mark.parametrize("name", REGENE)
def test_experiments_run(name: str, cli: Cli, shelf: Path, tmp_path: Path) -> None:
    experiment = papers.find(name)
    if "digits" not in experiment.data:
        pytest.skip(f"{name} needs {', '.join(experiment.data) or 'faces'}")
    status, out, err = cli(
        "reproduce",
        name,
        "--scale=smoke",
        "--data=digits",
        "--quiet",
        "--device=cpu",
        "--out",
        tmp_path / "o",
        "--runs",
        shelf,
    )
    assert status == 0, err
    assert (tmp_path / "o" / "table.md").is_file()
    assert "ours is of" in out


@pytest.mark.parametrize("name", REGENE)
def test_every_scale_asks_for_what_there_is(name: str) -> None:
    known = run_options("regene")
    for scale in papers.find(name).scales.values():
        given = scale.settings["options"]
        assert checked(known, given).items() >= given.items()
    assert papers.find(name).scales["paper"].reductions == ""


def test_faces_and_folders(
    cli: Cli, refused: Callable[..., str], real_data: Path, tmp_path: Path
) -> None:
    assert "regene/fig11 needs --data-dir" in refused(
        "reproduce", "regene/fig11", "--scale=smoke", "--out", tmp_path / "x"
    )
    for kind in ("anime", "celeba"):
        (tmp_path / "faces" / kind).mkdir(parents=True)
        for i, image in enumerate(random_images(60, 16, 16, 3, seed=len(kind))):
            Image.fromarray(image).save(tmp_path / "faces" / kind / f"{i}.png")
    experiment = papers.find("regene/fig11")
    options = {**experiment.scales["smoke"].settings["options"], "train_size": None}
    scale = replace(experiment.scales["smoke"], settings={"options": options})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(
            papers.EXPERIMENTS, "regene/fig11", replace(experiment, scales={"smoke": scale})
        )
        status, _, err = cli(
            "reproduce",
            "regene/fig11",
            "--scale=smoke",
            "--quiet",
            "--data-dir",
            tmp_path / "faces",
            "--out",
            tmp_path / "o",
        )
        assert status == 0, err
    status, _, err = cli(
        "reproduce",
        "regene/fig9",
        "--scale=smoke",
        "--quiet",
        "--data-dir",
        real_data / "celeba-10k",
        "--out",
        tmp_path / "p",
    )
    assert status == 0, err
    assert width(tmp_path / "p" / "matrix.png") > 300


def test_phases_after_the_last_stay() -> None:
    model = regene(iterations=100, classifier_iterations=10).model  # type: ignore[attr-defined]
    assert model.phase(10**6) == model.phases[-1]
    assert isinstance(model.phases[0], Phase)

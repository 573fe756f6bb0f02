"""Every fault that is built in is found, and none in a perfect model."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from zspace import metrics
from zspace.evaluation.data import closeness
from zspace.evaluation.diagnose import Finding, diagnose
from zspace.evaluation.measurement import Measurement, Subject

pytestmark = pytest.mark.filterwarnings("ignore::zspace.metrics.BiasWarning")


def found(measurement: Measurement, subject: Subject) -> dict[str, Finding]:
    return {f.name: f for f in diagnose(measurement, subject)}


def subject_of(measurement: Measurement, x: Tensor) -> Subject:
    """Images as if a sampler had made them, with codes that fit."""
    codes = measurement.draws[torch.arange(len(x)) % len(measurement.draws)]
    return Subject("prior", "generation", x, codes)


@pytest.fixture(scope="session")
def fresh(measurement: Measurement) -> Tensor:
    """What a perfect model would draw: images of the data that it was not trained on."""
    return measurement.others.x


@pytest.fixture(scope="session")
def held(measurement: Measurement, fresh: Tensor) -> Measurement:
    """A measurement whose training part has none of the fresh images."""
    train = replace(measurement.images.train, x=measurement.training, y=None)
    return replace(measurement, images=replace(measurement.images, train=train))


def test_a_perfect_model_has_no_fault(held: Measurement, fresh: Tensor) -> None:
    faults = [f for f in found(held, subject_of(held, fresh)).values() if f.fault]
    assert not [f for f in faults if f.name != "dimensions"], faults


def test_copies_are_found(held: Measurement) -> None:
    noise = torch.randint(0, 6, held.training.shape, generator=torch.Generator().manual_seed(0))
    copies = (held.training.int() + noise).clamp(0, 255).byte()
    finding = found(held, subject_of(held, copies))["memorisation"]
    assert finding.fault
    assert finding.figures["copies"] > 0.9
    distance, share = closeness(copies, held.training)
    assert float(share.mean()) < 0.2
    assert float(distance.mean()) < 0.5


def test_some_copies_among_many_are_found(held: Measurement, fresh: Tensor) -> None:
    mixed = torch.cat([fresh, held.training[: len(fresh) // 9]])
    finding = found(held, subject_of(held, mixed))["memorisation"]
    assert finding.fault
    assert 0.08 < finding.figures["copies"] < 0.2


def test_a_few_fresh_images_are_no_copies(held: Measurement, fresh: Tensor) -> None:
    """The lowest percent of few test images is one of them: chance must be ruled out."""
    few = replace(held, test=held.test[:30], labels=None)
    finding = found(few, subject_of(few, fresh[:30]))["memorisation"]
    assert not finding.fault


def test_copies_among_test_images_hide_none(held: Measurement) -> None:
    """Data whose test images repeat training images: the threshold is 0."""
    test = torch.cat([held.test[:-20], held.training[:20]])
    leaky = replace(held, test=test, labels=None)
    subject = subject_of(held, held.training[:100])
    finding = found(leaky, subject)["memorisation"]
    assert finding.fault
    assert finding.figures["copies"] == 1


def test_one_dimension_that_is_missed_is_found(held: Measurement, fresh: Tensor) -> None:
    good = subject_of(held, fresh)
    assert good.codes is not None
    narrow = good.codes.clone()
    narrow[:, 1] *= 0.1
    finding = found(held, replace(good, codes=narrow))["prior"]
    assert finding.fault
    assert finding.figures["worst"] > 0.3


def test_a_lost_class_is_found(held: Measurement, fresh: Tensor) -> None:
    classes = held.features(Subject("fresh", "data", fresh), "logits").argmax(1)
    findings = found(held, subject_of(held, fresh[classes != 3]))
    assert findings["classes"].fault
    assert findings["classes"].figures["lost"] == ["3"]
    assert "class 3: 0.0%" in findings["classes"].words
    # and by recall
    whole = metrics.improved_precision_recall(
        held.features(held.reference), held.features(Subject("f", "data", fresh))
    )[1].mean()
    less = metrics.improved_precision_recall(
        held.features(held.reference), held.features(Subject("g", "data", fresh[classes != 3]))
    )[1].mean()
    assert float(less) < float(whole) - 0.05


def test_blur_is_found(held: Measurement, fresh: Tensor) -> None:
    blurred = torch.nn.functional.avg_pool2d(fresh.float(), 3, 1, 1).byte()
    findings = found(held, subject_of(held, blurred))
    assert findings["sharpness"].fault
    assert "blurred" in findings["sharpness"].words
    reference = held.features(held.reference)
    precise = [
        metrics.improved_precision_recall(reference, held.features(Subject(name, "data", x)))[0]
        for name, x in (("sharp", fresh), ("blurred", blurred))
    ]
    sharp, dull = map(metrics.mean_figure, precise)
    assert dull.value < sharp.value - 3 * math.hypot(sharp.error, dull.error)


def test_noise_is_called_noise(held: Measurement, fresh: Tensor) -> None:
    """White specks on black."""
    dice = torch.rand(fresh.shape, generator=torch.Generator().manual_seed(0))
    noisy = torch.where(dice < 0.08, 255, 0).byte()
    finding = found(held, subject_of(held, noisy))["sharpness"]
    assert finding.fault
    assert "noisy" in finding.words


def test_a_prior_that_misses_the_codes_is_found(held: Measurement, fresh: Tensor) -> None:
    good = subject_of(held, fresh)
    assert good.codes is not None
    wrong = replace(good, codes=4 * good.codes + 3)
    assert not found(held, good)["prior"].fault
    finding = found(held, wrong)["prior"]
    assert finding.fault
    assert finding.figures["gap"] > 1
    assert max(finding.figures["mixture"]) < 0.5
    assert "--sampler mixture" in finding.words


def test_dead_dimensions_are_named(held: Measurement, fresh: Tensor) -> None:
    live = replace(held)
    use = torch.tensor([1.0, 0.0, 1.0])
    noise = torch.randn(len(held.means), 3, generator=torch.Generator().manual_seed(0))
    live.means = noise * use
    finding = found(live, subject_of(live, fresh))["dimensions"]
    assert finding.fault
    assert finding.figures["dead"] == [1]

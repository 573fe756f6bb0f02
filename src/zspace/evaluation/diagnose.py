"""A diagnosis of a latent space in words, with the figures behind each finding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from scipy.stats import binom, fisher_exact
from torch import Tensor

from zspace import metrics
from zspace.core import Variational, codes
from zspace.evaluation.data import closeness, data_closeness, data_figures
from zspace.evaluation.measurement import Measurement, Subject, posterior_codes
from zspace.functional import as_float, as_stored, blockwise, stream
from zspace.metrics.latent import ACTIVE
from zspace.recipes import catalogue

COPY = 0.01
"""The quantile of the test images' `closeness` below which a generated image may be a copy."""
COPIES = 0.05
SELDOM = 1e-3
"""The probability below which a difference does not count as chance."""

LOST = 0.25
"""The frequency, relative to that in the data, below which a generated class counts as lost."""
BLURRED, SHARP = 0.8, 1.25
GAP, WORST, TIMES = 0.1, 0.25, 3.0
"""The limits of the gap between codes and a sampler: over all directions and in one dimension, both
in code widths, and in multiples of the gap of training images."""
SUPPORT = 0.5


@dataclass(frozen=True)
class Finding:
    """The answer to one question about a latent space.

    Attributes:
        name: the topic: prior, dimensions, memorisation, classes, support or sharpness.
        fault: whether something is wrong.
        words: the finding in words.
        figures: the numbers behind it, by name.
    """

    name: str
    fault: bool
    words: str
    figures: dict[str, Any]

    def __str__(self) -> str:
        return f"{'!' if self.fault else ' '} {self.name}: {self.words}"


def diagnose(measurement: Measurement, subject: Subject) -> list[Finding]:
    """The findings about a model and the images of one sampler.

    Args:
        measurement: the measurement of the run (`zspace.evaluation.measurement.measure_run`).
        subject: the sampler's images and codes.

    Returns those findings that apply to the data.
    """
    found = [
        _prior(measurement, subject),
        _dimensions(measurement),
        _memorisation(measurement, subject),
    ]
    if measurement.extractor.tells(measurement.images.classes) and measurement.labels is not None:
        found.append(_classes(measurement, subject))
    found.append(_support(measurement, subject))
    if measurement.images.is_image:
        found.append(_sharpness(measurement, subject))
    return found


def _prior(measurement: Measurement, subject: Subject) -> Finding:
    """The finding on whether the sampler's codes lie where codes of data lie."""
    assert subject.codes is not None
    train = measurement.others.x
    if subject.name == "prior":
        data = measurement.draws
        others = posterior_codes(measurement.model, train, measurement.seed + 1)
    else:
        data, others = measurement.means, codes(measurement.model, train).cpu()
    if not float(data.std(0).max()) > 1e-9:
        return Finding("prior", True, "all data have one and the same code", {"width": 0.0})
    width = data.std(0).clamp(min=1e-12)

    def gaps(z: Tensor) -> tuple[float, float]:
        """The gap over all directions, and that in the worst dimension in units of its width."""
        worst = metrics.wasserstein_distance_1d(data / width, z / width).max()
        return metrics.prior_gap(data, z, seed=measurement.seed), float(worst)

    gap, worst = gaps(subject.codes)
    scale, worst_scale = gaps(others)
    n = len(others)
    components = min(10, n // 20 or 1)
    fitted = catalogue.make("mixture", measurement.model.latent_dim, {"components": components})
    fitted.fit(others)
    generator = torch.Generator().manual_seed(stream(measurement.seed, 13))
    best, worst_best = gaps(fitted.draw(n, generator=generator))
    fault = gap > max(GAP, TIMES * scale) or worst > max(WORST, TIMES * worst_scale)
    words = (
        f"codes of the sampler {subject.name} lie {gap:.2g} code widths from those of test images "
        f"(training images: {scale:.2g}), {worst:.2g} ({worst_scale:.2g}) in the worst dimension"
    )
    if fault:
        words = (
            f"the sampler {subject.name} misses the data's codes: {words}; a mixture of Gaussians "
            f"fitted to them: {best:.2g} and {worst_best:.2g} (--sampler mixture)"
        )
    return Finding(
        "prior",
        fault,
        words,
        {
            "gap": gap,
            "worst": worst,
            "training": [scale, worst_scale],
            "mixture": [best, worst_best],
        },
    )


def _dimensions(measurement: Measurement) -> Finding:
    """The finding on which dimensions of the code carry no information."""
    variances = metrics.activity(measurement.means)
    relative = not isinstance(measurement.model, Variational)
    used = metrics.active_dimensions(variances, relative=relative)
    dead = [i for i, u in enumerate(used.tolist()) if not u]
    total = len(variances)
    words = f"{total - len(dead)} of {total} dimensions of the code are in use"
    if dead:
        scale = "of the largest variance" if relative else "(its unit is the prior's)"
        words += (
            f"; dead: {', '.join(map(str, dead[:10]))}{', ...' if len(dead) > 10 else ''}: their "
            f"variance over the data is below {ACTIVE:g} {scale}"
        )
    return Finding("dimensions", bool(dead), words, {"dead": dead, "variance": variances.tolist()})


def _memorisation(measurement: Measurement, subject: Subject) -> Finding:
    """The finding on whether generated images are nearer to training images than test images."""
    training = measurement.images.train.x
    mine, share = closeness(subject.x, training)
    theirs, test_share = data_closeness(measurement)
    # by rank, since torch.quantile is limited to fewer values and interpolates between them
    threshold = float(test_share.sort().values[int(COPY * len(test_share))])
    near, test_near = int((share <= threshold).sum()), int((test_share <= threshold).sum())
    copies = near / len(share)
    # more copies than among test images, by more than chance explains
    table = [[near, len(share) - near], [test_near, len(test_share) - test_near]]
    exact: Any = fisher_exact(table, alternative="greater")
    chance = float(exact.pvalue)
    fault = copies > COPIES and chance < SELDOM
    a, b = metrics.mean_figure(mine), metrics.mean_figure(theirs)
    samples = "images" if measurement.images.is_image else "vectors"
    words = (
        f"generated {samples} lie {a} from the nearest training sample, test {samples} {b}; "
        f"{100 * copies:.1f}% are nearer to one training sample alone than {100 * (1 - COPY):g}% "
        f"of test {samples} are"
    )
    if fault:
        words = f"training {samples} are copied: {words}"
    figures = {
        "generated": a.value,
        "test": b.value,
        "copies": copies,
        "threshold": threshold,
        "chance": chance,
    }
    return Finding("memorisation", fault, words, figures)


def _classes(measurement: Measurement, subject: Subject) -> Finding:
    """The finding on whether every class is generated."""
    names = measurement.images.classes
    counts = [
        measurement.features(s, "logits").argmax(1).bincount(minlength=len(names)).double()
        for s in (subject, measurement.reference)
    ]
    made, there = (c / c.sum() for c in counts)
    n = int(counts[0].sum())
    lost = [
        k
        for k in range(len(names))
        # rarer than in the data, by more than chance explains
        if made[k] < LOST * there[k] and binom.cdf(int(counts[0][k]), n, float(there[k])) < SELDOM
    ]
    shares = ", ".join(
        f"class {names[k]}: {100 * float(made[k]):.1f}% ({100 * float(there[k]):.1f}%)"
        for k in lost
    )
    words = f"no class is lost beyond chance, by the neutral classifier ({len(names)} classes)"
    if lost:
        words = f"classes are lost, by the neutral classifier's share (of test images): {shares}"
    figures = {"generated": made.tolist(), "test": there.tolist(), "lost": [names[k] for k in lost]}
    return Finding("classes", bool(lost), words, figures)


def _support(measurement: Measurement, subject: Subject) -> Finding:
    """The finding on precision and recall, compared with those of other training images."""
    reference = measurement.features(measurement.reference)
    precise, recalled = metrics.improved_precision_recall(reference, measurement.features(subject))
    precision, recall = float(precise.mean()), float(recalled.mean())
    scale = data_figures(measurement, measurement.others, "pr")
    scale_p, scale_r = scale["precision"].value, scale["recall"].value
    words = (
        f"precision {precision:.2f} (training images: {scale_p:.2f}), recall {recall:.2f} "
        f"({scale_r:.2f}), by the features {measurement.extractor.name}"
    )
    low = [
        name
        for name, value, usual in (
            ("many generated images look like none of the data", precision, scale_p),
            ("much of the data's variety is not generated", recall, scale_r),
        )
        if value < SUPPORT * usual
    ]
    if low:
        words = f"{' and '.join(low)}: {words}"
    return Finding(
        "support",
        bool(low),
        words,
        {"precision": precision, "recall": recall, "training": [scale_p, scale_r]},
    )


def _sharpness(measurement: Measurement, subject: Subject) -> Finding:
    """The finding on whether generated images are as sharp as the data."""
    device = next(measurement.model.parameters()).device
    rebuilt = measurement.model.reconstruct(as_float(measurement.test[:1000].to(device)))
    test, made, again = (
        float(blockwise(metrics.sharpness, x).mean())
        for x in (measurement.test, subject.x, as_stored(rebuilt).cpu())
    )
    if not test > 0:
        return Finding(
            "sharpness", False, "the test images have no edges to compare", {"test": 0.0}
        )
    ratio, rebuilt_ratio = made / test, again / test
    fault = not BLURRED <= ratio <= SHARP
    words = (
        f"generated images have {ratio:.2f} of the sharpness of test images, reconstructions "
        f"{rebuilt_ratio:.2f}"
    )
    if fault:
        blurred = "generated images are blurred" if ratio < 1 else "generated images are noisy"
        words = f"{blurred}: {words}"
    figures = {"generated": made, "reconstructed": again, "test": test}
    return Finding("sharpness", fault, words, figures)

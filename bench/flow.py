"""What a fit of flow matching costs and how good it is, by the zspace that is imported.

    zspace train ae --data mnist --data-dir DIR --latent-dim 20 --arch fc --hidden 256 \
        --iterations 3000 --learning-rate 1e-3 --out RUN
    OMP_NUM_THREADS=1 [PYTHONPATH=OTHER/src] python bench/flow.py RUN [--seeds N]

Of each fit to the codes of the training images: processor seconds, the Frechet distance of 20,000
drawn codes from those of the validation images, the mean of that distance over the classes (2,000
codes of each), the mean log density of 1,000 validation codes, and the Frechet distance of 10,000
drawn images to the reconstructions of the test images, in the features of the data's classifier.
"""

from __future__ import annotations

import argparse
import time
from statistics import mean

import torch

from zspace.core import codes, decoded
from zspace.evaluation.measurement import Subject, measure_run, reconstructed
from zspace.metrics import frechet_distance
from zspace.samplers import FlowMatching


def main() -> None:
    plain = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("run")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    measurement = measure_run(given.run, device="cpu")
    model, images = measurement.model, measurement.images
    z, held_out = (codes(model, part.x).cpu() for part in (images.train, images.validation))
    labels, own = images.train.y, images.validation.y
    rebuilt = measurement.features(reconstructed(measurement))
    print(
        "| seed | seconds | codes | codes of a class | log p | images |\n|---|---|---|---|---|---|"
    )
    for seed in range(given.seeds):
        sampler = FlowMatching(z.shape[1], seed=seed)
        began = time.process_time()
        sampler.fit(z, labels)
        seconds = time.process_time() - began
        generator = torch.Generator().manual_seed(99)
        drawn = sampler.sample(20_000, generator=generator)
        by_class = [
            frechet_distance(sampler.sample(2000, k, generator=generator), held_out[own == k])
            for k in (own.unique().tolist() if own is not None else ())
        ]
        made = measurement.features(Subject("drawn", "generation", decoded(model, drawn[:10_000])))
        figures = [
            frechet_distance(drawn, held_out),
            mean(by_class or [float("nan")]),
            float(sampler.log_prob(held_out[:1000]).mean()),
            frechet_distance(made, rebuilt),
        ]
        cells = " | ".join(f"{figure:.3f}" for figure in figures)
        print(f"| {seed} | {seconds:.1f} | {cells} |", flush=True)


if __name__ == "__main__":
    main()

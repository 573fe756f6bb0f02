"""From an imbalanced folder of images to a balanced data set, and whether it helped.

python examples/imbalanced_folder.py [FOLDER]
"""

import sys
from pathlib import Path

from PIL import Image

import zspace
from zspace.evaluation.benefit import benefit, benefit_table, keep_benefit
from zspace.generation.combine import augmented, convex_of, labelled, missing, write_labelled

out = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/examples")

# a folder for each class, as you may have one: of the digits 3 and 8, every sixth image alone
digits = zspace.data.load("digits").train
for i, (x, y) in enumerate(zip(digits.x, digits.y.tolist(), strict=True)):
    if y not in (3, 8) or i % 6 == 0:
        (out / "digits" / str(y)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(x[0].numpy()).save(out / "digits" / str(y) / f"{i}.png")

# a model of these images, and combinations of the codes of each class
run = out / "imbalanced"
model = zspace.train(
    "ae", str(out / "digits"), out=run, overwrite=True, iterations=1500, hidden=128
)
images = zspace.data.load(str(out / "digits"))
counts = missing(images.train, len(images.classes))
made = augmented(model, convex_of(run, model, {}), counts, further=True)
write_labelled(out / "added.npz", labelled([made]), images.classes)

# the same classifier, with and without, on the same held-out real images
found = benefit(images, made, seeds=(0, 1), iterations=400)
keep_benefit(run, found)
print(benefit_table(found).markdown())

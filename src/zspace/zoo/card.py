"""What people read of the zoo: the tables of models and of judges, and the card of each."""

from __future__ import annotations

import math
from collections.abc import Mapping

from zspace.display.tables import Table
from zspace.metrics import Figure
from zspace.storage.entries import Entry, Judge, Published, Shown, shape_text
from zspace.storage.published import PREFIX


def text_of(shown: Shown) -> str:
    """A figure with its standard error: 12.30 ± 0.41."""
    return str(Figure(shown.value, math.nan if shown.error is None else shown.error))


def megabytes(entry: Published) -> str:
    """The size of a file in millions of bytes."""
    return f"{entry.bytes / 1e6:.2g} MB"


def hours_text(entry: Published) -> str:
    """The time of a training: minutes below one hour."""
    if entry.hours < 1:
        return f"{60 * entry.hours:.2g} min"
    return f"{entry.hours:.3g} h"


def table(models: Mapping[str, Entry]) -> Table:
    """The table of all models, which `zspace zoo` prints; their cards say what they are good at."""
    header = ["model", "data", "images", "parameters", "file", "figure", "training"]
    rows = [
        [
            name,
            entry.data,
            shape_text(entry.facts.shape),
            f"{entry.parameters:,}",
            megabytes(entry),
            f"{entry.figures[0].measure} {text_of(entry.figures[0])}" if entry.figures else "",
            hours_text(entry),
        ]
        for name, entry in models.items()
    ]
    return Table(header, rows)


def drawing(name: str) -> str:
    """The command that draws images from a model by its first sampler."""
    return f"zspace sample {PREFIX}{name} --n 64 --out samples.png"


USE = f"{drawing('NAME')}; 'zspace zoo NAME' prints a card"
"""What stands below the table of all models."""


def card(name: str, entry: Entry) -> str:
    """The card of a model as Markdown, made of its entry in the index alone."""
    facts = entry.facts
    samplers = ", ".join([f"{s} (usual)" if not i else s for i, s in enumerate(entry.samplers)])
    classes = (
        f", {len(facts.classes)} classes ({', '.join(facts.classes)})" if facts.classes else ""
    )
    return f"""# {name}

{entry.about}.

![Samples](samples.png)

    {drawing(name)}

## Intended use

{entry.good_at}. It demonstrates the method, and can be measured or used as a starting point
(`--init-from {PREFIX}{name}`). Do not treat its images as data, nor decide anything about people or
things by them.

## What it is bad at

{entry.failures}.

## The model

- Recipe: {entry.recipe}; {entry.parameters:,} parameters; stored in {entry.precision},
  {megabytes(entry)}; SHA-256 {entry.sha256}.
- Images: {shape_text(facts.shape)}{classes}.
- Samplers: {samplers or "none"}.

## Data and licence

{entry.data}, {facts.train_images:,} training images. {entry.licence}.

{_made(entry)}"""


def _made(entry: Published) -> str:
    """The last parts of a card: how a file was made, and its figures."""
    commands = "\n".join(f"    {command}" for command in entry.commands)
    figures = Table(
        ["measure", "value", "n", "features"],
        [[f.measure, text_of(f), f"{f.n:,}", f.by] for f in entry.figures],
        notes=["± is the standard error of the measurement, not of another training."],
    )
    return f"""## How it was made

{commands}

Seed {entry.seed}, {entry.iterations:,} iterations, {hours_text(entry)} on {entry.hardware}.

## Figures

{figures.markdown()}"""


TELLS = {"labels": "labels", "rotation": "quarter turns"}
"""What a judge of each task tells."""


def judges_table(judges: Mapping[str, Judge]) -> Table:
    """The table of all judges, which `zspace zoo` prints."""
    header = ["judge", "data", "images", "network", "tells", "accuracy", "file", "training"]
    rows = [
        [
            name,
            entry.data,
            shape_text(entry.facts.shape),
            entry.arch,
            TELLS[entry.task],
            text_of(entry.accuracy),
            megabytes(entry),
            hours_text(entry),
        ]
        for name, entry in judges.items()
    ]
    return Table(header, rows)


def judge_card(name: str, entry: Judge) -> str:
    """The card of a judge as Markdown, made of its entry in the index alone."""
    facts = entry.facts
    classes = f" ({', '.join(facts.classes)})" if entry.task == "labels" else ""
    return f"""# {name}

{entry.about}.

    zspace evaluate RUN --features {PREFIX}{name}

## Intended use

A judge: images are compared by the last hidden layer of this network, which is the same for
everyone, whatever data they have. It takes images of {shape_text(facts.shape)} alone, and resizes
none. Figures by different judges can't be compared.

## The network

- {entry.arch}, trained to tell {TELLS[entry.task]}{classes}; random changes of training images:
  {entry.augment}.
- Accuracy on the test images: {text_of(entry.accuracy)}, n = {entry.accuracy.n:,}.
- {entry.parameters:,} parameters; stored in {entry.precision}, {megabytes(entry)}; SHA-256
  {entry.sha256}.

## Data and licence

{entry.data}, {facts.train_images:,} training images. {entry.licence}.

{_made(entry)}"""

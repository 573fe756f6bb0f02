"""The surroundings of an experiment: its folder, its settings, and trained models."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from zspace import api
from zspace.data.given import moved
from zspace.data.images import Images
from zspace.display.progress import Display
from zspace.errors import BusyError, InputError
from zspace.evaluation.measurement import Measurement, measure_run
from zspace.execution import facts_of, identified
from zspace.options import checked, options_of
from zspace.recipes import catalogue, find
from zspace.storage.cache import key
from zspace.storage.files import read_header
from zspace.storage.published import PREFIX, judges
from zspace.storage.run import Header, Run
from zspace.training import Precision, make_fabric, settled

Device = Literal["auto", "cpu", "cuda", "mps"]


CHECKPOINTS = ("checkpoint_every", "keep")
"""Options of training that decide what is kept of it, and not what comes out."""


WAIT = 5.0
"""The seconds between two looks at a run that another process trains."""


@dataclass
class Lab:
    """The surroundings of an experiment: its folder, its settings, and trained models.

    Attributes:
        out: the folder for tables and pictures.
        settings: the settings of the scale.
        data: the named set; None if the experiment makes its own data.
        data_dir: the folder that holds the set's files.
        device: the device to compute on.
        quiet: whether to show no progress.
        shelf: the folder of trained runs, which several experiments may share; None means runs/ in
            `out`.
        more: further values to be stored in table.json, such as a curve.
        runs: the names of the runs that the experiment used.
        protocol: the way in which the settings of the systems are chosen; "" if none is.
        in_float32: what was asked for in bf16 and trained in float32, which was faster.
        seconds_before: how long measuring took, in calls before, what this call found measured.
        notes: what the table says below its rows.
    """

    out: Path
    settings: Mapping[str, Any]
    data: str | None = None
    data_dir: str | None = None
    device: Device = "auto"
    quiet: bool = False
    shelf: Path | None = None
    more: dict[str, Any] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)
    protocol: str = ""
    in_float32: list[str] = field(default_factory=list)
    seconds_before: float = 0.0
    notes: list[str] = field(default_factory=list)

    def note(self, *notes: str) -> None:
        """Add notes to the table, each of which it has once."""
        self.notes += [note for note in dict.fromkeys(notes) if note not in self.notes]

    def precision(self, asked: Precision, what: str) -> Precision:
        """The precision for a training that leaves no run, where one is asked for.

        Args:
            asked: the precision that is asked for.
            what: what is trained, for the table's notes.
        """
        with Display(quiet=self.quiet) as progress:
            used = settled(asked, make_fabric(self.device), progress.say)
        return self.used(asked, used, what)

    def used(self, asked: Precision, used: Precision, what: str) -> Precision:
        """The precision that was used, which the table's notes name if another was asked for."""
        if used != asked and what not in self.in_float32:
            self.in_float32.append(what)
        return used

    def trained(self, recipe: str, data: str, **options: Any) -> Run:
        """The finished run of a configuration, which is read, resumed or trained.

        Runs that differ only in how many checkpoints were kept are the same. If another process
        trains it, this one waits.

        Args:
            recipe: the recipe's name.
            data: the data set, as `--data` takes it.
            options: options of the recipe and of training.

        Raises:
            ModelError: the training diverged.
            InputError: an option is not allowed, or the run's folder holds another training.
        """
        own = options_of(find(recipe))
        rest = {name: value for name, value in options.items() if name not in own}
        settings = {**rest, **checked(own, {k: v for k, v in options.items() if k in own})}
        what = {k: v for k, v in settings.items() if k not in CHECKPOINTS}
        name = f"{recipe}-{Path(data).stem}-{key([recipe, data, what])[:8]}"
        folder = (self.shelf or self.out / "runs") / name
        if folder.name not in self.runs:
            self.runs.append(folder.name)
        run, waiting = None, False
        while run is None:
            try:
                run = self._made(folder, recipe, data, settings["iterations"], options)
            except BusyError as error:
                if not waiting:
                    with Display(quiet=self.quiet) as progress:
                        progress.say(f"this waits: {error}")
                waiting = True
                time.sleep(WAIT)
        self.used(options.get("precision", "32"), run.config["precision"], run.folder.name)
        return run

    def _made(
        self,
        folder: Path,
        recipe: str,
        data: str,
        iterations: int | None,
        options: Mapping[str, Any],
    ) -> Run:
        """The run of a folder, which is trained unless it is finished.

        Raises:
            BusyError: another process trains it.
        """
        # its data may have been moved since
        data_dir = self._dir_of(data)
        begun = Run(folder) if folder.exists() else None
        if begun is None:
            with Display(quiet=self.quiet) as progress:
                api.train(
                    recipe,
                    data,
                    out=folder,
                    progress=progress,
                    device=self.device,
                    data_dir=data_dir,
                    **options,
                )
        elif not begun.model_file.exists():
            start = max(begun.checkpoints(), default=0)
            with Display(quiet=self.quiet, start=start) as progress:
                api.resume(folder, data_dir=data_dir, progress=progress)
        elif read_header(begun.model_file, Header).iteration != (
            iterations or begun.config["iterations"]
        ):
            raise InputError(f"{folder} is not what it was trained to be: remove it")
        else:
            return Run(folder, config=moved(begun.config, data_dir), facts=begun.facts)
        run = Run(folder)
        run.thin()
        return Run(folder, config=moved(run.config, data_dir), facts=run.facts)

    def _dir_of(self, data: object) -> str | None:
        """The folder of a data set's files, if it is the experiment's."""
        return self.data_dir if data == self.data else None

    def where(self, run: Run) -> dict[str, Any]:
        """The options by which a run's data are found, and the device."""
        return {"data_dir": self._dir_of(run.config["data"]), "device": self.device}

    def images(self, run: Run) -> Images:
        """The data set of a run.

        Raises:
            InputError: the run was trained on other images of the same name.
        """
        images = api.run_images(run)
        self.check(run, images)
        return images

    def check(self, run: Run, images: Images) -> None:
        """See that a run was trained on given images.

        Runs that experiments share are runs like any other, and their data may have changed since.

        Raises:
            InputError: it was trained on other images of the same name.
        """
        run.facts.check(identified(facts_of(images), images), run.folder, exactly=True)

    def measured(self, run: Run, features: str | None, **options: Any) -> Measurement:
        """The measurement of a run by features, on the experiment's device.

        Args:
            run: the run.
            features: the features that `features_for` is asked for.
            options: further options of `measure_run`.

        Raises:
            InputError: the run was trained on other images of the same name.
        """
        features = self.features_for(run, features)
        held = measure_run(run.folder, features=features, **self.where(run), **options)
        self.check(run, held.images)
        return held

    def features_for(self, run: Run, asked: str | None) -> str | None:
        """The features by which a run is measured; None means those that `measure_run` would take.

        Where the zoo has a judge for images of the run's data and size, it stands in for the
        classifier that would have to be trained first.
        """
        if asked not in (None, "classifier"):
            return asked
        alike = self.data, run.facts.shape
        return next(
            (
                PREFIX + name
                for name, judge in judges().items()
                if (judge.data, judge.facts.shape) == alike and judge.task == "labels"
            ),
            asked,
        )

    def picture(self, name: str) -> Path:
        """The file of a picture with a given name."""
        return self.out / f"{name}.png"


def check_fit(run: Run, name: str) -> None:
    """See that a sampler which a run holds has the defaults of its options.

    Runs that experiments share are runs like any other, to whose codes a sampler with other options
    may have been fitted. What fitting finds for options that are unset is not looked at.

    Raises:
        InputError: an option is not at its default.
    """
    path = run.folder / "samplers" / f"{name}.safetensors"
    if name in catalogue.OWN or not path.exists():
        return
    kind, stored = catalogue.find(name), read_header(path, catalogue.Header).options
    for option in options_of(kind).values():
        compared = option.default is not None or option.name in kind.drawing
        value = stored.get(option.name, option.default)
        if compared and value != option.default:
            raise InputError(
                f"{path} was fitted with {option.flag} {value}, where the default is wanted: "
                "remove it, or choose another --runs"
            )


def known_to(recipe: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of some settings for which a recipe, or training itself, has an option."""
    known = api.run_options(recipe)
    return {name: value for name, value in settings.items() if name in known}

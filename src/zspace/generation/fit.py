"""The samplers of a run, which are fitted to its codes, stored in it and read from it.

Reading never fits, and fitting reads only the options of an earlier fit:

    sampler = read_sampler(run, name, model) or refit_sampler(run, name, model)
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from zspace import api
from zspace.core import (
    SILENT,
    Batches,
    Classifying,
    LatentModel,
    Progress,
    Sampler,
    as_progress,
    codes,
)
from zspace.data import Images
from zspace.data.images import Part
from zspace.errors import CheckpointError, InputError
from zspace.functional.tensors import own_random
from zspace.options import options_of
from zspace.recipes import catalogue
from zspace.samplers import Convex, Learned
from zspace.storage.cache import fingerprint
from zspace.storage.config import comparable
from zspace.storage.files import check_inside, open_tensors, read_header
from zspace.storage.published import run_folder, usual_sampler
from zspace.storage.run import Run
from zspace.training import Precision, fit, make_fabric, settled


def fit_sampler(
    run: str | Path,
    name: str,
    options: Mapping[str, Any] | None = None,
    *,
    checkpoint: str | int = "last",
    device: str = "cpu",
    precision: Precision = "32",
    data_dir: str | None = None,
    progress: Progress = SILENT,
) -> Sampler:
    """Fit a sampler to the codes of a run's training images, and store it in the run.

    A sampler that is trained by iterations leaves checkpoints in the run's folder samplers/NAME.
    The same call resumes a fit that was interrupted, exactly where its last checkpoint was made;
    with more iterations it continues a finished fit.

    Args:
        run: the run.
        name: the sampler's name, one of `zspace.recipes.catalogue.names()`.
        options: options of the sampler; the others have their defaults.
        checkpoint: the checkpoint whose weights encode the images, its iteration or "last".
        device: "auto", "cpu", "cuda" or "mps".
        precision: the precision of training by iterations (`zspace.training.settled`). A fit that
            was begun goes on in its precision, if that is the one asked for, or float32.
        data_dir: the folder in which the run's data are now.
        progress: told the iteration and the losses whenever they are logged, a mixture's rounds,
            and whether an earlier fit is resumed.

    Returns the fitted sampler, on the model's device.
    Raises:
        InputError: the run, an option or the data can't be used, or an option has no effect.
    """
    chosen = catalogue.fit_options(name, options or {}, precision)  # before the model is read
    follow = as_progress(progress)
    model = api.load(run, checkpoint=checkpoint, device=device, progress=follow)
    return _Fit(Run(run), name, model, data_dir).make(chosen, precision, None, follow)


def check_sampler(run: str | Path, name: str) -> None:
    """Check the name of a sampler by which codes of a run's model are to be drawn.

    Args:
        run: the run.
        name: the sampler's name.

    Raises:
        InputError: the name is unknown, or the sampler can't be loaded, or a stored one belongs to
            a package that is not installed (the message names it).
    """
    held = run_folder(run) / "samplers" / f"{name}.safetensors"
    if name not in (*catalogue.OWN, *catalogue.names()) and held.is_file():
        catalogue.check_installed(held)
    catalogue.check_drawn(name)


def usual_of(run: str | Path, model: LatentModel) -> str:
    """The name of the sampler to draw a run's model from, if none is named.

    It is the usual one of a model of the zoo, and of any other run what `catalogue.usual` says.
    """
    return usual_sampler(run) or catalogue.usual(model, list(Run(run).samplers()))


def read_sampler(run: str | Path, name: str, model: LatentModel) -> Sampler | None:
    """The stored sampler of a given name for a run's model, or None if it must be fitted.

    "prior" comes with the model, as does "target" with GEN. Any other sampler is read from the run;
    the result is None if the run does not have it, or has one that was fitted to other weights.

    Args:
        run: the run.
        name: the sampler's name.
        model: the model that `load(run)` returned.

    Raises:
        InputError: the name is unknown, the model has no such sampler of its own, or the stored
            sampler is damaged or belongs to a package that is not installed.
    """
    if name in catalogue.OWN:
        own = model.samplers()
        if name not in own:
            if held := [*own, *Run(run).samplers()]:
                choice = f"the run holds {', '.join(held)}, of which --sampler takes one"
            else:
                choice = f"choose another sampler (--sampler {', '.join(catalogue.names())})"
            raise InputError(f"{run} has no {name} of its own: {choice}")
        return own[name]
    check_sampler(run, name)
    held = _Fit(Run(run), name, model)
    if not held.file.exists():
        return None
    try:
        with open_tensors(held.file, catalogue.Header) as stored:
            header = stored.header
            if header.sampler != name:
                raise InputError(f"{held.file} is no sampler {name}")
            if header.model != held.mark:
                return None
            if header.dim != model.latent_dim:
                raise InputError(f"{held.file} draws codes of {header.dim} numbers")
            return held.placed(catalogue.load(stored))
    except InputError as error:
        if held.begun() is not None:  # it can be made again from its fit
            return None
        again = f"'zspace fit-sampler {run} --sampler {name}' makes it again"
        raise InputError(f"{error}: {again}") from error


def refit_sampler(
    run: str | Path,
    name: str,
    model: LatentModel,
    *,
    images: Images | None = None,
    data_dir: str | None = None,
    progress: Progress = SILENT,
) -> Sampler:
    """Fit a sampler for a run's model, with the options that the run has for it, and store it.

    These are the options of a fit that was interrupted, which is then resumed; or else those that
    the stored sampler was asked for, or else the defaults.

    Args:
        run: the run.
        name: the sampler's name.
        model: the model that `load(run)` returned.
        images: the run's data, if they have been read already.
        data_dir: the folder in which the run's data are now.
        progress: told the iteration and the losses of training by iterations.

    Returns the fitted sampler, on the model's device.
    Raises:
        InputError: the codes or their labels do not suit the sampler.
    """
    held = _Fit(Run(run), name, model, data_dir)
    begun = held.begun()
    options: Mapping[str, Any] = {}
    precision: Precision = "32"
    if begun is not None:
        known = options_of(catalogue.find(name))
        options = {k: v for k, v in begun.config.items() if k in known}
        precision = begun.config.get("precision", "32")
    elif held.file.exists():
        header = read_header(held.file, catalogue.Header)
        options = {**header.options, **header.asked}
    chosen = catalogue.sampler_options(name, options)
    return held.make(chosen, precision, images, progress)


def keep_sampler(
    run: Run,
    name: str,
    options: Mapping[str, Any],
    model: LatentModel,
    train: Part,
    fitted: Sampler,
) -> Sampler:
    """Store a sampler, fitted to the codes of a training part, in the run with its options.

    Returns the sampler, on the model's device.
    """
    return _Fit(run, name, model).keep(options, fitted, fingerprint(train.x, train.y))


class Fitted(NamedTuple):
    """A sampler that a run stores, as its file states it: the checksums of it and of its data."""

    checksum: str = ""
    data: str = ""


def fitted_sampler(run: str | Path, name: str) -> Fitted:
    """Which sampler of a name a run stores; empty checksums if it stores none.

    Raises:
        InputError: the file is damaged.
    """
    path = run_folder(run) / "samplers" / f"{name}.safetensors"
    if not path.is_file():
        return Fitted()
    with open_tensors(path, catalogue.Header) as stored:
        return Fitted(stored.checksum, stored.header.data)


def weights_fingerprint(model: LatentModel) -> str:
    """A checksum of a model's weights, which says to whose codes a sampler was fitted."""
    return fingerprint(*model.state_dict().values())


@dataclass
class _Fit:
    """The place of a sampler in a run: its file, and the folder of its training by iterations."""

    run: Run
    name: str
    model: LatentModel
    data_dir: str | None = None

    @property
    def file(self) -> Path:
        return self.run.folder / "samplers" / f"{self.name}.safetensors"

    @cached_property
    def mark(self) -> str:
        """The checksum of the model's weights, which takes a while for a large model."""
        return weights_fingerprint(self.model)

    def held(self) -> Run | None:
        """The folder of this sampler's training, finished or not, or None if there is none.

        Raises:
            InputError: the folder holds something else.
        """
        folder = self.file.with_suffix("")
        try:
            return Run(folder) if folder.exists() or folder.is_symlink() else None
        except InputError as error:
            raise InputError(f"{folder} is no fit of a sampler: move it away ({error})") from error

    def begun(self) -> Run | None:
        """The folder of this sampler's training on this model's codes, or None if there is none."""
        held = self.held() if catalogue.find(self.name).learns else None
        return held if held is not None and held.config.get("model") == self.mark else None

    def make(
        self,
        chosen: Mapping[str, Any],
        precision: Precision,
        images: Images | None,
        progress: Progress,
    ) -> Sampler:
        """Fit a sampler with options, all of which are given, and store it."""
        if (shape := self.model.code_shape) and chosen.get("code_shape", "") is None:
            chosen = {**chosen, "code_shape": ",".join(map(str, shape))}
        fitted = catalogue.make(self.name, self.model.latent_dim, chosen)
        check_inside(self.run.folder, "samplers", f"samplers/{self.name}")
        if self.file.is_dir():
            raise InputError(f"{self.file} is a folder: move it away")
        train = (images or api.run_images(self.run, data_dir=self.data_dir)).train
        z, data = codes(self.model, train.x).cpu(), fingerprint(train.x, train.y)
        if isinstance(fitted, Learned):
            fitted.to(next(self.model.parameters()).device)
            whose = {"sampler": self.name, "precision": precision, "model": self.mark}
            config = {**chosen, **whose, "data": data}
            self._learn(fitted, fitted.batches(z, train.y), config, progress)
        else:
            with catalogue.whose_fault(self.name):
                fitted.fit(z, train.y, progress=progress)
        return self.keep(chosen, fitted, data)

    def _learn(
        self, fitted: Learned[Any], batches: Batches, config: Mapping[str, Any], progress: Progress
    ) -> None:
        """Train a sampler in a folder of its own, from the last checkpoint of the same fit."""
        # options that affect only how codes are drawn are no part of the fit
        config = {k: v for k, v in {**config, **fitted.found}.items() if k not in fitted.drawing}
        held, fabric = self.held(), make_fabric(batches.device.type)
        folder = self.file.with_suffix("")
        again = f"remove the folder {folder} to begin anew"
        done = 0 if held is None else max(held.checkpoints(), default=0)
        # what was begun in float32 goes on in it: bf16 is asked for where it is faster
        stored = {} if held is None or config["precision"] != "auto" else held.config
        begun: dict[str, Any] = {**config, "precision": stored.get("precision", "32")}
        if held is not None and comparable(held.config) == comparable(begun) != comparable(config):
            kind = begun["precision"].replace("32", "float32")
            progress.say(f"this fit was begun in {kind} and goes on in it ({again})")
            config = begun
        same = held is not None and comparable(held.config) == comparable(config)
        config["precision"] = settled(config["precision"], fabric, progress.say, begun=same)
        if held is not None and not same:
            if done:
                by = "a fit by other options, or of another model or other data"
                progress.say(f"{held.folder} had {done} iterations of {by}: this one begins anew")
            with held.alone():
                shutil.rmtree(held.folder)
            held, done = None, 0
        if held is not None and "iterations" in fitted.found:  # nobody asked for another number
            before = held.config.get("iterations")
            most = max(fitted.iterations, done, before if isinstance(before, int) else 0)
            fitted.iterations = config["iterations"] = most
            fitted.found = {**fitted.found, "iterations": most}
        if done > fitted.iterations:
            asked = f"--iterations {fitted.iterations}"
            raise InputError(f"{asked}: this fit has done {done} iterations ({again})")
        if done == fitted.iterations:
            progress.say(f"this fit of {done} iterations is done; more --iterations continue it")
        elif done:
            progress.say(f"this fit has done {done} iterations of {fitted.iterations}: it goes on")
        alone = Run.create(folder, config) if held is None else held.alone()
        with alone, own_random(int(config.get("seed") or 0), batches.device):
            try:
                fit(
                    fitted,
                    batches,
                    fitted.iterations,
                    rate=fitted.schedule,
                    run=Run(folder, config=config),
                    progress=progress,
                    fabric=fabric,
                    precision=config["precision"],
                    checkpoint_every=max(1, min(1000, fitted.iterations // 10)),
                    keep=1,
                )
            except CheckpointError as error:
                raise InputError(f"{error} ({again})") from error

    def keep(self, options: Mapping[str, Any], fitted: Sampler, data: str) -> Sampler:
        """Store a sampler with its options in the run, and the checksum of the data it is of."""
        # a fit that can go on keeps to what it found
        found = () if isinstance(fitted, Learned) else fitted.found
        asked = {name: options[name] for name in found if name in options}
        options = {**options, **fitted.found}
        self._check_storable(options, fitted)
        dim = self.model.latent_dim
        whose = {"sampler": self.name, "dim": dim, "options": options, "asked": asked}
        catalogue.save(fitted, self.file, {**whose, "model": self.mark, "data": data})
        return self.placed(fitted)

    def _check_storable(self, options: Mapping[str, Any], fitted: Sampler) -> None:
        """Check that another package's sampler can be built again from its options.

        Raises:
            InputError: a tensor has another shape than in a sampler that is built anew.
        """
        if self.name in catalogue.SAMPLERS:
            return
        again = catalogue.make(self.name, self.model.latent_dim, options).state_dict()
        for name, value in fitted.state_dict().items():
            if name not in again or again[name].shape != value.shape:
                raise InputError(
                    f"the sampler {self.name} can't be stored: its fitted {name} has shape "
                    f"{tuple(value.shape)}, which does not follow from its constructor's arguments "
                    "(what fitting finds for an option belongs in `found`)"
                )

    def placed(self, fitted: Sampler) -> Sampler:
        """A sampler on the model's device, with the names of the run's classes.

        Convex combinations get the judges of a model that classifies.
        """
        fitted.with_names(self.run.facts.classes)
        if isinstance(fitted, Convex):
            judges = self.model.judges() if isinstance(self.model, Classifying) else {}
            fitted.with_judges(judges)
        return fitted.to(next(self.model.parameters()).device)

"""The samplers of a run: fitted to its codes, stored in it, read from it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zspace import api
from zspace.api import Say, silent
from zspace.core import Batches, Classifying, LatentModel, Sampler, codes
from zspace.data import Images
from zspace.errors import InputError, unknown
from zspace.options import checked, options_of
from zspace.recipes import catalogue
from zspace.recipes.base import run_facts
from zspace.samplers import Convex, Learned
from zspace.storage.cache import fingerprint
from zspace.storage.files import read_header
from zspace.storage.run import Run, comparable
from zspace.training import Precision, Report, fit, make_fabric


def fit_sampler(
    run: str | Path,
    name: str,
    options: Mapping[str, Any] | None = None,
    *,
    checkpoint: str | int = "last",
    device: str = "cpu",
    precision: Precision = "32",
    report: Report | None = None,
    say: Say = silent,
) -> Sampler:
    """Fit a sampler to the codes of a run's training images, and store it in the run.

    One that learns by iterations leaves checkpoints in the run's folder samplers/NAME. The same
    call goes on with a fit that was stopped, exactly where its last checkpoint was made; with more
    iterations, with one that is finished.

    Args:
        name: of `zspace.recipes.catalogue.SAMPLERS`.
        options: of that sampler; its defaults for the rest.
        precision: of a fit by iterations, as in `train`.
        report: called with the iteration and the losses, whenever they are logged.
        say: called with messages for people.
    """
    # before the model is read, which takes longer
    chosen = _sampler_options(name, options or {})
    model = api.load(run, checkpoint=checkpoint, device=device)
    return _fit_sampler(Run(run), name, chosen, model, None, precision, report, say)


def _sampler_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    if name not in catalogue.SAMPLERS:
        raise unknown("sampler", name, catalogue.SAMPLERS)
    known = options_of(catalogue.SAMPLERS[name])
    return checked(known, options, f"option of the sampler {name}")


def _fit_sampler(
    existing: Run,
    name: str,
    chosen: dict[str, Any],
    model: LatentModel,
    images: Images | None,
    precision: Precision,
    report: Report | None,
    say: Say,
) -> Sampler:
    fitted = catalogue.make(name, model.latent_dim, chosen)
    if _sampler_file(existing, name).is_dir():
        raise InputError(f"{_sampler_file(existing, name)} is a folder: move it away")
    train = (images or api.run_images(existing)).train
    z = codes(model, train.x).cpu()
    if isinstance(fitted, Learned):
        fitted.to(next(model.parameters()).device)
        batches = fitted.batches(z, train.y)
        _learn(existing, name, chosen, model, fitted, batches, precision, report, say)
    else:
        fitted.fit(z, train.y)
    return keep_sampler(existing, name, chosen, model, fitted)


def _learn(
    existing: Run,
    name: str,
    chosen: dict[str, Any],
    model: LatentModel,
    fitted: Learned[Any],
    batches: Batches,
    precision: Precision,
    report: Report | None,
    say: Say,
) -> None:
    """Train a sampler in a folder of its own, on from the last checkpoint of the same fit."""
    # how codes are drawn is no part of what is learned
    config = {k: v for k, v in {**chosen, **fitted.found}.items() if k not in fitted.drawing}
    config |= {"sampler": name, "precision": precision, "model": weights_fingerprint(model)}
    held = _held_fit(existing, name)
    done = 0 if held is None else max(held.checkpoints(), default=0)
    if held is not None and comparable(held.config) != comparable(config):
        if done:
            say(
                f"{held.folder} had {done} iterations of a fit by other options, or of another "
                "model: this one begins anew"
            )
        shutil.rmtree(held.folder)
        held, done = None, 0
    if done > fitted.iterations:
        assert held is not None
        raise InputError(
            f"--iterations {fitted.iterations}: this fit has done {done} iterations (remove the "
            f"folder {held.folder} to begin anew)"
        )
    if done == fitted.iterations:
        say(f"this fit of {done} iterations is complete; more --iterations go on with it")
    elif done:
        say(f"this fit has done {done} iterations of {fitted.iterations}: going on from there")
    fit_run = held or Run.create(_sampler_file(existing, name).with_suffix(""), config)
    fit_run.config = config
    try:
        fit(
            fitted,
            batches,
            fitted.iterations,
            run=fit_run,
            report=report,
            fabric=make_fabric(batches.device.type, precision),
            checkpoint_every=max(1, min(1000, fitted.iterations // 10)),
            keep=1,
        )
    except InputError as error:
        if str(fit_run.folder / "checkpoints") not in str(error):
            raise
        raise InputError(f"{error} (remove the folder {fit_run.folder} to begin anew)") from error


def _held_fit(existing: Run, name: str) -> Run | None:
    """Where a sampler of that name has been trained, finished or not.

    Raises:
        InputError: something else is there.
    """
    folder = _sampler_file(existing, name).with_suffix("")
    if not folder.exists() and not folder.is_symlink():
        return None
    try:
        return Run(folder)
    except InputError as error:
        raise InputError(f"{folder} is no fit of a sampler: move it away ({error})") from error


def keep_sampler(
    run: Run, name: str, options: Mapping[str, Any], model: LatentModel, fitted: Sampler
) -> Sampler:
    """Store a sampler of these options, fitted to the model's codes, in the run."""
    header = {
        "sampler": name,
        "dim": model.latent_dim,
        "options": {**options, **fitted.found},
        "model": weights_fingerprint(model),
    }
    catalogue.save(fitted, _sampler_file(run, name), header)
    return _placed(fitted, model, run)


def _placed(fitted: Sampler, model: LatentModel, run: Run) -> Sampler:
    """A sampler where the model is; convex combinations with the judges that the model is."""
    fitted.names = run_facts(run).classes
    if isinstance(fitted, Convex):
        fitted.judges = model.judges() if isinstance(model, Classifying) else {}
    return fitted.to(next(model.parameters()).device)


def sampler_of(
    run: str | Path,
    name: str,
    model: LatentModel,
    *,
    images: Images | None = None,
    report: Report | None = None,
) -> Sampler:
    """The sampler `name` for a model that `load(run)` gave.

    "prior" is the model's own, and so is GEN's "target". Others are read from the run; one that is
    not there yet, or that was fitted to other weights than this model's, is fitted (with its stored
    options) and stored.

    Args:
        images: the run's data, where they have been read.
        report: called as `fit_sampler` does, where one is fitted that learns.
    """
    if name in catalogue.OWN:
        own = model.samplers()
        if name not in own:
            known = ", ".join([*own, *catalogue.SAMPLERS])
            raise InputError(
                f"{run} has no {name} of its own: choose another sampler (--sampler {known})"
            )
        return own[name]
    if name not in catalogue.SAMPLERS:
        raise unknown("sampler", name, catalogue.SAMPLERS)
    existing, known = Run(run), options_of(catalogue.SAMPLERS[name])
    path = _sampler_file(existing, name)
    mark = weights_fingerprint(model)
    held = _held_fit(existing, name) if issubclass(catalogue.SAMPLERS[name], Learned) else None
    begun = held is not None and held.config.get("model") == mark
    options: Mapping[str, Any] = {}
    if path.exists():
        try:
            header = read_header(path)
            if header.get("sampler") != name:
                raise InputError(f"{path} is no sampler {name}")
            if header.get("model") == mark:
                return _placed(catalogue.load(path), model, existing)
            options = header.get("options", {})
        except InputError as error:
            if not begun:  # else its fit has all that it was made of
                raise InputError(
                    f"{error}: 'zspace fit-sampler {run} --sampler {name}' makes it again"
                ) from error
    precision = "32"
    if begun:  # a fit that was stopped is gone on with
        assert held is not None
        options = {k: v for k, v in held.config.items() if k in known}
        precision = held.config.get("precision", "32")
    chosen = _sampler_options(name, options)
    return _fit_sampler(existing, name, chosen, model, images, precision, report, silent)


def _sampler_file(run: Run, name: str) -> Path:
    return run.folder / "samplers" / f"{name}.safetensors"


def weights_fingerprint(model: LatentModel) -> str:
    """A checksum of a model's weights: tells whose codes a sampler was fitted to."""
    return fingerprint(*model.state_dict().values())

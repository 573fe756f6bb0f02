"""The Python entry points: `train`, `resume` and `load`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch

from zspace.core import SILENT, LatentModel, Progress, as_progress
from zspace.core.batches import Transform
from zspace.core.given import whole_within
from zspace.data import NAMED, DataOptions, Images
from zspace.data.given import Data, check_apart, check_options, check_there, images_of, kept, moved
from zspace.data.images import Part, join
from zspace.data.sets import read_part
from zspace.display import pictures
from zspace.errors import InputError
from zspace.execution import (
    affordable,
    carry_out,
    facts_of,
    identified,
    seconds_of,
    seconds_per_iteration,
)
from zspace.functional.augmentation import TRANSFORM
from zspace.functional.tensors import own_random
from zspace.options import About, Option, check_used, checked, options_of
from zspace.recipes import find, plan_of
from zspace.storage.config import check_texts
from zspace.storage.files import load_state, read_header
from zspace.storage.published import check_unfinished, run_folder
from zspace.storage.reading import Claims
from zspace.storage.run import Header, Run
from zspace.training import Precision, find_device
from zspace.wrapping import RECIPE, check_codes, stored_model


def train(
    recipe: str,
    data: Data = "digits",
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress = SILENT,
    seed: Annotated[
        int, About("seed of the initialisation, order and noise", least=0, most=1 << 52)
    ] = 0,
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"], About("device to compute on")
    ] = "auto",
    precision: Annotated[
        Precision,
        About("precision: float32 (on CUDA, TF32 in products), bf16 unless slower, or the faster"),
    ] = "32",
    threads: Annotated[
        int | None, About("number of CPU threads (unset: PyTorch's choice)", least=1, most=256)
    ] = None,
    log_every: Annotated[int, About("iterations between lines of log.jsonl", least=1)] = 10,
    checkpoint_every: Annotated[
        int, About("iterations between checkpoints, a tenth of them all at most", least=1)
    ] = 1000,
    keep: Annotated[int, About("number of latest checkpoints to keep (0: all)", least=0)] = 2,
    tensorboard: Annotated[bool, About("also write events for TensorBoard")] = False,
    augment: Annotated[
        str | None,
        About(
            "random changes of training images, separated by commas: flip, cropN (as crop4, shifts "
            "by up to 4 pixels), colour (unset: none)"
        ),
    ] = None,
    init_from: Annotated[
        str | None, About("run whose weights to start from (unset: new weights)")
    ] = None,
    budget: str | None = None,
    transform: Transform | None = None,
    **options: Any,
) -> LatentModel:
    """Train a model by a recipe, and return it in eval mode.

    Its weights require no gradients then; `model.requires_grad_()` lets you train them yourself.

    Args:
        recipe: the name of a recipe (see `zspace.recipes`), such as "flexae-sr".
        data: what `--data` takes (a named set, a folder, an .npy or .npz file, "hf:NAME"), or
            `Images`, or an array: uint8 images (N, H, W), (N, H, W, C) or (N, C, H, W), floats
            in [0, 1] of the same shapes, or vectors (N, D); or a pair of such an array and labels,
            or a data set of PyTorch, torchvision or Hugging Face (`zspace.data.collected`). A run
            keeps what is no name or path, up to 1 GiB.
        out: the run's folder; None writes nothing to disk.
        overwrite: whether to replace an existing run.
        progress: told the iteration and the losses whenever they are logged, and what the user
            should know about the data.
        seed, device, precision, threads, log_every, checkpoint_every, keep, tensorboard,
            init_from, augment: options of the training, as their annotations say.
        budget: the time that training may take, such as "90s", "30m" or "1h30m", from which a short
            measurement on this machine makes the number of iterations; a run keeps that number.
        transform: a function of a training image, float32 (C, H, W) in [0, 1], to another of the
            same shape, such as one of torchvision's transforms. It is called anew whenever an image
            is used; its random numbers follow from the seed, so that a run that is resumed, with
            the same transform, stays exact.
        options: the recipe's hyper-parameters, and options of the data
            (`zspace.data.DataOptions`: data_dir, image_size, channels, classes, train_size, ...).

    Returns the trained model.
    Raises:
        InputError: the recipe, the data, an option or the folder can't be used, or a loss is not
            finite.

    >>> model = train("ae", "digits", iterations=2, batch_size=32, width=4, hidden=16)
    >>> model.reconstruct(torch.rand(3, 1, 8, 8)).shape
    torch.Size([3, 1, 8, 8])
    """
    here = locals()
    given = {name: here[name] for name in options_of(train)} | options
    known = run_options(recipe)
    settings = checked(known, given, f"option of {recipe}")
    check_used(known, settings)
    check_options(data, settings)
    seconds = None if budget is None else seconds_of(budget)
    if seconds is not None and "iterations" in options:
        raise InputError("give --budget or --iterations, not both")
    if transform is not None:
        own = settings["augment"]
        settings["augment"] = TRANSFORM if own is None else f"{TRANSFORM},{own}"
    source = str(data) if isinstance(data, str | Path) else None
    if out is not None:
        check_apart(Path(out), [source], folder=True)
    images = images_of(data, settings)
    if source is not None and source.lower().endswith((".npy", ".npz")) and not images.is_image:
        note = (
            f"{source} holds vectors (N, D), and a model of them is trained; if they are codes, "
            f"'zspace fit-sampler {source} --sampler NAME' fits a distribution to them"
        )
        images = replace(images, notes=(*images.notes, note))
    config = {"recipe": recipe, "data": source, **settings}
    check_texts(config)
    if out is not None:
        Run.check_new(Path(out), overwrite=overwrite)
    said = as_progress(progress)
    if seconds is not None:
        config["iterations"] = affordable(
            config, images, seconds, transform=transform, progress=said
        )
    where = None if out is None else Path(out)
    return carry_out(config, images, where, overwrite, said, transform=transform)


def resume(
    run: str | Path,
    *,
    iterations: int | None = None,
    data: Data | None = None,
    data_dir: str | None = None,
    transform: Transform | None = None,
    progress: Progress = SILENT,
) -> LatentModel:
    """Continue a run that was interrupted, exactly where its last checkpoint was made.

    Args:
        run: the run, which may be no model of the zoo.
        iterations: the iteration to train to; None takes the configured one.
        data: the data that the run was trained on, if Python gave them and the run keeps none.
        data_dir: the folder in which the run's data are now.
        transform: what `train` was given.
        progress: told the iteration and the losses whenever they are logged.

    Returns the trained model, in eval mode.
    Raises:
        InputError: the run, its data or the number of iterations can't be used.
    """
    progress = as_progress(progress)
    check_unfinished(run)
    existing = Run(run)
    if existing.config.get("recipe") == RECIPE:
        raise InputError(f"{run} holds a model that was trained elsewhere: it can't be resumed")
    done = max(existing.checkpoints(), default=0)
    if existing.model_file.exists():
        done = read_header(existing.model_file, Header).iteration
    if iterations is not None:
        iterations = whole_within("iterations", iterations, 0, 10**12)
        if iterations < max(done, 1):
            raise InputError(f"--iterations {iterations}: {run} has done {done} iterations")
        if done not in (0, iterations) and done not in existing.checkpoints():
            raise InputError(f"{run} has no checkpoint of iteration {done} to go on from")
    asked = {} if iterations is None else {"iterations": iterations}
    config = _checked_config({**existing.config, **asked}, existing)
    existing = Run(run, config=config)
    images = _images(Run(run, config=moved(config, data_dir)), data)
    if existing.model_file.exists() and iterations in (None, done):
        existing.facts.check(identified(facts_of(images), images), run, exactly=True)
        progress.say(f"{run} is finished; --iterations N trains it further")
        model = load(run)
        pictures.draw(existing, model, images, missing=True)
        return model
    return carry_out(config, images, existing, False, progress, transform=transform)


def time_of_iteration(
    recipe: str, data: str, clock: Callable[[], float] = time.perf_counter, **options: Any
) -> float:
    """The seconds of an iteration of a training, the mean over all stages, by a short measurement.

    Args:
        recipe, data, options: those of the training, as `train` takes them.
        clock: the clock, such as `time.process_time`.

    Raises:
        InputError: the recipe, the data or an option can't be used.
    """
    settings = checked(run_options(recipe), options, f"option of {recipe}")
    config = {"recipe": recipe, "data": data, **settings}
    return seconds_per_iteration(config, images_of(data, settings), clock)


def run_options(recipe: str) -> dict[str, Option]:
    """The options of a training by a recipe: those of the data, of training and of the recipe.

    Raises:
        InputError: the recipe is unknown.
    """
    if recipe == RECIPE:
        return options_of(DataOptions)
    return options_of(DataOptions) | options_of(train) | options_of(find(recipe))


def _checked_config(config: dict[str, Any], run: Run) -> dict[str, Any]:
    """A run's configuration, after a check like that of any other input."""
    try:
        recipe, data = config["recipe"], config["data"]
        rest = {k: v for k, v in config.items() if k not in ("recipe", "data")}
        return {"recipe": recipe, "data": data, **checked(run_options(recipe), rest)}
    except KeyError as error:
        raise InputError(f"{run.folder}/config.yaml can't be used: it has no {error}") from error
    except InputError as error:
        raise InputError(f"{run.folder}/config.yaml can't be used: {error}") from error


def load(
    run: str | Path,
    *,
    checkpoint: str | int = "last",
    device: str = "cpu",
    progress: Progress = SILENT,
) -> LatentModel:
    """The model of a run, in eval mode, whose weights require no gradients.

    Args:
        run: the run's folder, or `zoo:NAME` of a model of the zoo, as wherever a run is taken.
        checkpoint: the iteration of a checkpoint, or "last" for the finished model or, if the run
            is not finished, its latest checkpoint.
        device: "cpu", "cuda", "mps" or "auto".
        progress: told how far a model of the zoo is fetched, and that the run is unfinished, if it
            is and "last" is asked for.

    Raises:
        InputError: the run or the checkpoint can't be used, or there is no such device.
    """
    existing = Run(run_folder(run, progress))
    config = _checked_config(existing.config, existing)
    path = existing.weights_file(str(checkpoint))
    facts = existing.facts_of(path)
    with Claims(path), own_random(0):  # weights are drawn before those of the file take their place
        plan = None if config["recipe"] == RECIPE else plan_of(config, facts)
        model = stored_model(existing, facts) if plan is None else plan.model
    load_state(model, existing.weights(path, model), path)
    model.eval().requires_grad_(False)
    # the memory layout of training, since another one changes the last digits of convolutions
    model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    if checkpoint == "last" and plan is not None and path != existing.model_file:
        done = max(existing.checkpoints())
        progress.say(f"{run} is unfinished: iteration {done} of {plan.iterations} is used")
    return model.to(find_device(device))


def run_images(run: Run, data: Data | None = None, *, data_dir: str | None = None) -> Images:
    """The data set that a run was trained on, which is read again.

    Args:
        run: the run.
        data: the data set, if Python gave it and the run keeps none.
        data_dir: the folder in which the run's data are now.

    Raises:
        InputError: it can't be read, or its samples have another shape or other classes now, or
            are other codes.
    """
    there = run if data_dir is None else Run(run.folder, config=moved(run.config, data_dir))
    images = _images(there, data)
    run.facts.check(facts_of(images), run.folder)
    if data is None:
        check_codes(run, images)
    return images


def _images(run: Run, data: Data | None) -> Images:
    config = _checked_config(run.config, run)
    source = config["data"] if data is None else data
    if source is None:
        return _kept(run.folder)
    if data is None:
        check_there(run.folder, source)
    return images_of(source, config)


def _kept(folder: Path) -> Images:
    """The data that Python gave, which a run keeps.

    Raises:
        InputError: it does not.
    """
    images = kept(folder)
    if images is None:
        raise InputError(
            f"{folder} was trained on data that Python gave, and keeps none: give them again "
            "(data= in Python, or --data FILE for commands that have it)"
        )
    return images


def data_for(
    run: str | Path,
    data: str | None,
    data_dir: str | None,
    part: str | None,
    progress: Progress = SILENT,
) -> tuple[Part, tuple[str, ...]]:
    """Samples for a run's model, and the names of their labels.

    Args:
        run: the run.
        data: other data than the run's own, which are converted to the model's shape, and from the
            run's range of values; None takes the run's.
        data_dir: the folder that holds the files of a named set, or in which the run's own data
            are now; None takes the run's.
        part: "train", "validation" or "test", or "all" for every sample in the data's own order.
            None takes the test part or, of other files without parts, all.
        progress: told what the user should know about the range of the values.

    Raises:
        InputError: the data can't be read, or have another shape than the model's.
    """
    existing = Run(run)
    config = _checked_config(existing.config, existing)
    config = moved(config, data_dir if data is None else None)
    facts, options = existing.facts, DataOptions.of(config)
    if data is not None:
        options = DataOptions(
            data_dir,
            value_range=None if data in NAMED else options.value_range,
            shape=options.shape if Path(data).suffix.lower() in (".npy", ".npz") else None,
            crop=options.crop if data == "celeba" else "128",
        )
        if facts.is_image:
            channels, height, width = facts.shape
            size = height if height == width else None
            options = replace(options, channels=channels, image_size=size)  # pyright: ignore[reportArgumentType]
    source = config["data"] if data is None else data
    if source is None:
        images = _kept(existing.folder)
        parts = images.train, images.validation, images.test
        return join(parts) if part == "all" else getattr(images, part or "test"), images.classes
    if data is None:
        check_there(run, source)
    # the training images of the run's own data, and of sets that others train on, are no news
    known = data in (None, config["data"], *NAMED) or source.startswith("hf:")
    chosen, found = read_part(source, options, "test" if part is None and known else part)
    shape = tuple(chosen.x.shape[1:])
    if shape != facts.shape:
        raise InputError(f"{source} has samples of shape {shape}, the model is for {facts.shape}")
    for note in found.range_notes:
        progress.say(note)
    return chosen, found.classes

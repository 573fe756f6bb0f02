"""Runs of codes alone, from a file, whose model leaves them as they are."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from zspace.core import SILENT, Progress
from zspace.data import DataOptions, Images
from zspace.data.given import images_of
from zspace.errors import InputError
from zspace.options import checked, options_of
from zspace.storage.cache import fingerprint
from zspace.storage.files import read_json
from zspace.storage.run import Run
from zspace.wrapping import FILE, RECIPE, Networks, Scale, joined, store


def run_of_codes(data: Path, out: Path, progress: Progress = SILENT) -> Path:
    """The run of codes alone, whose model leaves them as they are.

    It is made if it is not there, or if the file's codes have changed since it was.

    Four fifths of the codes are for samplers; the others are test data, unless the file has some.

    Args:
        data: a file of codes (N, D), .npy or .npz, and their labels if it has any.
        out: the folder of the run.
        progress: told what the user should know about the codes.

    Raises:
        InputError: the file holds no codes, or the folder something else.
    """
    settings = checked(options_of(DataOptions), {"validation": 0.0}, "option")
    images = images_of(data, settings)
    if images.is_image:
        raise InputError(
            f"{data} holds images: codes are (N, D) ('zspace train' trains a model on images)"
        )
    config = {"recipe": RECIPE, "data": str(data), **settings}
    checksum = _checksum(images)
    there = (out / "config.yaml").is_file()
    if there:
        held = Run(out).config
        named = held["data"] if held.get("recipe") == RECIPE else None
        if not isinstance(named, str) or Path(named).resolve() != data.resolve():
            raise InputError(
                f"{out} is a run of something else: choose another --out ('zspace fit-sampler "
                f"{out} --sampler NAME' fits a sampler to its codes)"
            )
        if read_json(out / FILE, Networks).codes == checksum:
            return out
        progress.say(f"{data} has changed: {out}, with its samplers, is made anew")
    Run.check_new(out, overwrite=there)
    for note in images.notes:
        progress.say(note)
    model = joined(nn.Identity(), nn.Identity(), Scale(), Scale(), None, images, progress)
    store(model, images, config, out, there, progress, checksum)
    return out


def check_codes(run: Run, images: Images | None = None) -> None:
    """Check that the codes that a run was made of are still those of its file, if it is there.

    Args:
        run: the run; one that is not of codes alone passes.
        images: its data, if they have been read already.

    Raises:
        InputError: the codes have changed.
    """
    path = run.folder / FILE
    if run.config.get("recipe") != RECIPE or not path.is_file():
        return
    known, source = read_json(path, Networks).codes, str(run.config["data"])
    if not known or (images is None and not Path(source).is_file()):
        return
    if _checksum(images or images_of(source, run.config)) != known:
        raise InputError(
            f"{source} has changed since {run.folder} was made of its codes: 'zspace fit-sampler "
            f"{source} --sampler NAME' makes the run anew"
        )


def _checksum(images: Images) -> str:
    return fingerprint(images.train.x, images.train.y, images.test.x, images.test.y)

"""`DataOptions`, the options that go with `--data`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from zspace.data.conversion import shape_of_text
from zspace.data.levels import Levels
from zspace.errors import InputError
from zspace.options import About


@dataclass(frozen=True)
class DataOptions:
    """The options that go with `--data`: which samples are read, and how they are converted.

    Each attribute is an option, whose annotation says what it means.
    """

    data_dir: Annotated[
        str | None, About("folder of a named set's original files (unset: none)")
    ] = None
    image_size: Annotated[
        int | None,
        About(
            "height and width to scale images to (unset: their own, for CelebA 64)",
            least=1,
            most=4096,
        ),
    ] = None
    channels: Annotated[
        Literal[1, 3] | None,
        About("channels to convert images to, 1 for grey or 3 for colour (unset: their own)"),
    ] = None
    value_range: Annotated[
        str | None,
        About(
            "LOW,HIGH, the values of pixels that become black and white (unset: 0,255; 0,65535 for "
            "16-bit files; 0,1 for floats)"
        ),
    ] = None
    classes: Annotated[str | None, About("labels to keep, separated by commas (unset: all)")] = None
    train_size: Annotated[
        int | None, About("number of training images to keep (unset: all)", least=1)
    ] = None
    train_per_class: Annotated[
        int | None, About("number of training images to keep of each class (unset: all)", least=1)
    ] = None
    label_attribute: Annotated[
        str | None,
        About(
            "attribute of CelebA that labels its images, or several, separated by commas, whose "
            "combinations do (unset: no labels)"
        ),
    ] = None
    crop: Annotated[Literal["128", "140", "none"], About("crop of CelebA's images, in pixels")] = (
        "128"
    )
    validation: Annotated[
        float | None,
        About(
            "share of the training images to split off for validation, if the data have no such "
            "part (unset: a tenth)",
            least=0,
            most=0.5,
        ),
    ] = None

    labels: Annotated[
        str | None,
        About(
            "CSV table of file names and labels, with or without headings, or the labels of an "
            "array, .npy or a table with one in each line (unset: those that the data have)"
        ),
    ] = None
    shape: Annotated[
        str | None,
        About(
            "H,W, C,H,W or H,W,C of images that an array holds as vectors (unset: vectors stay so)"
        ),
    ] = None
    skip_broken: Annotated[bool, About("leave out image files that are broken, and name them")] = (
        False
    )

    def __post_init__(self) -> None:
        """Refuse a text that says nothing, which would silently mean the current folder."""
        if self.data_dir == "":
            raise InputError("--data-dir must be a folder, not an empty text")
        Levels.of(self.value_range)
        shape_of_text(self.shape)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> DataOptions:
        """The options in a run's settings; one that a run does not know yet has its default."""
        return cls(**{own.name: settings.get(own.name, own.default) for own in fields(cls)})

"""Image files of known formats: opened, turned upright and converted to bytes."""

from __future__ import annotations

import logging
import warnings
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from zspace.data.conversion import fit_picture
from zspace.data.levels import Levels
from zspace.errors import InputError, cut

# it reports damaged TIFF files twice, by an error and on standard error
logging.getLogger("PIL").addHandler(logging.NullHandler())

FORMATS = {
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "WEBP": (".webp",),
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
}
"""The formats that are read, by their names in Pillow, with the suffixes of their files.

Pillow knows others, of which some start another program."""
FORMAT_NAMES = "PNG, JPEG, WebP, BMP, GIF, TIFF, PGM, PPM"
"""The same formats for people."""
MOST_PIXELS = 150_000_000
"""The number of pixels that an image has at most."""
ORIENTATION = 0x0112
"""The number of the EXIF tag that tells how a camera was held."""


class BrokenError(InputError):
    """An image file can't be read at all, whatever is asked of it."""


def image_in(file: BinaryIO, what: str) -> Image.Image:
    """The image in an open file, of which nothing but the header is read yet.

    Of a file with several images (GIF, TIFF) it is the first one.

    Args:
        file: the file, open in binary, which must stay open as long as the image is used.
        what: the file's name in error messages.

    Raises:
        InputError: it is no image of one of `FORMATS`, is broken, or has more than `MOST_PIXELS`.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns of images below the limit, and of damaged EXIF data
            warnings.simplefilter("ignore")
            picture = Image.open(file, formats=[*FORMATS])
    except Image.DecompressionBombError as error:
        raise _too_large(what) from error
    except UnidentifiedImageError as error:
        raise BrokenError(f"{what} is broken or no image ({FORMAT_NAMES})") from error
    except Exception as error:  # Pillow's plugins raise errors of many kinds for damaged files
        raise BrokenError(f"{what} is broken ({cut(str(error))})") from error
    if picture.width * picture.height > MOST_PIXELS:
        raise _too_large(what)
    return picture


def _too_large(what: str) -> InputError:
    return InputError(
        f"{what} has more than {MOST_PIXELS:,} pixels, the limit of an image: scale it down first"
    )


def shape_of(picture: Image.Image, what: str) -> tuple[int, int, int]:
    """The shape (C, H, W) of an image as it is when it is upright; C is 1 for grey images.

    Args:
        picture: what `image_in` returns.
        what: the file's name in error messages.

    Raises:
        InputError: the image must be read to be turned upright, and is truncated.
    """
    channels = 1 if picture.mode in ("1", "L", "LA", "F") or picture.mode[0] == "I" else 3
    width, height = picture.size
    if width != height and _orientation(picture) > 4:
        try:
            width, height = _upright(picture).size
        except Exception as error:
            raise _broken(what, error) from error
    return channels, height, width


def read_through(picture: Image.Image, what: str) -> None:
    """Read all of an image.

    Raises:
        BrokenError: it is truncated or damaged.
    """
    try:
        picture.load()
    except MemoryError:
        raise
    except Exception as error:
        raise _broken(what, error) from error


def _upright(picture: Image.Image) -> Image.Image:
    picture.load()  # which turns a TIFF image already
    return ImageOps.exif_transpose(picture) if _orientation(picture) > 1 else picture


def _orientation(picture: Image.Image) -> int:
    """The number from 1 to 8 that tells how the camera was held; 1 if it is not told."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            told = picture.getexif().get(ORIENTATION, 1)
    except Exception:  # damaged EXIF data do no harm: damaged pixels are found when they are read
        return 1
    return told if told in range(1, 9) else 1


def _broken(what: str, error: Exception) -> BrokenError:
    return BrokenError(f"{what} is broken or truncated ({cut(str(error))})")


def _of_deep_colours(picture: Image.Image, what: str, levels: Levels) -> Image.Image:
    """The image of a file with 16 bits for each colour, converted to 8 bits by `levels`.

    Pillow reads the upper 8 alone, so that imagecodecs reads these files.

    Raises:
        InputError: the package is missing, or the file is broken or of another format than it
            reads.
    """
    try:
        import imagecodecs
    except ImportError as error:
        raise InputError(
            f"{what} has 16 bits for each colour, which --value-range needs: pip install "
            "'zspace[deep]' (without --value-range the upper 8 are read)"
        ) from error
    decode = {"PNG": imagecodecs.png_decode, "TIFF": imagecodecs.tiff_decode}.get(
        str(picture.format)
    )
    if decode is None:
        raise InputError(
            f"{what} has 16 bits for each colour in {picture.format}: convert it to PNG or TIFF"
        )
    file: BinaryIO = picture.fp  # type: ignore[attr-defined]  # of an image that is not loaded yet
    here = file.tell()
    file.seek(0)
    content = file.read()
    file.seek(here)
    turned = _orientation(picture)
    try:
        x = np.asarray(decode(content))
    except Exception as error:  # its errors have no common class
        raise _broken(what, error) from error
    if x.dtype != np.uint16 or x.shape[:2] != picture.size[::-1] or x.ndim != 3 or x.shape[2] < 3:
        raise InputError(
            f"{what} has pixels of {x.dtype} and shape {x.shape}: expected 16 bits for each colour"
        )
    converted = Image.fromarray(levels.of_deep(np.ascontiguousarray(x[..., :3])))
    if turned > 1:
        converted.getexif()[ORIENTATION] = turned
    return converted


def pixels_of(
    picture: Image.Image,
    what: str,
    channels: int,
    size: int | None,
    levels: Levels,
    box: tuple[float, float, float, float] | None = None,
    box_of: tuple[int, int] | None = None,
) -> npt.NDArray[np.uint8]:
    """The pixels (C, H, W) of an image, turned upright as its EXIF data say.

    Args:
        picture: what `image_in` returns.
        what: the file's name in error messages.
        channels, size: what `fit_picture` takes.
        levels: the conversion of the values.
        box: the part to take, in coordinates of an image of the size `box_of`.
        box_of: the width and height; if they are given and `box` is not, the whole image is taken
            rather than its centred square.

    Raises:
        InputError: the image is truncated, or has values that `levels` does not take.
    """
    # the pixels have not been read yet: this names how they are stored
    if picture.mode[0] != "I" and any(
        ";16" in str(tile.args) for tile in getattr(picture, "tile", ())
    ):
        if levels.given is None:
            levels.colours = True
        else:
            picture, levels = _of_deep_colours(picture, what, levels), Levels()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of some palettes with transparency
            picture = _upright(picture)
            own = box
            if box_of is not None:
                across, down = picture.width / box_of[0], picture.height / box_of[1]
                left, top, right, bottom = box or (0, 0, *box_of)
                own = left * across, top * down, right * across, bottom * down
            return fit_picture(picture, channels, size, own, levels)
    except InputError as error:
        raise InputError(f"{what} {error}") from error
    except MemoryError:
        raise
    except Exception as error:
        raise _broken(what, error) from error

"""`Levels`, the conversion of pixels of any range of values to bytes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from zspace.data.images import allocate
from zspace.errors import InputError

AT_ONCE = 1 << 24
"""The number of pixels that are converted at once."""
USED = 0.1
"""The share of a range of values below which images that use no more of it are told of."""


class Levels:
    """The conversion of pixels to 256 levels, which remembers the range of the values that occur.

    Args:
        given: the values (LOW, HIGH) that become 0 and 255, with those between them in proportion
            and those beyond them cut off. None keeps values of 8 bits and the upper half of 16
            bits, and takes floats in [0, 1].

    Attributes:
        given: the argument.
        seen: the lowest and the highest value that occurred, by the value that becomes white.
        colours: whether there were images of 16 bits for each colour, of which 8 are read.
    """

    def __init__(self, given: tuple[float, float] | None = None) -> None:
        self.given = given
        self.seen: dict[float, tuple[float, float]] = {}
        self.colours = False

    @classmethod
    def of(cls, text: str | None) -> Levels:
        """The levels that the option `--value-range` asks for.

        Raises:
            InputError: the text is not two numbers, the first of which is smaller.
        """
        if text is None:
            return cls()
        try:
            low, high = map(float, text.split(","))
        except ValueError:
            low, high = 1.0, 0.0
        if not -1e30 < low < high < 1e30:
            raise InputError(f"--value-range must be LOW,HIGH with LOW below HIGH, not '{text}'")
        return cls((low, high))

    def of_array(self, x: npt.NDArray[Any], what: str) -> npt.NDArray[np.uint8]:
        """An array of images as bytes of the same shape.

        Args:
            x: numbers; without `given`, whole numbers from 0 to 255 or floats in [0, 1].
            what: the name of the data in error messages.

        Raises:
            InputError: values that are out of this range, NaN or infinite.
        """
        low, high = _range(x, what)
        if self.given is None:
            floats = x.dtype.kind in "fb"
            if low < 0 or high > (1 if floats else 255):
                kind = "floating-point images lie in [0, 1]" if floats else "images lie in 0..255"
                raise InputError(
                    f"{what} ranges over [{low:g}, {high:g}]: {kind} (--value-range "
                    f"{low:g},{high:g} makes the ends of its range black and white)"
                )
            self._see(1 if floats else 255, low, high)
            return self._converted(x, _of_floats if floats else _of_whole_numbers)
        return self._mapped(x, low, high)

    def of_deep(self, x: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """The pixels (H, W) of an image file with more than 8 bits for each, as bytes.

        Raises:
            InputError: without `given`, whole numbers beyond 16 bits or floats beyond [0, 1];
                values that are NaN or infinite. The message goes on from the file's name.
        """
        low, high = _range(x, "")
        if self.given is not None:
            return self._mapped(x, low, high)
        if x.dtype.kind == "f":
            if low < 0 or high > 1:
                raise InputError(
                    f"has floating-point values from {low:g} to {high:g}, not in [0, 1]: "
                    "--value-range LOW,HIGH says which are black and white"
                )
            self._see(1, low, high)
            return self._converted(x, _of_floats)
        if low < 0 or high > 65535:
            raise InputError(
                f"has grey values from {low:g} to {high:g}, outside of 16 bits: --value-range "
                "LOW,HIGH says which are black and white"
            )
        self._see(65535, low, high)
        return self._converted(x, _upper_half)

    def notes(self) -> tuple[str, ...]:
        """What the user should know about the values that were converted."""
        notes: list[str] = []
        for white, (low, high) in self.seen.items():
            occur = f"values from {low:g} to {high:g}"
            if self.given is not None:
                black = self.given[0]
                if low < black or high > white:
                    notes.append(
                        f"{occur} occur: those beyond --value-range {black:g},{white:g} are cut off"
                    )
                elif high - low < USED * (white - black):
                    notes.append(
                        f"{occur} occur, less than a tenth of --value-range {black:g},{white:g}: "
                        "the images are nearly of one shade"
                    )
            elif 0 < high < white * (0.5 if white == 65535 else USED):
                kind = "16-bit images with " if white == 65535 else "images with "
                top = f"{high:g}" if white == 1 else (1 << int(high).bit_length()) - 1
                notes.append(
                    f"{kind}{occur} are read as 0 to {white}, which makes them dark: train's "
                    f"--value-range 0,{top} makes {top} white"
                )
        if self.colours:
            notes.append("16-bit colour images are read with the upper 8 bits of each value")
        return tuple(notes)

    def _see(self, white: float, low: float, high: float) -> None:
        before = self.seen.get(white, (math.inf, -math.inf))
        self.seen[white] = min(before[0], low), max(before[1], high)

    def _mapped(self, x: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.uint8]:
        assert self.given is not None
        black, white = self.given
        self._see(white, low, high)

        def mapped(block: npt.NDArray[Any]) -> npt.NDArray[Any]:
            share = (block.astype(np.float64) - black) / (white - black)
            return np.rint(np.clip(share, 0, 1) * 255)

        return self._converted(x, mapped)

    @staticmethod
    def _converted(x: npt.NDArray[Any], convert: Any) -> npt.NDArray[np.uint8]:
        """An array converted block by block, so that little more than the result is held."""
        if x.dtype == np.uint8 and convert is _of_whole_numbers and x.flags.c_contiguous:
            return x
        out = allocate(x.shape)
        rows = max(1, AT_ONCE * len(x) // x.size)
        for i in range(0, len(x), rows):
            out[i : i + rows] = convert(x[i : i + rows])
        return out


def _range(x: npt.NDArray[Any], what: str) -> tuple[float, float]:
    with np.errstate(invalid="ignore"):
        low, high = float(x.min()), float(x.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError(f"{what} holds NaN or infinite numbers".strip())
    return low, high


def _of_floats(block: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.rint(block.astype(np.float32) * 255)


def _of_whole_numbers(block: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return block.astype(np.uint8)


def _upper_half(block: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return block >> 8

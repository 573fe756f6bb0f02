"""Configurations of runs as YAML, and the part of one that determines what is learned.

A configuration is a flat mapping of names to texts, numbers, true, false and null, as YAML 1.2's
core schema reads them. The rest of YAML (aliases, tags, lists, nested mappings) is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any

import msgspec
import yaml

from zspace.errors import InputError, cut, encodable, printable, shown
from zspace.options import present_name
from zspace.storage.files import Count
from zspace.storage.reading import whole


@dataclass(frozen=True)
class Facts:
    """The facts about a data set from which a recipe builds its networks.

    Attributes:
        shape: the shape of one sample, (C, H, W) of an image or (D,) of a vector.
        classes: the names of the labels, made printable; empty without labels.
        bounded: whether all values lie in [-1, 1], as those of images do.
        train_images: the number of training samples; 0 if it is unknown.
        checksum: the checksum of the training samples and their labels; "" if it is unknown.
    """

    shape: tuple[Annotated[int, msgspec.Meta(gt=0, lt=1 << 24)], ...]
    classes: tuple[str, ...] = ()
    bounded: bool = True
    train_images: Count = 0
    checksum: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{0,16}$")] = ""

    def __post_init__(self) -> None:
        # a received header may hold any name
        object.__setattr__(self, "classes", tuple(map(printable, self.classes)))
        if len(self.shape) not in (1, 3):
            raise ValueError(f"a sample has 1 or 3 dimensions, not {len(self.shape)}")

    @property
    def is_image(self) -> bool:
        """Whether a sample is an image, and not a vector."""
        return len(self.shape) == 3

    def check(self, now: Facts, where: object, *, exactly: bool = False) -> None:
        """Check that data are those of these facts.

        Args:
            now: the facts about the data.
            where: what was trained on the data of these facts, for the message.
            exactly: whether all facts that are known must agree. Otherwise the shape must, and the
                names of the classes, unless the data have none or had none.

        Raises:
            InputError: the data are others; the message has the first difference.
        """
        pairs: dict[str, tuple[object, object]] = {"a sample's shape": (now.shape, self.shape)}
        if exactly or (now.classes and self.classes):
            names = zip_longest(now.classes, self.classes, fillvalue="missing")
            pairs |= {f"the name of class {i}": pair for i, pair in enumerate(names)}
        if exactly:
            pairs["the number of training samples"] = now.train_images, self.train_images
            pairs["whether all values lie in [-1, 1]"] = now.bounded, self.bounded
            if now.checksum and self.checksum:
                pairs["the checksum of the training samples"] = now.checksum, self.checksum
        for what, (new, old) in pairs.items():
            if new != old:
                raise InputError(
                    f"the data are not those that {where} was trained on: {what} is {new} now, "
                    f"{old} then"
                )


_FREE = ("iterations", "device", "data_dir", "threads", "tensorboard", "checkpoint_every", "keep")
"""The options that do not affect what is learned, and may change when a run is resumed."""

LARGEST = 1 << 20
"""The size in bytes up to which a configuration is read."""

MOST = 1000
"""The number of options up to which a configuration is read."""


def comparable(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a configuration that determines what is learned."""
    return {k: v for k, v in config.items() if k not in _FREE}


CORE = (
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]{1,400}", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
)
"""The kinds of plain scalars with their forms and first characters, as in YAML 1.2's core schema.

Its octal and hexadecimal numbers are left out: nobody writes an option so.
"""


class _Loader(yaml.SafeLoader):
    """A loader of one flat mapping of plain scalars."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012
    left = 2 * MOST + 1

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise _refused("an alias or anchor", event)
        if event.tag is not None:
            raise _refused("a tag", event)
        if not isinstance(event, yaml.MappingStartEvent if parent is None else yaml.ScalarEvent):
            if parent is None:
                raise yaml.YAMLError("it must hold a mapping of options to values")
            raise _refused("a list or nested mapping", event)
        self.left -= 1
        if self.left < 0:
            raise _refused(f"more than {MOST} options", event)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise _refused(f"{shown(key.value)} a second time", key)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """A dumper that puts quotes around texts that YAML 1.1 or 1.2 would read as another type."""


def _refused(what: str, where: Any) -> yaml.YAMLError:
    line = where.start_mark.line + 1
    return yaml.YAMLError(f"line {line} holds {what}, not a plain option: value")


for _kind in (_Loader, _Dumper):
    for _name, _form, _first in CORE:
        _tag = f"tag:yaml.org,2002:{_name}"
        _kind.add_implicit_resolver(_tag, re.compile(f"(?:{_form})$"), [*_first, ""])


def _int(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    return int(node.value)  # YAML 1.1 would read 010 as 8


_Loader.add_constructor("tag:yaml.org,2002:int", _int)


def dump_config(config: Mapping[str, Any]) -> str:
    """A configuration as YAML, with its keys in their own order.

    Raises:
        InputError: a text is no UTF-8.
    """
    check_texts(config)
    return yaml.dump(dict(config), Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def read_config(path: Path) -> dict[str, Any]:
    """The configuration in a YAML file, a mapping of option names to plain values.

    Dashes in names become underscores.

    Raises:
        InputError: the file is missing, can't be read, is larger than 1 MiB, or holds no flat
            mapping of names to plain values.
    """
    content = whole(path, LARGEST, "configurations")
    try:
        config: dict[Any, Any] = yaml.load(content, Loader=_Loader) or {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is no configuration in YAML: {cut(str(error))}") from error
    texts = [str(text) for pair in config.items() for text in pair]
    if any("\0" in text for text in texts):
        raise InputError(f"{path} holds a text with a character of code 0, which no option has")
    if any(encodable(text) != text for text in texts):
        raise InputError(f"{path} holds a text that is no UTF-8, which no option has")
    named: dict[str, Any] = {}
    for key, value in config.items():
        name = present_name(str(key).replace("-", "_"))
        if name in named:
            raise InputError(f"{path} has {key} twice, the other time by another name of it")
        named[name] = value
    return named


def check_texts(config: Mapping[str, Any]) -> None:
    """Check that a configuration can be written.

    Raises:
        InputError: a text is no UTF-8, such as a path in Latin-1.
    """
    for text in config.values():
        if isinstance(text, str) and encodable(text) != text:
            raise InputError(f"a run can't note {encodable(text)}, which is no UTF-8: rename it")

"""The settings tree as a list of keys, each with all that can be said of it; reads no value of any source."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, cast, get_args, get_origin

import annotated_types as limits
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from ingestor.settings import Settings
from ingestor.settings_types import Expects, Group

PREFIX: Final = "HA_INGESTOR_"
_WORDS: Final = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    SecretStr: "a text",
    Path: "a path",
}


@dataclass(frozen=True, slots=True)
class Key:
    """One setting: `path` as in TOML. A list of groups (`homes`, `mqtt.topics`) is one key."""

    path: tuple[str, ...]
    annotation: Any
    default: Any
    description: str
    expected: str
    required: bool

    @property
    def name(self) -> str:
        """The dotted name."""
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return variable_of(self.path)

    @property
    def secret(self) -> bool:
        """Whether its value must not be shown."""
        return SecretStr in (self.annotation, *get_args(self.annotation))

    @property
    def group_type(self) -> type[Group] | None:
        """The group that a list is made of, where it is a list of groups."""
        return next((item for item in get_args(self.annotation) if _is_group(item)), None)


def variable_of(path: tuple[str, ...]) -> str:
    """Return the environment variable for a path."""
    return PREFIX + "__".join(path).upper()


@functools.cache
def all_keys() -> tuple[Key, ...]:
    """Return every key of the tree, in its order."""
    return tuple(keys_of(Settings))


@functools.cache
def key_named(name: str) -> Key | None:
    """Return the key of that dotted name."""
    return next((key for key in all_keys() if key.name == name), None)


def keys_of(group: type[Group], above: tuple[str, ...] = ()) -> Iterator[Key]:
    """Yield the keys of a group and of the groups in it."""
    for name, field in group.model_fields.items():
        path = (*above, field.alias or name)
        if _is_group(field.annotation):
            yield from keys_of(cast("type[Group]", field.annotation), path)
        else:
            yield _key(path, field)


def all_groups(group: type[Group] = Settings, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every group below a group."""
    for name, field in group.model_fields.items():
        if _is_group(field.annotation):
            yield (*above, name)
            yield from all_groups(cast("type[Group]", field.annotation), (*above, name))


def _key(path: tuple[str, ...], field: FieldInfo) -> Key:
    default = None if field.is_required() else field.default
    return Key(path, field.annotation, default, field.description or "", _expected(field), field.is_required())


def _is_group(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Group)


def _expected(field: FieldInfo) -> str:
    return _in_words(field.annotation, tuple(field.metadata))


def _in_words(annotation: Any, metadata: tuple[Any, ...]) -> str:
    """Say what a type takes, in words."""
    if told := next((item.text for item in metadata if isinstance(item, Expects)), None):
        return str(told)
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *more = get_args(annotation)
        return _in_words(inner, (*metadata, *_flat(more)))
    if origin in (Union, types.UnionType):
        inner = next(item for item in get_args(annotation) if item is not type(None))
        return f"{_in_words(inner, metadata)}, or empty"
    if origin is tuple:
        return f"a list, each {_in_words(get_args(annotation)[0], ())}"
    return _plain_in_words(annotation) + _limits(metadata)


def _plain_in_words(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(str(item) for item in get_args(annotation))
    if _is_group(annotation):
        return "a table with " + ", ".join(field.alias or name for name, field in annotation.model_fields.items())
    return _WORDS.get(annotation, "a value")


def _flat(metadata: list[Any]) -> Iterator[Any]:
    for item in metadata:
        yield from item.metadata if isinstance(item, FieldInfo) else (item,)


def _limits(metadata: tuple[Any, ...]) -> str:
    low = next((item for item in metadata if isinstance(item, (limits.Ge, limits.Gt))), None)
    high = next((item for item in metadata if isinstance(item, (limits.Le, limits.Lt))), None)
    words = []
    if low is not None:
        words.append(f"from {low.ge:,}" if isinstance(low, limits.Ge) else f"above {low.gt:,}")
    if high is not None:
        words.append(f"to {high.le:,}" if isinstance(high, limits.Le) else f"below {high.lt:,}")
    return " " + " ".join(words) if words else ""

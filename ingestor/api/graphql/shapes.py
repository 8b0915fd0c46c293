"""Types made from the shapes that REST answers with: what is added there is here, too. Knows no shape by name."""

from __future__ import annotations

import types
from enum import Enum
from typing import Any, Final, Literal, Union, get_args, get_origin

import strawberry
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ingestor.api.graphql.scalars import JSON, Long, Time

_made: Final[dict[type[BaseModel], type]] = {}
_PLAIN: Final[dict[Any, Any]] = {str: str, bool: bool, float: float, int: Long}
_LINK: Final = "]("


def shaped(model: type[BaseModel], name: str, **more: Any) -> Any:
    """Return the type of a shape; its values are the shape's own. `more`: fields that only the graph has."""
    members: dict[str, Any] = {}
    annotations: dict[str, Any] = {}
    for field, info in model.model_fields.items():
        annotations[field] = _type_of(info.annotation, info)
        members[field] = strawberry.field(description=info.description)
    made = type(name, (), {"__annotations__": annotations, "__doc__": model.__doc__, **members, **more})
    # A link leads somewhere from a page of the reference only.
    about = None if _LINK in (model.__doc__ or "") else model.__doc__
    found = strawberry.type(made, name=name, description=about)
    return _made.setdefault(model, found)


def _type_of(annotation: Any, info: FieldInfo) -> Any:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return _of_several(inner, info)
    if origin is list:
        return list[_type_of(inner[0], info)]  # type: ignore[misc] # made at run time
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _made.get(annotation) or shaped(annotation, annotation.__name__.removesuffix("Shape"))
    return _of_value(annotation, info)


def _of_several(inner: tuple[Any, ...], info: FieldInfo) -> Any:
    known = [one for one in inner if one is not type(None)]
    if len(known) > 1:
        return JSON
    found = _type_of(known[0], info)
    return found | None if type(None) in inner else found


def _of_value(annotation: Any, info: FieldInfo) -> Any:
    extra = info.json_schema_extra
    if isinstance(extra, dict) and extra.get("format") == "date-time":
        return Time
    is_name = get_origin(annotation) is Literal or (isinstance(annotation, type) and issubclass(annotation, Enum))
    return str if is_name else _PLAIN.get(annotation, JSON)

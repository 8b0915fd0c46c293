"""The objects of a home (areas, devices, entities, automations, ...) found by what people call them; prints nothing."""
# ruff: noqa: PLC0415 -- loaded when it is asked: the command line imports this, and a listener has 80 MB

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from ingestor import errors

if TYPE_CHECKING:
    import sqlalchemy

    from ingestor.home.objects import Held
    from ingestor.home.objects_store import RegistryObjects

_US: Final = 1_000_000
_NS_PER_US: Final = 1000
_NAMES: Final = ("name_by_user", "name", "title", "alias", "original_name")


def find(store: RegistryObjects, home: str, kind: str, text: str, at_us: int | None = None) -> tuple[str, Held]:
    """Return the object that a person means: by id, by entity_id, by name; one that has gone too, if none lives.

    Raises NotFound where there is none, or where there are several.
    """
    known = store.last_known(home, kind)
    if at_us is None:
        key = _match({key: held.data for key, held in known.items() if held.until_us is None}, text) or _match(
            {key: held.data for key, held in known.items()}, text
        )
        if key is not None:
            return key, known[key]
    else:
        then = store.load(home, kind, at_us).get(kind, {})
        key = _match(then, text) or _match({key: held.data for key, held in known.items()}, text)
        for held in store.history(home, kind, key) if key is not None else ():
            if held.from_us <= at_us and (held.until_us is None or held.until_us > at_us):
                return str(key), held
    raise errors.NotFound(f"no {kind.replace('_', ' ')} is known as {text!r}{' at that time' if at_us else ''}")


def _match(objects: Mapping[str, Mapping[str, Any]], text: str) -> str | None:
    if text in objects:
        return text
    wanted = text.casefold()
    for by in (_entity_id, _shown_name):
        found = [key for key, data in objects.items() if by(data).casefold() == wanted]
        if len(found) > 1:
            raise errors.NotFound(f"{text!r} names {len(found)} of them; their ids: {', '.join(sorted(found))}")
        if found:
            return found[0]
    return None


def _entity_id(data: Mapping[str, Any]) -> str:
    return str(data.get("entity_id") or "")


def _shown_name(data: Mapping[str, Any]) -> str:
    return name_of(data, "")


def name_of(data: Mapping[str, Any], otherwise: str) -> str:
    """Return what an object is called."""
    return next((str(data[key]) for key in _NAMES if data.get(key)), otherwise)


def former_names(history: Sequence[Held], entity_id: str) -> list[str]:
    """Return the entity_ids that an entity had before, oldest first."""
    names = dict.fromkeys(_entity_id(held.data) for held in history)
    return [name for name in names if name and name != entity_id]


def moment(time_us: int | None) -> str | None:
    """Return a time as ISO text, in UTC."""
    return None if time_us is None else datetime.fromtimestamp(time_us / _US, UTC).isoformat(timespec="seconds")


def identity_of(
    database: sqlalchemy.Engine, store: RegistryObjects, home: str, key: str, data: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the former names of an entity, and the series it is stored as. Raises StoreUnavailable."""
    from ingestor.home.history import MapHistory

    now_us = time.time_ns() // _NS_PER_US
    entity_id = str(data.get("entity_id") or key)
    record = MapHistory(database).load(home)
    series = [
        entry.place.series for entry in record.entries if entry.entity_id == entity_id and entry.effective_us <= now_us
    ]
    former = former_names(store.history(home, "entity", key), entity_id)
    return {"series": series[-1] if series else entity_id, "former_entity_ids": former}

"""The command `home why`: what made an entity change, as far as its newest events tell."""
# ruff: noqa: PLC0415 -- the store is opened when it is asked

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ingestor import bootstrap
from ingestor.cli.options import HomeOption, JsonFlag, home_of, settings_of
from ingestor.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ingestor.events.point import StoredEvent

_NS: Final = 1_000_000_000
_NAMES: Final = ("cause_kind", "cause_id", "root_cause_kind", "root_cause_id", "cause_depth", "context_id")
_ITSELF: Final = "itself (no other cause is known)"
_WORDS: Final = {
    "user": "a user",
    "automation": "the automation",
    "script": "the script",
    "time": "a time that came",
    "device": "the device",
    "unknown": "something that is not known",
}


def register(group: typer.Typer) -> None:
    """Add the command to the group `home`."""
    group.command("why")(why)


def why(
    context: typer.Context,
    entity: Annotated[str, typer.Argument(metavar="ENTITY", help="An entity_id.")],
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many changes, the newest first.")] = 5,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show what an entity's newest changes were caused by: a user, an automation, a script, a time, or itself."""
    from ingestor.storage.port import EventQuery

    settings = settings_of(context)
    name = home_of(settings, home).name
    store = bootstrap.open_store(settings)
    try:
        found = list(store.read(EventQuery(home=name, entity=entity, kind="state", limit=limit)))
    finally:
        store.close()
    if as_json:
        print_json([_object(event) for event in found])
        return
    if not found:
        say(f"no change of {entity!r} is stored; `ha-ingestor events --entity '{entity}'` looks in all homes")
        return
    users = bootstrap.open_objects(settings).load(name, "user").get("user", {})
    names = {user_id: str(data.get("name") or user_id) for user_id, data in users.items()}
    print_table(("when", "became", "was", "caused by", "at the root"), [_row(event, names) for event in found])


def _row(event: StoredEvent, users: Mapping[str, str]) -> list[str]:
    fields = event.fields
    when = datetime.fromtimestamp(event.time_ns / _NS, UTC).isoformat(timespec="milliseconds")
    before, after = (str(fields.get(name, "")) for name in ("previous_state", "state"))
    return [when, after, before, _cause(fields, "", users), _cause(fields, "root_", users)]


def _cause(fields: dict[str, Any], prefix: str, users: Mapping[str, str]) -> str:
    kind = fields.get(f"{prefix}cause_kind")
    if kind is None:
        if prefix:
            return ""
        return "not told by its source" if fields.get("origin") else _ITSELF
    named = str(fields.get(f"{prefix}cause_id") or "")
    if kind == "device" and not named:
        return _ITSELF
    if kind == "user" and named in users:
        return f"the user {users[named]}"
    return f"{_WORDS.get(str(kind), str(kind))} {named}".strip()


def _object(event: StoredEvent) -> dict[str, Any]:
    told = {name: event.fields.get(name) for name in ("state", "previous_state", "entity_id", "source", *_NAMES)}
    return {"time_ns": event.time_ns, "series": event.series, **told}

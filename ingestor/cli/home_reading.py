"""The commands of `home` that tell what a home consists of, as it is and as it was."""
# ruff: noqa: PLC0415 -- the database and the client of Home Assistant are loaded when they are asked

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ingestor import errors
from ingestor.cli.event_options import parse_time
from ingestor.cli.home_objects import cell, changes, columns_of
from ingestor.cli.options import HomeOption, JsonFlag, home_of, settings_of
from ingestor.cli.output import print_json, print_table, say
from ingestor.reading.objects import find, identity_of, moment, name_of
from ingestor.wording import number_of

if TYPE_CHECKING:
    import sqlalchemy

    from ingestor.home.objects_store import RegistryObjects

_NS_PER_US: Final = 1000
Kind = Annotated[str, typer.Argument(metavar="KIND", help="area, device, entity, automation, ...; see `home list`.")]
ObjectId = Annotated[str, typer.Argument(metavar="ID", help="Its id, its entity_id, or its name.")]
At = Annotated[
    str | None, typer.Option("--at", metavar="AGE|TIME", help="As it was then: 2h, 30d, or an ISO time; default: now.")
]


def register(group: typer.Typer) -> None:
    """Add the commands to the group `home`."""
    for name, command in (("list", list_objects), ("show", show), ("history", history), ("sync", sync)):
        group.command(name)(command)


def list_objects(
    context: typer.Context,
    kind: Annotated[str | None, typer.Argument(metavar="KIND", help="Which kind; default: how many of each.")] = None,
    *,
    at: At = None,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Print the objects of a kind, or how many there are of each, and what the token may not see."""
    store, name = _open(context, home)
    at_us = at_us_of(at)
    if kind is None:
        _print_counts(context, store, name, at_us, as_json=as_json)
        return
    found = store.load(name, _known(kind), at_us).get(kind, {})
    if as_json:
        print_json(found)
        return
    columns = columns_of(kind)
    rows = [[key, *(cell(data, column) for column in columns)] for key, data in found.items()]
    print_table(["id", *columns], sorted(rows, key=lambda row: (row[1].casefold(), row[0])))
    say(number_of(len(found), kind.replace("_", " ")))


def _print_counts(
    context: typer.Context, store: RegistryObjects, name: str, at_us: int | None, *, as_json: bool
) -> None:
    from ingestor.home.objects import KINDS

    found = store.load(name, at_us=at_us)
    counts = {kind: len(found[kind]) for kind in KINDS if kind in found}
    hidden = hidden_of(context, name)
    if as_json:
        print_json({"home": name, "objects": counts, "hidden": hidden})
        return
    print_table(["kind", "objects"], [[kind, f"{count:,}"] for kind, count in counts.items()])
    if not counts and at_us is not None:
        say(f"nothing is known of {name} at that time")
    elif not counts:
        say(f"nothing is known of {name}: it was never synced (`ha-ingestor home sync`)")
    if hidden:
        say(f"what this token may not see is left out: {', '.join(hidden)}")


def show(
    context: typer.Context,
    kind: Kind,
    object_id: ObjectId,
    *,
    at: At = None,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Print everything about one object; of an entity also its former names and its lasting series."""
    store, name = _open(context, home)
    key, held = find(store, name, _known(kind), object_id, at_us_of(at))
    about: dict[str, Any] = {"kind": kind, "id": key, "since": moment(held.from_us), "until": moment(held.until_us)}
    if kind == "entity":
        about |= identity_of(_metadata(context), store, name, key, held.data)
    if as_json:
        print_json({**about, "data": held.data})
        return
    shown = {**about, **held.data}
    print_table(["", ""], [[one, cell(shown, one)] for one in shown])


def history(
    context: typer.Context, kind: Kind, object_id: ObjectId, *, home: HomeOption = None, as_json: JsonFlag = False
) -> None:
    """Print how one object has changed over time, oldest first."""
    store, name = _open(context, home)
    key, _ = find(store, name, _known(kind), object_id, None)
    held = store.history(name, kind, key)
    if as_json:
        told = [{"from": moment(one.from_us), "until": moment(one.until_us), "data": one.data} for one in held]
        print_json({"kind": kind, "id": key, "history": told})
        return
    rows = [
        [moment(one.from_us) or "", moment(one.until_us) or "", name_of(one.data, key), changed]
        for one, changed in zip(held, changes(held), strict=True)
    ]
    print_table(["from", "until", "name", "changed"], rows)
    if held[-1].until_us is not None:
        say(f"it is gone since {moment(held[-1].until_us)}")


def sync(context: typer.Context, *, home: HomeOption = None, as_json: JsonFlag = False) -> None:
    """Read the home from Home Assistant now, and print what has changed."""
    from ingestor import bootstrap
    from ingestor.home.sync import run_sync

    settings = settings_of(context)
    wanted = home_of(settings, home)
    if not wanted.homeassistant.url:
        raise errors.InvalidSettings(f"the home {wanted.name!r} has no Home Assistant to read from")
    database = bootstrap.open_metadata(settings)
    began_us = time.time_ns() // _NS_PER_US
    diff = run_sync(wanted, settings.registry, bootstrap.open_state(settings), database)
    changed = bootstrap.open_objects(settings, database).changed_since(wanted.name, began_us)
    hidden = hidden_of(context, wanted.name)
    if as_json:
        told = {"home": wanted.name, "busy": diff.busy, "version": diff.version, "entities": str(diff)}
        print_json({**told, "objects_changed": changed, "hidden": hidden})
        return
    if diff.busy:
        say("another sync of this home is running; a further one was asked for")
        return
    say(f"entities: {diff}; objects: {number_of(changed, 'change')}")
    if hidden:
        say(f"what this token may not see is left out: {', '.join(hidden)}")


def _metadata(context: typer.Context) -> sqlalchemy.Engine:
    from ingestor import bootstrap

    return bootstrap.open_metadata(settings_of(context))


def _open(context: typer.Context, home: str | None) -> tuple[RegistryObjects, str]:
    from ingestor import bootstrap

    settings = settings_of(context)
    return bootstrap.open_objects(settings), home_of(settings, home).name


def hidden_of(context: typer.Context, home: str) -> list[str]:
    """Return what the token of the last sync may not see; nothing where the state server is away."""
    from ingestor import bootstrap

    settings = settings_of(context)
    facts = bootstrap.open_facts(settings, bootstrap.open_state(settings))
    try:
        facts.refresh()
    except errors.StateUnavailable:
        return []
    return facts.facts(home).hidden


def _known(kind: str) -> str:
    from ingestor.home.objects import KINDS

    if kind not in KINDS:
        raise typer.BadParameter(f"{kind!r} is none of: {', '.join(KINDS)}", param_hint="KIND")
    return kind


def at_us_of(at: str | None) -> int | None:
    """Return a time that a person names (Unix, microseconds); None for now."""
    return parse_time(at, time.time_ns()) // _NS_PER_US if at else None

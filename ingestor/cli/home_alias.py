"""The command `home alias`: joins a replaced device or entity to its successor, shows and ends such roles."""
# ruff: noqa: PLC0415 -- the database and the state server are loaded when they are asked

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ingestor import errors
from ingestor.cli.options import HomeOption, JsonFlag, home_of, settings_of
from ingestor.cli.output import print_json, print_table, say
from ingestor.reading.objects import find, moment, name_of
from ingestor.wording import number_of

if TYPE_CHECKING:
    import sqlalchemy

    from ingestor.home.objects_store import RegistryObjects
    from ingestor.home.roles import Role
    from ingestor.settings import HomeSettings, Settings

_NS_PER_US: Final = 1000
_COLUMNS: Final = ("entity", "goes on as", "in place of", "since", "until")


def register(group: typer.Typer) -> None:
    """Add the command to the group `home`."""
    group.command("alias")(alias)


def alias(
    context: typer.Context,
    new: Annotated[str | None, typer.Argument(metavar="NEW", help="The successor: an entity_id, or a device.")] = None,
    old: Annotated[str | None, typer.Argument(metavar="OLD", help="What it replaces; it must have gone.")] = None,
    *,
    remove: Annotated[
        bool, typer.Option("--remove", help="End the role of NEW: it goes back to its own series.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Let NEW go on with the series of OLD, from the next sync on; without arguments print all such roles.

    An entity is named by its entity_id, a device by its id or name: its entities are matched by kind and name. What
    is stored already stays where it is.
    """
    from ingestor import bootstrap

    settings = settings_of(context)
    wanted = home_of(settings, home)
    database = bootstrap.open_metadata(settings)
    if new is None:
        _print_roles(database, wanted.name, as_json=as_json)
        return
    if remove == (old is not None):
        raise typer.BadParameter("say which OLD it replaces, or --remove")
    told = _end(database, settings, wanted, new) if old is None else _begin(database, settings, wanted, (new, old))
    _ask_for_sync(settings, wanted)
    if as_json:
        print_json(told)


def _print_roles(database: sqlalchemy.Engine, home: str, *, as_json: bool) -> None:
    from ingestor.home.roles import Roles

    roles = Roles(database).all(home)
    if as_json:
        print_json([_as_object(role) for role in roles])
        return
    rows = [
        [role.entity_id, role.series, role.replaces, moment(role.since_us) or "", moment(role.until_us) or ""]
        for role in roles
    ]
    print_table(_COLUMNS, rows)
    say(number_of(len(roles), "role"))


def _begin(
    database: sqlalchemy.Engine, settings: Settings, home: HomeSettings, names: tuple[str, str]
) -> dict[str, Any]:
    from ingestor import bootstrap
    from ingestor.home.history import MapHistory
    from ingestor.home.roles import Roles, plan_device_roles, plan_role

    entries = MapHistory(database).load(home.name).entries
    now_us, (new, old) = time.time_ns() // _NS_PER_US, names
    left_out: list[str] = []
    if _is_entity(new):
        roles = [plan_role(entries, new, old, now_us)]
    else:
        pairs, left = _pairs(bootstrap.open_objects(settings, database), home.name, new, old)
        roles, left_out = plan_device_roles(pairs, entries, now_us)
        left_out += [f"{entity_id} matches no entity of {old}" for entity_id in left]
        if not roles:
            raise errors.IngestorError("; ".join(left_out) or f"no entity of {new} matches one of {old}")
    Roles(database).begin(home.name, roles)
    for role in roles:
        say(f"{role.entity_id} goes on with the series {role.series}")
    for reason in left_out:
        say(f"left as it is: {reason}")
    return {"roles": [_as_object(role) for role in roles], "left_out": left_out}


def _pairs(store: RegistryObjects, home: str, new: str, old: str) -> tuple[list[tuple[str, str]], list[str]]:
    """Return which entities of two devices are the same, and those of the new one that are left over."""
    from ingestor.home.roles import match_entities

    successor, _ = find(store, home, "device", new)
    former, _ = find(store, home, "device", old)
    entities = store.last_known(home, "entity").values()
    living = [held.data for held in entities if held.until_us is None and held.data.get("device_id") == successor]
    gone = [held.data for held in entities if held.until_us is not None and held.data.get("device_id") == former]
    if not gone:
        raise errors.IngestorError(f"{old} has no entities that have gone: remove the device in Home Assistant first")
    return match_entities(living, gone)


def _end(database: sqlalchemy.Engine, settings: Settings, home: HomeSettings, new: str) -> dict[str, Any]:
    from ingestor import bootstrap
    from ingestor.home.roles import Roles

    roles = Roles(database)
    current = [role for role in roles.all(home.name) if role.until_us is None]
    ended = [role for role in current if new in {role.entity_id, role.registry_id}]
    if not ended:
        store = bootstrap.open_objects(settings, database)
        kind = "entity" if _is_entity(new) else "device"
        key, held = find(store, home.name, kind, new)
        own = {key} if kind == "entity" else _entities_of(store.load(home.name, "entity")["entity"], key)
        ended = [role for role in current if role.registry_id in own]
        new = name_of(held.data, new)
    if not ended:
        raise errors.IngestorError(f"{new} plays no role of another")
    roles.end(home.name, [role.registry_id for role in ended], time.time_ns() // _NS_PER_US)
    for role in ended:
        say(f"{role.entity_id} goes back to its own series {role.own_series}")
    return {"ended": [_as_object(role) for role in ended]}


def _entities_of(entities: dict[str, dict[str, Any]], device_id: str) -> set[str]:
    return {key for key, data in entities.items() if data.get("device_id") == device_id}


def _ask_for_sync(settings: Settings, home: HomeSettings) -> None:
    from ingestor import bootstrap
    from ingestor.home.requests import request_sync

    after_s = settings.registry.effective_after_s
    try:
        request_sync(bootstrap.open_state(settings), home.name, settle=False)
        say(f"it holds for events from {after_s:g} s after the next sync on, which was asked for")
    except errors.StateUnavailable:
        say(f"it holds for events from {after_s:g} s after the next sync on")


def _is_entity(text: str) -> bool:
    domain, dot, name = text.partition(".")
    return bool(dot and name and domain.isidentifier() and " " not in text)


def _as_object(role: Role) -> dict[str, Any]:
    return {**asdict(role), "since": moment(role.since_us), "until": moment(role.until_us)}

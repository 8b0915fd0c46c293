"""The WebSocket commands of the demo server that tell what a home consists of beside its registries."""

# ruff: noqa: ARG001 - a table calls all of them alike, not each needs all it is given

from __future__ import annotations

from typing import Any, Final

import orjson

from ingestor.demo.client import Client
from ingestor.demo.command_schema import Command, Message
from ingestor.demo.entries import ConfigEntry
from ingestor.demo.home import DemoHome
from ingestor.demo.registry import RefusedError

#: How many single devices the energy page of the demo home shows.
_DEVICES_SHOWN: Final = 5


def _users(home: DemoHome, client: Client, message: Message) -> None:
    client.send_result(message["id"], [_user(name, user_id) for name, user_id in home.users.items()])


def _user(name: str, user_id: str) -> dict[str, Any]:
    is_admin = name == "admin"
    return {
        "id": user_id,
        "username": name,
        "name": name.title(),
        "is_owner": is_admin,
        "is_active": True,
        "local_only": False,
        "system_generated": False,
        "group_ids": ["system-admin" if is_admin else "system-users"],
        "credentials": [{"type": "homeassistant"}],
    }


def _flows(home: DemoHome, client: Client, message: Message) -> None:
    client.send_result(message["id"], [])


def _issues(home: DemoHome, client: Client, message: Message) -> None:
    client.send_result(message["id"], {"issues": []})


def _blueprints(home: DemoHome, client: Client, message: Message) -> None:
    client.send_result(message["id"], {})


def _persons(home: DemoHome, client: Client, message: Message) -> None:
    persons = [state for entity_id, state in home.bus.states.items() if entity_id.startswith("person.")]
    found = [
        {
            "id": state.attributes["id"],
            "name": state.attributes["friendly_name"],
            "user_id": state.attributes.get("user_id"),
            "device_trackers": state.attributes.get("device_trackers", []),
        }
        for state in persons
    ]
    client.send_result(message["id"], {"storage": found, "config": []})


def _energy(home: DemoHome, client: Client, message: Message) -> None:
    meters = [one.entity_id for one in home.registry.entities.values() if one.device_class == "energy"]
    price = {"stat_cost": None, "entity_energy_price": None, "number_energy_price": None}
    grid = {"flow_from": [{"stat_energy_from": one, **price} for one in meters[:1]], "flow_to": []}
    shown = [{"stat_consumption": one} for one in meters[1 : 1 + _DEVICES_SHOWN]]
    sources = [{"type": "grid", **grid, "cost_adjustment_day": 0.0}]
    client.send_result(message["id"], {"energy_sources": sources, "device_consumption": shown})


def _subscribe_entries(home: DemoHome, client: Client, message: Message) -> None:
    """Tell of all config entries now, and of each that changes later."""
    number = message["id"]

    def tell(kind: str | None, *entries: ConfigEntry) -> None:
        told = [{"type": kind, "entry": one.as_dict(home.modern)} for one in entries]
        client.send(b'{"type":"event","event":%b,"id":%d}' % (orjson.dumps(told), number))

    def follow(entry: ConfigEntry) -> bool:
        if client.is_open:
            tell("updated", entry)
        return client.is_open

    client.send_result(number)
    tell(None, *home.registry.config_entries.values())
    home.registry.follow_entries(follow)


def _traces(home: DemoHome, client: Client, message: Message) -> None:
    runs = home.traces.of(message["domain"], message.get("item_id"))
    client.send_result(message["id"], [run.in_short() for run in runs])


def _trace(home: DemoHome, client: Client, message: Message) -> None:
    for run in home.traces.of(message["domain"], message["item_id"]):
        if run.run_id == message["run_id"]:
            client.send_result(message["id"], run.whole())
            return
    raise RefusedError("not_found", "The trace could not be found")


def _contexts(home: DemoHome, client: Client, message: Message) -> None:
    runs = home.traces.of(message.get("domain"), message.get("item_id"))
    found = {run.context.id: {"run_id": run.run_id, "domain": run.domain, "item_id": run.item_id} for run in runs}
    client.send_result(message["id"], found)


HOME_COMMANDS: Final[dict[str, Command]] = {
    "config/auth/list": Command(_users, admin=True),
    "config_entries/flow/progress": Command(_flows, admin=True),
    "config_entries/subscribe": Command(_subscribe_entries, {}, {"type_filter": (list, str)}),
    "repairs/list_issues": Command(_issues),
    "blueprint/list": Command(_blueprints, {"domain": str}, admin=True),
    "person/list": Command(_persons),
    "energy/get_prefs": Command(_energy),
    "trace/list": Command(_traces, {"domain": str}, {"item_id": str}, admin=True),
    "trace/get": Command(_trace, {"domain": str, "item_id": str, "run_id": str}, admin=True),
    "trace/contexts": Command(_contexts, {}, {"domain": str, "item_id": str}, admin=True),
}

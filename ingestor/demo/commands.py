"""The WebSocket commands that the demo server answers, with Home Assistant's own checks and errors; keeps no state."""

# ruff: noqa: ARG001 - a table calls all of them alike, not each needs all it is given

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import structlog

from ingestor.demo import services
from ingestor.demo.client import Client
from ingestor.demo.command_schema import Command, Handler, Message, check
from ingestor.demo.home import DemoHome
from ingestor.demo.home_commands import HOME_COMMANDS
from ingestor.demo.recorder_commands import RECORDER_COMMANDS
from ingestor.demo.registry import CHANGEABLE, RefusedError
from ingestor.homeassistant.event_types import OPEN_TO_ALL

_RELATED_SINCE_2024: Final = (
    *("area", "automation", "automation_blueprint", "config_entry", "device", "entity", "group", "person"),
    *("scene", "script", "script_blueprint"),
)
_RELATED_LATER: Final = ("floor", "integration", "label")

_log: Final = structlog.get_logger(__name__)


def handle(home: DemoHome, client: Client, message: Any) -> None:
    """Do one command of a client and answer it."""
    number, kind = _head(message)
    if number is None:
        wrong = message.get("id") if isinstance(message, dict) else 0
        client.send_error(wrong, "invalid_format", "Message incorrectly formatted.")
        return
    if number <= client.last_id:
        client.send_error(number, "id_reuse", "Identifier values have to increase.")
        return
    command = COMMANDS.get(kind)
    if command is None or _version(home) < command.since:
        client.send_error(number, "unknown_command", "Unknown command.")
        return
    try:
        check(command, client, message)
        command.handler(home, client, message)
    except RefusedError as refusal:
        client.send_error(number, refusal.code, str(refusal))
    except Exception:  # noqa: BLE001 - as Home Assistant does: whatever went wrong, the connection lives
        _log.exception("demo_command_failed", command=kind)
        client.send_error(number, "unknown_error", "Unknown error")
    client.last_id = number


def _head(message: Any) -> tuple[int | None, str]:
    if not isinstance(message, dict):
        return None, ""
    number, kind = message.get("id"), message.get("type")
    is_good = type(number) is int and number > 0 and isinstance(kind, str) and bool(kind)
    return (number, str(kind)) if is_good else (None, "")


def _version(home: DemoHome) -> tuple[int, int]:
    year, month = home.ha_version.split(".")[:2]
    return int(year), int(month)


def _features(home: DemoHome, client: Client, message: Message) -> None:
    client.can_coalesce = "coalesce_messages" in message["features"]
    client.send_result(message["id"])


def _ping(home: DemoHome, client: Client, message: Message) -> None:
    client.send(b'{"id":%d,"type":"pong"}' % message["id"])


def _subscribe(home: DemoHome, client: Client, message: Message) -> None:
    event_type = message.get("event_type", "*")
    if event_type not in OPEN_TO_ALL and not client.is_admin:
        raise RefusedError("unauthorized", "Unauthorized")
    if event_type == "state_reported" and home.modern:
        raise RefusedError("home_assistant_error", "Event filter is required for event state_reported")
    client.subscriptions[message["id"]] = None if event_type == "*" else event_type
    client.send_result(message["id"])


def _unsubscribe(home: DemoHome, client: Client, message: Message) -> None:
    if message["subscription"] not in client.subscriptions:
        raise RefusedError("not_found", "Subscription not found.")
    del client.subscriptions[message["subscription"]]
    client.send_result(message["id"])


def _states(home: DemoHome, client: Client, message: Message) -> None:
    shown = b",".join(home.states_json())
    client.send(b'{"id":%d,"type":"result","success":true,"result":[%b]}' % (message["id"], shown))


def _answer(result: Callable[[DemoHome, Client], Any]) -> Handler:
    """Return a handler that answers with what the function returns."""

    def handler(home: DemoHome, client: Client, message: Message) -> None:
        client.send_result(message["id"], result(home, client))

    return handler


def _listed(name: str) -> Handler:
    return _answer(lambda home, _: [one.as_dict(home.modern) for one in getattr(home.registry, name).values()])


def _categories(home: DemoHome, client: Client, message: Message) -> None:
    found = [one for one in home.registry.categories.values() if one.scope == message["scope"]]
    client.send_result(message["id"], [one.as_dict() for one in found])


def _config_entries(home: DemoHome, client: Client, message: Message) -> None:
    wanted = message.get("domain")
    found = [one for one in home.registry.config_entries.values() if wanted in (None, one.domain)]
    client.send_result(message["id"], [one.as_dict(home.modern) for one in found])


def _manifests(home: DemoHome, client: Client, message: Message) -> None:
    wanted = message.get("integrations")
    found = [one for one in home.manifests() if wanted is None or one["domain"] in wanted]
    client.send_result(message["id"], found)


def _entity(home: DemoHome, client: Client, message: Message) -> None:
    entity = home.registry.entities.get(message["entity_id"])
    if entity is None:
        raise RefusedError("not_found", "Entity not found")
    client.send_result(message["id"], entity.extended(home.modern))


def _for_display(home: DemoHome, client: Client) -> dict[str, Any]:
    shown = [one.for_display() for one in home.registry.entities.values() if one.disabled_by is None]
    return {"entity_categories": {"0": "config", "1": "diagnostic"}, "entities": shown}


def _update_entity(home: DemoHome, client: Client, message: Message) -> None:
    changes: dict[str, Any] = {key: message[key] for key in CHANGEABLE if key in message}
    entity = home.registry.update_entity(message["entity_id"], changes, message.get("new_entity_id"))
    client.send_result(message["id"], {"entity_entry": entity.extended(home.modern)})


def _remove_entity(home: DemoHome, client: Client, message: Message) -> None:
    home.registry.remove_entity(message["entity_id"])
    client.send_result(message["id"])


def _update_device(home: DemoHome, client: Client, message: Message) -> None:
    device = home.registry.move_device(message["device_id"], message.get("area_id"))
    client.send_result(message["id"], device.as_dict(home.modern))


def _create_area(home: DemoHome, client: Client, message: Message) -> None:
    client.send_result(message["id"], home.registry.add_area(message["name"]).as_dict(home.modern))


def _current_user(home: DemoHome, client: Client) -> dict[str, Any]:
    names = {user_id: name.title() for name, user_id in home.users.items()}
    return {
        "id": client.user_id,
        "name": names.get(client.user_id, "Demo"),
        "is_owner": client.is_admin,
        "is_admin": client.is_admin,
        "credentials": [{"auth_provider_type": "homeassistant", "auth_provider_id": None}],
        "mfa_modules": [{"id": "totp", "name": "Authenticator app", "enabled": False}],
    }


def _related(home: DemoHome, client: Client, message: Message) -> None:
    kind = message["item_type"]
    known = sorted((*_RELATED_SINCE_2024, *(_RELATED_LATER if home.modern else ())))
    if kind not in known:
        wanted = f"expected ItemType or one of {str(known)[1:-1]}" if home.modern else f"value must be one of {known}"
        text = f"{wanted} for dictionary value @ data['item_type']. Got {kind!r}"
        raise RefusedError("invalid_format", text)
    client.send_result(message["id"], home.registry.related(kind, message["item_id"]))


def _routine_config(kind: str) -> Handler:
    def handler(home: DemoHome, client: Client, message: Message) -> None:
        for routine in getattr(home.routines, kind):
            if routine.entity_id == message["entity_id"]:
                client.send_result(message["id"], {"config": routine.as_config(home.modern)})
                return
        raise RefusedError("not_found", "Entity not found")

    return handler


def _call_service(home: DemoHome, client: Client, message: Message) -> None:
    service = f"{message['domain']}.{message['service']}"
    data, target = message.get("service_data"), message.get("target")
    context = home.call_service(service, data, target, client.user_id)
    client.send_result(message["id"], {"context": context.as_dict()})


_ENTITY: Final[dict[str, type]] = {"entity_id": str}
_MAYBE: Final = (str, type(None))
_CHANGES: Final[dict[str, type | tuple[type, ...]]] = {
    "area_id": _MAYBE,
    "hidden_by": _MAYBE,
    "icon": _MAYBE,
    "name": _MAYBE,
    "labels": list,
    "new_entity_id": str,
}

#: Every command by its name.
COMMANDS: Final[dict[str, Command]] = {
    **RECORDER_COMMANDS,
    **HOME_COMMANDS,
    "supported_features": Command(_features, {"features": dict}),
    "ping": Command(_ping),
    "subscribe_events": Command(_subscribe, {}, {"event_type": str}),
    "unsubscribe_events": Command(_unsubscribe, {"subscription": int}),
    "get_states": Command(_states),
    "get_config": Command(_answer(lambda home, _: home.config())),
    "get_services": Command(_answer(lambda home, _: services.describe(modern=home.modern))),
    "config/area_registry/list": Command(_listed("areas")),
    "config/floor_registry/list": Command(_listed("floors")),
    "config/label_registry/list": Command(_listed("labels")),
    "config/category_registry/list": Command(_categories, {"scope": str}, since=(2024, 4)),
    "config/device_registry/list": Command(_listed("devices")),
    "config/entity_registry/list": Command(_listed("entities")),
    "config/entity_registry/list_for_display": Command(_answer(_for_display)),
    "config/entity_registry/get": Command(_entity, _ENTITY),
    "config/entity_registry/update": Command(_update_entity, _ENTITY, _CHANGES, admin=True),
    "config/entity_registry/remove": Command(_remove_entity, _ENTITY, admin=True),
    "config/device_registry/update": Command(_update_device, {"device_id": str}, {"area_id": _MAYBE}, admin=True),
    "config/area_registry/create": Command(_create_area, {"name": str}, admin=True),
    "config_entries/get": Command(_config_entries, {}, {"domain": str, "type_filter": (list, str)}),
    "manifest/list": Command(_manifests, {}, {"integrations": list}),
    "search/related": Command(_related, {"item_type": str, "item_id": str}),
    "auth/current_user": Command(_answer(_current_user)),
    "automation/config": Command(_routine_config("automations"), _ENTITY),
    "script/config": Command(_routine_config("scripts"), _ENTITY),
    "call_service": Command(
        _call_service,
        {"domain": str, "service": str},
        {"target": dict, "service_data": dict, "return_response": bool},
    ),
}

"""What the demo home answers to the commands of Home Assistant's recorder: history and statistics."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from ingestor.demo.client import Client
from ingestor.demo.clock import SECOND_US
from ingestor.demo.command_schema import Command, Message
from ingestor.demo.home import DemoHome
from ingestor.demo.recorder import Asked
from ingestor.demo.registry import RefusedError
from ingestor.demo.statistics import About

_FOREVER_US: Final = 2**62


def _info(home: DemoHome, client: Client, message: Message) -> None:
    info = {"backlog": 0, "max_backlog": 65_000, "migration_in_progress": False, "migration_is_live": False}
    newer = {"db_in_default_location": True} if home.modern else {}
    client.send_result(message["id"], {**info, **newer, "recording": True, "thread_running": True})


def _history(home: DemoHome, client: Client, message: Message) -> None:
    asked = Asked(
        _time(message, "start_time"),
        _time(message, "end_time") if "end_time" in message else _FOREVER_US,
        message["entity_ids"],
        message.get("include_start_time_state", True),
        message.get("significant_changes_only", True),
        message.get("minimal_response", False),
        message.get("no_attributes", False),
    )
    if asked.start_us > home.clock.now_us():
        client.send_result(message["id"], {})
        return
    if not all(_is_entity_id(entity_id) for entity_id in asked.entity_ids):
        raise RefusedError("invalid_entity_ids", "Invalid entity_ids")
    client.send_result(message["id"], home.recorder.history(asked))


def _statistic_ids(home: DemoHome, client: Client, message: Message) -> None:
    client.send_result(message["id"], home.statistics.list_ids(message.get("statistic_type")))


def _statistics(home: DemoHome, client: Client, message: Message) -> None:
    end_us = _time(message, "end_time") if "end_time" in message else _FOREVER_US
    types = message.get("types", ["last_reset", "max", "mean", "min", "state", "sum"])
    start_us, names = _time(message, "start_time"), message["statistic_ids"]
    found = home.statistics.during(start_us, end_us, names, types) if message["period"] == "hour" else {}
    client.send_result(message["id"], found)


def _import_statistics(home: DemoHome, client: Client, message: Message) -> None:
    said = message["metadata"]
    about = About(bool(said["has_sum"]), said["unit_of_measurement"], said["name"], said["source"])
    home.statistics.put(said["statistic_id"], about, message["stats"])
    client.send_result(message["id"])


def _time(message: Message, key: str) -> int:
    try:
        time = datetime.fromisoformat(message[key])
    except ValueError as error:
        raise RefusedError(f"invalid_{key}", f"Invalid {key}") from error
    zoned = time if time.tzinfo else time.replace(tzinfo=UTC)
    seconds = int(zoned.replace(microsecond=0).timestamp())
    return seconds * SECOND_US + zoned.microsecond


def _is_entity_id(text: Any) -> bool:
    domain, dot, name = text.partition(".") if isinstance(text, str) else ("", "", "")
    return bool(dot and domain and name) and all(sign.isalnum() or sign == "_" for sign in domain + name)


_PERIOD: Final[dict[str, type | tuple[type, ...]]] = {
    "end_time": str,
    "include_start_time_state": bool,
    "significant_changes_only": bool,
    "minimal_response": bool,
    "no_attributes": bool,
}

#: Every command of the recorder by its name.
RECORDER_COMMANDS: Final[dict[str, Command]] = {
    "history/history_during_period": Command(_history, {"start_time": str, "entity_ids": list}, _PERIOD),
    "recorder/info": Command(_info),
    "recorder/list_statistic_ids": Command(_statistic_ids, {}, {"statistic_type": str}),
    "recorder/statistics_during_period": Command(
        _statistics,
        {"start_time": str, "statistic_ids": list, "period": str},
        {"end_time": str, "types": list, "units": dict},
    ),
    "recorder/import_statistics": Command(_import_statistics, {"metadata": dict, "stats": list}, admin=True),
}

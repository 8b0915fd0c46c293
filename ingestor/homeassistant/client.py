"""Asks Home Assistant for its registries, states and history, on a connection of its own; keeps nothing."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self

import orjson

from ingestor import errors
from ingestor.homeassistant import shapes
from ingestor.homeassistant.connection import Connection
from ingestor.settings import HomeAssistantSettings

#: Long enough for the history of a day, or the registries of a large home on a small machine.
_ANSWER_WITHIN_S: Final = 60.0
#: How many commands are under way at once: Home Assistant closes on a client that has 4,096 answers waiting for it.
_AT_ONCE: Final = 100


#: A subscription that tells at once how things are does so within a moment.
_FIRST_EVENT_WITHIN_S: Final = 5.0


class HomeAssistantClient:
    """Commands and their answers, one at a time. A context manager: entering it connects.

    Every call may raise CommandRefused (`reason` is Home Assistant's error code) or HomeAssistantUnavailable;
    entering also AuthenticationRefused. After HomeAssistantUnavailable the connection is of no more use.
    """

    def __init__(
        self,
        settings: HomeAssistantSettings,
        *,
        answer_within_s: float = _ANSWER_WITHIN_S,
        connect: Callable[[HomeAssistantSettings], Connection] = Connection.open,
    ) -> None:
        self._settings = settings
        self._answer_within_s = answer_within_s
        self._connect = connect
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        self._connection = self._connect(self._settings)
        self._connection.wait_at_most(self._answer_within_s)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def ha_version(self) -> str:
        """Home Assistant's version, as it said in the handshake."""
        return self._connection.ha_version if self._connection else ""

    def command(self, type: str, **fields: Any) -> Any:  # noqa: A002 - it is called so in Home Assistant's messages
        """Send a command and return its result."""
        connection = self._connected()
        number = connection.send_command(type, **fields)
        return _result(type, self._answers_to({number}, connection)[number])

    def commands(self, asked: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Any]:
        """Send many commands at once and return their results in order; in place of a refused one its CommandRefused.

        It saves a round trip for each. Raises HomeAssistantUnavailable.
        """
        results: list[Any] = []
        for connection, sent in self._in_parts(asked):
            answers = self._answers_to({number for _, number in sent}, connection)
            for name, number in sent:
                try:
                    results.append(_result(name, answers[number]))
                except errors.CommandRefused as refusal:
                    results.append(refusal)
        return results

    def first_events(self, asked: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Any]:
        """Subscribe to each, return what it tells first, and end the subscription; None where it tells nothing.

        For subscriptions that tell at once how things are. Raises HomeAssistantUnavailable.
        """
        told: list[Any] = []
        for connection, sent in self._in_parts(asked):
            numbers = [number for _, number in sent]
            events = self._events_of(set(numbers), connection)
            self.commands([("unsubscribe_events", {"subscription": number}) for number in events])
            told += [events.get(number) for number in numbers]
        return told

    def _connected(self) -> Connection:
        if self._connection is None:
            raise errors.HomeAssistantUnavailable("the client is not connected: use it as a context manager")
        return self._connection

    def _in_parts(
        self, asked: Sequence[tuple[str, Mapping[str, Any]]]
    ) -> Iterator[tuple[Connection, list[tuple[str, int]]]]:
        """Send commands, some at a time; after each part yield its commands with their numbers, to take the answers."""
        connection = self._connected()
        for start in range(0, len(asked), _AT_ONCE):
            part = asked[start : start + _AT_ONCE]
            yield connection, [(name, connection.send_command(name, **fields)) for name, fields in part]

    def _events_of(self, numbers: set[int], connection: Connection) -> dict[int, Any]:
        until = time.monotonic() + _FIRST_EVENT_WITHIN_S
        waiting, found = set(numbers), dict[int, Any]()
        try:
            while waiting and (left_s := until - time.monotonic()) > 0:
                connection.wait_at_most(left_s)
                for message in _messages(connection.recv()):
                    number, kind = message.get("id"), message.get("type")
                    if number in waiting and kind == "event":
                        found[number] = message.get("event")
                    if kind == "event" or (kind == "result" and not message.get("success")):
                        waiting.discard(number)
        except TimeoutError:
            return found
        finally:
            connection.wait_at_most(self._answer_within_s)
        return found

    def _answers_to(self, numbers: set[int], connection: Connection) -> dict[int, dict[str, Any]]:
        until = time.monotonic() + self._answer_within_s
        found: dict[int, dict[str, Any]] = {}
        while time.monotonic() < until:
            try:
                frame = connection.recv()
            except TimeoutError:
                break
            for message in _messages(frame):
                if message.get("id") in numbers and message.get("type") in {"result", "pong"}:
                    found[message["id"]] = message
            if len(found) == len(numbers):
                return found
        raise errors.HomeAssistantUnavailable(f"Home Assistant gave no answer within {self._answer_within_s:g} s")

    def ping(self) -> float:
        """Return how long Home Assistant took to answer, in seconds."""
        start = time.perf_counter()
        self.command("ping")
        return time.perf_counter() - start

    def get_states(self) -> list[shapes.State]:
        """Return the state of every entity that this token may read."""
        return self._list("get_states")

    def get_config(self) -> dict[str, Any]:
        """Return version, time zone, units, location and `state` (RUNNING once all is loaded)."""
        return self._dict("get_config")

    def services(self) -> dict[str, dict[str, Any]]:
        """Return the services by domain and name."""
        return self._dict("get_services")

    def areas(self) -> list[shapes.Area]:
        """Return the area registry."""
        return self._list("config/area_registry/list")

    def floors(self) -> list[shapes.Floor]:
        """Return the floor registry; none where Home Assistant is too old to have floors (before 2024.3)."""
        return self._list_if_known("config/floor_registry/list")

    def labels(self) -> list[shapes.Label]:
        """Return the label registry; none where Home Assistant is too old to have labels (before 2024.3)."""
        return self._list_if_known("config/label_registry/list")

    def devices(self) -> list[shapes.Device]:
        """Return the device registry."""
        return self._list("config/device_registry/list")

    def entities(self) -> list[shapes.Entity]:
        """Return the entity registry."""
        return self._list("config/entity_registry/list")

    def config_entries(self) -> list[shapes.ConfigEntry]:
        """Return the configured integrations."""
        return self._list("config_entries/get")

    def manifests(self) -> list[shapes.Manifest]:
        """Return what the loaded integrations say of themselves."""
        return self._list("manifest/list")

    def current_user(self) -> shapes.User:
        """Return whose token this is; `is_admin` says whether causes and automations can be heard."""
        user: shapes.User = self.command("auth/current_user")
        return user

    def recorder_info(self) -> shapes.RecorderInfo:
        """Return how the recorder does; wait for a `backlog` of 0 before reading history."""
        info: shapes.RecorderInfo = self.command("recorder/info")
        return info

    def history_during_period(
        self, start: datetime, end: datetime, entity_ids: Sequence[str]
    ) -> dict[str, list[shapes.HistoryRow]]:
        """Return every recorded change by entity, oldest first, attributes included.

        Home Assistant would otherwise add a row at the start that never was, and leave out changes of
        attributes alone (rule 21). The times must have a zone.
        """
        return self._dict(
            "history/history_during_period",
            start_time=start.isoformat(),
            end_time=end.isoformat(),
            entity_ids=list(entity_ids),
            include_start_time_state=False,
            significant_changes_only=False,
            minimal_response=False,
            no_attributes=False,
        )

    def list_statistic_ids(self) -> list[shapes.StatisticId]:
        """Return of what statistics are kept: of entities, and of what integrations import."""
        return self._list("recorder/list_statistic_ids")

    def statistics_during_period(
        self, start: datetime, end: datetime, statistic_ids: Sequence[str]
    ) -> dict[str, list[shapes.StatisticsRow]]:
        """Return the hourly statistics of the hours that begin in that time; kept for ever, unlike history."""
        return self._dict(
            "recorder/statistics_during_period",
            start_time=start.isoformat(),
            end_time=end.isoformat(),
            statistic_ids=list(statistic_ids),
            period="hour",
            types=["max", "mean", "min", "state", "sum"],
        )

    def render_template(self, template: str, *, within_s: float = 1.0) -> dict[str, Any] | None:
        """Return what a template gives (`result`) and what it depends on (`listeners`); None where it fails.

        What it warns of comes here, not into Home Assistant's log.
        """
        connection = self._connected()
        fields = {"template": template, "timeout": within_s, "report_errors": True}
        number = connection.send_command("render_template", **fields)
        try:
            return self._rendered(number, connection)
        finally:
            with contextlib.suppress(errors.CommandRefused):  # where it was refused there is nothing to end
                self.command("unsubscribe_events", subscription=number)

    def _rendered(self, number: int, connection: Connection) -> dict[str, Any] | None:
        """Return the first result; it may stand in one frame with the answer to the command."""
        until = time.monotonic() + self._answer_within_s
        while time.monotonic() < until:
            try:
                frame = connection.recv()
            except TimeoutError:
                break
            for message in _messages(frame):
                if message.get("id") != number:
                    continue
                event = message.get("event")
                if not isinstance(event, dict):
                    _result("render_template", message)
                elif "listeners" in event:
                    return event
                elif event.get("level") == "ERROR":
                    return None
        raise errors.HomeAssistantUnavailable(f"Home Assistant rendered nothing within {self._answer_within_s:g} s")

    def _list(self, command: str) -> list[Any]:
        result = self.command(command)
        return result if isinstance(result, list) else []

    def _list_if_known(self, command: str) -> list[Any]:
        try:
            return self._list(command)
        except errors.CommandRefused as refusal:
            if refusal.reason != "unknown_command":
                raise
            return []

    def _dict(self, command: str, **fields: Any) -> dict[str, Any]:
        result = self.command(command, **fields)
        return result if isinstance(result, dict) else {}


def _result(command: str, answer: Mapping[str, Any]) -> Any:
    """Return the result that an answer brings. Raises CommandRefused."""
    if answer.get("type") == "result" and not answer.get("success"):
        error = answer.get("error") or {}
        raise errors.CommandRefused(str(error.get("code", "unknown_error")), f"{command}: {error.get('message', '')}")
    return answer.get("result")


def _messages(frame: bytes) -> Iterator[dict[str, Any]]:
    """Yield the messages of a frame: it is one, or an array of them."""
    try:
        decoded = orjson.loads(frame)
    except ValueError:
        decoded = _lenient(frame)
    yield from (item for item in (decoded if isinstance(decoded, list) else [decoded]) if isinstance(item, dict))


def _lenient(frame: bytes) -> Any:
    """Decode what orjson refuses: bare NaN, and numbers beyond 64 bits."""
    try:
        return json.loads(frame.decode("utf-8", "replace"))
    except ValueError as error:
        raise errors.HomeAssistantUnavailable("Home Assistant sent a frame that is no JSON") from error

"""The step `errors`: what Home Assistant logs (`system_log_event`), as fields of its own and tied to what it is about.

Nothing is cut: a stack trace that is longer than a field goes on in the next one; one that is longer than all of them
stays in the event's data, where it is too long for any store: such an event is kept whole in the quarantine.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from ahocorasick_rs import AhoCorasick

from ingestor.enrichment.steps import Surroundings
from ingestor.events.event import Event, EventKind, Extra
from ingestor.home.facts import HomeFacts

LOG_EVENT: Final = "system_log_event"
#: Bytes of a stack trace in one field: a store takes 65,000; characters may be four bytes.
FIELD_BYTES: Final = 60_000
#: `exception`, `exception_2`, ... `exception_8`.
MAX_FIELDS: Final = 8
#: Loggers of parts of Home Assistant that serve every integration: what they say is about another one, if it is named.
_SERVING: Final = frozenset(
    {
        *("alarm_control_panel", "binary_sensor", "button", "camera", "climate", "cover", "device_tracker", "event"),
        *("fan", "humidifier", "image", "light", "lock", "media_player", "notify", "number", "select", "sensor"),
        *("siren", "switch", "template", "text", "update", "vacuum", "valve", "water_heater", "weather"),
    }
)
_LOGGER: Final = re.compile(r"(?:homeassistant\.components|custom_components)\.([a-z0-9_]+)(?:\.([a-z0-9_]+))?")
_FILE: Final = re.compile(r"(?:^|/)(?:custom_)?components/([a-z0-9_]+)/")
_ENTITY: Final = re.compile(r"\b[a-z][a-z0-9_]*\.[a-z0-9][a-z0-9_]*\b")
#: Words like an entity's that are looked up, of one message; and names shorter than this are words like others.
_MAX_LOOKED_UP: Final = 20
_SHORTEST_NAME: Final = 5
#: How much of a message is searched for names.
_SEARCHED: Final = 4_000


class ErrorsStep:
    """Adds the fields of a log event: level, logger, message, exception, and what it is about."""

    name: Final = "errors"
    kinds: Final = frozenset[EventKind]({"event"})

    def __init__(self) -> None:
        self._names: _Names | None = None

    def apply(self, event: Event, around: Surroundings) -> bool:
        """Take a log event apart."""
        if event.event_type != LOG_EVENT or event.kind != "event" or event.data is None:
            return True
        data, fields = event.data, _plain_fields(event.data)
        exception = data.get("exception")
        if isinstance(exception, str) and exception:
            pieces = _pieces(exception)
            if len(pieces) <= MAX_FIELDS:
                fields.update({_name(number): piece for number, piece in enumerate(pieces, start=1)})
                # Once is enough: twice would make it too long for a store.
                event.data = {key: value for key, value in data.items() if key != "exception"}
        fields.update(self._about(event, str(fields.get("log_message", "")), around))
        event.extras = {**(event.extras or {}), **fields}
        return True

    def _about(self, event: Event, message: str, around: Surroundings) -> dict[str, Extra]:
        """Return integration, entity, device and automation that the log names."""
        data = event.data or {}
        text, logger = message[:_SEARCHED], _text(data.get("name"))
        if self._names is None or self._names.facts is not around.facts:
            self._names = _Names(around.facts)
        integration, part = _integration(logger, data.get("source"), self._names.libraries)
        entity_id, place = _entity(text, event, around)
        automation = f"{integration}.{part}" if integration in ("automation", "script") and part else ""
        if entity_id.startswith(("automation.", "script.")):
            automation = entity_id
        device = place.device if place is not None else ""
        if place is not None and place.integration and (integration in _SERVING or not integration):
            integration = place.integration
        named = {
            "log_integration": integration,
            "log_automation": automation or self._names.automation_in(text),
            "log_entity_id": entity_id,
            "log_device": device or self._names.device_in(text),
        }
        return {name: value for name, value in named.items() if value}


class _Names:
    """Names of devices and automations, found in text in one pass."""

    def __init__(self, facts: HomeFacts) -> None:
        self.facts = facts
        self._devices = sorted({one.name for one in facts.devices.values() if len(one.name) >= _SHORTEST_NAME})
        known = {one.name: one.entity_id for one in facts.automations.values() if len(one.name) >= _SHORTEST_NAME}
        self._automations = known
        self._automation_names = sorted(known)
        #: Integrations by the loggers that their manifests name as their libraries'.
        self.libraries = {logger: one.domain for one in facts.integrations.values() for logger in one.loggers}

    @functools.cached_property
    def _find_devices(self) -> AhoCorasick:
        return AhoCorasick(self._devices)

    @functools.cached_property
    def _find_automations(self) -> AhoCorasick:
        return AhoCorasick(self._automation_names)

    def device_in(self, text: str) -> str:
        """Return the longest name of a device in the text; "" for none."""
        return _longest(self._find_devices, self._devices, text)

    def automation_in(self, text: str) -> str:
        """Return the entity_id of the automation or script whose name stands in the text; "" for none."""
        return self._automations.get(_longest(self._find_automations, self._automation_names, text), "")


def _longest(finder: AhoCorasick, names: list[str], text: str) -> str:
    """Return the longest name that stands in the text as whole words."""
    whole = [
        names[index]
        for index, start, end in finder.find_matches_as_indexes(text, overlapping=True)
        if not text[start - 1 : start].isalnum() and not text[end : end + 1].isalnum()
    ]
    return max(whole, key=len, default="")


def _plain_fields(data: dict[str, Any]) -> dict[str, Extra]:
    message, source, count = data.get("message"), data.get("source"), data.get("count")
    lines = (
        [message] if isinstance(message, str) else [str(one) for one in message] if isinstance(message, list) else []
    )
    file = ":".join(str(part) for part in source[:2]) if isinstance(source, list) else ""
    found: dict[str, Extra] = {
        "log_level": _text(data.get("level")),
        "logger": _text(data.get("name")),
        "log_message": "\n".join(lines),
        "log_source": file,
        "log_first_occurred": _time(data.get("first_occurred")),
    }
    found = {name: value for name, value in found.items() if value}
    if isinstance(count, int) and not isinstance(count, bool) and abs(count) < 2**53:
        found["log_count"] = count
    return found


def _integration(logger: str, source: Any, libraries: Mapping[str, str]) -> tuple[str, str]:
    """Return the integration that a logger is of, and the part of it, if the logger names one."""
    if found := _LOGGER.match(logger):
        return found[1], found[2] or ""
    library = libraries.get(logger) or libraries.get(logger.partition(".")[0], "")
    file = _text(source[0]) if isinstance(source, list) and source else ""
    in_file = _FILE.search(file)
    return library or (in_file[1] if in_file else ""), ""


def _entity(text: str, event: Event, around: Surroundings) -> tuple[str, Any]:
    """Return the first entity in the text that the home has, and its place."""
    for word in _ENTITY.findall(text)[:_MAX_LOOKED_UP]:
        place = around.home_map.place_of(around.home, word, event.time_us, waits=False)
        if place is not None and (place.integration or place.device or word in around.facts.automations):
            return word, place
    return "", None


def _pieces(text: str) -> list[str]:
    """Return a text in pieces that each fit into a field."""
    if len(text) <= FIELD_BYTES // 4:
        return [text]
    raw = text.encode("utf-8", "surrogatepass")
    pieces = []
    while raw:
        end = min(FIELD_BYTES, len(raw))
        while end < len(raw) and raw[end] & 0xC0 == 0x80:  # noqa: PLR2004 -- within a character, as UTF-8 says
            end -= 1
        pieces.append(raw[:end].decode("utf-8", "surrogatepass"))
        raw = raw[end:]
    return pieces


def _name(number: int) -> str:
    return "exception" if number == 1 else f"exception_{number}"


def _time(seconds: Any) -> str:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < 2**33:
        return ""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""

"""Reads from Home Assistant all of a home that is no registry of places; keeps nothing, decides nothing.

What a token may not see, or this Home Assistant does not know, is left out; the first is named in `hidden`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import structlog

from ingestor import errors
from ingestor.home.derive import Registries
from ingestor.home.model import domain_of

Row = Mapping[str, Any]
#: Gives what a scene sets, by the scene's own id.
SceneConfig = Callable[[str], Row | None]
_log = structlog.get_logger(__name__)
_MAY_NOT: Final = "unauthorized"
#: Scopes of categories that Home Assistant's own pages use; others are known from the entities that have them.
_SCOPES: Final = ("automation", "script", "scene", "helpers")
#: Each is a question of its own; a home has some ten.
_MAX_SCENE_CONFIGS: Final = 500


class Commands(Protocol):
    """What reading needs of a client."""

    def command(self, type: str, **fields: Any) -> Any:  # noqa: A002 - it is called so in Home Assistant's messages
        """Send a command and return its result. Raises CommandRefused, HomeAssistantUnavailable."""
        ...

    def commands(self, asked: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Any]:
        """Send many commands and return their results, in place of a refused one its CommandRefused."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What one home answered beside its registries.

    None: not known, because this token may not see it or this Home Assistant has no such command. `starting`: states
    and integrations are still missing. `hidden` names what the token may not see. Configurations are by entity_id.
    """

    config: Row = field(default_factory=dict)
    config_entries: Sequence[Row] | None = None
    manifests: Sequence[Row] | None = None
    users: Sequence[Row] | None = None
    categories: Sequence[Row] | None = None
    discoveries: Sequence[Row] | None = None
    issues: Sequence[Row] | None = None
    services: Row | None = None
    energy: Row | None = None
    configurations: Mapping[str, Row] = field(default_factory=dict)
    zigbee: Sequence[Row] | None = None
    zwave: Mapping[str, Row] | None = None
    hidden: Sequence[str] = ()

    @property
    def starting(self) -> bool:
        """Tell whether Home Assistant has not finished its start."""
        return str(self.config.get("state", "RUNNING")) != "RUNNING"


class Asker:
    """Asks, and takes a refusal for an answer: `hidden` is what this token may not see."""

    def __init__(self, client: Commands) -> None:
        self._client = client
        self.hidden: list[str] = []

    def ask(self, name: str, command: str, **fields: Any) -> Any:
        """Return the answer, None where there is none. `name` is how `hidden` calls it."""
        try:
            return self._client.command(command, **fields)
        except errors.CommandRefused as refusal:
            self._refused(name, refusal)
            return None

    def ask_rows(self, name: str, command: str, **fields: Any) -> list[Row] | None:
        """Return the rows of the answer, None where there is none."""
        answer = self.ask(name, command, **fields)
        return [row for row in answer if isinstance(row, dict)] if isinstance(answer, list) else None

    def ask_object(self, name: str, command: str, **fields: Any) -> Row | None:
        """Return the object that is the answer, None where there is none."""
        answer = self.ask(name, command, **fields)
        return answer if isinstance(answer, dict) else None

    def ask_each(self, name: str, asked: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Any]:
        """Return the answers to many commands, None where there is none."""
        if not asked:
            return []
        answers = self._client.commands(asked)
        for answer in answers:
            if isinstance(answer, errors.CommandRefused):
                self._refused(name, answer)
        return [None if isinstance(answer, errors.CommandRefused) else answer for answer in answers]

    def hidden_of_a_home(self) -> list[str]:
        """Return what of a home this token may not see; asks only what needs an admin. Raises HomeAssistantUnavailable.

        Configurations of scenes are not asked for: a refusal would count as a failed login there.
        """
        self.ask("users", "config/auth/list")
        self.ask("discoveries", "config_entries/flow/progress")
        if self.hidden:
            self.hidden.append("configurations of scenes")
        return self.hidden

    def _refused(self, name: str, refusal: errors.CommandRefused) -> None:
        if refusal.reason == _MAY_NOT and name not in self.hidden:
            self.hidden.append(name)
        _log.debug("not_answered", what=name, reason=refusal.reason)


def read_home(client: Commands, registries: Registries, scene_config: SceneConfig = lambda _: None) -> Reading:
    """Ask for all of a home that is no registry of places. Raises HomeAssistantUnavailable."""
    asker = Asker(client)
    entries = asker.ask_rows("config entries", "config_entries/get")
    loaded = [row for row in entries or () if row.get("state") == "loaded"]
    return Reading(
        config=asker.ask_object("configuration", "get_config") or {},
        config_entries=entries,
        manifests=asker.ask_rows("integrations", "manifest/list"),
        users=asker.ask_rows("users", "config/auth/list"),
        categories=_categories(asker, registries),
        discoveries=asker.ask_rows("discoveries", "config_entries/flow/progress"),
        issues=_issues(asker),
        services=asker.ask_object("services", "get_services"),
        energy=asker.ask_object("energy preferences", "energy/get_prefs"),
        configurations=_configurations(asker, registries, scene_config),
        zigbee=_zigbee(asker, loaded),
        zwave=_zwave(asker, loaded),
        hidden=asker.hidden,
    )


def _categories(asker: Asker, registries: Registries) -> list[Row] | None:
    """Return the categories of all scopes, each with its scope."""
    used = (row.get("categories") for row in registries.entities)
    scopes = dict.fromkeys((*_SCOPES, *(scope for one in used if isinstance(one, dict) for scope in one)))
    found: list[Row] = []
    for scope in scopes:
        rows = asker.ask_rows("categories", "config/category_registry/list", scope=scope)
        if rows is None:
            return None
        found += [{**row, "scope": scope} for row in rows]
    return found


def _issues(asker: Asker) -> list[Row] | None:
    answer = asker.ask_object("repairs", "repairs/list_issues")
    rows = (answer or {}).get("issues")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else None


def _configurations(asker: Asker, registries: Registries, scene_config: SceneConfig) -> dict[str, Row]:
    """Return what automations and scripts do, and what scenes set, by entity_id."""
    found: dict[str, Row] = {}
    for domain in ("automation", "script"):
        names = [entity_id for entity_id, _ in _of_domain(registries, domain)]
        asked = [(f"{domain}/config", {"entity_id": entity_id}) for entity_id in names]
        answers = asker.ask_each("configurations of automations and scripts", asked)
        for entity_id, answer in zip(names, answers, strict=True):
            config = answer.get("config") if isinstance(answer, dict) else None
            if isinstance(config, dict):
                found[entity_id] = config
    found.update(_scene_configs(asker, registries, scene_config))
    return found


def _scene_configs(asker: Asker, registries: Registries, scene_config: SceneConfig) -> Iterator[tuple[str, Row]]:
    scenes = [(name, row["id"]) for name, row in _of_domain(registries, "scene") if isinstance(row.get("id"), str)]
    if not scenes:
        return
    user = asker.ask_object("current user", "auth/current_user") or {}
    if not user.get("is_admin"):
        # Not asked for: a refusal would count as a failed login there.
        asker.hidden.append("configurations of scenes")
        return
    for entity_id, scene_id in scenes[:_MAX_SCENE_CONFIGS]:
        config = scene_config(scene_id)
        if config is not None:
            yield entity_id, config


def _zigbee(asker: Asker, loaded: Iterable[Row]) -> list[Row] | None:
    if not any(row.get("domain") == "zha" for row in loaded):
        return None
    return asker.ask_rows("Zigbee network", "zha/devices")


def _zwave(asker: Asker, loaded: Iterable[Row]) -> dict[str, Row] | None:
    """Return the Z-Wave networks by their config entries."""
    found: dict[str, Row] = {}
    for row in loaded:
        if row.get("domain") == "zwave_js" and (entry_id := str(row.get("entry_id") or "")):
            answer = asker.ask_object("Z-Wave network", "zwave_js/network_status", entry_id=entry_id)
            if answer is not None:
                found[entry_id] = answer
    return found or None


def _of_domain(registries: Registries, domain: str) -> list[tuple[str, Row]]:
    """Return the entities of a domain that have a state, with their attributes."""
    states = ((str(row.get("entity_id")), row.get("attributes")) for row in registries.states)
    return [(name, row if isinstance(row, dict) else {}) for name, row in states if domain_of(name) == domain]

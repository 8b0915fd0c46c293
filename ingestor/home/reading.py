"""Reads from Home Assistant all of a home that is no registry of places; keeps nothing, decides nothing.

What a token may not see, or this Home Assistant does not know, is left out; the first is named in `hidden`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

import structlog

from ingestor import errors
from ingestor.home.derive import Registries
from ingestor.home.model import domain_of
from ingestor.home.rendering import Rendered, Rendering, no_rendering, render_open

Row = Mapping[str, Any]
#: Gives what a scene sets, by the scene's own id.
SceneConfig = Callable[[str], Row | None]
_log = structlog.get_logger(__name__)
_MAY_NOT: Final = "unauthorized"
#: Scopes of categories that Home Assistant's own pages use; others are known from the entities that have them.
_SCOPES: Final = ("automation", "script", "scene", "helpers")
#: Each is a question of its own; a home has some ten.
_MAX_SCENE_CONFIGS: Final = 500
#: A Z-Wave network has at most 232 nodes; a home may have a few networks.
_MAX_NODES: Final = 1000
_MAX_BLUEPRINTS: Final = 500
#: More digits than any that is meant here; Python makes no number of thousands of them.
_MAX_DIGITS: Final = 10


class Commands(Protocol):
    """What reading needs of a client."""

    def command(self, type: str, **fields: Any) -> Any:  # noqa: A002 - it is called so in Home Assistant's messages
        """Send a command and return its result. Raises CommandRefused, HomeAssistantUnavailable."""
        ...

    def commands(self, asked: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Any]:
        """Send many commands and return their results, in place of a refused one its CommandRefused."""
        ...

    def first_events(self, asked: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Any]:
        """Subscribe to each, return what it tells first, and end the subscription; None where it tells nothing."""
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
    blueprints: Mapping[str, Row] | None = None
    rendered: Rendered = field(default_factory=dict)
    zigbee: Sequence[Row] | None = None
    zwave: Mapping[str, Row] | None = None
    #: What a Z-Wave node says of its way to the controller, by its device.
    zwave_statistics: Mapping[str, Row] = field(default_factory=dict)
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

    def ask_traces(self) -> None:
        """Find out whether this token may see what automations and scripts did: asks for runs of none."""
        self.ask("runs of automations and scripts", "trace/list", domain="automation", item_id="-")

    def ask_first(self, asked: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Row | None]:
        """Return what each subscription tells first, None where it is refused, unknown or silent."""
        told = self._client.first_events(asked) if asked else []
        return [one if isinstance(one, dict) else None for one in told]

    def hidden_of_a_home(self) -> list[str]:
        """Return what of a home this token may not see; asks only what needs an admin. Raises HomeAssistantUnavailable.

        Configurations of scenes are not asked for: a refusal would count as a failed login there.
        """
        self.ask("users", "config/auth/list")
        self.ask("discoveries", "config_entries/flow/progress")
        self.ask_traces()
        self.ask("blueprints", "blueprint/list", domain="automation")
        if self.hidden:
            self.hidden.append("configurations of scenes")
        return self.hidden

    def _refused(self, name: str, refusal: errors.CommandRefused) -> None:
        if refusal.reason == _MAY_NOT and name not in self.hidden:
            self.hidden.append(name)
        _log.debug("not_answered", what=name, reason=refusal.reason)


def read_home(
    client: Commands,
    registries: Registries,
    scene_config: SceneConfig = lambda _: None,
    rendering: Rendering | None = None,
) -> Reading:
    """Ask for all of a home that is no registry of places. Raises HomeAssistantUnavailable."""
    asker = Asker(client)
    entries = asker.ask_rows("config entries", "config_entries/get")
    loaded = [row for row in entries or () if row.get("state") == "loaded"]
    reading = Reading(
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
        blueprints=_blueprints(asker),
        zigbee=_zigbee(asker, loaded),
        zwave=(zwave := _zwave(asker, loaded)),
        zwave_statistics=_zwave_statistics(asker, registries) if zwave else {},
        hidden=asker.hidden,
    )
    entity_ids = {str(row.get("entity_id")) for row in registries.states}
    rendered = render_open(reading.configurations.values(), entity_ids, rendering or no_rendering())
    return replace(reading, rendered=rendered)


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
    asker.ask_traces()
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


def _blueprints(asker: Asker) -> dict[str, Row] | None:
    """Return the blueprints by their path, each with what is made from it.

    What it does is in the configurations: Home Assistant answers with the inputs put in, and without the path.
    """
    found: dict[str, Row] = {}
    for domain in ("automation", "script"):
        listed = asker.ask_object("blueprints", "blueprint/list", domain=domain)
        if listed is None:
            return None
        paths = list(listed)[:_MAX_BLUEPRINTS]
        asked = [("search/related", {"item_type": f"{domain}_blueprint", "item_id": path}) for path in paths]
        for path, related in zip(paths, asker.ask_each("blueprints", asked), strict=True):
            told = listed[path] if isinstance(listed[path], dict) else {}
            metadata = told.get("metadata") or {}
            about = {key: metadata.get(key) for key in ("name", "description", "author", "source_url")}
            used_by = related.get(domain) if isinstance(related, dict) else None
            found[f"{domain}/{path}"] = {"domain": domain, "path": path, **about, "used_by": sorted(used_by or ())}
    return found


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


def _zwave_statistics(asker: Asker, registries: Registries) -> dict[str, Row]:
    """Return by device what its node says of the way of its messages; no command tells its neighbours."""
    devices = [str(row["id"]) for row in registries.devices if zwave_node_of(row) and isinstance(row.get("id"), str)]
    asked = [("zwave_js/subscribe_node_statistics", {"device_id": device_id}) for device_id in devices]
    told = zip(devices, asker.ask_first(asked[:_MAX_NODES]), strict=False)
    return {device_id: one for device_id, one in told if one is not None}


def zwave_node_of(device: Row) -> tuple[str, int] | None:
    """Return which Z-Wave node a device is (its network's home id, its number), None where it is none."""
    for one in device.get("identifiers") or ():
        if isinstance(one, list) and len(one) > 1 and one[0] == "zwave_js":
            home_id, _, node_id = str(one[1]).partition("-")
            if node_id.isdecimal() and len(node_id) < _MAX_DIGITS:
                return home_id, int(node_id)
    return None


def _of_domain(registries: Registries, domain: str) -> list[tuple[str, Row]]:
    """Return the entities of a domain that have a state, with their attributes."""
    states = ((str(row.get("entity_id")), row.get("attributes")) for row in registries.states)
    return [(name, row if isinstance(row, dict) else {}) for name, row in states if domain_of(name) == domain]

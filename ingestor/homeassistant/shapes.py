"""What Home Assistant's answers look like on the wire, 2024 to 2026; checks nothing.

A key that some version leaves out is not required here; what is not named here may be there all the same.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class State(TypedDict):
    """An item of `get_states`."""

    entity_id: str
    state: str
    attributes: dict[str, Any]
    last_changed: str
    last_updated: str
    last_reported: NotRequired[str]
    context: dict[str, str | None]


class Area(TypedDict):
    """An item of `config/area_registry/list`; 2024.3 knows no floor and no labels of an area."""

    area_id: str
    name: str
    floor_id: NotRequired[str | None]
    labels: NotRequired[list[str]]
    aliases: NotRequired[list[str]]
    icon: NotRequired[str | None]
    picture: NotRequired[str | None]


class Floor(TypedDict):
    """An item of `config/floor_registry/list`."""

    floor_id: str
    name: str
    level: NotRequired[int | None]
    icon: NotRequired[str | None]
    aliases: NotRequired[list[str]]


class Label(TypedDict):
    """An item of `config/label_registry/list`."""

    label_id: str
    name: str
    color: NotRequired[str | None]
    icon: NotRequired[str | None]
    description: NotRequired[str | None]


class Device(TypedDict):
    """An item of `config/device_registry/list`; since 2026.9 a child device has few keys and a `parent_device_id`."""

    id: str
    name: NotRequired[str | None]
    name_by_user: NotRequired[str | None]
    area_id: NotRequired[str | None]
    labels: NotRequired[list[str]]
    parent_device_id: NotRequired[str | None]
    via_device_id: NotRequired[str | None]
    manufacturer: NotRequired[str | None]
    model: NotRequired[str | None]
    identifiers: NotRequired[list[list[str]]]
    connections: NotRequired[list[list[str]]]
    config_entry_id: NotRequired[str | None]
    config_entries: NotRequired[list[str]]
    primary_config_entry: NotRequired[str | None]
    disabled_by: NotRequired[str | None]


class Entity(TypedDict):
    """An item of `config/entity_registry/list`; the device class is not in it, it is an attribute of the state."""

    id: str
    entity_id: str
    unique_id: str
    platform: str
    area_id: NotRequired[str | None]
    device_id: NotRequired[str | None]
    config_entry_id: NotRequired[str | None]
    labels: NotRequired[list[str]]
    categories: NotRequired[dict[str, str]]
    name: NotRequired[str | None]
    original_name: NotRequired[str | None]
    entity_category: NotRequired[str | None]
    disabled_by: NotRequired[str | None]
    hidden_by: NotRequired[str | None]


class ConfigEntry(TypedDict):
    """An item of `config_entries/get`."""

    entry_id: str
    domain: str
    title: str
    state: str
    source: NotRequired[str]
    reason: NotRequired[str | None]
    disabled_by: NotRequired[str | None]


class User(TypedDict):
    """The answer to `auth/current_user`."""

    id: str
    name: str
    is_owner: bool
    is_admin: bool


class Manifest(TypedDict):
    """An item of `manifest/list`."""

    domain: str
    name: str
    iot_class: NotRequired[str]
    integration_type: NotRequired[str]
    version: NotRequired[str]


class HistoryRow(TypedDict):
    """A row of `history/history_during_period`; times are Unix seconds, `lc` is left out where it equals `lu`."""

    s: str
    a: NotRequired[dict[str, Any]]
    lu: float
    lc: NotRequired[float]


class StatisticId(TypedDict):
    """An entry of `recorder/list_statistic_ids`; the statistics are told in the display unit."""

    statistic_id: str
    display_unit_of_measurement: str | None
    source: str
    has_sum: bool


class StatisticsRow(TypedDict):
    """An hour of `recorder/statistics_during_period`; times are Unix milliseconds, what it has not is null."""

    start: int
    end: int
    mean: NotRequired[float | None]
    min: NotRequired[float | None]
    max: NotRequired[float | None]
    state: NotRequired[float | None]
    sum: NotRequired[float | None]


class RecorderInfo(TypedDict):
    """The answer to `recorder/info`."""

    recording: bool
    backlog: NotRequired[int | None]
    max_backlog: NotRequired[int]
    migration_in_progress: NotRequired[bool]
    thread_running: NotRequired[bool]

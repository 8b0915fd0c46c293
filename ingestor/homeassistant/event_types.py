"""Event types by name: Home Assistant takes exact ones only, so a pattern stands for the names known here (rule 20)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

#: Names that Home Assistant's core and its common integrations fire.
KNOWN: Final = (
    "state_changed",
    "automation_triggered",
    "automation_reloaded",
    "script_started",
    "scene_reloaded",
    "call_service",
    "area_registry_updated",
    "category_registry_updated",
    "device_registry_updated",
    "entity_registry_updated",
    "floor_registry_updated",
    "label_registry_updated",
    "repairs_issue_registry_updated",
    "core_config_updated",
    "component_loaded",
    "service_registered",
    "service_removed",
    "homeassistant_start",
    "homeassistant_started",
    "homeassistant_stop",
    "homeassistant_final_write",
    "homeassistant_close",
    "system_log_event",
    "logging_changed",
    "logbook_entry",
    "user_added",
    "user_removed",
    "user_updated",
    "tag_scanned",
    "timer.started",
    "timer.paused",
    "timer.restarted",
    "timer.cancelled",
    "timer.finished",
    "persistent_notifications_updated",
    "shopping_list_updated",
    "themes_updated",
    "panels_updated",
    "lovelace_updated",
    "labs_updated",
    "recorder_5min_statistics_generated",
    "recorder_hourly_statistics_generated",
    "mobile_app_notification_action",
    "mobile_app_notification_cleared",
    "mobile_app_notification_received",
    "ios.action_fired",
    "ios.notification_action_fired",
    "ios.zone_entered",
    "ios.zone_exited",
    "android.intent_received",
    "android.zone_entered",
    "android.zone_exited",
    "zha_event",
    "zwave_js_notification",
    "zwave_js_value_notification",
    "zwave_js_value_updated",
    "deconz_event",
    "hue_event",
    "bthome_ble_event",
    "xiaomi_ble_event",
    "shelly.click",
    "lutron_event",
    "lutron_caseta_button_event",
    "homekit_state_change",
    "homekit_tv_remote_key_pressed",
    "knx_event",
    "rfxtrx_event",
    "nest_event",
    "roku_command",
    "webostv.button",
    "telegram_command",
    "telegram_text",
    "telegram_callback",
    "telegram_sent",
    "imap_content",
    "feedreader",
    "folder_watcher",
    "esphome.tag_scanned",
    "alexa_smart_home",
    "google_assistant_command",
    "google_assistant_query",
    "google_assistant_sync",
    "device_tracker_new_device",
    "data_entry_flow_progressed",
    "config_entry_discovered",
    "event_mqtt_reloaded",
)

#: What a user without admin rights may subscribe to (`auth/permissions/events.py` of Home Assistant).
OPEN_TO_ALL: Final = frozenset(
    {
        *("area_registry_updated", "category_registry_updated", "component_loaded", "core_config_updated"),
        *("device_registry_updated", "entity_registry_updated", "floor_registry_updated", "label_registry_updated"),
        *("labs_updated", "lovelace_updated", "panels_updated", "recorder_5min_statistics_generated"),
        *("recorder_hourly_statistics_generated", "repairs_issue_registry_updated", "service_registered"),
        *("service_removed", "shopping_list_updated", "state_changed", "themes_updated"),
    }
)


@dataclass(frozen=True, slots=True)
class Expansion:
    """What a list of names and patterns stands for: names to subscribe to, and patterns that match none known."""

    names: tuple[str, ...]
    unmatched: tuple[str, ...]


def expand(patterns: Iterable[str]) -> Expansion:
    """Return the names in the order given, each once; a name without `*`, `?` or `[` is taken as it is."""
    names: dict[str, None] = {}
    unmatched = []
    for pattern in patterns:
        found = [name for name in KNOWN if fnmatchcase(name, pattern)] if _is_pattern(pattern) else [pattern]
        names.update(dict.fromkeys(found))
        if not found:
            unmatched.append(pattern)
    return Expansion(tuple(names), tuple(unmatched))


def asks_for_all(patterns: Iterable[str]) -> bool:
    """Tell whether one of the patterns stands for every event type."""
    return "*" in patterns


def _is_pattern(text: str) -> bool:
    return any(sign in text for sign in "*?[")

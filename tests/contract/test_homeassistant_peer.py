"""What we rely on of Home Assistant's APIs, tried on the demo home and on real Home Assistants alike."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from tests.contract.homeassistant_peer import PEERS, PROBE, Line, Peer, about, start_peer

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+00:00$")
ULID = re.compile(r"^[0-9A-HJKMNP-TV-Z]{26}$")

AREA_2024 = {"aliases", "area_id", "icon", "name", "picture"}
AREA_NEWER = {"floor_id", "labels", "humidity_entity_id", "temperature_entity_id", "created_at", "modified_at"}
FLOOR_2024 = {"floor_id", "icon", "level", "name"}
LABEL_2024 = {"color", "description", "icon", "label_id", "name"}
DATED = {"created_at", "modified_at"}
DEVICE_2024 = {
    *("area_id", "configuration_url", "config_entries", "connections", "disabled_by", "entry_type", "hw_version"),
    *("id", "identifiers", "manufacturer", "model", "name_by_user", "name", "serial_number", "sw_version"),
    "via_device_id",
}
DEVICE_NEWER = {"config_entries_subentries", "labels", "model_id", "primary_config_entry"} | DATED
ENTITY_2024 = {
    *("area_id", "config_entry_id", "device_id", "disabled_by", "entity_category", "entity_id", "has_entity_name"),
    *("hidden_by", "icon", "id", "labels", "name", "options", "original_name", "platform", "translation_key"),
    "unique_id",
}
ENTITY_NEWER = {"categories", "config_subentry_id"} | DATED
EXTENDED = {"aliases", "capabilities", "device_class", "original_device_class", "original_icon"}
CONFIG_ENTRY_2024 = {
    *("entry_id", "domain", "title", "source", "state", "supports_options", "supports_remove_device"),
    *("supports_unload", "pref_disable_new_entities", "pref_disable_polling", "disabled_by", "reason"),
}
CONFIG_ENTRY_NEWER = {
    *("supports_reconfigure", "supported_subentry_types", "error_reason_translation_key", "num_subentries"),
    *("error_reason_translation_placeholders", "created_at", "modified_at"),
}
CONFIG_2024 = {
    *("latitude", "longitude", "elevation", "unit_system", "location_name", "time_zone", "components", "config_dir"),
    *("whitelist_external_dirs", "allowlist_external_dirs", "allowlist_external_urls", "version", "config_source"),
    *("recovery_mode", "state", "external_url", "internal_url", "currency", "country", "language", "safe_mode"),
}


@pytest.fixture(scope="module", params=PEERS)
def peer(request: pytest.FixtureRequest) -> Iterator[Peer]:
    yield from start_peer(request)


def test_the_handshake_has_these_messages_and_no_ids(peer: Peer) -> None:
    with Line(peer.url, None) as line:
        line.send({"type": "auth", "access_token": peer.token})
        second = line.receive()

    assert list(line.first.items()) == [("type", "auth_required"), ("ha_version", peer.version)]
    assert list(second.items()) == [("type", "auth_ok"), ("ha_version", peer.version)]


def test_the_greeting_says_what_time_it_is_there(peer: Peer) -> None:
    with Line(peer.url, None) as line:
        said = parsedate_to_datetime(line.socket.getheaders()["date"])

    assert abs(said.timestamp() - time.time()) < 60


def test_a_wrong_token_is_refused_in_words_and_the_connection_closed_as_usual(peer: Peer) -> None:
    with Line(peer.url, None) as line:
        line.send({"type": "auth", "access_token": "wrong"})
        refusal = line.receive()
        code = line.close_code()

    assert refusal == {"type": "auth_invalid", "message": "Invalid access token or password"}
    assert code == 1000


def test_what_is_no_auth_message_is_refused(peer: Peer) -> None:
    with Line(peer.url, None) as line:
        line.send({"type": "get_states", "id": 1})
        refusal = line.receive()

    assert refusal["type"] == "auth_invalid"
    assert "Auth message incorrectly formatted" in refusal["message"]


def test_frames_are_single_until_coalescing_is_asked_for(peer: Peer) -> None:
    with peer.connect() as plain, peer.connect() as coalescing:
        plain.send([{"id": number, "type": "ping"} for number in range(1, 40)])
        singles = [plain.receive() for _ in range(39)]
        answer = coalescing.ask("supported_features", features={"coalesce_messages": 1})
        coalescing.send([{"id": number, "type": "ping"} for number in range(2, 41)])
        frame = coalescing.receive()

    assert singles == [{"id": number, "type": "pong"} for number in range(1, 40)]
    assert answer == {"id": 1, "type": "result", "success": True, "result": None}
    assert isinstance(frame, list)
    assert frame[0] == {"id": 2, "type": "pong"}


def test_ping_is_answered_by_pong_alone(peer: Peer) -> None:
    with peer.connect() as line:
        line.send({"id": 7, "type": "ping"})

        assert line.socket.recv() == '{"id":7,"type":"pong"}'


@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        ({"id": 3, "type": "ping"}, "id_reuse", "Identifier values have to increase."),
        ({"id": 4, "type": "no/such/command"}, "unknown_command", "Unknown command."),
        ({"type": "ping"}, "invalid_format", "Message incorrectly formatted."),
        ({"id": "4", "type": "ping"}, "invalid_format", "Message incorrectly formatted."),
        (17, "invalid_format", "Message incorrectly formatted."),
        ({"id": 4, "type": "subscribe_events", "event_type": 5}, "invalid_format", "expected str"),
        ({"id": 4, "type": "subscribe_events", "extra": 5}, "invalid_format", "extra keys not allowed @ data['extra']"),
        (
            {"id": 4, "type": "config/entity_registry/get"},
            "invalid_format",
            "required key not provided @ data['entity_id']",
        ),
        ({"id": 4, "type": "unsubscribe_events", "subscription": 99}, "not_found", "Subscription not found."),
        ({"id": 4, "type": "config/entity_registry/get", "entity_id": "light.none"}, "not_found", "Entity not found"),
        ({"id": 4, "type": "automation/config", "entity_id": "automation.none"}, "not_found", "Entity not found"),
        (
            {"id": 4, "type": "search/related", "item_type": "moon", "item_id": "x"},
            "invalid_format",
            "'script', 'script_blueprint'",
        ),
    ],
)
def test_errors_have_these_codes_and_words(peer: Peer, message: Any, code: str, words: str) -> None:
    with peer.connect() as line:
        line.send({"id": 3, "type": "ping"})
        line.receive()

        line.send(message)
        answer = line.receive()

    assert list(answer) == ["id", "type", "success", "error"]
    assert (answer["success"], answer["error"]["code"]) == (False, code)
    assert words in answer["error"]["message"]


def test_a_refused_command_uses_its_id_up_and_an_unknown_one_does_not(peer: Peer) -> None:
    with peer.connect() as line:
        line.send({"id": 5, "type": "unsubscribe_events", "subscription": 99})
        line.receive()
        line.send({"id": 5, "type": "ping"})
        reused = line.receive()
        line.send({"id": 6, "type": "no/such/command"})
        line.receive()
        line.send({"id": 6, "type": "ping"})
        again = line.receive()

    assert reused["error"]["code"] == "id_reuse"
    assert again == {"id": 6, "type": "pong"}


def test_what_is_no_json_ends_the_connection(peer: Peer) -> None:
    with peer.connect() as line:
        line.socket.send("{no json")

        assert line.close_code() == 1000


def test_a_state_change_has_this_shape_with_its_id_last(peer: Peer) -> None:
    with peer.connect() as line:
        peer.set_state(PROBE, "1", unit_of_measurement="W")
        line.result("subscribe_events", event_type="state_changed")
        peer.set_state(PROBE, "2", unit_of_measurement="W", friendly_name="Probe")
        message = line.event(about(PROBE))

    event, new = message["event"], message["event"]["data"]["new_state"]
    reported = ["last_reported"] if peer.modern else []
    assert list(message) == ["type", "event", "id"]
    assert list(event) == ["event_type", "data", "origin", "time_fired", "context"]
    assert list(event["data"]) == ["entity_id", "old_state", "new_state"]
    keys = ["entity_id", "state", "attributes", "last_changed", *reported, "last_updated", "context"]
    assert list(new) == keys == list(event["data"]["old_state"])
    assert list(new["context"]) == ["id", "parent_id", "user_id"]
    assert ULID.match(new["context"]["id"])
    assert all(TIME.match(time) for time in (event["time_fired"], new["last_changed"], new["last_updated"]))
    assert (event["origin"], event["data"]["old_state"]["state"], new["state"]) == ("LOCAL", "1", "2")
    assert event["time_fired"] == new["last_updated"] == new["last_changed"]


def test_a_change_of_attributes_alone_keeps_last_changed_and_the_same_again_is_no_event(peer: Peer) -> None:
    with peer.connect() as line:
        peer.set_state(PROBE, "5", step=1)
        line.result("subscribe_events", event_type="state_changed")
        peer.set_state(PROBE, "5", step=1)
        peer.set_state(PROBE, "5", step=2)
        data = line.event(about(PROBE))["event"]["data"]

    assert data["new_state"]["attributes"]["step"] == 2
    assert data["new_state"]["last_changed"] == data["old_state"]["last_changed"]
    assert data["new_state"]["last_updated"] > data["old_state"]["last_updated"]


def test_a_new_state_has_no_old_one_and_a_removed_one_no_new_one(peer: Peer) -> None:
    with peer.connect() as line:
        line.result("subscribe_events", event_type="state_changed")
        peer.set_state("sensor.contract_comes_and_goes", "1")
        came = line.event(about("sensor.contract_comes_and_goes"))["event"]["data"]
        peer.remove("sensor.contract_comes_and_goes")
        went = line.event(about("sensor.contract_comes_and_goes"))["event"]["data"]

    assert came["old_state"] is None
    assert (went["old_state"]["state"], went["new_state"]) == ("1", None)


def test_after_unsubscribing_nothing_more_comes(peer: Peer) -> None:
    with peer.connect() as line:
        number = line.next_id()
        line.send({"id": number, "type": "subscribe_events", "event_type": "state_changed"})
        line.receive()
        line.result("unsubscribe_events", subscription=number)
        peer.set_state(PROBE, f"{time.time()}")

        line.send({"id": line.next_id(), "type": "ping"})
        assert line.receive()["type"] == "pong"


def test_who_is_no_admin_may_hear_states_and_registries_and_nothing_else(peer: Peer) -> None:
    with peer.connect(peer.user_token) as line:
        refused = [line.code("subscribe_events", event_type=kind) for kind in ("automation_triggered", "call_service")]
        refused.append(line.code("subscribe_events"))
        line.result("subscribe_events", event_type="entity_registry_updated")
        line.result("subscribe_events", event_type="state_changed")
        peer.set_state(PROBE, f"{time.time()}")
        heard = line.event(about(PROBE))
        user = line.result("auth/current_user")

    assert refused == ["unauthorized"] * 3
    assert heard["event"]["event_type"] == "state_changed"
    assert (user["is_admin"], user["is_owner"]) == (False, False)


def test_the_current_user_is_told(peer: Peer) -> None:
    with peer.connect() as line:
        user = line.result("auth/current_user")

    assert {"id", "name", "is_owner", "is_admin", "credentials", "mfa_modules"} <= user.keys()
    assert user["is_admin"] is True


@pytest.mark.parametrize(
    ("command", "keys", "newer"),
    [
        ("config/area_registry/list", AREA_2024, AREA_NEWER),
        ("config/floor_registry/list", FLOOR_2024, DATED | {"aliases"}),
        ("config/label_registry/list", LABEL_2024, DATED),
        ("config/device_registry/list", DEVICE_2024, DEVICE_NEWER),
        ("config/entity_registry/list", ENTITY_2024, ENTITY_NEWER),
        ("config_entries/get", CONFIG_ENTRY_2024, CONFIG_ENTRY_NEWER),
    ],
)
def test_registries_have_exactly_these_keys(peer: Peer, command: str, keys: set[str], newer: set[str]) -> None:
    with peer.connect() as line:
        found = line.result(command)

    expected = keys | newer if peer.modern else keys
    assert all(entry.keys() == expected for entry in found), (found[0].keys() ^ expected, command)
    assert found or command in {"config/floor_registry/list", "config/label_registry/list"}


def test_an_entity_by_itself_shows_more_than_the_list(peer: Peer) -> None:
    with peer.connect() as line:
        listed = next(one for one in line.result("config/entity_registry/list") if one["entity_id"] == peer.switch)
        entity = line.result("config/entity_registry/get", entity_id=peer.switch)

    assert entity.keys() - listed.keys() == EXTENDED
    assert {key: entity[key] for key in listed} == listed


def test_entities_for_display_have_short_keys(peer: Peer) -> None:
    with peer.connect() as line:
        shown = line.result("config/entity_registry/list_for_display")

    assert shown["entity_categories"] == {"0": "config", "1": "diagnostic"}
    for entity in shown["entities"]:
        assert (
            {"ei", "pl", "lb"}
            <= entity.keys()
            <= {"ei", "pl", "lb", "ai", "di", "ic", "tk", "ec", "hb", "hn", "en", "dp"}
        )


def test_the_device_class_is_not_in_the_registry_list_but_in_the_state(peer: Peer) -> None:
    with peer.connect() as line:
        entities = {entity["entity_id"]: entity for entity in line.result("config/entity_registry/list")}
        states = {state["entity_id"]: state for state in line.result("get_states")}

    classed = [key for key, state in states.items() if "device_class" in state["attributes"] and key in entities]
    assert classed
    assert all("device_class" not in entity for entity in entities.values())


def test_there_are_entities_that_no_registry_knows(peer: Peer) -> None:
    with peer.connect() as line:
        registered = {entity["entity_id"] for entity in line.result("config/entity_registry/list")}
        states = {state["entity_id"] for state in line.result("get_states")}

    assert "zone.home" in states - registered


def test_states_over_websocket_and_rest_are_the_same_list(peer: Peer) -> None:
    peer.set_state(PROBE, "42", unit_of_measurement="W")
    with peer.connect() as line:
        states = {state["entity_id"]: state for state in line.result("get_states")}
    status, text = peer.get("states")

    by_rest = {state["entity_id"]: state for state in json.loads(text)}
    reported = {"last_reported"} if peer.modern else set()
    keys = {"entity_id", "state", "attributes", "last_changed", "last_updated", "context"} | reported
    assert status == 200
    assert states.keys() == by_rest.keys()
    assert states[PROBE] == by_rest[PROBE]
    assert all(state.keys() == keys for state in states.values())


def test_rest_asks_for_a_token(peer: Peer) -> None:
    assert peer.get("", token="") == (401, "401: Unauthorized")
    assert peer.get("", token="wrong") == (401, "401: Unauthorized")
    assert peer.get("") == (200, '{"message":"API running."}')
    assert json.loads(peer.get("config")[1])["version"] == peer.version
    assert peer.get("states/sensor.none") == (404, '{"message":"Entity not found."}')


def test_the_configuration_says_that_it_runs(peer: Peer) -> None:
    with peer.connect() as line:
        config = line.result("get_config")

    assert config.keys() >= (CONFIG_2024 | {"radius", "debug"} if peer.modern else CONFIG_2024)
    assert (config["state"], config["version"]) == ("RUNNING", peer.version)


def test_services_manifests_and_recorder_tell_of_themselves(peer: Peer) -> None:
    with peer.connect() as line:
        services, manifests = line.result("get_services"), line.result("manifest/list")
        recorder = line.result("recorder/info")

    assert "fields" in services["light"]["turn_on"]
    assert ("name" in services["light"]["turn_on"]) is not peer.modern
    assert all({"domain", "name", "is_built_in"} <= manifest.keys() for manifest in manifests)
    assert recorder.keys() >= {"backlog", "max_backlog", "recording", "thread_running", "migration_in_progress"}
    assert recorder["recording"] is True


USER = {"id", "username", "name", "is_owner", "is_active", "local_only", "system_generated", "group_ids", "credentials"}


def test_an_admin_is_told_the_users_the_discoveries_and_the_repairs(peer: Peer) -> None:
    with peer.connect() as line:
        me, users = line.result("auth/current_user"), line.result("config/auth/list")
        flows = line.result("config_entries/flow/progress")

    groups = {user["id"]: user["group_ids"] for user in users}
    assert all(user.keys() == USER for user in users)
    assert groups[me["id"]] == ["system-admin"]
    assert isinstance(flows, list)
    with peer.connect(peer.user_token) as line:
        refused = {line.code(kind) for kind in ("config/auth/list", "config_entries/flow/progress")}
    assert refused == {"unauthorized"}


def test_the_states_of_integrations_are_told_as_a_list_that_is_no_event_of_the_bus(peer: Peer) -> None:
    with peer.connect(peer.user_token) as line:
        known = {entry["entry_id"] for entry in line.result("config_entries/get")}
        line.result("config_entries/subscribe")
        told = line.event(lambda event: True)

    keys = CONFIG_ENTRY_2024 | CONFIG_ENTRY_NEWER if peer.modern else CONFIG_ENTRY_2024
    assert {one["type"] for one in told["event"]} == {None}
    assert {one["entry"]["entry_id"] for one in told["event"]} == known
    assert all(one["entry"].keys() >= keys for one in told["event"])


def test_what_automations_and_scripts_do_is_told_as_it_was_configured(peer: Peer) -> None:
    with peer.connect() as line:
        config = line.result("automation/config", entity_id=peer.automation)["config"]
        code = line.code("automation/config", entity_id="automation.none")

    assert config["alias"] == peer.automation.partition(".")[2].replace("_", " ").title()
    assert code == "not_found"


def test_what_a_scene_sets_is_told_by_rest_to_an_admin_alone(peer: Peer) -> None:
    assert peer.get("config/scene/config/none")[0] == 404
    assert peer.get("config/scene/config/none", peer.user_token)[0] == 401

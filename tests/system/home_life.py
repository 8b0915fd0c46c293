"""What happens in the real Home Assistant of the system tests, so that there is something to hear. No product code."""

from __future__ import annotations

from typing import Any, Final

from tests.homeassistant.run import HomeAssistant

#: Everything that a person does, in turn; each makes several events.
SERVICES: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("light.turn_on", {"entity_id": "light.bed_light", "brightness": 120, "rgb_color": [255, 12, 3]}),
    ("light.turn_on", {"entity_id": "light.kitchen_lights", "color_temp_kelvin": 3300}),
    ("light.turn_on", {"entity_id": "light.office_rgbw_lights", "rgbw_color": [1, 2, 3, 4]}),
    ("light.turn_on", {"entity_id": "light.living_room_rgbww_lights", "rgbww_color": [1, 2, 3, 4, 5]}),
    ("light.turn_off", {"entity_id": "light.bed_light"}),
    ("switch.toggle", {"entity_id": "switch.decorative_lights"}),
    ("climate.set_temperature", {"entity_id": "climate.heatpump", "temperature": 21.5}),
    ("climate.set_hvac_mode", {"entity_id": "climate.ecobee", "hvac_mode": "cool"}),
    ("cover.set_cover_position", {"entity_id": "cover.hall_window", "position": 20}),
    ("fan.set_percentage", {"entity_id": "fan.living_room_fan", "percentage": 66}),
    ("humidifier.set_humidity", {"entity_id": "humidifier.humidifier", "humidity": 44}),
    ("lock.lock", {"entity_id": "lock.kitchen_door"}),
    ("media_player.volume_set", {"entity_id": "media_player.walkman", "volume_level": 0.4}),
    ("media_player.media_pause", {"entity_id": "media_player.bedroom"}),
    ("number.set_value", {"entity_id": "number.volume", "value": 17}),
    ("select.select_option", {"entity_id": "select.speed", "option": "light_speed"}),
    ("text.set_value", {"entity_id": "text.text", "value": 'a, b = "c" \\ d\'e'}),
    ("date.set_value", {"entity_id": "date.date", "date": "2031-02-03"}),
    ("vacuum.start", {"entity_id": "vacuum.0_ground_floor"}),
    ("siren.turn_off", {"entity_id": "siren.siren"}),
    ("water_heater.set_temperature", {"entity_id": "water_heater.demo_water_heater", "temperature": 55}),
    ("alarm_control_panel.alarm_arm_home", {"entity_id": "alarm_control_panel.security", "code": "1234"}),
    ("camera.turn_off", {"entity_id": "camera.demo_camera"}),
    ("input_number.set_value", {"entity_id": "input_number.level", "value": 33.3}),
    ("input_text.set_value", {"entity_id": "input_text.note", "value": "Grüße, 100 % = alles"}),
    ("persistent_notification.create", {"message": "The test was here", "notification_id": "system_test"}),
    ("automation.trigger", {"entity_id": "automation.chain_c"}),
)

#: States without a device behind them: what integrations really send, and what no one should.
STATES: Final[tuple[tuple[str, object, dict[str, Any]], ...]] = (
    ("sensor.odd_power", "1234.5", {"unit_of_measurement": "W", "device_class": "power"}),
    ("sensor.odd_power", "unavailable", {"unit_of_measurement": "W", "device_class": "power"}),
    ("sensor.odd_power", "unknown", {"unit_of_measurement": "W"}),
    ("sensor.odd_power", "-0.0", {"unit_of_measurement": "W"}),
    ("sensor.odd_dust", "7", {"unit_of_measurement": "µg/m³", "friendly_name": "Fine dust, = outside"}),
    ("sensor.odd_unit", "1", {"unit_of_measurement": "a b,c=d"}),
    ("sensor.odd_unit", "2", {"unit_of_measurement": ""}),
    ("sensor.odd_unit", "3", {"unit_of_measurement": 5}),
    ("sensor.odd_unit", "4", {"unit_of_measurement": None}),
    ("sensor.odd_text", "", {"empty": ""}),
    ("sensor.odd_text", "12 o'clock", {"time": "10:00:30"}),
    ("sensor.odd_text", "two\nlines", {"text": "one\ntwo\tthree\r\nfour"}),
    ("sensor.odd_text", 'quote " and \\ and trailing \\', {"back": "slash\\", "quoted": '"'}),
    ("sensor.odd_text", "x" * 255, {"long": "y" * 5000}),
    ("sensor.odd_text", "😀 Ω", {"smile": "😀", "naïve key": "ü", "a=b, c": 1}),
    ("sensor.odd_number", "1e3", {"a": True, "b": False, "c": None, "d": 0, "e": 2**53 + 1}),
    ("sensor.odd_number", "1_000", {"list": [1, 20], "map": {"x": 1, "y": [2.5]}, "empty": [], "nested": [[1], {}]}),
    ("sensor.odd_number", "nan", {"mac": "aa:bb:cc:11:22:33", "model": "EFR32MG21", "firmware": "1.2.3"}),
    ("sensor.odd_number", "inf", {"iso": "2026-11-21T02:47:24.123456+00:00", "tiny": 5e-324, "minus": -0.0}),
    ("sensor.odd_number", "0x10", {"value": 12, "state": "on", "domain": "x", "entity_id": ["light.a", "light.b"]}),
    ("binary_sensor.odd_door", "on", {"device_class": "door"}),
    ("binary_sensor.odd_door", "off", {"device_class": "door"}),
    (
        "device_tracker.odd_phone",
        "home",
        {"latitude": 52.5, "longitude": 13.4, "gps_accuracy": 10, "source_type": "gps"},
    ),
    ("device_tracker.odd_phone", "not_home", {"latitude": 52.6, "longitude": 13.5, "gps_accuracy": 0}),
)
#: The old and the new name of an entity with a device.
RENAMED: Final = ("light.ceiling_lights", "light.lamp_with_a_new_name")
REMOVED: Final = "sensor.odd_power"


def press(home: HomeAssistant) -> None:
    """Press the button that sets off the automations A, B and C."""
    home.call_service("input_button.press", entity_id="input_button.press")


def live_a_while(home: HomeAssistant) -> None:
    """Do everything once: services, states, the chain, a removal."""
    for entity_id, state, attributes in STATES:
        home.set_state(entity_id, state, **attributes)
    for service, data in SERVICES:
        home.call_service(service, **data)
    press(home)
    for number in range(20):
        home.call_service("input_number.set_value", entity_id="input_number.level", value=100 + number)
    home.remove_state(REMOVED)


def rename(home: HomeAssistant) -> None:
    """Give an entity another name, and let it do something under that."""
    old, new = RENAMED
    home.call_service("light.turn_on", entity_id=old, brightness=200)
    home.command_result("config/entity_registry/update", entity_id=old, new_entity_id=new)
    for brightness in (30, 60, 90):
        home.call_service("light.turn_on", entity_id=new, brightness=brightness)

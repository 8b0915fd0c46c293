"""What `doctor` tries of each home: Home Assistant (one attempt, never again after a refusal) and its MQTT broker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ingestor import bootstrap, errors
from ingestor.cli.doctor_mqtt import examine_mqtt
from ingestor.cli.finding import Finding
from ingestor.home.reading import Asker
from ingestor.homeassistant.client import HomeAssistantClient
from ingestor.settings import HomeSettings, Settings
from ingestor.settings_faults import hide_in_url

_ANSWER_WITHIN_S: Final = 15.0


def examine_homes(settings: Settings) -> Iterator[Finding]:
    """Yield what is found of each home."""
    homes = [home for home in settings.all_homes() if home.homeassistant.url or home.mqtt.url]
    if not homes:
        yield _no_home(settings)
    for home in homes:
        if home.homeassistant.url:
            yield from _home_assistant(home)
        if home.mqtt.url:
            yield from examine_mqtt(home)


def _no_home(settings: Settings) -> Finding:
    """Tell of the demo home, which `up` runs where no other is configured."""
    advice = "for your own home set HA_INGESTOR_HOMEASSISTANT__URL and HA_INGESTOR_HOMEASSISTANT__TOKEN"
    if settings.demo.enabled is False:
        return Finding("warning", "homes", "no home is configured and the demo home is off: no events come", advice)
    told = bootstrap.open_status_board(settings).all().get(f"listener:{settings.home}:websocket")
    if told is None:
        return Finding("ok", "homes", "no home is configured: `ha-ingestor up` runs the demo home", advice)
    if told.get("connected"):
        return Finding("ok", "homes", "the demo home runs and is connected", advice)
    says = f"the demo home is not connected: {told.get('last_error') or 'it starts'}"
    return Finding("warning", "homes", says, "wait for some seconds; then see demo.log in logs/ of the data folder")


def _home_assistant(home: HomeSettings) -> Iterator[Finding]:
    subject = f"{home.name}: Home Assistant"
    if home.homeassistant.token is None:
        advice = (
            "create a long-lived access token in your Home Assistant profile and set HA_INGESTOR_HOMEASSISTANT__TOKEN"
        )
        yield Finding("failed", subject, "no token is set", advice)
        return
    try:
        with HomeAssistantClient(home.homeassistant, answer_within_s=_ANSWER_WITHIN_S) as client:
            where = hide_in_url(home.homeassistant.url or "")
            yield Finding("ok", subject, f"version {client.ha_version} at {where} accepts the token")
            yield from _rights(home, client)
    except errors.AuthenticationRefused as error:
        yield Finding("failed", subject, "the token is refused", str(error))
    except errors.IngestorError as error:
        advice = "check HA_INGESTOR_HOMEASSISTANT__URL, and that Home Assistant runs and can be reached from here"
        yield Finding("failed", subject, str(error), advice)


def _rights(home: HomeSettings, client: HomeAssistantClient) -> Iterator[Finding]:
    subject = f"{home.name}: rights"
    user = client.current_user()
    if user.get("is_admin"):
        yield Finding("ok", subject, f"the token is of {user.get('name') or 'a user'}, an admin")
    else:
        says = f"the token is of {user.get('name') or 'a user'}, no admin: it is given state changes only"
        yield Finding("warning", subject, says, "create the token as an admin, if causes and automations are wanted")
    yield _recorder(home, client)
    hidden = Asker(client).hidden_of_a_home()
    if hidden:
        advice = "create the token as an admin, if the map of the home is to have them"
        yield Finding("warning", f"{home.name}: map", f"left out, for want of rights: {', '.join(hidden)}", advice)


def _recorder(home: HomeSettings, client: HomeAssistantClient) -> Finding:
    subject = f"{home.name}: recorder"
    try:
        info = client.recorder_info()
    except errors.CommandRefused as refusal:
        advice = "enable the recorder integration: gaps are filled from its history"
        return Finding("warning", subject, f"not asked: {refusal.reason}", advice)
    if info.get("recording"):
        return Finding("ok", subject, "it records; gaps can be filled from its history")
    return Finding("warning", subject, "it does not record", "enable the recorder: gaps are filled from its history")

"""What `doctor` tells of what is handed on: each webhook that is not well, and MQTT out; sends nothing itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ingestor import bootstrap
from ingestor.api.side_by_side import in_a_line
from ingestor.cli.finding import Finding
from ingestor.queue.topics_board import OUT
from ingestor.reading.outgoing import LineState, hooks_sentence, line_state
from ingestor.settings import Settings
from ingestor.webhooks.model import Counted, Hook
from ingestor.wording import number_of

_MQTT_OUT: Final = "MQTT out"


def examine_outgoing(settings: Settings) -> Iterator[Finding]:
    """Yield what is found of webhooks, and of MQTT out where a broker is set for it."""
    yield from _webhooks(settings)
    if settings.mqtt_out.url:
        yield _mqtt_out(settings)


def _webhooks(settings: Settings) -> Iterator[Finding]:
    try:
        desk = bootstrap.open_webhook_desk(settings)
        found = desk.summaries()
        faults = {hook.hook_id: desk.secret_fault(hook.hook_id) for hook, _ in found if hook.enabled}
    except Exception as error:  # noqa: BLE001 -- each database driver has errors of its own
        yield Finding("unknown", "webhooks", f"cannot be read: {in_a_line(error)}", "see what is said of the database")
        return
    if found and not (settings.webhooks.enabled and settings.live.enabled):
        advice = "set HA_INGESTOR_WEBHOOKS__ENABLED and HA_INGESTOR_LIVE__ENABLED to true, or remove them"
        yield Finding("warning", "webhooks", f"{hooks_sentence(found)}; delivering is switched off", advice)
    else:
        yield Finding("ok", "webhooks", hooks_sentence(found))
    for hook, counted in found:
        if fault := faults.get(hook.hook_id):
            advice = f"`ha-ingestor webhooks rotate {hook.hook_id}` makes a new one: give it to the receiver"
            yield Finding("warning", f"webhook {hook.hook_id}: secret", f"{fault}; nothing is sent to it", advice)
        yield from _webhook(hook, counted)


def _webhook(hook: Hook, counted: Counted) -> Iterator[Finding]:
    subject = f"webhook {hook.hook_id}"
    if not hook.enabled and hook.why:
        advice = f"correct the receiver at {hook.url}, then `ha-ingestor webhooks enable {hook.hook_id}`, or remove it"
        yield Finding("warning", subject, f"was disabled: {hook.why}", advice)
    elif hook.enabled and hook.failures:
        advice = f"see to the receiver at {hook.url}; `ha-ingestor webhooks enable {hook.hook_id}` tries again at once"
        tries = "the last try" if hook.failures == 1 else f"the last {number_of(hook.failures, 'try')}"
        says = f"{tries} failed: {hook.last_error}; {number_of(counted.waiting, 'delivery')} waiting"
        yield Finding("warning", subject, says, advice)
    if counted.dead:
        advice = f"`ha-ingestor webhooks replay {hook.hook_id}` tries them anew"
        yield Finding("warning", f"{subject}: dead letters", f"{counted.dead:,} given up", advice)


def _mqtt_out(settings: Settings) -> Finding:
    try:
        state = line_state(bootstrap.open_topics_board(settings).read().get(OUT))
    except Exception as error:  # noqa: BLE001 -- the state server's client has errors of its own
        return Finding("unknown", _MQTT_OUT, in_a_line(error), "see what is said of the state server")
    match state:
        case LineState(connected=True, refused=refused) if refused:
            advice = "they are in the store; let the broker take them, or leave them out by mqtt_out.filter"
            return Finding("warning", _MQTT_OUT, state.says, advice)
        case LineState(connected=True):
            return Finding("ok", _MQTT_OUT, state.says)
        case LineState(heard=False):
            return Finding("warning", _MQTT_OUT, state.says, "start the API: it publishes (`ha-ingestor up`)")
        case _:
            advice = "start that broker, or correct HA_INGESTOR_MQTT_OUT__URL, user and password"
            return Finding("warning", _MQTT_OUT, state.says, advice)

"""What a reason of the quarantine means in plain words: what came, what is expected, what to do. Decides nothing."""

from __future__ import annotations

from typing import Final

_STRANGER: Final = (
    "correct it where it is published; where it is about a task, somebody else writes into our queues: give the broker"
    " a password"
)
_WRONG_SENDER: Final = "correct it where it is published, or leave the topic or entity out by the settings"
_REPORT: Final = "this is a fault of HA-Ingestor: update it, then replay; if it stays, report it with this piece"
_WHAT: Final[dict[str, tuple[str, str]]] = {
    "invalid_json": ("bytes that are no whole JSON came; JSON is expected", _WRONG_SENDER),
    "invalid_event": ("an event came in which a field misses or is of the wrong kind", _WRONG_SENDER),
    "unknown_message": (
        "what came is none of Home Assistant's messages, or in a queue none of ours",
        _STRANGER,
    ),
    "invalid_time": (
        "a time came that is none; ISO 8601 with an offset is expected, as in 2026-01-31T12:00:00+00:00",
        _WRONG_SENDER,
    ),
    "time_out_of_range": (
        "a time before 1970 or after 2262 came; no store can hold it",
        "set the sender's clock, then drop these pieces",
    ),
    "not_utf8": ("bytes came that are no UTF-8 text; text is expected", _WRONG_SENDER),
    "not_base64": ("text came that is no Base64", _WRONG_SENDER),
    "payload_too_large": (
        "a payload came that is larger than the limit; only its size and hash were kept",
        "raise `max_payload_bytes` of the home's MQTT settings for those to come; these cannot be replayed",
    ),
    "nested_too_deep": (
        "values within values came, more levels deep than a payload of its kind may have",
        _WRONG_SENDER,
    ),
    "state_too_long": ("a state came that is longer than Home Assistant allows", _WRONG_SENDER),
    "too_many_values": ("a payload with more than 500 values came", "map the values that you want as topics"),
    "template_failed": (
        "the template of a device's discovery failed on this value",
        "correct the template, then replay",
    ),
    "no_value": (
        "the payload has nothing at the path that the settings or the discovery name",
        "correct the path, then replay",
    ),
    "field_too_long": (
        "a text came that is longer than a store takes in a field",
        "shorten it at its sender, or do not store that field",
    ),
    "decoder_failed": ("a decoder met something that it was not made for", _REPORT),
    "harms_its_worker": ("working on it ended or blocked a worker more than once", _REPORT),
    "unreadable_message": ("a message in the queue was none of ours, or damaged", "drop it, and see who may enqueue"),
    "damaged_message": ("a message in the queue was damaged on its way", "drop it; its journal has sent it again"),
    "message_too_large": ("a message in the queue is larger than any of ours", "drop it, and see who may enqueue"),
    "unknown_version": ("a message in the queue has a version that nobody reads", "drop it, and see who may enqueue"),
    "unreadable_event": ("an event that was put aside cannot be read by this version", _REPORT),
}


def diagnosis(reason: str, detail: str) -> str:
    """Return what happened and what to do; for a reason of the store, whose detail says both, that detail."""
    known = _WHAT.get(reason)
    if known is None:
        return detail or reason
    what, advice = known
    exactly = f" ({detail})" if detail else ""
    return f"{what[0].upper()}{what[1:]}{exactly}. What to do: {advice}."

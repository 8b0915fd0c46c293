"""Webhooks and their deliveries as plain values; no secret among them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ingestor.reading.times import rfc3339_of_us
from ingestor.webhooks.model import Counted, Delivery, DeliveryState, Hook


def hook_object(hook: Hook, counted: Counted) -> dict[str, Any]:
    """Return a webhook as the JSON object that is told."""
    wanted = hook.wanted
    return {
        "id": hook.hook_id,
        "url": hook.url,
        "description": hook.description,
        "enabled": hook.enabled,
        "why_disabled": hook.why,
        "filter": filter_object(hook),
        "form": wanted.form,
        "batch": wanted.batch,
        "batch_wait_s": wanted.batch_wait_s,
        "late": wanted.late,
        "secret_masked": "whsec_…",
        "created": rfc3339_of_us(hook.made_us),
        "cursor": hook.cursor,
        "waiting": counted.waiting,
        "waiting_bytes": counted.waiting_bytes,
        "dead": counted.dead,
        "delivered": hook.delivered,
        "gaps": hook.gaps,
        "forgotten": hook.forgotten,
        "failures": hook.failures,
        "paused_until": _time(hook.paused_until_us),
        "last_taken": _time(hook.last_taken_us),
        "last_error": hook.last_error,
    }


def filter_object(hook: Hook) -> dict[str, list[str]]:
    """Return which messages a webhook wants, by the names that streams use."""
    told = asdict(hook.wanted.messages)
    names = {"entities": "entity", "domains": "domain", "areas": "area", "devices": "device", "types": "type"}
    return {names.get(kind, "home"): list(values) for kind, values in told.items()}


def delivery_object(delivery: Delivery, *, with_body: bool = False) -> dict[str, Any]:
    """Return a delivery as the JSON object that is told."""
    told: dict[str, Any] = {
        "id": delivery.delivery_id,
        "webhook": delivery.hook_id,
        "kind": delivery.kind,
        "messages": delivery.messages,
        "state": delivery.state.value,
        "created": rfc3339_of_us(delivery.made_us),
        "next_try": _time(delivery.next_us) if delivery.state is DeliveryState.WAITING else None,
        "ended": _time(delivery.ended_us),
        "tries": delivery.tries,
        "status": delivery.status or None,
        "error": delivery.error,
        "bytes": delivery.size,
    }
    return {**told, "body": delivery.body.decode("utf-8", "replace") or None} if with_body else told


def _time(time_us: int) -> str | None:
    return rfc3339_of_us(time_us) if time_us else None

"""Thresholds: when an alert begins and when it is over, from figures and what is open; reads and tells nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from ingestor.reports.shelf import Alert
from ingestor.reports.words import number, share
from ingestor.settings_reports import SHARES, AlertSetting

_TITLES: Final = {
    "score": "the home's score",
    "context": "the share of events with full context",
    "valid": "the share of valid events",
    "up": "the share of the time in which we listened",
    "lost": "the number of lost events",
    "unbalanced": "the number of rows of the ledger that do not balance",
    "problems": "the number of problems",
}


def changes(
    home: str,
    thresholds: Iterable[AlertSetting],
    figures: Mapping[str, float | None],
    opened: Iterable[Alert],
    now_us: int,
) -> Iterator[Alert]:
    """Yield alerts that begin or are over. What is not known changes nothing; what is not watched any more is over."""
    open_by_name = {alert.name: alert for alert in opened}
    for threshold in thresholds:
        known, value = open_by_name.pop(threshold.name, None), figures.get(threshold.on)
        if value is None:
            continue
        if known is None and _beyond(threshold, value, threshold.limit):
            yield Alert(home, threshold.name, now_us, None, threshold.on, value, _begins(threshold, value))
        elif known is not None and not _still(threshold, value):
            sentence = f"Over: {_TITLES[threshold.on]} is {_shown(threshold.on, value)} again."
            yield replace(known, over_us=now_us, value=value, sentence=sentence)
    for alert in open_by_name.values():
        yield replace(alert, over_us=now_us, sentence="Over: it is not watched any more.")


def _beyond(threshold: AlertSetting, value: float, limit: float) -> bool:
    return value < limit if threshold.on in SHARES else value > limit


def _still(threshold: AlertSetting, value: float) -> bool:
    """Tell whether an alert goes on: between `limit` and `clear` it does, so that it is told once."""
    return _beyond(threshold, value, threshold.limit if threshold.clear is None else threshold.clear)


def _begins(threshold: AlertSetting, value: float) -> str:
    side = "below" if threshold.on in SHARES else "above"
    limit = _shown(threshold.on, threshold.limit)
    title = _TITLES[threshold.on]
    return f"{title[0].upper()}{title[1:]} is {_shown(threshold.on, value)}, {side} {limit}."


def _shown(on: str, value: float) -> str:
    return share(value) if on in ("context", "valid", "up") else number(value)

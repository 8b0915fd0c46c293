"""The head of a report: the balance of the ledger, and what is measured against targets; reads nothing itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from ingestor.events.counts import Counts
from ingestor.reports.document import Balance, BalanceRow, Target
from ingestor.reports.gaps_shown import Span, missed_us
from ingestor.storage.ledger import LedgerRow, summed_up
from ingestor.storage.port import ContextCount
from ingestor.wording import number_of

#: What stands in no room and belongs to no device: its place is the home itself.
PLACELESS: Final = frozenset(
    {
        "automation",
        "calendar",
        "conversation",
        "counter",
        "group",
        "input_boolean",
        "input_button",
        "input_datetime",
        "input_number",
        "input_select",
        "input_text",
        "person",
        "scene",
        "schedule",
        "script",
        "sun",
        "timer",
        "todo",
        "update",
        "weather",
        "zone",
    }
)


def balance_of(rows: Sequence[LedgerRow], *, cut: bool) -> Balance:
    """Return the balance of ledger rows. `cut`: the ledger keeps whole hours, and more was asked for or less."""
    summary = summed_up(rows)
    shown = tuple(_row(source, counts) for (_, source), counts in sorted(summary.by_source.items()))
    holds = None if not rows else not summary.unbalanced and not summary.total.missing
    words = _verdict(summary.total, summary.unbalanced) if rows else "Nothing was received in that time."
    if cut:
        words += " The ledger counts by whole hours (UTC): the first and the last are counted whole."
    return Balance(shown, _row("all", summary.total), holds, words)


def _row(source: str, counts: Counts) -> BalanceRow:
    return BalanceRow(
        source=source,
        received=counts.total,
        written=counts.written,
        duplicate=counts.duplicate,
        rejected=counts.rejected,
        filtered=counts.filtered,
        in_flight=counts.in_flight,
        lost=counts.lost,
        read_back=counts.recovered,
        balances=counts.balances,
    )


def _verdict(total: Counts, unbalanced: int) -> str:
    words = []
    if unbalanced:
        words.append(f"{number_of(unbalanced, 'row')} of the ledger not in balance")
    if total.missing:
        words.append(f"{number_of(total.missing, 'event')} lost and not read back from history")
    elif total.lost:
        words.append(f"{number_of(total.lost, 'event')} lost on the way, as many read back from history")
    if not words:
        words.append("everything that was received is accounted for, nothing is lost")
    if total.in_flight > 0:
        words.append(f"{number_of(total.in_flight, 'frame')} still in flight")
    text = "; ".join(words)
    return f"{text[0].upper()}{text[1:]}."


def context_target(counts: Iterable[ContextCount] | None, wanted: float) -> Target:
    """Return how many of the stored states have their full context."""
    found = list(counts or ())
    states, full = sum(one.states for one in found), sum(map(_full, found))
    title = "Events with full context"
    if counts is None:
        return Target("context", title, None, wanted, "The store could not be asked.")
    if not states:
        return Target("context", title, None, wanted, "No states of our own schema are stored of that time.")
    lacking_place = sum(one.states - one.placed for one in found if one.domain not in PLACELESS)
    lacking_tie = sum(one.states - one.tied for one in found)
    words = f"{full:,} of {number_of(states, 'stored state')} say where in the home they are from (area or device)"
    words += " and carry the context id that ties them to their cause."
    if lacking_place:
        words += f" {lacking_place:,} lack a place."
    if lacking_tie:
        words += f" {lacking_tie:,} lack the id: MQTT and history do not tell it."
    return Target("context", title, full / states, wanted, words)


def _full(count: ContextCount) -> int:
    return count.tied if count.domain in PLACELESS else count.both


def valid_target(total: BalanceRow, wanted: float) -> Target:
    """Return how many of the events that were formed passed the rules at the door."""
    title = "Valid events"
    formed = total.received - total.in_flight - total.lost
    if formed <= 0:
        return Target("valid", title, None, wanted, "No event was formed in that time.")
    good = formed - total.rejected
    words = f"{good:,} of {number_of(formed, 'event')} passed the rules at the door, repaired or as they came;"
    words += f" {total.rejected:,} went to quarantine."
    return Target("valid", title, good / formed, wanted, words)


def up_target(spans: Sequence[Span], start_us: int, end_us: int, first_us: int | None, wanted: float) -> Target:
    """Return how much of the time every listener heard its home. `first_us`: since when we listen at all."""
    title = "Ingestion up"
    begin_us = max(start_us, first_us) if first_us is not None else end_us
    if begin_us >= end_us:
        return Target("up", title, None, wanted, "The ledger knows of nothing received up to then.")
    lacked_us = missed_us(spans, begin_us, end_us)
    whole_us = end_us - begin_us
    words = f"For {duration(lacked_us)} of {duration(whole_us)} a listener could not hear its home"
    words += " (the gaps below)." if lacked_us else "."
    if begin_us > start_us:
        words += " Counted from the first hour in which anything was received."
    return Target("up", title, 1 - lacked_us / whole_us, wanted, words)


def duration(span_us: int) -> str:
    """Return a time in words: 42 s, 12 min, 3.5 h, 2.1 days."""
    seconds = span_us / 1_000_000
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 86_400:.1f} days"

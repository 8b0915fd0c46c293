"""What a report has the store count, some hours at a time: so that a long span is steps, and each can be kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from ingestor.storage.port import ContextCount, Store

#: A quarter of a day: of a large home a store counts that in seconds.
_PIECE_US: Final = 21_600_000_000
_NS_PER_US: Final = 1000


@dataclass(frozen=True, slots=True)
class Counted:
    """What the store said of a piece of time: states by domain, and repaired ones by what repaired them."""

    contexts: tuple[ContextCount, ...] = ()
    repairs: dict[str, int] = field(default_factory=dict)


def pieces_of(start_us: int, end_us: int) -> Iterator[tuple[int, int]]:
    """Yield a span cut where quarters of days (UTC) begin."""
    begin = start_us
    while begin < end_us:
        end = min(begin // _PIECE_US * _PIECE_US + _PIECE_US, end_us)
        yield begin, end
        begin = end


def count_piece(store: Store, home: str, start_us: int, end_us: int) -> Counted:
    """Have the store count a piece. Raises StoreUnavailable and StoreRefused."""
    span = (home, start_us * _NS_PER_US, end_us * _NS_PER_US)
    return Counted(tuple(store.context_counts(*span)), store.repair_counts(*span))


def added(pieces: Iterable[Counted]) -> Counted:
    """Return pieces as one."""
    contexts: dict[str, ContextCount] = {}
    repairs: dict[str, int] = {}
    for piece in pieces:
        for one in piece.contexts:
            known = contexts.get(one.domain, ContextCount(one.domain, 0, 0, 0, 0))
            contexts[one.domain] = ContextCount(
                one.domain,
                known.states + one.states,
                known.placed + one.placed,
                known.tied + one.tied,
                known.both + one.both,
            )
        for rules, count in piece.repairs.items():
            repairs[rules] = repairs.get(rules, 0) + count
    return Counted(tuple(contexts[domain] for domain in sorted(contexts)), repairs)


def by_rule(repairs: dict[str, int]) -> dict[str, int]:
    """Return repairs by single rule: `repaired_by` names several with commas between."""
    found: dict[str, int] = {}
    for rules, count in repairs.items():
        for rule in rules.split(","):
            found[rule] = found.get(rule, 0) + count
    return dict(sorted(found.items(), key=lambda item: -item[1]))

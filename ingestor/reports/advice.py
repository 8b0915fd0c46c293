"""What to do about what a report found, what helps most first; a gain is said only where it can be reckoned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from ingestor.quality.model import ProblemKind, Scope
from ingestor.reports.document import Advice, Balance, Target, Trouble

_MOST_ADVICE: Final = 15
_MOST_NAMED: Final = 5
#: How many entities a subject is taken to stand for where a report does not know: only the order depends on it.
_WEIGHT: Final = {Scope.ENTITY: 1.0, Scope.DEVICE: 4.0, Scope.AREA: 6.0, Scope.INTEGRATION: 10.0}
_OF_TARGETS: Final = {
    "context": "Give the devices and entities that have none an area in Home Assistant, and prefer the WebSocket API"
    " to MQTT as a source: MQTT carries no context.",
    "valid": "Look through the quarantine: ha-ingestor quarantine list names who sends what cannot be used.",
    "up": "See why the listener was away: ha-ingestor gaps lists each time with its reason.",
}
_BALANCE: Final = (
    "Find out what was lost: ha-ingestor ledger names the hour and source, ha-ingestor reconcile reads back."
)


def advice_on(
    troubles: Iterable[Trouble], targets: Iterable[Target], balance: Balance, entities: int
) -> tuple[Advice, ...]:
    """Return what to do, the greatest effect first: the head of the report before single subjects."""
    head = [Advice(_BALANCE, None, (), 0)] if balance.holds is False else []
    head += [Advice(_OF_TARGETS[one.name], None, (), 0) for one in targets if one.met is False]
    groups: dict[str, list[Trouble]] = {}
    for trouble in troubles:
        # A gap's own advice is that of the target, which is missed by it.
        if trouble.advice and not (trouble.kind == ProblemKind.GAP and head):
            groups.setdefault(trouble.advice, []).append(trouble)
    ordered = sorted(groups.items(), key=lambda item: -_effect(item[1], entities))
    return tuple([*head, *(_advice(text, of, entities) for text, of in ordered)][:_MOST_ADVICE])


def _effect(troubles: Sequence[Trouble], entities: int) -> float:
    worst: dict[tuple[str, str], float] = {}
    for one in troubles:
        missing = 50.0 if one.score is None else 100.0 - one.score
        worst[one.scope, one.subject] = missing * _WEIGHT.get(Scope(one.scope), float(max(1, entities)))
    return sum(worst.values())


def _advice(text: str, troubles: Sequence[Trouble], entities: int) -> Advice:
    subjects = {one.subject: one for one in troubles}
    measured = [100.0 - one.score for one in subjects.values() if one.scope == Scope.ENTITY and one.score is not None]
    gain = sum(measured) / entities if entities and len(measured) == len(subjects) else None
    names = tuple(one.name or one.subject for one in list(subjects.values())[:_MOST_NAMED])
    return Advice(text, None if gain is None else round(gain, 2), names, len(subjects))

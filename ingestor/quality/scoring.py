"""Makes scores of sums: eight parts of 0 to 100, each with the sentence that says why; pure, remembers nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from heapq import nsmallest
from typing import Final

from ingestor.quality.hours import lag_ms
from ingestor.quality.model import Dimension, Part, Scope, Score
from ingestor.quality.subjects import JudgeContext
from ingestor.quality.sums import Sums
from ingestor.wording import milliseconds, times

D = Dimension
WEIGHTS: Final[Mapping[Dimension, float]] = {
    D.COMPLETENESS: 2.0,
    D.VALIDITY: 1.5,
    D.UNIQUENESS: 0.5,
    D.TIMELINESS: 1.0,
    D.CONSISTENCY: 1.0,
    D.ACCURACY: 1.0,
    D.AVAILABILITY: 2.0,
    D.LIVENESS: 1.0,
}
#: A lag up to so much is none (ms); ten times as much scores half.
_PROMPT_MS: Final = 2_000.0
#: One in a hundred of what is wrong costs so much of a score.
_HARD: Final = 5.0
_WITHOUT_FAULT: Final = 99.0
_ONLY_THE_WAY: Final = 0.1


def entity_score(sums: Sums, name: str = "") -> Score:
    """Return the score of an entity over the hours that its sums are of."""
    parts = (
        _completeness(sums),
        _validity(sums),
        _uniqueness(sums),
        _timeliness(sums),
        _consistency(sums),
        _accuracy(sums),
        _availability(sums),
        _liveness(sums),
    )
    return Score(Scope.ENTITY, sums.series, name or sums.series, parts)


def scores_of(home: str, sums: Iterable[Sums], context: JudgeContext) -> list[Score]:
    """Return the scores of a home, its areas, integrations, devices and entities, in this order."""
    found: list[Score] = []
    members: dict[tuple[Scope, str], list[Score]] = defaultdict(list)
    for one in sums:
        subject = context.subject(one.series)
        score = entity_score(one, subject.name)
        found.append(score)
        members[Scope.HOME, home].append(score)
        for scope, group in (
            (Scope.AREA, subject.area),
            (Scope.INTEGRATION, subject.integration),
            (Scope.DEVICE, subject.device),
        ):
            if group:
                members[scope, group].append(score)
    order = list(Scope)[::-1]
    groups = [group_score(scope, name, of) for (scope, name), of in members.items()]
    return sorted(groups, key=lambda one: (order.index(one.scope), one.subject)) + found


def group_score(scope: Scope, subject: str, members: list[Score]) -> Score:
    """Return the score of many entities: each part is the mean of theirs, and names who is worst."""
    judged: dict[Dimension, list[tuple[float, Score]]] = {dimension: [] for dimension in Dimension}
    for one in members:
        for part in one.parts:
            if part.score is not None:
                judged[part.dimension].append((part.score, one))
    parts = tuple(_group_part(dimension, of, len(members)) for dimension, of in judged.items())
    return Score(scope, subject, subject, parts)


def _group_part(dimension: Dimension, judged: list[tuple[float, Score]], members: int) -> Part:
    if not judged:
        return Part(dimension, None, WEIGHTS[dimension], f"Of none of the {members} entities is it known.")
    mean = sum(score for score, _ in judged) / len(judged)
    below = [pair for pair in judged if pair[0] < _WITHOUT_FAULT]
    text = f"{len(judged) - len(below)} of {len(judged)} entities are without fault"
    if below:
        text += "; worst: " + ", ".join(
            f"{one.subject} ({score:.0f})" for score, one in nsmallest(3, below, key=_badness)
        )
    return Part(dimension, round(mean, 2), WEIGHTS[dimension], text + ".", {"entities": float(len(judged))})


def _badness(pair: tuple[float, Score]) -> tuple[float, str]:
    return pair[0], pair[1].subject


def _part(dimension: Dimension, score: float | None, text: str, **measures: float) -> Part:
    shown = None if score is None else round(min(100.0, max(0.0, score)), 2)
    return Part(dimension, shown, WEIGHTS[dimension], text, measures)


def _share(bad: float, of: float) -> float:
    return bad / of if of else 0.0


def _completeness(sums: Sums) -> Part:
    heard = 1 - _share(sums.deaf_s, sums.deaf_s + sums.span_s)
    measures = {"events": float(sums.events), "gap_s": sums.deaf_s}
    if not sums.expected:
        if not sums.deaf_s:
            text = (
                "It has no steady cadence, so nobody can say how many events are missing; the home was heard all along."
            )
            return _part(D.COMPLETENESS, 100.0, text, **measures)
        text = f"It has no steady cadence; the home was not heard for {sums.deaf_s / 60:.0f} min."
        return _part(D.COMPLETENESS, 100 * heard, text, **measures)
    received = 1 - _share(sums.lacking, sums.expected)
    text = f"{received:.1%} of the {sums.expected:.0f} events that are sure at its steady pace came"
    text += f"; the home was not heard for {sums.deaf_s / 60:.0f} min." if sums.deaf_s else "."
    return _part(
        D.COMPLETENESS, 100 * min(received, heard), text, expected=sums.expected, lacking=sums.lacking, **measures
    )


def _validity(sums: Sums) -> Part:
    if not sums.events:
        return _part(D.VALIDITY, None, "It said nothing that could be valid or not.")
    bad = _share(sums.rejected, sums.events)
    mended = _share(sums.repaired, sums.events)
    text = f"{sums.rejected} of {sums.events} events were refused at the door, {sums.repaired} repaired."
    score = 100 * (1 - _HARD * bad - mended / 2)
    return _part(D.VALIDITY, score, text, rejected=float(sums.rejected), repaired=float(sums.repaired))


def _uniqueness(sums: Sums) -> Part:
    if not sums.events:
        return _part(D.UNIQUENESS, None, "It said nothing that could be said twice.")
    # What came twice and was stored once costs the way alone.
    twice = max(_share(sums.duplicates, sums.events) * _ONLY_THE_WAY, _share(sums.doubled, sums.hours))
    text = f"{sums.duplicates} of {sums.events} events came twice and were stored once"
    text += f"; in {sums.doubled} of {sums.hours} hours it said the same by two roads." if sums.doubled else "."
    return _part(
        D.UNIQUENESS, 100 * (1 - twice), text, duplicates=float(sums.duplicates), doubled_h=float(sums.doubled)
    )


def _timeliness(sums: Sums) -> Part:
    p50, p95, p99 = (lag_ms(tuple(sums.lags), share) for share in (0.5, 0.95, 0.99))
    if p50 is None or p95 is None or p99 is None:
        return _part(D.TIMELINESS, None, "How long its events took is not known.")
    late = max(abs(p95), abs(p50))
    score = 100.0 if late <= _PROMPT_MS else 100 * (_PROMPT_MS / late) ** 0.3
    score = min(score, 100 * (1 - _share(sums.late, sums.events)))
    text = (
        f"Half of its events came within {milliseconds(p50)}, 95% within {milliseconds(p95)};"
        f" {sums.late} a minute late or later."
    )
    measures = {"lag_p50_ms": p50, "lag_p95_ms": p95, "lag_p99_ms": p99, "late": float(sums.late)}
    return _part(D.TIMELINESS, score, text, **measures)


def _consistency(sums: Sums) -> Part:
    if not sums.events:
        return _part(D.CONSISTENCY, None, "It said nothing that could be of another kind.")
    if not sums.changed:
        return _part(D.CONSISTENCY, 100.0, "Unit, type and attributes stayed as they were.")
    text = f"In {sums.changed} of {sums.hours} hours unit, type or attributes were not those of before."
    return _part(D.CONSISTENCY, 80 * (1 - _share(sums.changed, sums.hours)), text, changed_h=float(sums.changed))


def _accuracy(sums: Sums) -> Part:
    if not sums.values:
        return _part(D.ACCURACY, None, "It tells no numbers.")
    outside, odd = _share(sums.out_of_bounds, sums.values), _share(sums.odd, sums.hours)
    text = f"{sums.out_of_bounds} of {sums.values} values cannot be; {sums.odd} hours are unlike those before."
    score = 100 * (1 - _HARD * outside - odd)
    return _part(D.ACCURACY, score, text, out_of_bounds=float(sums.out_of_bounds), odd_h=float(sums.odd))


def _availability(sums: Sums) -> Part:
    away, unknown = _share(sums.unavailable_s, sums.span_s), _share(sums.unknown_s, sums.span_s)
    text = f"Unavailable {away:.1%} and unknown {unknown:.1%} of the time; it went and came back {times(sums.flaps)}."
    score = 100 * (1 - min(1.0, away) - min(1.0, unknown) / 2) - min(30.0, sums.flaps / sums.span_s * 86_400 * 2)
    measures = {"unavailable_s": sums.unavailable_s, "unknown_s": sums.unknown_s, "flaps": float(sums.flaps)}
    return _part(D.AVAILABILITY, score, text, **measures)


def _liveness(sums: Sums) -> Part:
    if not sums.known:
        text = "It was watched too short, or changes too seldom, to tell constant from dead."
        return _part(D.LIVENESS, None, text)
    silent = min(1.0, _share(sums.silent_s, sums.span_s))
    text = f"Dead or frozen {silent:.1%} of the time." if sums.silent_s else "It was alive all along."
    return _part(D.LIVENESS, 100 * (1 - silent), text, silent_s=sums.silent_s)

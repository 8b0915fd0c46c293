"""What was found of the homes over time, in the metadata database; finds nothing itself.

An hour is a row: the facts and sums of all its entities, packed. A day is a row, too; scores are made from these sums
when they are asked for. What the judge must remember is one row a home, saved with the hour that it is of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import sqlalchemy as sa
import zstandard

from ingestor.home.database import reading, transaction
from ingestor.quality.hours import HOUR_US, HourFacts
from ingestor.quality.judging import HomeState
from ingestor.quality.model import Problem, ProblemKind, Scope, Score
from ingestor.quality.scoring import scores_of
from ingestor.quality.subjects import JudgeContext, Subject
from ingestor.quality.sums import Sums
from ingestor.quality.tally import Carry

METADATA: Final = sa.MetaData()
HOURS: Final = sa.Table(
    "quality_hours",
    METADATA,
    sa.Column("home", sa.String(255), primary_key=True),
    sa.Column("hour_us", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("facts", sa.LargeBinary, nullable=False),
    sa.Column("sums", sa.LargeBinary, nullable=False),
)
DAYS: Final = sa.Table(
    "quality_days",
    METADATA,
    sa.Column("home", sa.String(255), primary_key=True),
    sa.Column("day_us", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("sums", sa.LargeBinary, nullable=False),
    sa.Column("scores", sa.LargeBinary, nullable=False),
)
STATES: Final = sa.Table(
    "quality_states",
    METADATA,
    sa.Column("home", sa.String(255), primary_key=True),
    sa.Column("hour_us", sa.BigInteger, nullable=False),
    sa.Column("packed", sa.LargeBinary, nullable=False),
)
PROBLEMS: Final = sa.Table(
    "quality_problems",
    METADATA,
    sa.Column("home", sa.String(255), primary_key=True),
    sa.Column("kind", sa.String(32), primary_key=True),
    sa.Column("scope", sa.String(16), primary_key=True),
    sa.Column("subject", sa.String(255), primary_key=True),
    sa.Column("since_us", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("until_us", sa.BigInteger, nullable=True),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("evidence", sa.Text, nullable=False),
    sa.Column("advice", sa.Text, nullable=False),
    sa.Index("quality_problems_until", "home", "until_us"),
)
DAY_US: Final = 24 * HOUR_US
_LONGEST: Final = 255
#: Of a home with 20,000 entities.
_MAX_BYTES: Final = 256 * 1024 * 1024
_MOST_PROBLEMS: Final = 20_000
_Rows = list[dict[str, Any]]


class Kept(msgspec.Struct):
    """What the next hour of a home must know: the judge's state, how each entity ended the hour, who is who.

    `begun` is what is added up of a large hour (`begun_us`, Unix µs) by a step that had no time for all of it.
    `looked` is how many states the store had of the hours that were told anew.
    """

    judge: HomeState = msgspec.field(default_factory=HomeState)
    carried: dict[str, Carry] = {}
    subjects: dict[str, Subject] = {}
    begun: list[HourFacts] = []
    begun_us: int = 0
    looked: dict[int, int] = {}


@dataclass(frozen=True, slots=True)
class JudgedHour:
    """What came of an hour: which one it was stands in the judge's state. `scored`: its day is scored with it."""

    kept: Kept
    facts: list[HourFacts]
    sums: Mapping[str, Sums]
    ended: Sequence[Problem] = ()
    opened: Sequence[Problem] = ()
    scored: bool = True


@dataclass(frozen=True, slots=True)
class QualityHead:
    """A home in a few figures: judged up to when (Unix µs), its score of that day so far, open problems by kind."""

    home: str
    until_us: int
    score: float | None
    problems: Mapping[str, int]


class SqlQualityBook:
    """Hours, days, problems and the judge's memory in SQLite or PostgreSQL."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    # -- what the judge keeps --------------------------------------------------------------------------

    def load(self, home: str) -> Kept:
        """Return what the next hour of a home must know. Raises StoreUnavailable."""
        with reading(self._engine) as connection:
            packed = connection.execute(sa.select(STATES.c.packed).where(STATES.c.home == home)).scalar()
        return Kept() if packed is None else _unpacked(packed, Kept)

    def save(self, home: str, judged: JudgedHour) -> None:
        """Keep a judged hour with all that came of it, or nothing. Raises StoreUnavailable."""
        kept, hour_us = judged.kept, judged.kept.judge.hour_us
        sums = _packed(list(judged.sums.values()))
        with transaction(self._engine) as connection:
            row = {"home": home, "hour_us": hour_us, "facts": _packed(judged.facts), "sums": sums}
            _put(connection, HOURS, [row], ("home", "hour_us"))
            self._add_to_day(connection, home, hour_us // DAY_US * DAY_US, judged)
            connection.execute(sa.delete(PROBLEMS).where(PROBLEMS.c.home == home, PROBLEMS.c.until_us.is_(None)))
            rows = [_row(home, problem) for problem in (*judged.ended, *judged.opened)]
            _put(connection, PROBLEMS, rows, ("home", "kind", "scope", "subject", "since_us"))
            state = {"home": home, "hour_us": hour_us, "packed": _packed(kept)}
            _put(connection, STATES, [state], ("home",))

    def keep_begun(self, home: str, kept: Kept) -> None:
        """Keep what is added up of an hour that is not judged yet. Raises StoreUnavailable."""
        with transaction(self._engine) as connection:
            state = {"home": home, "hour_us": kept.begun_us - HOUR_US, "packed": _packed(kept)}
            _put(connection, STATES, [state], ("home",))

    def _add_to_day(self, connection: sa.Connection, home: str, day_us: int, judged: JudgedHour) -> None:
        query = sa.select(DAYS.c.sums, DAYS.c.scores).where(DAYS.c.home == home, DAYS.c.day_us == day_us)
        before = connection.execute(query).one_or_none()
        day = {one.series: one for one in _unpacked(before.sums, list[Sums])} if before is not None else {}
        _add(day, judged.sums.values())
        # Where many hours are made up for, a day is scored once.
        known = before.scores if before is not None and not judged.scored else self._day_scores(home, day, judged)
        row = {"home": home, "day_us": day_us, "sums": _packed(list(day.values())), "scores": known}
        _put(connection, DAYS, [row], ("home", "day_us"))

    def _day_scores(self, home: str, day: Mapping[str, Sums], judged: JudgedHour) -> bytes:
        scores = scores_of(home, day.values(), JudgeContext(judged.kept.subjects))
        return _packed({f"{score.scope}:{score.subject}": score.score for score in scores})

    def hours(self, home: str, start_us: int, end_us: int) -> list[tuple[int, list[HourFacts]]]:
        """Return the facts of judged hours, oldest first. Raises StoreUnavailable."""
        within = (HOURS.c.home == home) & (HOURS.c.hour_us >= start_us) & (HOURS.c.hour_us < end_us)
        query = sa.select(HOURS.c.hour_us, HOURS.c.facts).where(within).order_by(HOURS.c.hour_us)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return [(hour_us, _unpacked(facts, list[HourFacts])) for hour_us, facts in rows]

    def sums(self, home: str, hour_us: int) -> dict[str, Sums]:
        """Return the sums of a judged hour by series. Raises StoreUnavailable."""
        query = sa.select(HOURS.c.sums).where(HOURS.c.home == home, HOURS.c.hour_us == hour_us)
        with reading(self._engine) as connection:
            packed = connection.execute(query).scalar()
        return {} if packed is None else {one.series: one for one in _unpacked(packed, list[Sums])}

    def retell(self, kept: Kept, hour: tuple[str, int], facts: list[HourFacts], sums: Mapping[str, Sums]) -> None:
        """Put an hour (home, Unix µs) in place of what it was, and add its day up anew. Raises StoreUnavailable."""
        home, hour_us = hour
        day_us = hour_us // DAY_US * DAY_US
        row = {"home": home, "hour_us": hour_us, "facts": _packed(facts), "sums": _packed(list(sums.values()))}
        of_day = (HOURS.c.home == home) & (HOURS.c.hour_us >= day_us) & (HOURS.c.hour_us < day_us + DAY_US)
        with transaction(self._engine) as connection:
            _put(connection, HOURS, [row], ("home", "hour_us"))
            day: dict[str, Sums] = {}
            for packed in connection.execute(sa.select(HOURS.c.sums).where(of_day)).scalars().all():
                _add(day, _unpacked(packed, list[Sums]))
            scores = scores_of(home, day.values(), JudgeContext(kept.subjects))
            known = _packed({f"{score.scope}:{score.subject}": score.score for score in scores})
            whole = {"home": home, "day_us": day_us, "sums": _packed(list(day.values())), "scores": known}
            _put(connection, DAYS, [whole], ("home", "day_us"))
            state = {"home": home, "hour_us": kept.judge.hour_us, "packed": _packed(kept)}
            _put(connection, STATES, [state], ("home",))

    def trim(self, now_us: int, hours_days: int, days: int) -> None:
        """Let old hours, days and ended problems go. Raises StoreUnavailable."""
        with transaction(self._engine) as connection:
            connection.execute(sa.delete(HOURS).where(HOURS.c.hour_us < now_us - hours_days * DAY_US))
            connection.execute(sa.delete(DAYS).where(DAYS.c.day_us < now_us - days * DAY_US))
            connection.execute(sa.delete(PROBLEMS).where(PROBLEMS.c.until_us < now_us - days * DAY_US))
            for home in connection.execute(sa.select(PROBLEMS.c.home).distinct()).scalars().all():
                _trim_problems(connection, home)

    # -- what others read ------------------------------------------------------------------------------

    def homes(self) -> dict[str, int]:
        """Return up to when each home is judged. Raises StoreUnavailable."""
        with reading(self._engine) as connection:
            rows = connection.execute(sa.select(STATES.c.home, STATES.c.hour_us).order_by(STATES.c.home)).all()
        return {home: hour_us + HOUR_US for home, hour_us in rows}

    def heads(self) -> list[QualityHead]:
        """Return each judged home in a few figures. Raises StoreUnavailable."""
        found = []
        for home, until_us in self.homes().items():
            newest = self.trend(home, until_us - HOUR_US, until_us, Scope.HOME, home)[-1:]
            open_now = (PROBLEMS.c.home == home) & PROBLEMS.c.until_us.is_(None)
            query = sa.select(PROBLEMS.c.kind, sa.func.count()).where(open_now).group_by(PROBLEMS.c.kind)
            with reading(self._engine) as connection:
                problems = {kind: int(count) for kind, count in connection.execute(query)}
            found.append(QualityHead(home, until_us, newest[0][1] if newest else None, problems))
        return found

    def facts(self, home: str, series: str, start_us: int, end_us: int) -> list[HourFacts]:
        """Return the hours of an entity, oldest first. Raises StoreUnavailable."""
        query = sa.select(HOURS.c.facts).where(
            HOURS.c.home == home, HOURS.c.hour_us >= start_us, HOURS.c.hour_us < end_us
        )
        with reading(self._engine) as connection:
            packed = connection.execute(query.order_by(HOURS.c.hour_us)).scalars().all()
        return [one for hour in packed for one in _unpacked(hour, list[HourFacts]) if one.series == series]

    def scores(self, home: str, start_us: int, end_us: int) -> list[Score]:
        """Return the scores of everything in a span of whole hours. Raises StoreUnavailable."""
        total: dict[str, Sums] = {}
        for sums in self._sums(home, start_us, end_us):
            _add(total, sums)
        return scores_of(home, total.values(), JudgeContext(self.load(home).subjects)) if total else []

    def _sums(self, home: str, start_us: int, end_us: int) -> Iterable[list[Sums]]:
        """Yield the sums of a span: of whole days where it has some, of hours before and after."""
        first_us, last_us = -(-start_us // DAY_US) * DAY_US, end_us // DAY_US * DAY_US
        within = sa.and_(HOURS.c.hour_us >= start_us, HOURS.c.hour_us < end_us)
        if first_us < last_us:
            within = sa.and_(within, sa.or_(HOURS.c.hour_us < first_us, HOURS.c.hour_us >= last_us))
        asked = [
            sa.select(HOURS.c.sums).where(HOURS.c.home == home, within),
            sa.select(DAYS.c.sums).where(DAYS.c.home == home, DAYS.c.day_us >= first_us, DAYS.c.day_us < last_us),
        ]
        for query in asked:
            with reading(self._engine) as connection:
                rows = connection.execute(query).scalars().all()
            for packed in rows:
                yield _unpacked(packed, list[Sums])

    def trend(
        self, home: str, start_us: int, end_us: int, scope: Scope, subject: str
    ) -> list[tuple[int, float | None]]:
        """Return the score of a subject by day, oldest first. Raises StoreUnavailable."""
        query = sa.select(DAYS.c.day_us, DAYS.c.scores).where(
            DAYS.c.home == home, DAYS.c.day_us > start_us - DAY_US, DAYS.c.day_us < end_us
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(DAYS.c.day_us)).all()
        key = f"{scope}:{subject}"
        return [(day_us, _unpacked(packed, dict[str, float | None]).get(key)) for day_us, packed in rows]

    def problems(self, home: str, start_us: int, end_us: int) -> list[Problem]:
        """Return the problems that were there at any time of a span, worst first. Raises StoreUnavailable."""
        ends = sa.or_(PROBLEMS.c.until_us.is_(None), PROBLEMS.c.until_us > start_us)
        query = sa.select(PROBLEMS).where(PROBLEMS.c.home == home, PROBLEMS.c.since_us < end_us, ends)
        with reading(self._engine) as connection:
            rows = connection.execute(query).mappings().all()
        return sorted((_problem(row) for row in rows), key=_badness)


#: What takes most with it comes first.
_WORST: Final = (
    ProblemKind.GAP,
    ProblemKind.HUB_DEAD,
    ProblemKind.DEAD,
    ProblemKind.CLOCK_OFF,
    ProblemKind.FROZEN,
    ProblemKind.UNIT_CHANGED,
    ProblemKind.TYPE_CHANGED,
    ProblemKind.UNAVAILABLE,
    ProblemKind.RUBBISH,
    ProblemKind.FLAPPING,
)
_WIDE: Final = (Scope.HOME, Scope.INTEGRATION, Scope.AREA, Scope.DEVICE, Scope.ENTITY)


def _badness(problem: Problem) -> tuple[Any, ...]:
    kind = _WORST.index(problem.kind) if problem.kind in _WORST else len(_WORST)
    return (problem.until_us is not None, _WIDE.index(problem.scope), kind, problem.since_us, problem.subject)


def _row(home: str, problem: Problem) -> dict[str, Any]:
    return {
        "home": home,
        "kind": problem.kind.value,
        "scope": problem.scope.value,
        "subject": problem.subject[:_LONGEST],
        "since_us": problem.since_us,
        "until_us": problem.until_us,
        "count": problem.count,
        "evidence": problem.evidence,
        "advice": problem.advice,
    }


def _problem(row: sa.RowMapping) -> Problem:
    names = ("subject", "since_us", "until_us", "count", "evidence", "advice")
    return Problem(ProblemKind(row["kind"]), Scope(row["scope"]), *(row[name] for name in names))


def _put(connection: sa.Connection, table: sa.Table, rows: _Rows, key: tuple[str, ...]) -> None:
    """Put rows in place of those with the same key. One process at a time works on a home."""
    by_key = {tuple(row[name] for name in key): row for row in rows}
    for values in by_key:
        same = sa.and_(*(table.c[name] == value for name, value in zip(key, values, strict=True)))
        connection.execute(sa.delete(table).where(same))
    if by_key:
        connection.execute(sa.insert(table), list(by_key.values()))


def _trim_problems(connection: sa.Connection, home: str) -> None:
    of_home = (PROBLEMS.c.home == home) & PROBLEMS.c.until_us.is_not(None)
    newest = sa.select(PROBLEMS.c.until_us).where(of_home).order_by(PROBLEMS.c.until_us.desc())
    too_old = connection.execute(newest.offset(_MOST_PROBLEMS).limit(1)).scalar()
    if too_old is not None:
        connection.execute(sa.delete(PROBLEMS).where(of_home, PROBLEMS.c.until_us <= too_old))


def _add(total: dict[str, Sums], more: Iterable[Sums]) -> None:
    for one in more:
        if one.series in total:
            total[one.series].merge(one)
        else:
            total[one.series] = one


def _packed(value: Any) -> bytes:
    return zstandard.ZstdCompressor(level=3).compress(msgspec.msgpack.encode(value))


def _unpacked(packed: bytes, kind: Any) -> Any:
    return msgspec.msgpack.decode(
        zstandard.ZstdDecompressor().decompress(packed, max_output_size=_MAX_BYTES), type=kind
    )

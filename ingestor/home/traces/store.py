"""The runs of automations and scripts, in the metadata database: each once, for a time, so many of each."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from ingestor import errors
from ingestor.home.database import reading, transaction
from ingestor.home.traces.model import ERROR, NOT_TRIED, Failing, Item, Run, Trace

METADATA: Final = sa.MetaData()
TRACES: Final = sa.Table(
    "home_traces",
    METADATA,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("home", sa.String(255), nullable=False),
    sa.Column("run_id", sa.String(64), nullable=False),
    sa.Column("domain", sa.String(32), nullable=False),
    sa.Column("item_id", sa.String(255), nullable=False),
    sa.Column("started_us", sa.BigInteger, nullable=False),
    sa.Column("finished_us", sa.BigInteger, nullable=False),
    sa.Column("result", sa.String(64), nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("trigger", sa.Text, nullable=False),
    sa.Column("last_step", sa.Text, nullable=False),
    sa.Column("context_id", sa.String(64), nullable=False),
    sa.Column("parent_id", sa.String(64), nullable=False),
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("from_blueprint", sa.Boolean, nullable=False),
    sa.Column("packed", sa.LargeBinary, nullable=False),
    sa.Index("home_traces_run", "home", "run_id", unique=True),
    sa.Index("home_traces_item", "home", "domain", "item_id", "started_us"),
    sa.Index("home_traces_context", "home", "context_id"),
    sa.Index("home_traces_parent", "home", "parent_id"),
)
_RUN: Final = [TRACES.c[name] for name in Run.__struct_fields__]
_AT_ONCE: Final = 500
_DAY_US: Final = 86_400_000_000
KEEP_DAYS: Final = 90.0
KEEP_RUNS: Final = 50
#: An automation fails always if so many of its newest runs did, and at least so few.
NEWEST: Final = 5
FEWEST: Final = 2
_trace: Final = msgspec.msgpack.Decoder(Trace)


class RoutineTraces:
    """The runs of all homes, in SQLite or PostgreSQL. Every call may raise StoreUnavailable.

    What is older than `keep_days` is forgotten, and of each automation and script all but its newest `keep_runs`.
    """

    def __init__(
        self,
        engine: sa.Engine,
        *,
        keep_days: float = KEEP_DAYS,
        keep_runs: int = KEEP_RUNS,
        clock: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._engine = engine
        self._keep_us = int(keep_days * _DAY_US)
        self._keep_runs = keep_runs
        self._clock = clock

    def add(self, home: str, traces: Iterable[Trace]) -> int:
        """Keep runs, each once; return how many were new. Then forget what is too old or too much."""
        found = {trace.run.run_id: trace for trace in traces}
        new = [trace for run_id, trace in found.items() if run_id not in self.known(home, found)]
        with transaction(self._engine) as connection:
            if new:
                connection.execute(sa.insert(TRACES), [_row(home, trace) for trace in new])
            self._forget(connection, home, {trace.run.item for trace in new})
        return len(new)

    def known(self, home: str, run_ids: Iterable[str]) -> set[str]:
        """Return which of these runs are kept."""
        wanted, found = list(run_ids), set[str]()
        with reading(self._engine) as connection:
            for start in range(0, len(wanted), _AT_ONCE):
                some = TRACES.c.run_id.in_(wanted[start : start + _AT_ONCE])
                found.update(connection.execute(sa.select(TRACES.c.run_id).where(_of(home) & some)).scalars())
        return found

    def runs(self, home: str, item: Item | None = None, *, result: str | None = None, limit: int = 100) -> list[Run]:
        """Return runs, the newest first: of one automation or script, or with one result, or all."""
        chosen = _of(home)
        if item is not None:
            chosen &= _item(item)
        if result is not None:
            chosen &= TRACES.c.result == result
        newest = (TRACES.c.started_us.desc(), TRACES.c.id.desc())
        return self._runs(sa.select(*_RUN).where(chosen).order_by(*newest).limit(limit))

    def newest_of_each(self, home: str, items: Iterable[Item], each: int, result: str | None = None) -> list[Run]:
        """Return the newest runs of some automations and scripts, so many of each, each newest first."""
        order = (TRACES.c.started_us.desc(), TRACES.c.id.desc())
        place = sa.func.row_number().over(partition_by=(TRACES.c.domain, TRACES.c.item_id), order_by=order)
        wanted, found = sorted(set(items)), list[Run]()
        for start in range(0, len(wanted), _AT_ONCE):
            some = sa.tuple_(TRACES.c.domain, TRACES.c.item_id).in_(wanted[start : start + _AT_ONCE])
            chosen = _of(home) & some & (sa.true() if result is None else TRACES.c.result == result)
            placed = sa.select(*_RUN, place.label("place")).where(chosen).subquery()
            columns = [placed.c[one.name] for one in _RUN]
            newest = sa.select(*columns).where(placed.c.place <= each)
            found += self._runs(newest.order_by(placed.c.domain, placed.c.item_id, placed.c.place))
        return found

    def trace(self, home: str, run_id: str) -> Trace:
        """Return one run with its steps; the first signs of its id are enough. Raises NotFound."""
        same = TRACES.c.run_id.startswith(run_id, autoescape=True)
        with reading(self._engine) as connection:
            rows = connection.execute(sa.select(TRACES.c.packed).where(_of(home) & same).limit(2)).scalars().all()
        if len(rows) != 1:
            told = "several runs begin" if rows else "no run that is kept begins"
            raise errors.NotFound(f"{told} with {run_id!r}; `ha-ingestor home traces` lists them")
        return _trace.decode(zlib.decompress(rows[0]))

    def around(self, home: str, run: Run) -> tuple[list[Run], list[Run]]:
        """Return the runs that set this one off, and those that it has set off, in the order of their start.

        By their contexts: that of an automation's run has as its parent the context of what set it off. A script that
        is called runs in the context of its caller.
        """
        same = self._of_context(home, TRACES.c.context_id, run.context_id)
        callers = [one for one in same if one.started_us < run.started_us]
        called = [one for one in same if one.started_us >= run.started_us and one.run_id != run.run_id]
        before = callers or _first_of_each(self._of_context(home, TRACES.c.context_id, run.parent_id))
        after = _first_of_each(self._of_context(home, TRACES.c.parent_id, run.context_id))
        return before, sorted([*called, *after], key=lambda one: one.started_us)

    def _of_context(self, home: str, column: sa.Column[str], context_id: str) -> list[Run]:
        if not context_id:
            return []
        of_it = sa.select(*_RUN).where(_of(home) & (column == context_id))
        return self._runs(of_it.order_by(TRACES.c.started_us, TRACES.c.id).limit(_AT_ONCE))

    def failing(self, home: str) -> list[Failing]:
        """Return automations and scripts whose newest runs, up to `NEWEST`, have all failed; at least `FEWEST`."""
        place = sa.func.row_number().over(
            partition_by=(TRACES.c.domain, TRACES.c.item_id), order_by=(TRACES.c.started_us.desc(), TRACES.c.id.desc())
        )
        tried = _of(home) & TRACES.c.result.not_in(NOT_TRIED)
        newest = sa.select(*_RUN, place.label("place")).where(tried).subquery()
        found: dict[Item, list[Run]] = {}
        for run in self._runs(sa.select(*(newest.c[one.name] for one in _RUN)).where(newest.c.place <= NEWEST)):
            found.setdefault(run.item, []).append(run)
        failed = [runs for runs in found.values() if len(runs) >= FEWEST and all(run.result == ERROR for run in runs)]
        return sorted((_failing(runs) for runs in failed), key=lambda one: (one.domain, one.item_id))

    def items(self, home: str) -> dict[Item, int]:
        """Return what has run, and how many of its runs are kept."""
        columns = (TRACES.c.domain, TRACES.c.item_id)
        query = sa.select(*columns, sa.func.count()).where(_of(home)).group_by(*columns)
        with reading(self._engine) as connection:
            return {(domain, item_id): count for domain, item_id, count in connection.execute(query)}

    def resolved(self, home: str) -> dict[Item, dict[str, Any]]:
        """Return the configurations that blueprints resolve to, as the newest run of each shows it."""
        columns = (TRACES.c.domain, TRACES.c.item_id)
        newest = sa.select(*columns, sa.func.max(TRACES.c.id).label("newest"))
        last = newest.where(_of(home) & TRACES.c.from_blueprint).group_by(*columns).subquery()
        query = sa.select(TRACES.c.packed).join(last, TRACES.c.id == last.c.newest)
        with reading(self._engine) as connection:
            traces = [_trace.decode(zlib.decompress(packed)) for packed in connection.execute(query).scalars()]
        return {trace.run.item: trace.resolved for trace in traces if trace.resolved}

    def _runs(self, query: sa.Select[Any]) -> list[Run]:
        with reading(self._engine) as connection:
            return [Run(*row) for row in connection.execute(query)]

    def _forget(self, connection: sa.Connection, home: str, items: set[Item]) -> None:
        too_old = TRACES.c.started_us < self._clock() - self._keep_us
        connection.execute(sa.delete(TRACES).where(_of(home) & too_old))
        for item in items:
            mine = _of(home) & _item(item)
            newest = sa.select(TRACES.c.id).where(mine).order_by(TRACES.c.started_us.desc(), TRACES.c.id.desc())
            kept = connection.execute(newest.limit(self._keep_runs)).scalars().all()
            if len(kept) == self._keep_runs:
                connection.execute(sa.delete(TRACES).where(mine & TRACES.c.id.not_in(kept)))


def _of(home: str) -> sa.ColumnElement[bool]:
    return TRACES.c.home == home


def _item(item: Item) -> sa.ColumnElement[bool]:
    return (TRACES.c.domain == item[0]) & (TRACES.c.item_id == item[1])


def _row(home: str, trace: Trace) -> dict[str, Any]:
    packed = zlib.compress(msgspec.msgpack.encode(trace))
    return {
        "home": home,
        "from_blueprint": trace.resolved is not None,
        "packed": packed,
        **msgspec.structs.asdict(trace.run),
    }


def _first_of_each(runs: Sequence[Run]) -> list[Run]:
    """Return the first run of each context: the others were called by it."""
    found: dict[str, Run] = {}
    for run in runs:
        found.setdefault(run.context_id, run)
    return list(found.values())


def _failing(runs: Sequence[Run]) -> Failing:
    newest, oldest = max(runs, key=lambda run: run.started_us), min(runs, key=lambda run: run.started_us)
    told = (newest.started_us, newest.error, newest.last_step)
    return Failing(newest.domain, newest.item_id, len(runs), oldest.started_us, *told)

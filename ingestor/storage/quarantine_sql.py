"""The quarantine in the metadata database: durable, shared by all processes, bounded by a running total."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final

import sqlalchemy as sa
import structlog

from ingestor import metrics
from ingestor.storage.database import database_errors, reading
from ingestor.storage.quarantine import (
    MAX_BYTES,
    MAX_PIECES,
    Cause,
    Chosen,
    Quarantined,
    Replayed,
    Totals,
    clean,
    digest_of,
)
from ingestor.storage.quarantine_replay_sql import claim, settle
from ingestor.storage.quarantine_tables import METADATA, PIECES, TOTALS

__all__ = ["METADATA", "PIECES", "TOTALS", "SqlQuarantine"]

#: The columns that are a piece's fields.
_OURS: Final = frozenset({"bytes", "digest", "sightings", "replaying"})
_FIELDS: Final = [column for column in PIECES.columns if column.name not in _OURS]
_ROWS_AT_ONCE: Final = 500
#: So many batches are remembered for a piece that comes again and again: each is counted once, also when sent again.
_SIGHTINGS: Final = 256
#: Evicting frees a hundredth more than it must: looking for the biggest cause is dear.
_SLACK: Final = 100
_EXAMPLE: Final = 200
_Pieces = Sequence[Quarantined]
_log: Final = structlog.get_logger(__name__)


class SqlQuarantine:
    """Rejected pieces in SQLite or PostgreSQL."""

    def __init__(self, engine: sa.Engine, *, max_pieces: int = MAX_PIECES, max_bytes: int = MAX_BYTES) -> None:
        self._engine = engine
        self._max_pieces = max_pieces
        self._max_bytes = max_bytes

    def put(self, pieces: Iterable[Quarantined]) -> None:
        """Keep pieces that are not there yet; durable on return. Raises StoreUnavailable."""
        cleaned = [clean(piece) for piece in pieces]
        if not cleaned:
            return
        evicted: dict[str, int] = {}
        with database_errors(), self._engine.begin() as connection:
            # Whoever changes anything holds this row: so the sums stay true, and one piece is not put in by two.
            connection.execute(sa.select(TOTALS).with_for_update()).one()
            for start in range(0, len(cleaned), _ROWS_AT_ONCE):
                _put(connection, cleaned[start : start + _ROWS_AT_ONCE])
            evicted = self._evict(connection)
        _tell(evicted, "no room")

    def list(self, limit: int = 100, chosen: Chosen = Chosen()) -> _Pieces:  # noqa: B008 -- it is frozen
        """Return pieces, newest first. Raises StoreUnavailable."""
        query = sa.select(*_FIELDS).where(*_where(chosen)).order_by(PIECES.c.id.desc()).limit(limit)
        with reading(self._engine) as connection:
            return [Quarantined(**row) for row in connection.execute(query).mappings()]

    def causes(self, limit: int = 100) -> Sequence[Cause]:
        """Return the causes, that with most pieces first. Raises StoreUnavailable."""
        columns = PIECES.c
        of = (columns.cause, columns.home, columns.reason, columns.subject)
        pieces = sa.func.count().label("pieces")
        query = (
            sa.select(
                *of,
                pieces,
                sa.cast(sa.func.sum(columns["count"]), sa.BigInteger).label("seen"),
                sa.cast(sa.func.sum(columns.bytes), sa.BigInteger).label("bytes"),
                sa.func.min(columns.received_ns).label("first_seen_ns"),
                sa.func.max(columns.last_seen_ns).label("last_seen_ns"),
                sa.func.max(columns.id).label("example_id"),
            )
            .group_by(*of)
            .order_by(pieces.desc(), columns.cause)
            .limit(limit)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query).mappings().all()
            wanted = sa.select(columns.id, columns.detail).where(columns.id.in_([row["example_id"] for row in rows]))
            details = {row.id: row.detail for row in connection.execute(wanted)}
        return [Cause(**row, example=details.get(row["example_id"], "")[:_EXAMPLE]) for row in rows]

    def reasons(self) -> dict[str, int]:
        """Return how many pieces there are for each reason. Raises StoreUnavailable."""
        query = sa.select(PIECES.c.reason, sa.func.count()).group_by(PIECES.c.reason)
        with reading(self._engine) as connection:
            return {str(reason): int(pieces) for reason, pieces in connection.execute(query)}

    def count(self) -> int:
        """Return how many pieces are kept. Raises StoreUnavailable."""
        return self.totals().pieces

    def evicted(self) -> int:
        """Return how many pieces the limits have cost so far. Raises StoreUnavailable."""
        return self.totals().evicted

    def totals(self) -> Totals:
        """Return what is kept and what the limits have cost. Raises StoreUnavailable."""
        with reading(self._engine) as connection:
            row = connection.execute(sa.select(TOTALS)).mappings().one()
        return Totals(row["pieces"], row["bytes"], row["evicted"])

    def drop(self, chosen: Chosen) -> int:
        """Delete pieces for good; return how many. Raises StoreUnavailable."""
        return sum(self._delete(_where(chosen), evicted=False).values())

    def expire(self, before_ns: int) -> int:
        """Delete what was not seen since, and count it. Raises StoreUnavailable."""
        gone = self._delete([PIECES.c.last_seen_ns < before_ns, PIECES.c.replaying.is_(False)], evicted=True)
        _tell(gone, "too old")
        return sum(gone.values())

    def claim(self, ids: Sequence[int]) -> _Pieces:
        """Give pieces the batch that each is sent again as. Raises StoreUnavailable."""
        with database_errors(), self._engine.begin() as connection:
            connection.execute(sa.select(TOTALS).with_for_update()).one()
            claim(connection, ids)
            rows = connection.execute(sa.select(*_FIELDS).where(PIECES.c.id.in_(ids)).order_by(PIECES.c.id))
            return [Quarantined(**row) for row in rows.mappings()]

    def settle(self, results: Sequence[Replayed], book: str, page: int) -> frozenset[int]:
        """Let go what succeeded, keep what was rejected, count both; return which. Raises StoreUnavailable."""
        with database_errors(), self._engine.begin() as connection:
            connection.execute(sa.select(TOTALS).with_for_update()).one()
            return settle(self._engine, connection, results, book, page)

    def _delete(self, where: Sequence[Any], *, evicted: bool) -> dict[str, int]:
        with database_errors(), self._engine.begin() as connection:
            connection.execute(sa.select(TOTALS).with_for_update()).one()
            gone = _remove(connection, where)
            if evicted:
                connection.execute(sa.update(TOTALS).values(evicted=TOTALS.c.evicted + sum(gone.values())))
        return gone

    def _evict(self, connection: sa.Connection) -> dict[str, int]:
        """Delete the oldest pieces of the biggest cause until the limits are kept: noise does not push out the rest."""
        gone: dict[str, int] = {}
        while True:
            held = connection.execute(sa.select(TOTALS)).mappings().one()
            over_pieces, over_bytes = held["pieces"] - self._max_pieces, held["bytes"] - self._max_bytes
            if over_pieces <= 0 and over_bytes <= 0:
                return gone
            size = sa.func.count() if over_pieces > 0 else sa.func.sum(PIECES.c.bytes)
            biggest = sa.select(PIECES.c.cause).group_by(PIECES.c.cause).order_by(size.desc(), PIECES.c.cause).limit(1)
            cause = connection.execute(biggest).scalar_one()
            for reason, count in self._evict_of(connection, cause, over_pieces, over_bytes).items():
                gone[reason] = gone.get(reason, 0) + count

    def _evict_of(self, connection: sa.Connection, cause: str, pieces: int, size: int) -> dict[str, int]:
        pieces, size = pieces + (self._max_pieces // _SLACK), size + (self._max_bytes // _SLACK if size > 0 else 0)
        query = sa.select(PIECES.c.id, PIECES.c.bytes).where(PIECES.c.cause == cause).order_by(PIECES.c.id)
        ids: list[int] = []
        for identity, bytes_ in connection.execute(query.limit(_ROWS_AT_ONCE)).all():
            if ids and pieces <= 0 and size <= 0:
                break
            ids.append(identity)
            pieces, size = pieces - 1, size - bytes_
        gone = _remove(connection, [PIECES.c.id.in_(ids)])
        connection.execute(sa.update(TOTALS).values(evicted=TOTALS.c.evicted + sum(gone.values())))
        return gone


def _where(chosen: Chosen) -> Sequence[Any]:
    found: list[Any] = []
    if chosen.ids:
        found.append(PIECES.c.id.in_(chosen.ids))
    if chosen.cause:
        found.append(PIECES.c.cause == chosen.cause)
    if chosen.not_seen_since_ns:
        found.append(PIECES.c.last_seen_ns < chosen.not_seen_since_ns)
    return found


def _remove(connection: sa.Connection, where: Sequence[Any]) -> dict[str, int]:
    """Delete pieces and take them out of the sums; return how many for each reason."""
    gone: dict[str, int] = {}
    pieces = size = 0
    deleted = sa.delete(PIECES).where(*where).returning(PIECES.c.reason, PIECES.c.bytes)
    for reason, bytes_ in connection.execute(deleted).all():
        gone[reason] = gone.get(reason, 0) + 1
        pieces, size = pieces + 1, size + bytes_
    connection.execute(sa.update(TOTALS).values(pieces=TOTALS.c.pieces - pieces, bytes=TOTALS.c.bytes - size))
    return gone


def _put(connection: sa.Connection, pieces: _Pieces) -> None:
    batches = {piece.batch_id for piece in pieces}
    pieces = _failed_again(connection, pieces, batches)
    identities = sa.select(PIECES.c.batch_id, PIECES.c.slot).where(PIECES.c.batch_id.in_(batches))
    there = {(row.batch_id, row.slot) for row in connection.execute(identities)}
    by_digest: dict[str, list[Quarantined]] = {}
    for piece in pieces:
        if (piece.batch_id, piece.slot) not in there:
            there.add((piece.batch_id, piece.slot))
            by_digest.setdefault(digest_of(piece), []).append(piece)
    seen = sa.select(PIECES.c.id, PIECES.c.digest, PIECES.c.last_seen_ns, PIECES.c.sightings)
    known = {row.digest: row for row in connection.execute(seen.where(PIECES.c.digest.in_(list(by_digest))))}
    rows = [_row(digest, same) for digest, same in by_digest.items() if digest not in known]
    if rows:
        connection.execute(sa.insert(PIECES), rows)
    size = sum(row["bytes"] for row in rows)
    connection.execute(sa.update(TOTALS).values(pieces=TOTALS.c.pieces + len(rows), bytes=TOTALS.c.bytes + size))
    for digest in known.keys() & by_digest.keys():
        _see_again(connection, known[digest], by_digest[digest])


def _row(digest: str, same: _Pieces) -> dict[str, Any]:
    first = same[0]
    row = {name: value for name, value in asdict(first).items() if name != "id"}
    return row | {
        "bytes": len(first.raw),
        "digest": digest,
        "count": len(same),
        "last_seen_ns": max(piece.last_seen_ns for piece in same),
        "sightings": " ".join(map(_sighting, same))[: _SIGHTINGS * 40],
        "replaying": False,
    }


def _see_again(connection: sa.Connection, known: Any, same: _Pieces) -> None:
    before = known.sightings.split()
    new = [piece for piece in same if _sighting(piece) not in before]
    if new:
        values = {
            "count": PIECES.c["count"] + len(new),
            "last_seen_ns": max(known.last_seen_ns, *(piece.last_seen_ns for piece in new)),
            "sightings": " ".join([*before, *map(_sighting, new)][-_SIGHTINGS:]),
        }
        connection.execute(sa.update(PIECES).where(PIECES.c.id == known.id).values(values))


def _sighting(piece: Quarantined) -> str:
    return f"{piece.batch_id}:{piece.slot}"


def _failed_again(connection: sa.Connection, pieces: _Pieces, batches: set[str]) -> _Pieces:
    """Renew what was sent again and is refused again: it stays the piece it was; return all others."""
    query = sa.select(PIECES.c.id, PIECES.c.replay_id)
    sent = {row.replay_id: row for row in connection.execute(query.where(PIECES.c.replay_id.in_(batches)))}
    for piece in pieces:
        if (row := sent.get(piece.batch_id)) is not None:
            said = {"reason": piece.reason, "detail": piece.detail, "last_seen_ns": time.time_ns()}
            about = {"cause": piece.cause, "subject": piece.subject}
            connection.execute(sa.update(PIECES).where(PIECES.c.id == row.id).values(said | about))
    return [piece for piece in pieces if piece.batch_id not in sent]


def _tell(gone: dict[str, int], why: str) -> None:
    for reason, count in gone.items():
        metrics.counter("ingestor_quarantine_evicted_total", reason=reason).inc(count)
        _log.warning("quarantine_evicted", pieces=count, reason=reason, why=why)

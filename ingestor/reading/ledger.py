"""The ledger with what listeners counted last, and in words whether the balance holds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from ingestor import bootstrap, errors
from ingestor.events.counts import Counts
from ingestor.wording import number_of

if TYPE_CHECKING:
    import sqlalchemy

    from ingestor.settings import Settings
    from ingestor.storage.ledger import LedgerRow

OUTCOMES: Final = ("written", "duplicate", "rejected", "filtered")


def read_ledger(
    settings: Settings, database: sqlalchemy.Engine, home: str | None, since_s: int, until_s: int | None = None
) -> tuple[list[LedgerRow], str]:
    """Return the rows, and why what listeners counted last is not in them; usually nothing. Raises StoreUnavailable."""
    from ingestor.pipeline.ledger import bring_in  # noqa: PLC0415 -- it loads the pipeline

    found, stale = bootstrap.open_ledger(settings, database), ""
    try:
        bring_in(bootstrap.open_ledger_post(settings, bootstrap.open_state(settings)), found)
    except errors.StateUnavailable as error:
        stale = str(error)
    return found.rows(home=home, since_s=since_s, until_s=until_s), stale


def verdict(rows: Sequence[LedgerRow], total: Counts) -> str:
    """Say in a sentence whether everything that was received is accounted for."""
    if not rows:
        return "nothing was received in that time"
    wrong = [row for row in rows if not row.counts.balances]
    words = [f"{len(wrong)} of {number_of(len(rows), 'row')} not in balance, first {_named(wrong[0])}"] if wrong else []
    if total.lost:
        words.append(_loss(rows, total))
    if not words:
        words = ["everything balances, nothing is lost"]
    elif not wrong:
        words.append("all else balances")
    if total.in_flight > 0:
        words.append(f"{number_of(total.in_flight, 'frame')} still in flight")
    return "; ".join(words)


def _loss(rows: Sequence[LedgerRow], total: Counts) -> str:
    lost = f"{number_of(total.lost, 'event')} lost"
    missing = [row for row in rows if row.counts.missing]
    if not missing:
        return f"{lost}, of these {total.recovered:,} read back from history"
    back = f", of these {total.recovered:,} read back" if total.recovered else ""
    return f"{lost}{back}, first {_named(missing[0])} (see `ha-ingestor gaps`)"


def row_object(row: LedgerRow) -> dict[str, Any]:
    """Return a row as the JSON object that is told."""
    return {"hour": hour(row.hour_s).isoformat(), "home": row.home, "source": row.source, **figures(row.counts)}


def figures(counts: Counts) -> dict[str, Any]:
    """Return counts by outcome, and whether they balance."""
    return {
        "received": counts.total,
        **{name: getattr(counts, name) for name in OUTCOMES},
        "in_flight": counts.in_flight,
        "lost": counts.lost,
        "recovered": counts.recovered,
        "balances": counts.balances,
    }


def _named(row: LedgerRow) -> str:
    return f"{row.home}/{row.source} in the hour of {hour(row.hour_s).astimezone():%Y-%m-%d %H:%M}"


def hour(hour_s: int) -> datetime:
    """Return an hour (Unix seconds) as a time."""
    return datetime.fromtimestamp(hour_s, UTC)

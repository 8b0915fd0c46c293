"""Whether events are missing: what the ledger of the last day and the reconciliation know of; repairs nothing."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ingestor import bootstrap, bootstrap_quality
from ingestor.api.overview import LEDGER_SPAN_S
from ingestor.api.side_by_side import NotWell
from ingestor.events.counts import hour_of
from ingestor.storage.ledger import LedgerSummary, summed_up
from ingestor.storage.reconciled import Reconciliation
from ingestor.wording import number_of

if TYPE_CHECKING:
    from ingestor.settings import Settings


def events_check(settings: Settings) -> Callable[[], str]:
    """Return the check of an installation. It raises NotWell where something is missing."""
    database = functools.cache(lambda: bootstrap.open_metadata(settings))

    def check() -> str:
        since_s = hour_of(time.time_ns()) - LEDGER_SPAN_S
        day = summed_up(bootstrap.open_ledger(settings, database()).rows(since_s=since_s))
        return judge(day, bootstrap_quality.open_reconciled_hours(settings, database()).summaries())

    return check


def judge(day: LedgerSummary, homes: Iterable[Reconciliation]) -> str:
    """Say that nothing is missing. Raises NotWell with a sentence that says what is."""
    missing = {home.home: home.missing for home in homes if home.missing}
    told = []
    if lost := day.total.missing:
        of = ", ".join(sorted({home for (home, _), counts in day.by_source.items() if counts.missing}))
        told.append(
            f"{number_of(lost, 'event')} of {of} lost in the last 24 hours (see `ha-ingestor ledger` and `gaps`)"
        )
    if missing:
        number = number_of(sum(missing.values()), "point")
        told.append(f"{number} of {', '.join(missing)} missing for good (see `ha-ingestor reconcile`)")
    if told:
        raise NotWell("; ".join(told))
    return "none lost in the last 24 hours, none missing in compared hours"

"""Makes reports: has the store count piece by piece, gathers, keeps; decides when only through what it is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from ingestor import errors
from ingestor.events.counts import hour_of
from ingestor.quality.model import Scope
from ingestor.reports.alerts import changes
from ingestor.reports.balance import balance_of, up_target, valid_target
from ingestor.reports.counting import Counted, added, count_piece, pieces_of
from ingestor.reports.document import Report
from ingestor.reports.gaps_shown import listening_gaps, spans_within
from ingestor.reports.gather import Asked, Sources, Targets, gather
from ingestor.reports.schedule import Due
from ingestor.reports.shelf import Alert, AlertBook, ReportShelf
from ingestor.settings_reports import ReportsSettings
from ingestor.storage.port import Store

_HOUR_US = 3_600_000_000
#: A report waits for its hours to be judged (after an outage, say) until so long after its time.
_WAITS_US = 12 * _HOUR_US
_log = structlog.get_logger(__name__)
#: Told the share that is counted, and in words what is being done.
Progress = Callable[[float, str], None]
#: Says whether there is still time for another piece.
GoOn = Callable[[], bool]


def _always() -> bool:
    return True


def _silent(share: float, text: str) -> None:
    del share, text


@dataclass(frozen=True, slots=True)
class ReportMaker:
    """Makes the reports of one home. `judged`: its hours are, so that one by schedule waits for those of its time."""

    home: str
    settings: ReportsSettings
    sources: Sources
    store: Store
    shelf: ReportShelf
    time_zone: str = ""
    judged: bool = False

    def due(self, due: Due, now_us: int, go_on: GoOn) -> Report | None:
        """Make and keep a report that is due, if it is not there; None where there was nothing to do.

        Raises NotDone where it took too long: what was counted is kept, and the next call goes on.
        """
        asked = self.asked(due, now_us)
        newest = self.shelf.list(home=self.home, period=due.period, limit=1)
        if (newest and newest[0].end_us >= due.end_us) or not self._received_before(due.end_us):
            return None
        if self.judged and now_us < due.end_us + _WAITS_US:
            judged_us = self.sources.book.homes().get(self.home, 0)
            if judged_us < due.end_us // _HOUR_US * _HOUR_US:
                _log.info("report_waits", home=self.home, period=due.period, judged_us=judged_us)
                return None
        counted = self._counted_in_steps(due.start_us, due.end_us, go_on)
        report = gather(asked, self.sources, counted)
        if not self.shelf.save(report, self.settings.roads()):
            return None
        self.shelf.drop_pieces(self.home, due.end_us)
        self.shelf.trim(self.home, due.period, self.settings.keep)
        return report

    def now(self, due: Due, now_us: int, progress: Progress = _silent) -> Report:
        """Make a report at once; it is not kept. A store that is away is said in it."""
        counted = self._counted_now(due, progress)
        progress(0.9, "scores and problems")
        report = gather(self.asked(due, now_us), self.sources, counted)
        progress(1.0, "done")
        return report

    def _counted_now(self, due: Due, progress: Progress) -> Counted | None:
        pieces = list(pieces_of(due.start_us, due.end_us))
        found = []
        for number, (start_us, end_us) in enumerate(pieces):
            progress(0.9 * number / len(pieces), f"part {number + 1} of {len(pieces)}")
            try:
                found.append(count_piece(self.store, self.home, start_us, end_us))
            except (errors.StoreUnavailable, errors.StoreRefused) as error:
                _log.warning("store_not_counted", error=str(error))
                return None
        return added(found)

    def asked(self, due: Due, now_us: int) -> Asked:
        """Return what is asked for, held against the newest report that was made before."""
        kept = [
            one
            for one in self.shelf.list(home=self.home, limit=50)
            if one.end_us < due.end_us and due.period in ("asked", one.period)
        ]
        before = self.shelf.find(kept[0].id) if kept else None
        goals = Targets(self.settings.context_target, self.settings.valid_target, self.settings.up_target)
        return Asked(
            home=self.home,
            period=due.period,
            start_us=due.start_us,
            end_us=due.end_us,
            made_us=now_us,
            time_zone=self.settings.time_zone or self.time_zone,
            targets=goals,
            before=None if before is None else frozenset(one.key for one in before.troubles),
            before_id="" if before is None else before.id,
        )

    def _received_before(self, end_us: int) -> bool:
        return bool(self.sources.ledger.rows(home=self.home, until_s=end_us // 1_000_000))

    def _counted_in_steps(self, start_us: int, end_us: int, go_on: GoOn) -> Counted:
        found = []
        for begin, end in pieces_of(start_us, end_us):
            piece = self.shelf.piece(self.home, begin, end)
            if piece is None:
                if not go_on():
                    raise NotDone
                piece = count_piece(self.store, self.home, begin, end)
                self.shelf.keep_piece(self.home, begin, end, piece)
            found.append(piece)
        return added(found)

    def watch(self, book: AlertBook, now_us: int) -> list[Alert]:
        """Raise alerts and say which are over; return what changed."""
        if not self.settings.alerts and not book.open(self.home):
            return []
        figures = self.figures(now_us)
        changed = list(changes(self.home, self.settings.alerts, figures, book.open(self.home), now_us))
        for alert in changed:
            book.note(alert, self.settings.roads())
        return changed

    def figures(self, now_us: int) -> dict[str, float | None]:
        """Return what alerts are on, over the last hours; None for what is not known."""
        start_us = now_us // _HOUR_US * _HOUR_US - self.settings.alert_hours * _HOUR_US
        rows = self.sources.ledger.rows(home=self.home, since_s=hour_of(start_us * 1000))
        total = balance_of(rows, cut=False).total
        everything = self.sources.ledger.rows(home=self.home)
        first_us = everything[0].hour_s * 1_000_000 if everything else None
        gaps = listening_gaps(self.sources.gaps.list(home=self.home, since_us=start_us, limit=10_000))
        spans = spans_within(gaps, start_us, now_us)
        scores = self.sources.book.scores(self.home, start_us, now_us)
        newest = self.shelf.list(home=self.home, limit=1)
        return {
            "score": next((one.score for one in scores if one.scope is Scope.HOME), None),
            "context": newest[0].figures.get("context_share") if newest else None,
            "valid": valid_target(total, 0.0).value,
            "up": up_target(spans, start_us, now_us, first_us, 0.0).value,
            "lost": float(max(0, total.lost - total.read_back)) if rows else None,
            "unbalanced": float(sum(not row.counts.balances for row in rows)) if rows else None,
            "problems": float(len(self.sources.book.problems(self.home, start_us, now_us))) if scores else None,
        }


class NotDone(Exception):
    """There was no time for all of a report: what was counted is kept."""

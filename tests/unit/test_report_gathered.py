"""What a report gathers: what is new, what to do first, gaps by hour, and what it does not know."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ingestor.events.counts import Counts
from ingestor.reports.balance import balance_of, context_target, duration, up_target, valid_target
from ingestor.reports.counting import Counted, added, by_rule, pieces_of
from ingestor.reports.figures import FIELDS, point_of
from ingestor.reports.gaps_shown import calendar, missed_us, spans_within
from ingestor.reports.gather import Asked, Sources, gather
from ingestor.reports.making import ReportMaker
from ingestor.reports.schedule import Due
from ingestor.reports.shelf_sql import SqlReportShelf
from ingestor.settings_reports import ReportsSettings
from ingestor.storage.database import open_database
from ingestor.storage.gaps import GapRecord
from ingestor.storage.gaps_memory import MemoryGaps
from ingestor.storage.ledger import LedgerRow
from ingestor.storage.ledger_memory import MemoryLedger
from ingestor.storage.memory import MemoryStore
from ingestor.storage.port import ContextCount
from tests.fakes.quality_book import MemoryQualityBook
from tests.fakes.report_home import DAY_US, END_US, HOUR_US, START_US, KnownCauses, example_report, faulty_home


def counts(**numbers: int) -> Counts:
    made = Counts(**numbers)
    made.settled = made.settled or made.frames
    return made


def test_a_problem_is_new_where_the_report_before_did_not_have_it() -> None:
    first, later = example_report(before=None), example_report()

    assert all(one.fresh for one in first.troubles)
    assert "no earlier report" in first.compared_with
    assert {one.kind for one in later.troubles} - {one.kind for one in later.fresh} == {"counter_reset"}
    assert later.compared_with == "4 new since the report home-weekly-20261113T0000."


def test_advice_comes_by_its_effect_with_what_the_home_could_win() -> None:
    found = example_report().advice

    texts = [one.text for one in found]
    assert texts[0].startswith("Give the devices")
    subjects = [one.subjects[0] for one in found if one.subjects]
    assert subjects == ["zha", "Cellar humidity", "Hall motion battery", "Boiler flow", "Grid energy"]
    assert next(one.gain for one in found if one.subjects == ("Cellar humidity",)) == round(43 / 24, 2)
    assert next(one.gain for one in found if one.subjects == ("zha",)) is None


def test_where_nothing_is_known_nothing_is_invented() -> None:
    asked = Asked("home", "asked", START_US, END_US, END_US, "Mars/Olympus")
    report = gather(asked, Sources(MemoryQualityBook(), MemoryLedger(), MemoryGaps(), KnownCauses()), None)

    assert report.score is None
    assert report.balance.holds is None
    assert [one.value for one in report.targets] == [None, None, None]
    assert [one.met for one in report.targets] == [None, None, None]
    told = " ".join(report.unknowns)
    assert "no scores of this time" in told
    assert "store did not answer" in told
    assert "Mars/Olympus" in told
    assert report.time_zone == "UTC"


def test_what_is_not_judged_yet_is_said() -> None:
    sources = faulty_home()
    book = MemoryQualityBook(found=sources.book.scores("home", START_US, END_US))
    asked = Asked("home", "weekly", START_US, END_US, END_US, "UTC")

    told = []
    for judged_us in (END_US - DAY_US, END_US - 2 * HOUR_US):
        book.judged = {"home": judged_us}
        told.append([one for one in gather(asked, replace(sources, book=book), None).unknowns if "judged" in one])

    day_before = f"{datetime.fromtimestamp((END_US - DAY_US) / 1e6, UTC):%Y-%m-%d %H:%M}"
    assert told == [
        [f"What was after {day_before} is not judged yet: scores and problems are of the time before."],
        [],
    ]


@pytest.mark.parametrize(
    ("judged_us", "now_us", "is_made"),
    [
        pytest.param(None, END_US + HOUR_US, False, id="never judged"),
        pytest.param(END_US - HOUR_US, END_US + HOUR_US, False, id="an hour is missing"),
        pytest.param(END_US, END_US + HOUR_US, True, id="all judged"),
        pytest.param(END_US - HOUR_US, END_US + 12 * HOUR_US, True, id="waited for long enough"),
    ],
)
def test_a_report_by_schedule_waits_for_its_hours_to_be_judged(
    judged_us: int | None, now_us: int, is_made: bool, tmp_path: Path
) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'metadata.sqlite'}")
    sources, book = faulty_home(), MemoryQualityBook(judged={} if judged_us is None else {"home": judged_us})
    shelf = SqlReportShelf(database)
    maker = ReportMaker(
        "home", ReportsSettings(), replace(sources, book=book), MemoryStore(), shelf, time_zone="UTC", judged=True
    )

    made = maker.due(Due("daily", END_US - DAY_US, END_US), now_us, lambda: True)

    assert (made is not None) is is_made
    assert len(shelf.list(home="home")) == is_made
    database.dispose()


def test_the_balance_says_what_is_lost_and_what_does_not_add_up() -> None:
    good = counts(frames=10, received=10, written=9, rejected=1)
    lost = counts(frames=10, received=8, written=8, lost=2)
    torn = counts(frames=10, received=10, written=9)

    assert balance_of([LedgerRow(0, "home", "mqtt", good)], cut=False).holds
    found = balance_of([LedgerRow(0, "home", "mqtt", good), LedgerRow(3600, "home", "mqtt", lost)], cut=True)
    assert found.holds is False
    assert found.explanation.startswith("2 events lost and not read back from history.")
    assert "counted whole" in found.explanation
    assert "1 row of the ledger not in balance" in balance_of([LedgerRow(0, "home", "a", torn)], cut=False).explanation


def test_the_context_of_what_has_no_place_by_nature_is_whole_without_one() -> None:
    found = context_target([ContextCount("sun", 10, 0, 10, 0), ContextCount("sensor", 10, 5, 10, 5)], 0.95)

    assert found.value == 0.75
    assert found.met is False
    assert "5 lack a place" in found.explanation
    assert context_target([], 0.95).value is None


def test_valid_is_what_was_formed_and_not_rejected() -> None:
    of_an_hour = counts(frames=120, settled=110, received=100, written=97, rejected=3, lost=10)
    row = balance_of([LedgerRow(0, "home", "mqtt", of_an_hour)], cut=False)

    assert valid_target(row.total, 0.99).value == 0.97
    assert valid_target(balance_of([], cut=False).total, 0.99).value is None


def test_up_counts_overlapping_gaps_once_and_begins_with_the_first_hour_heard() -> None:
    gaps = [
        GapRecord("a", "home", "websocket", "cut", 0, 2 * HOUR_US),
        GapRecord("b", "home", "mqtt", "cut", HOUR_US, 3 * HOUR_US),
        GapRecord("c", "home", "mqtt", "cut", 9 * HOUR_US, 0),
    ]
    spans = spans_within(gaps, 0, 10 * HOUR_US)

    assert spans == [(0, 3 * HOUR_US), (9 * HOUR_US, 10 * HOUR_US)]
    assert up_target(spans, 0, 10 * HOUR_US, 0, 0.999).value == 0.6
    assert up_target(spans, 0, 10 * HOUR_US, 5 * HOUR_US, 0.999).value == 0.8
    assert up_target(spans, 0, 10 * HOUR_US, None, 0.999).value is None
    assert missed_us(spans, 2 * HOUR_US, 4 * HOUR_US) == HOUR_US


def test_the_calendar_has_local_hours_and_says_nothing_of_what_is_outside() -> None:
    zone = ZoneInfo("Europe/Berlin")
    begin = int(datetime(2026, 11, 20, 12, 30, tzinfo=zone).timestamp()) * 1_000_000

    days = calendar([(begin, begin + HOUR_US)], begin, begin + DAY_US, zone)

    assert [day.day for day in days] == ["2026-11-20", "2026-11-21"]
    assert days[0].missed[11] is None
    assert days[0].missed[12:15] == (1.0, 0.5, 0.0)
    assert days[1].missed[12:14] == (0.0, None)


def test_the_calendar_of_a_day_on_which_clocks_change_has_24_hours() -> None:
    zone = ZoneInfo("Europe/Berlin")
    begin = int(datetime(2026, 10, 25, tzinfo=zone).timestamp()) * 1_000_000

    (day,) = calendar([], begin, begin + 25 * HOUR_US, zone)

    assert day.missed == (0.0,) * 24


def test_what_the_store_counts_is_cut_at_quarters_of_days_and_added_up() -> None:
    start = int(datetime(2026, 11, 20, 22, tzinfo=UTC).timestamp()) * 1_000_000

    pieces = list(pieces_of(start, start + DAY_US))
    whole = added(
        [
            Counted((ContextCount("sensor", 1, 1, 1, 1),), {"a,b": 2}),
            Counted((ContextCount("sensor", 2, 0, 1, 0), ContextCount("light", 1, 1, 1, 1)), {"a,b": 1, "b": 4}),
        ]
    )

    assert [end - begin for begin, end in pieces] == [2 * HOUR_US, *(6 * HOUR_US,) * 3, 4 * HOUR_US]
    assert whole.contexts == (ContextCount("light", 1, 1, 1, 1), ContextCount("sensor", 3, 1, 2, 1))
    assert by_rule(whole.repairs) == {"b": 7, "a": 3}


def test_times_are_told_in_the_unit_that_fits() -> None:
    assert [duration(int(seconds * 1e6)) for seconds in (42, 720, 8784, 200_000)] == [
        "42 s",
        "12 min",
        "2.44 h",
        "2.3 days",
    ]


def test_the_schema_page_names_every_field_of_a_reports_point() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "schema.md").read_text()
    point = point_of(example_report())

    assert set(point.fields) == set(FIELDS)
    assert all(type(value) is float for value in point.fields.values())
    for name, meaning in FIELDS.items():
        assert f"| `{name}` | {meaning} |" in page

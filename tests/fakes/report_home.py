"""A home with faults, as the ports of a report would tell of it: for tests of the forms, and to look at them."""

from __future__ import annotations

from ingestor.events.counts import Counts, Page
from ingestor.quality.model import Dimension, Part, Problem, ProblemKind, Scope, Score
from ingestor.reports.counting import Counted
from ingestor.reports.document import Report
from ingestor.reports.gather import Asked, Sources, gather
from ingestor.storage.gaps import GapRecord, GapState
from ingestor.storage.gaps_memory import MemoryGaps
from ingestor.storage.ledger_memory import MemoryLedger
from ingestor.storage.port import ContextCount
from ingestor.storage.quarantine import Cause
from tests.fakes.quality_book import Days, MemoryQualityBook

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
END_US = 1_795_219_200_000_000 // DAY_US * DAY_US
START_US = END_US - 7 * DAY_US
WHY = {
    Dimension.COMPLETENESS: "2,011 of 2,016 expected values came; 5 lie in a gap of 25 min",
    Dimension.VALIDITY: "all 2,011 values passed the rules",
    Dimension.TIMELINESS: "95 of 100 values were stored within 0.4 s",
    Dimension.AVAILABILITY: "unavailable for 3.1 h of 168 h, in 41 pieces",
    Dimension.LIVENESS: "said nothing new for 61 h; it used to speak every 5 min, and its siblings still do",
}


def score(scope: Scope, subject: str, name: str, **parts: float | None) -> Score:
    """Return a score of parts by name, each with its sentence."""
    made = [
        Part(Dimension(part), value, 1.0, WHY.get(Dimension(part), "as it should be")) for part, value in parts.items()
    ]
    return Score(scope, subject, name, tuple(made))


def days(*scores: float | None) -> Days:
    """Return days that end with the report's."""
    return [(END_US - (len(scores) - index) * DAY_US, value) for index, value in enumerate(scores)]


def trouble(kind: ProblemKind, subject: str, evidence: str, advice: str, *, scope: Scope = Scope.ENTITY) -> Problem:
    """Return a problem that began a day before the report's end."""
    return Problem(kind, scope, subject, END_US - DAY_US, None, 1, evidence, advice)


def faulty_home(*, name: str = "Cellar humidity") -> Sources:
    """Return a home with faults; `name` is what its worst sensor is called."""
    book = MemoryQualityBook()
    fine: dict[str, float | None] = {"completeness": 100.0, "validity": 100.0, "timeliness": 99.0, "liveness": 100.0}
    book.found = [
        score(Scope.HOME, "home", "home", **{**fine, "completeness": 97.4, "availability": 91.5, "accuracy": 93.0}),
        score(Scope.ENTITY, "sensor.cellar_humidity", name, completeness=71.0, validity=100.0, liveness=0.0),
        score(Scope.ENTITY, "sensor.hall_motion_battery", "Hall motion battery", **{**fine, "availability": 38.0}),
        score(Scope.ENTITY, "sensor.boiler_flow", "Boiler flow", **{**fine, "consistency": 45.0}),
        score(Scope.ENTITY, "sensor.grid_energy", "Grid energy", **{**fine, "accuracy": 88.0}),
        *(score(Scope.ENTITY, f"light.room_{number}", f"Room {number}", **fine) for number in range(20)),
        score(Scope.AREA, "cellar", "Cellar", completeness=71.0, liveness=50.0),
        score(Scope.AREA, "kitchen", "Kitchen", **fine),
        score(Scope.INTEGRATION, "zha", "zha", completeness=96.0, availability=80.0),
    ]
    swinging = [96.0, 95.4, 96.2, 94.8, None, 95.9, 96.3, 96.0, 95.1, 93.2, 92.4, 94.0, 95.2, 93.9]
    book.days = {
        "home": days(*swinging, *swinging),
        "sensor.cellar_humidity": days(99, 99, 98, 99, 99, 97, 60, 57, 57),
        "sensor.hall_motion_battery": days(99, 95, 91, None, 90, 84),
        "sensor.boiler_flow": days(99, 99, 99, 81, 80),
        "sensor.grid_energy": days(100, 97, 96, 97),
    }
    book.known = [
        trouble(
            ProblemKind.FROZEN,
            "sensor.cellar_humidity",
            WHY[Dimension.LIVENESS],
            "Change the battery, or pair the sensor anew.",
        ),
        trouble(
            ProblemKind.FLAPPING,
            "sensor.hall_motion_battery",
            "came and went 41 times; 2 times is usual",
            "Bring a router nearer: its radio is at the edge.",
        ),
        trouble(
            ProblemKind.UNIT_CHANGED,
            "sensor.boiler_flow",
            "°C until 2026-11-18 09:12, °F since",
            "Set the unit back in Home Assistant, or have it converted.",
        ),
        trouble(
            ProblemKind.COUNTER_RESET,
            "sensor.grid_energy",
            "fell from 18,204.2 kWh to 0",
            "Nothing: the cleaned value goes on.",
        ),
        trouble(
            ProblemKind.HUB_DEAD,
            "zha",
            "14 of 14 entities fell silent within 20 s",
            "Look at the coordinator's USB stick and its power.",
            scope=Scope.INTEGRATION,
        ),
    ]
    return Sources(book, _ledger(), _gaps(), _quarantine(), {"decimal_comma": "a comma for a point"})


def _ledger() -> MemoryLedger:
    ledger = MemoryLedger()
    hours = {(START_US + number * HOUR_US) // 1_000_000: number for number in range(7 * 24)}
    for number, (source, each) in enumerate((("websocket", 1800), ("mqtt", 420)), 1):
        counts = {
            hour: Counts(each, each, each, each - 19, 12, 6, 1, 2 if source == "mqtt" and index == 100 else 0)
            for hour, index in hours.items()
        }
        for hour in counts.values():
            hour.settled, hour.frames, hour.recovered = hour.frames + hour.lost, hour.frames + hour.lost, hour.lost
        ledger.add([Page(f"book-{source}", number, "home", source, source, counts, {})])
    return ledger


def _gaps() -> MemoryGaps:
    gaps = MemoryGaps()
    for number, (day, hour, lasted_us) in enumerate(
        ((1, 3, 25 * 60_000_000), (3, 14, 2 * HOUR_US), (5, 22, 90_000_000))
    ):
        start = START_US + day * DAY_US + hour * HOUR_US
        state = GapState.FILLED if number else GapState.PARTLY_FILLED
        gaps.observe(GapRecord(f"g{number}", "home", "websocket", "restart", start, start + lasted_us))
        found = gaps.find(f"g{number}")
        assert found is not None
        gaps.save(
            GapRecord(
                found.gap_id,
                "home",
                "websocket",
                "not_running",
                start,
                start + lasted_us,
                state,
                "read back: 412 states",
            )
        )
    return gaps


class KnownCauses:
    """A quarantine of which only the causes are known."""

    def __init__(self, *causes: Cause) -> None:
        self._causes = causes

    def causes(self, limit: int = 100) -> list[Cause]:
        """Return the causes."""
        return list(self._causes[:limit])


def _quarantine() -> KnownCauses:
    seen_ns = (END_US - HOUR_US) * 1000
    example = "sensor.shed: 'NaNN' is no number"
    return KnownCauses(Cause("c1", "home", "not_a_number", "sensor.shed", 3, 9, 300, seen_ns, seen_ns, 1, example))


COUNTED = Counted(
    (ContextCount("sensor", 300_000, 299_100, 262_000, 261_500), ContextCount("sun", 1200, 0, 1200, 0)),
    {"decimal_comma": 211, "decimal_comma,unit_in_state": 4},
)


def example_report(*, name: str = "Cellar humidity", before: frozenset[str] | None = frozenset()) -> Report:
    """Return the report of a week of this home."""
    known = frozenset({"counter_reset:entity:sensor.grid_energy"}) if before == frozenset() else before
    id_before = "home-weekly-20261113T0000"
    made_us = END_US + 60_000_000
    asked = Asked("home", "weekly", START_US, END_US, made_us, "Europe/Berlin", before=known, before_id=id_before)
    return gather(asked, faulty_home(name=name), COUNTED)

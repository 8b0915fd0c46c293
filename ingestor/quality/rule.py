"""What a rule of quality is, and what it finds; knows no rule by name (`rules.py` does)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from ingestor.events.event import Event

#: note: it is counted. repair: the point says what came, and which rule changed it. reject: the event goes to
#: quarantine. filter: the event, or an attribute of it, is left out.
Severity = Literal["note", "repair", "reject", "filter"]
#: Where a rule is asked: while a frame is decoded, of each event, while events are enriched, when they are stored.
Stage = Literal["frame", "event", "enrich", "write"]

#: Fields that a repair puts on the point: the state and the unit as they came, and the rules that changed something.
RAW_STATE: Final = "raw_state"
RAW_UNIT: Final = "raw_unit"
REPAIRED_BY: Final = "repaired_by"


@dataclass(frozen=True, slots=True)
class Limits:
    """What the settings say of the rules' own limits. `latest_us` is what counts as the future (Unix, microseconds)."""

    latest_us: int
    decimal: Literal["auto", "comma", "point"] = "auto"
    temperature: Literal["as-is", "°C", "°F"] = "as-is"
    energy: Literal["as-is", "kWh", "Wh"] = "as-is"


@dataclass(frozen=True, slots=True)
class Repair:
    """What an event becomes: its value and its unit, and attributes that it loses. Time and series never change.

    `raw` is what came, where the state itself does not say it.
    """

    value: float | None
    unit: str | None
    without: tuple[str, ...] = ()
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule has against an event, in words; and what would put it right, where that is known."""

    detail: str
    repair: Repair | None = None


#: A test looks and says; it changes nothing. `numeric`: the entity measures a number (unit, state or device class).
Test = Callable[[Event, "About"], Finding | None]


@dataclass(frozen=True, slots=True)
class About:
    """What is known beside the event itself. `last_us` is the newest time of its entity that was seen before."""

    limits: Limits
    numeric: bool = False
    last_us: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: what it is called, what follows from it, why it is there, and how it looks.

    `answers` are the reasons under which other code refuses, or notes, the same thing: it is one rule with them.
    Which other severity the settings may give it is said there (`settings_quality.CHOICES`).
    """

    name: str
    severity: Severity
    reason: str
    stage: Stage = "event"
    test: Test | None = None
    answers: tuple[str, ...] = ()

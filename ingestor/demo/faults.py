"""Known faults of the demo home: what an entity says passes through them; each says what is true, judges nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Protocol

import orjson

from ingestor.demo import chance
from ingestor.demo.clock import HOUR_US, SECOND_US
from ingestor.demo.wire import iso

#: What no rule at the door lets pass as it is.
RUBBISH: Final = ("nan", "inf", "21,5,3", "-99999", "ERR", "1e999", "12.3.4", "0xFF", "--")
_RUBBISH_SHARE: Final = 0.01
_COPY_AFTER_US: Final = 300_000
#: By unit: the other one, and what a value is multiplied with and moved by.
_OTHER_UNIT: Final[dict[str, tuple[str, float, float]]] = {
    "°C": ("°F", 1.8, 32.0),
    "W": ("kW", 0.001, 0.0),
    "kWh": ("Wh", 1000.0, 0.0),
    "hPa": ("mbar", 1.0, 0.0),
}


@dataclass(frozen=True, slots=True)
class Truth:
    """What is wrong: its kind as `quality.model.ProblemKind` has it, with whom, from when until when (Unix µs).

    `subjects` are all who may rightly be named: the entity and its copy, or the hub and what hangs on it.
    """

    kind: str
    subject: str
    since_us: int
    until_us: int | None
    subjects: tuple[str, ...] = ()
    why: str = ""

    def holds(self, time_us: int) -> bool:
        """Tell whether it is so at this time."""
        return self.since_us <= time_us and (self.until_us is None or time_us < self.until_us)


@dataclass(frozen=True, slots=True)
class Said:
    """What an entity says: at a time (Unix µs, when it is heard), and how long ago by its own clock that was."""

    time_us: int
    entity_id: str
    state: str
    unit: str | None = None
    behind_us: int = 0


class Fault(Protocol):
    """Something that is wrong. What it remembers makes it good for one home, told in the order of time."""

    @property
    def truth(self) -> Truth:
        """What is true of it."""
        ...

    def told(self, said: Said) -> Sequence[Said]:
        """Return what is heard instead of what an entity that it is about says while it holds."""
        ...


@dataclass(slots=True)
class Frozen:
    """Says for ever what it said last."""

    truth: Truth
    last: Said | None = None

    def told(self, said: Said) -> Sequence[Said]:
        """Return the state of the beginning."""
        self.last = self.last or said
        return (replace(said, state=self.last.state),)


@dataclass(slots=True)
class Flapping:
    """Comes and goes: every second time it is not there."""

    truth: Truth
    is_there: bool = True

    def told(self, said: Said) -> Sequence[Said]:
        """Return what it says, or that it is unavailable."""
        self.is_there = not self.is_there
        return (said if self.is_there else replace(said, state="unavailable"),)


@dataclass(slots=True)
class CounterReset:
    """Begins to count anew."""

    truth: Truth
    start: float | None = None

    def told(self, said: Said) -> Sequence[Said]:
        """Return what was counted since."""
        value = _number(said.state)
        if value is None:
            return (said,)
        self.start = value if self.start is None else self.start
        return (replace(said, state=_like(value - self.start, said.state)),)


@dataclass(slots=True)
class UnitChange:
    """Tells the same in another unit."""

    truth: Truth

    def told(self, said: Said) -> Sequence[Said]:
        """Return it in the other unit."""
        value, other = _number(said.state), _OTHER_UNIT.get(said.unit or "")
        if other is None:
            return (said,)
        unit, factor, offset = other
        return (replace(said, unit=unit, state=said.state if value is None else f"{value * factor + offset:.4g}"),)


@dataclass(slots=True)
class ClockOff:
    """Its own clock goes wrong by an hour."""

    truth: Truth

    def told(self, said: Said) -> Sequence[Said]:
        """Return it as of an hour ago."""
        return (replace(said, behind_us=HOUR_US),)


@dataclass(slots=True)
class Silent:
    """Nothing is heard of a hub and of what hangs on it."""

    truth: Truth

    def told(self, said: Said) -> Sequence[Said]:
        """Return nothing."""
        del said
        return ()


@dataclass(slots=True)
class Copied:
    """Is heard by a second road too, as another entity."""

    truth: Truth
    copy: str

    def told(self, said: Said) -> Sequence[Said]:
        """Return it twice."""
        return (said, replace(said, entity_id=self.copy, time_us=said.time_us + _COPY_AFTER_US))


@dataclass(slots=True)
class Rubbish:
    """One in a hundred is nothing that can be used."""

    truth: Truth
    seed: int
    number: int = 0

    def told(self, said: Said) -> Sequence[Said]:
        """Return it, or rubbish."""
        self.number += 1
        drawn = chance.fraction("rubbish", self.seed, self.number)
        if drawn >= _RUBBISH_SHARE or _number(said.state) is None:
            return (said,)
        return (replace(said, state=RUBBISH[int(drawn / _RUBBISH_SHARE * len(RUBBISH))]),)


@dataclass(slots=True)
class Faults:
    """All faults of a home. What is said passes through those that hold, in their order."""

    planted: Sequence[Fault] = ()
    _of: dict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for fault in self.planted:
            for entity_id in fault.truth.subjects:
                self._of[entity_id].append(fault)

    def told(self, said: Said) -> Sequence[Said]:
        """Return what is heard where this is said."""
        faults = self._of.get(said.entity_id)
        if not faults:
            return (said,)
        heard: Sequence[Said] = (said,)
        for fault in faults:
            if fault.truth.holds(said.time_us):
                heard = [each for one in heard for each in fault.told(one)]
        return heard

    @property
    def truths(self) -> list[Truth]:
        """What is true of each."""
        return [fault.truth for fault in self.planted]

    def as_json(self) -> bytes:
        """Return the truth as a document for people and programs."""
        return orjson.dumps([_shown(truth) for truth in self.truths], option=orjson.OPT_INDENT_2) + b"\n"


def _shown(truth: Truth) -> dict[str, Any]:
    until = None if truth.until_us is None else iso(truth.until_us)
    return asdict(truth) | {"since": iso(truth.since_us), "until": until}


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _like(value: float, text: str) -> str:
    """Return a value with as many decimals as a text has."""
    return f"{value:.{len(text.partition('.')[2])}f}"


def after(start_us: int, seconds: float) -> int:
    """Return a time so many seconds after another."""
    return start_us + round(seconds * SECOND_US)

"""How much each entity stores, and how little of it is news: one pass over stored states; proposes nothing.

Bytes are those of the points as line protocol, before a store packs them. Information is the entropy of an entity's
states: bits per event, if each were told on its own. A sensor's own noise is estimated from what it takes back at
once: the covariance of two changes in a row is minus its variance.
"""

from __future__ import annotations

import math
import random
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from ingestor.events.point import FieldValue, Point, StoredEvent
from ingestor.events.values import is_available, number_of
from ingestor.quality.tryout import OTHERS, pages
from ingestor.storage.line_protocol import Encoder
from ingestor.storage.port import EventQuery, Store
from ingestor.storage.schema import STATES

#: States of an entity that are told apart; further ones share as many places.
MAX_DISTINCT: Final = 256
#: Pairs of changes in a row that are kept of an entity, drawn evenly from all.
_SAMPLES: Final = 200
_MAX_ENTITIES: Final = 10_000
_FEWEST_PAIRS: Final = 20
#: What is less than so many standard deviations of its noise is no news.
WITHIN: Final = 2.0
#: Beyond so many times the usual change one of a pair is held to be something that happened, and cut off.
_UNUSUAL: Final = 5.0
_UNKNOWN: Final = ("", "-", None)


@dataclass(frozen=True, slots=True)
class Noise:
    """What an entity stored in a span. `own_noise` is a standard deviation in its unit; None where nothing is known.

    `distinct` is at least so many where it is MAX_DISTINCT; `steady` tells that it only ever rises, as meters do.
    """

    entity_id: str
    integration: str
    device_class: str
    unit: str
    points: int
    bytes: int
    distinct: int
    bits_per_event: float
    repeats: int
    within_noise: float
    own_noise: float | None = None
    low: float | None = None
    high: float | None = None
    steady: bool = False

    @property
    def bits(self) -> float:
        """Information of all its points together."""
        return self.bits_per_event * self.points

    @property
    def repeat_share(self) -> float:
        """The share of points that say what the one before said, 0 to 1."""
        return self.repeats / self.points if self.points else 0.0


@dataclass(slots=True)
class Measured:
    """What was looked at: by entity, and how far the look has come."""

    points: int = 0
    bytes: int = 0
    reached_ns: int = 0
    entities: list[Noise] = field(default_factory=list)

    def by_integration(self) -> list[tuple[str, int, int, int, int, float]]:
        """Return (integration, entities, points, bytes, distinct states of each entity, bits), the greatest first."""
        found: dict[str, list[Noise]] = defaultdict(list)
        for one in self.entities:
            found[one.integration or "unknown"].append(one)
        rows = [
            (
                name,
                len(of),
                sum(one.points for one in of),
                sum(one.bytes for one in of),
                sum(one.distinct for one in of),
                sum(one.bits for one in of),
            )
            for name, of in found.items()
        ]
        return sorted(rows, key=lambda row: (-row[3], row[0]))


def measure(
    store: Store, query: EventQuery, integrations: Mapping[str, str], progress: Callable[[Measured], None]
) -> Measured:
    """Look at the stored states of a query, newest first; `progress` is told after each page.

    `integrations` has what the map says of entities whose points do not say it.
    """
    measured, tallies, encoder = Measured(), dict[str, _Tally](), Encoder()
    for page in pages(store, query):
        for stored in page:
            size = bytes_of(stored, encoder)
            measured.points += 1
            measured.bytes += size
            _tally(tallies, entity_of(stored)).add(stored, size)
        measured.reached_ns = page[-1].time_ns
        progress(measured)
    found = [tally.noise(entity_id, integrations.get(entity_id, "")) for entity_id, tally in tallies.items()]
    measured.entities = sorted(found, key=lambda one: (-one.bytes, one.entity_id))
    return measured


def bytes_of(stored: StoredEvent, encoder: Encoder) -> int:
    """Return how long a stored event is as a line, with its line break."""
    # Made from series and time when it is read: it is not stored.
    fields: dict[str, FieldValue] = {name: one for name, one in stored.fields.items() if name != "event_id"}
    point = Point(STATES, tuple(sorted(stored.tags.items())), fields, stored.time_ns)
    return len(encoder.line(point).encode("utf-8", "replace")) + 1


def entity_of(stored: StoredEvent) -> str:
    """Return the entity_id of the day, as rules are asked about it."""
    entity_id = stored.fields.get("entity_id")
    return entity_id if isinstance(entity_id, str) and entity_id else stored.series


def figure_of(state: str | None) -> float | None:
    """Return a state as a number, where it is written as one: `on` is none here."""
    value = number_of(state)
    return None if value is None or not state or state[0].isalpha() else value


def _tally(tallies: dict[str, _Tally], entity_id: str) -> _Tally:
    if entity_id not in tallies and len(tallies) >= _MAX_ENTITIES:
        entity_id = OTHERS
    return tallies.setdefault(entity_id, _Tally(entity_id))


class _Tally:
    """Counts one entity; of one size whatever it says."""

    __slots__ = (
        *("_bytes", "_change", "_chance", "_device_class", "_falls", "_high", "_integration", "_later", "_low"),
        *("_pairs", "_points", "_repeats", "_rises", "_seen", "_shared", "_states", "_unit", "_value"),
    )

    def __init__(self, entity_id: str) -> None:
        self._chance = random.Random(entity_id)  # noqa: S311 - draws a sample, keeps no secret
        self._points = self._bytes = self._repeats = self._rises = self._falls = self._seen = 0
        self._states: Counter[str] = Counter()
        self._shared: Counter[int] = Counter()
        self._pairs: list[tuple[float, float]] = []
        self._low, self._high = math.inf, -math.inf
        self._later: str | None = None
        self._value: float | None = None
        self._change: float | None = None
        self._integration = self._device_class = self._unit = ""

    def add(self, stored: StoredEvent, size: int) -> None:
        """Count a point; the one before this call was later."""
        self._points += 1
        self._bytes += size
        self._learn(stored)
        state = stored.fields.get("state")
        text = state if isinstance(state, str) else ""
        self._repeats += text == self._later
        self._later = text
        if text in self._states or len(self._states) < MAX_DISTINCT:
            self._states[text] += 1
        else:
            self._shared[zlib.crc32(text.encode("utf-8", "replace")) % MAX_DISTINCT] += 1
        if is_available(text):
            self._add_value(figure_of(text))

    def _learn(self, stored: StoredEvent) -> None:
        """Take over what the newest point says of the entity."""
        if self._points == 1:
            tags, unit = stored.tags, stored.fields.get("unit")
            self._integration = _known(tags.get("integration"))
            self._device_class = _known(tags.get("device_class"))
            self._unit = unit if isinstance(unit, str) else ""

    def _add_value(self, value: float | None) -> None:
        if value is None:
            return
        self._low, self._high = min(self._low, value), max(self._high, value)
        if self._value is not None:
            change = self._value - value
            self._rises += change > 0
            self._falls += change < 0
            if self._change is not None:
                self._sample((change, self._change))
            self._change = change
        self._value = value

    def _sample(self, pair: tuple[float, float]) -> None:
        self._seen += 1
        if len(self._pairs) < _SAMPLES:
            self._pairs.append(pair)
        elif (place := self._chance.randrange(self._seen)) < _SAMPLES:
            self._pairs[place] = pair

    def noise(self, entity_id: str, integration: str) -> Noise:
        """Return what was counted."""
        own = own_noise(self._pairs)
        small = sum(abs(change) <= WITHIN * own for change, _ in self._pairs) if own else 0
        return Noise(
            entity_id=entity_id,
            integration=self._integration or integration,
            device_class=self._device_class,
            unit=self._unit,
            points=self._points,
            bytes=self._bytes,
            distinct=min(MAX_DISTINCT, len(self._states)) if not self._shared else MAX_DISTINCT,
            bits_per_event=entropy([*self._states.values(), *self._shared.values()]),
            repeats=self._repeats,
            within_noise=small / len(self._pairs) if self._pairs else 0.0,
            own_noise=own,
            low=None if math.isinf(self._low) else self._low,
            high=None if math.isinf(self._high) else self._high,
            steady=self._rises > _FEWEST_PAIRS * max(1, self._falls),
        )


def own_noise(pairs: Iterable[tuple[float, float]]) -> float | None:
    """Return the standard deviation of what a sensor adds by itself, from pairs of changes in a row; None: too few."""
    known = list(pairs)
    if len(known) < _FEWEST_PAIRS:
        return None
    usual = median(abs(change) for pair in known for change in pair)
    most = _UNUSUAL * usual
    covariance = sum(_cut(one, most) * _cut(other, most) for one, other in known) / len(known)
    return math.sqrt(-covariance) if covariance < 0 else 0.0


def _cut(change: float, most: float) -> float:
    return max(-most, min(most, change))


def entropy(counts: Iterable[int]) -> float:
    """Return the entropy of what was counted, in bits."""
    known = [count for count in counts if count]
    total = sum(known)
    return sum(count / total * math.log2(total / count) for count in known) if total else 0.0


def _known(tag: str | None) -> str:
    return "" if tag in _UNKNOWN or tag is None else tag

"""Fills a store with a month of a large home, fast: a day is built as the write stage does it, and told day by day."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import requests

from ingestor.events.event import Event, Place
from ingestor.events.point import Point
from ingestor.quality.hours import HOUR_US
from ingestor.quality.subjects import Subject
from ingestor.settings import StorageSettings
from ingestor.storage.embedded import EmbeddedStore
from ingestor.storage.line_protocol import Encoder
from ingestor.storage.schema import PointBuilder, point_time_ns

HOME: Final = "large"
DAY_US: Final = 24 * HOUR_US
#: A Sunday in March at midnight UTC.
START_US: Final = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp()) * 1_000_000
_LINES: Final = 5_000
_DAY_NS: Final = DAY_US * 1000


class Kind(NamedTuple):
    """What many entities are: how many of a hundred, and how much each says (a share of all that is said)."""

    of_hundred: int
    share: float
    domain: str
    device_class: str
    unit: str
    middle: float
    spread: float


#: As in most homes: a few plugs say half of everything, hundreds of things a little.
KINDS: Final = (
    Kind(12, 0.45, "sensor", "power", "W", 180.0, 60.0),
    Kind(18, 0.20, "sensor", "temperature", "°C", 21.0, 0.6),
    Kind(12, 0.11, "sensor", "humidity", "%", 48.0, 3.0),
    Kind(8, 0.08, "sensor", "energy", "kWh", 0.0, 0.0),
    Kind(10, 0.04, "sensor", "signal_strength", "dBm", -61.0, 4.0),
    Kind(20, 0.08, "binary_sensor", "motion", "", 0.0, 0.0),
    Kind(10, 0.01, "light", "", "", 0.0, 0.0),
    Kind(10, 0.03, "sensor", "", "", 0.0, 0.0),
)
_WORDS: Final = ("idle", "washing", "rinsing", "spinning", "done", "paused")


@dataclass(frozen=True)
class Large:
    """How large a home is to be, from when on (Unix µs), and how many days before the last are judged: two weeks on a
    new installation.
    """

    entities: int = 1000
    days: int = 30
    events: int = 10_000_000
    judged_days: int = 14
    start_us: int = START_US

    @property
    def end_us(self) -> int:
        """When its time ends (Unix µs)."""
        return self.start_us + self.days * DAY_US


def subjects(large: Large) -> dict[str, Subject]:
    """Return what the map of the home says."""
    found = {}
    for number, kind in enumerate(_kinds(large)):
        series, device = _name(number, kind), f"device {number // 4}"
        found[series] = Subject(
            series,
            series,
            series,
            kind.domain,
            kind.device_class,
            "total_increasing" if kind.device_class == "energy" else "",
            kind.unit,
            f"room {number // 4 % 15}",
            device,
            f"integration {number // 4 % 6}",
        )
    return found


def day_points(large: Large) -> Iterator[Point]:
    """Yield the points of the first day, in the order of time, as the write stage builds them."""
    builder, chance = PointBuilder(StorageSettings()), random.Random(7)
    last: dict[str, str] = {}
    for at_us, number, kind in sorted(_times(large, chance)):
        series = _name(number, kind)
        state = _state(kind, chance, last.get(series, ""))
        event = Event(
            0, "state", "state_changed", series, series, at_us, at_us * 1000 + 30_000_000, "websocket", number
        )
        event.state, event.previous_state, event.available = state, last.get(series), state != "unavailable"
        event.value = float(state) if kind.unit and event.available else None
        event.unit, event.context_id = kind.unit or None, f"01{at_us:024x}"
        last[series] = state
        where = f"room {number // 4 % 15}", f"device {number // 4}"
        place = Place(series, kind.domain, area=where[0], device=where[1], device_class=kind.device_class or "-")
        yield from builder.points(event, place, HOME, point_time_ns(event))


def fill_embedded(path: Path, large: Large) -> int:
    """Fill a new file; return how many states are in it."""
    store, chunk = EmbeddedStore(path), list[Point]()
    for point in day_points(large):
        chunk.append(point)
        if len(chunk) == _LINES:
            store.write(chunk)
            chunk.clear()
    store.write(chunk)
    store.close()
    with sqlite3.connect(path) as file:
        for statement in ("PRAGMA synchronous = OFF", "PRAGMA cache_size = -200000"):
            file.execute(statement)
        columns = [row[1] for row in file.execute("PRAGMA table_info(states)")]
        rest = ", ".join(columns[2:])
        for day in range(1, large.days):
            file.execute(
                f"INSERT INTO states (series_id, time_ns, {rest}) SELECT series_id, time_ns + ?, {rest} FROM states"
                " WHERE time_ns < ? ORDER BY series_id, time_ns",
                [day * _DAY_NS, (large.start_us + DAY_US) * 1000],
            )
            file.commit()
        (states,) = file.execute("SELECT count(*) FROM states").fetchone()
    file.close()
    return int(states)


def fill_influxdb(url: str, database: str, large: Large) -> int:
    """Fill a database of an InfluxDB 1.x; return how many states were sent."""
    encoder, lines = Encoder(), list[tuple[bytes, bytes, int]]()
    for point in day_points(large):
        text = (encoder.line(point) or "").encode()
        # The time is in the id of the event, too.
        head, _, rest = text.rpartition(b" ")[0].partition(str(point.time_ns).encode())
        lines.append((head, rest, point.time_ns))
    session, sent = requests.Session(), 0
    params = {"db": database, "precision": "ns"}
    session.trust_env = False
    for day in range(large.days):
        for begin in range(0, len(lines), _LINES):
            body = b"\n".join(_lines_of(lines[begin : begin + _LINES], day * _DAY_NS))
            while not session.post(f"{url}/write", params=params, data=body, timeout=60).ok:
                time.sleep(1)  # it has more to do than it can at once
        sent += len(lines)
    return sent


def _lines_of(lines: list[tuple[bytes, bytes, int]], later_ns: int) -> Iterator[bytes]:
    for head, rest, time_ns in lines:
        yield (
            b"%b%d%b %d" % (head, time_ns + later_ns, rest, time_ns + later_ns)
            if rest
            else b"%b %d"
            % (
                head,
                time_ns + later_ns,
            )
        )


def _kinds(large: Large) -> list[Kind]:
    hundred = [kind for kind in KINDS for _ in range(kind.of_hundred)]
    return [hundred[number * 37 % 100] for number in range(large.entities)]


def _name(number: int, kind: Kind) -> str:
    return f"{kind.domain}.{kind.device_class or 'thing'}_{number}"


def _times(large: Large, chance: random.Random) -> Iterator[tuple[int, int, Kind]]:
    """Yield who says something when, on the first day: at a steady pace that is never quite the same."""
    of_day = large.events / large.days
    for number, kind in enumerate(_kinds(large)):
        of_entity = max(2, round(of_day * kind.share * 100 / (kind.of_hundred * large.entities)))
        every_us = DAY_US // of_entity
        for turn in range(of_entity):
            yield large.start_us + turn * every_us + chance.randrange(every_us // 2 + 1), number, kind


def _state(kind: Kind, chance: random.Random, before: str) -> str:
    if chance.random() < 0.0004:
        return "unavailable"
    if kind.device_class == "energy":
        return f"{(0.0 if before in ('', 'unavailable') else float(before)) + 0.01:.2f}"
    if kind.unit:
        return f"{chance.gauss(kind.middle, kind.spread):.2f}"
    if kind.domain != "sensor":
        return "off" if before == "on" else "on"
    return chance.choice(_WORDS)

"""What the InfluxDB adapters share: cutting a write into requests, finding the lines at fault, reading by InfluxQL."""

from __future__ import annotations

import abc
import contextlib
import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

import requests

from ingestor import errors
from ingestor.events.point import Point, StoredEvent
from ingestor.storage import influx_counts as counts
from ingestor.storage import influx_hours as hours
from ingestor.storage import influx_pruning as pruning
from ingestor.storage import influx_reading as reading
from ingestor.storage import influx_scanning as scanning
from ingestor.storage import influx_windows
from ingestor.storage.diagnosis import conflict_of, explain, reason_of
from ingestor.storage.influx_errors import Answer, in_words, read_answer, read_ping, read_results
from ingestor.storage.influx_posting import POSTING_ERRORS, LinePoster, Posted
from ingestor.storage.influx_rows import EventRows
from ingestor.storage.line_protocol import Encoder
from ingestor.storage.line_search import Line, LineSearch
from ingestor.storage.port import (
    ContextCount,
    EventQuery,
    HourCount,
    Rejection,
    StoredMoment,
    StoredState,
    StoreInfo,
    WriteResult,
)
from ingestor.storage.pruning import Outdated
from ingestor.storage.series_hours import SeriesHour, StoredValue
from ingestor.storage.windows import Window, WindowQuery

#: Lines and bytes in a request: what InfluxData advises, and well below what a server refuses (1.x 25 MB, 3.x 10 MB).
#: A server that refuses may cut the line while we still send, and that looks like one that is away.
_MAX_LINES: Final = 5000
_MAX_BYTES: Final = 4_000_000
_TAGS: Final = ("home", "series", "domain", "area", "device", "device_class", "floor")
#: A longer one (many series are named) goes as a body: what an address may hold is the server's to say.
_LONG_STATEMENT: Final = 4000
#: What a streamed answer comes in.
_CHUNK_ROWS: Final = "5000"
_CHUNK_BYTES: Final = 1 << 18
#: Fields whose first time is remembered.
_MAX_KNOWN: Final = 1000


@dataclass(frozen=True, slots=True)
class Address:
    """Where an InfluxDB is. `database` is the bucket of a 2.x."""

    base_url: str
    database: str
    org: str
    token: str
    timeout_s: float
    gzip: bool
    #: What is a tag by the settings; `integration` is a field where it is none.
    extra_tags: tuple[str, ...] = ()
    #: Whether a value whose field has another type in the store is written to a field beside it.
    siblings: bool = False


class InfluxStore(abc.ABC):
    """A store that takes line protocol and answers InfluxQL; adapters say how a request is made."""

    product = "InfluxDB"
    reads_below = hours.READS_BELOW

    def __init__(self, address: Address) -> None:
        self._address = address
        self._encoder = Encoder()
        self._session = requests.Session()
        # Proxies of the environment are for the internet, not for a database beside us.
        self._session.trust_env = False
        self._poster = LinePoster(address.base_url, address.timeout_s)
        self._search = LineSearch(self._ask, self._encode, siblings=address.siblings)
        self._first_written: dict[tuple[str, str], datetime | None] = {}

    @abc.abstractmethod
    def _send(self, body: bytes) -> tuple[int, bytes, Mapping[str, str]]:
        """Write lines; return status, body and headers of the answer. Raises StoreUnavailable."""

    @abc.abstractmethod
    def _credentials(self) -> Mapping[str, str]:
        """Return the headers that show who we are."""

    def write(self, points: Sequence[Point]) -> WriteResult:
        """Store points. Raises StoreUnavailable (try again) or StoreRefused (settings are wrong)."""
        lines: list[Line] = []
        rejected: list[Rejection] = []
        for index, point in enumerate(points):
            if text := self._encoder.line(point):
                lines.append(Line(point, index, text.encode("utf-8", "replace")))
            else:
                rejected.append(Rejection(index, "no_field", "no field of this point can be stored"))
        repaired = 0
        for request in _requests(lines):
            found = self._search.write(request)
            rejected += [self._rejection(line, message) for line, message in found.refused]
            repaired += found.repaired
        return WriteResult(len(points) - len(rejected), rejected, repaired)

    def read(self, query: EventQuery) -> Iterator[StoredEvent]:
        """Yield stored events of our own schema, in the query's order."""
        yield from reading.read(query, self._events)

    def scan(self, query: EventQuery) -> Iterator[list[StoredEvent]]:
        """Yield all events of a query, oldest first."""
        return scanning.scan(query, self._stream_events, self._begin_ns)

    def _begin_ns(self) -> int | None:
        """Return a time (Unix ns) before which nothing is stored; None where the product does not say."""
        return None

    def _events(self, kind: str, statement: str) -> list[StoredEvent]:
        rows = EventRows({*_TAGS, *self._address.extra_tags})
        found: list[StoredEvent] = []
        for series in self._series(statement):
            found += rows.events(kind, series["columns"], series["values"], series.get("tags", {}))
        return found

    def _stream_events(self, kind: str, statement: str) -> Iterator[list[StoredEvent]]:
        rows = EventRows({*_TAGS, *self._address.extra_tags})
        for series in self._streamed(statement):
            yield rows.events(kind, series["columns"], series["values"], series.get("tags", {}))

    def count_by_hour(self, home: str, since_ns: int, until_ns: int) -> list[HourCount]:
        """Return how many points the server holds, by hour, kind and source."""
        return counts.count_by_hour(self.query, home, since_ns, until_ns)

    def states_between(self, home: str, since_ns: int, until_ns: int, limit: int) -> list[StoredState]:
        """Return stored states."""
        return [counts.stored_state(row) for row in self.query(counts.states_of(home, since_ns, until_ns, limit))]

    def moments_between(self, home: str, since_ns: int, until_ns: int) -> list[StoredMoment]:
        """Return what held for a home."""
        return [_moment(row) for row in self.query(counts.moments_of(home, since_ns, until_ns))]

    def context_counts(self, home: str, since_ns: int, until_ns: int) -> list[ContextCount]:
        """Return how many states have their context, by domain."""
        return counts.context_counts(self.query, home, since_ns, until_ns)

    def repair_counts(self, home: str, since_ns: int, until_ns: int) -> dict[str, int]:
        """Return how many states were repaired, by the rules that did it."""
        return counts.repair_counts(self.query, home, since_ns, until_ns)

    def states_by_series(self, home: str, since_ns: int, until_ns: int) -> dict[str, int]:
        """Return how many states each series has in a span."""
        return hours.states_by_series(self.query, home, since_ns, until_ns)

    def series_hours(self, home: str, since_ns: int, until_ns: int, series: Sequence[str] = ()) -> list[SeriesHour]:
        """Return the states of a span added up by series."""
        return hours.series_hours(self.query, home, since_ns, until_ns, series)

    def hours_by_series(self, home: str, since_ns: int, until_ns: int) -> Iterator[tuple[int, list[SeriesHour]]]:
        """Yield the hours of a span added up by series."""
        return hours.hours_by_series(self.query, self._rows, home, since_ns, until_ns)

    def windows(self, query: WindowQuery) -> list[Window]:
        """Return states added up by windows of time."""
        return influx_windows.windows(self.query, query)

    def values_of(self, home: str, series: Sequence[str], since_ns: int, until_ns: int) -> Iterator[StoredValue]:
        """Yield the states of some series."""
        return hours.values_of(self.query, home, series, since_ns, until_ns)

    def outdated(self, before_ns: int) -> list[Outdated]:
        """Return what is older than a time, by home."""
        return pruning.outdated(self.query, None, before_ns)

    def prune(self, before_ns: int) -> list[Outdated]:
        """Delete the oldest day that is older. Raises Conflict where this product deletes nothing by request."""
        first_ns = pruning.oldest(self.query, before_ns)
        if first_ns is None:
            return []
        since_ns, until_ns = pruning.day_of(first_ns, before_ns)
        found = pruning.outdated(self.query, since_ns, until_ns)
        for measurement in pruning.MEASUREMENTS:
            self._delete(measurement, since_ns, until_ns)
        return found

    def _delete(self, measurement: str, since_ns: int, until_ns: int) -> None:
        """Delete the points of a measurement in a span, where the product can."""
        raise errors.Conflict(
            f"{self.product} deletes nothing by request, neither {measurement} from {since_ns} to {until_ns} nor else: "
            "give its database a retention, and leave retention.days unset"
        )

    def query(self, statement: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of an InfluxQL query, times in nanoseconds. Raises as `write` does."""
        for series in self._series(statement):
            grouped_by = series.get("tags", {})
            for values in series["values"]:
                yield {**grouped_by, **dict(zip(series["columns"], values, strict=True))}

    def _series(self, statement: str) -> Iterator[dict[str, Any]]:
        """Yield the series of an answer: `columns`, `values`, and `tags` where it was grouped."""
        params = {"db": self._address.database, "epoch": "ns"}
        answer = self._ask_for(statement, params)
        for result in read_results(answer.status_code, answer.content, answer.headers):
            yield from result.get("series", [])

    def _ask_for(self, statement: str, params: Mapping[str, str], **options: Any) -> requests.Response:
        if len(statement) < _LONG_STATEMENT:
            return self._request("GET", "/query", params={**params, "q": statement}, **options)
        return self._request("POST", "/query", params=params, data={"q": statement}, **options)

    def _rows(self, statement: str, columns: Sequence[str]) -> Iterator[Sequence[Any]]:
        """Yield the rows of a query while they come, with these columns; None where there is none of that name."""
        for series in self._streamed(statement):
            yield from _chosen(series, columns)

    def _streamed(self, statement: str) -> Iterator[dict[str, Any]]:
        """Yield the series of an answer, of each some thousand rows at a time, while it comes."""
        params = {"db": self._address.database, "epoch": "ns", "chunked": "true", "chunk_size": _CHUNK_ROWS}
        # Packing takes the server more than half of what reading takes it.
        headers = {"Accept-Encoding": "identity"}
        answer = self._ask_for(statement, params, headers=headers, stream=True)
        with contextlib.closing(answer):
            try:
                for line in answer.iter_lines(_CHUNK_BYTES, delimiter=b"\n"):
                    for result in read_results(answer.status_code, line, answer.headers) if line else ():
                        yield from result.get("series", [])
            except requests.RequestException as error:
                raise self._away(error) from error

    def check(self, *, write: bool = False) -> StoreInfo:
        """Say which InfluxDB answers; with `write`, also that it takes a write from us."""
        answer = self._request("GET", "/ping")
        read_ping(answer.status_code, answer.content, answer.headers)
        if write:
            read_answer(*self._send(b""))
        return StoreInfo(self.product, answer.headers.get("X-Influxdb-Version", "unknown"))

    def close(self) -> None:
        """Give back connections."""
        self._session.close()
        self._poster.close()

    def _request(self, method: str, path: str, **options: Any) -> requests.Response:
        try:
            return self._session.request(
                method,
                self._address.base_url + path,
                timeout=self._address.timeout_s,
                headers={**self._credentials(), **options.pop("headers", {})},
                # A redirected POST becomes a GET, and its 200 would pass for a yes.
                allow_redirects=False,
                **options,
            )
        except requests.RequestException as error:
            raise self._away(error) from error

    def _away(self, error: Exception) -> errors.StoreUnavailable:
        return errors.StoreUnavailable(f"{self.product} at {self._address.base_url}: {in_words(error)}")

    def _post_lines(self, path: str, params: Mapping[str, str], body: bytes) -> Posted:
        """Post lines."""
        headers = {"Content-Type": "text/plain; charset=utf-8", **self._credentials()}
        if self._address.gzip:
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body, 1)
        try:
            return self._poster.post(f"{path}?{urlencode(params)}", headers, body)
        except POSTING_ERRORS as error:
            raise self._away(error) from error

    def _ask(self, body: bytes) -> Answer:
        return read_answer(*self._send(body))

    def _encode(self, point: Point) -> bytes:
        return self._encoder.line(point).encode("utf-8", "replace")

    def _rejection(self, line: Line, message: str) -> Rejection:
        conflict = conflict_of(message)
        since = self._since(line.point.measurement, conflict.field) if conflict else None
        return Rejection(line.index, reason_of(message), explain(line.point, message, since))

    def _since(self, measurement: str, field: str) -> datetime | None:
        """Return when a field was first written, asked once; None where the store does not say."""
        key = (measurement, field)
        if key not in self._first_written:
            names = [name.replace("\\", "\\\\").replace('"', '\\"') for name in key]
            statement = f'SELECT first("{names[1]}") FROM "{names[0]}"'  # noqa: S608 -- escaped
            try:
                row = next(iter(self.query(statement)), None)
            except errors.IngestorError:
                row = None
            if len(self._first_written) >= _MAX_KNOWN:
                self._first_written.clear()
            self._first_written[key] = datetime.fromtimestamp(row["time"] / 1e9, UTC) if row else None
        return self._first_written[key]


def _chosen(series: Mapping[str, Any], columns: Sequence[str]) -> Iterator[Sequence[Any]]:
    if series["columns"] == list(columns):
        yield from series["values"]
        return
    at = {name: index for index, name in enumerate(series["columns"])}
    for values in series["values"]:
        yield [values[at[name]] if name in at else None for name in columns]


def _requests(lines: Sequence[Line]) -> Iterator[list[Line]]:
    request: list[Line] = []
    size = 0
    for line in lines:
        if request and (len(request) >= _MAX_LINES or size + len(line.text) > _MAX_BYTES):
            yield request
            request, size = [], 0
        request.append(line)
        size += len(line.text) + 1
    if request:
        yield request


def _moment(row: dict[str, Any]) -> StoredMoment:
    time_ns = int(row.pop("time"))
    return StoredMoment(
        time_ns, {name: value for name, value in row.items() if value is not None and name not in _TAGS}
    )

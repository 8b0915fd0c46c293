"""Line protocol, encoded fast: series and field keys are cached, each line is built in one pass; knows no store.

https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference/ is where the rules come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Final

from ingestor.events.point import FieldValue, Point, Tags

#: Keys kept; a home has some thousand series, and a full cache is simply begun anew.
_MAX_CACHED: Final = 100_000
#: Under which key shared fields keep what they are on a line.
_RENDERED: Final = "line"
#: No line break may stand outside a string field: it would end the line.
_MEASUREMENT: Final = str.maketrans({",": "\\,", " ": "\\ ", "\n": "\\ ", "\r": "\\ "})
_KEY: Final = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ ", "\n": "\\ ", "\r": "\\ "})


class Encoder:
    """Encodes points; keeps the series keys that it has built. For one thread."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, Tags], str] = {}
        self._keys: dict[str, str] = {}

    def encode(self, points: Sequence[Point]) -> bytes:
        """Return points as lines with times in nanoseconds; a point that no line can hold gives none."""
        lines = [line for point in points if (line := self.line(point))]
        return "\n".join(lines).encode("utf-8", "replace")

    def line(self, point: Point) -> str:
        """Return one line without its end; "" where no field is left, or no line can hold the measurement."""
        series = self._series.get((point.measurement, point.tags))
        if series is None:
            series = self._make_series(point)
        fields = self._rendered(point.fields)
        if (shared := point.shared) is not None:
            text = shared.rendered.get(_RENDERED)
            if text is None:
                text = shared.rendered[_RENDERED] = self._rendered(shared.fields)
            fields = f"{fields},{text}" if fields and text else fields or text
        return f"{series} {fields} {point.time_ns}" if fields and series else ""

    def _rendered(self, fields: Mapping[str, FieldValue]) -> str:
        try:
            return _fields(fields, self._keys)
        except KeyError:
            # No line has a field without a name.
            named = {name: value for name, value in fields.items() if name}
            self._learn(named)
            return _fields(named, self._keys)

    def _learn(self, fields: Mapping[str, FieldValue]) -> None:
        if len(self._keys) + len(fields) > _MAX_CACHED:
            self._keys.clear()
        self._keys.update({name: _escape(name, _KEY) for name in fields})

    def _make_series(self, point: Point) -> str:
        if len(self._series) >= _MAX_CACHED:
            self._series.clear()
        tags = "".join(f",{_escape(name, _KEY)}={_escape(value, _KEY)}" for name, value in sorted(point.tags) if value)
        # A line that begins with # is a comment: the server would say yes, and keep nothing.
        comment = not point.measurement or point.measurement.startswith("#")
        series = "" if comment else _escape(point.measurement, _MEASUREMENT) + tags
        self._series[point.measurement, point.tags] = series
        return series


def _fields(fields: Mapping[str, FieldValue], keys: dict[str, str]) -> str:
    """Return fields as they stand on a line. Raises KeyError for a key that is not known yet: it is the rare case."""
    parts: list[str] = []
    add = parts.append
    for name, value in fields.items():
        key = keys[name]
        kind = type(value)
        if kind is str:
            text: str = value  # type: ignore[assignment]  # `kind` says that it is text
            add(f'{key}="{_quoted(text)}"' if "\\" in text or '"' in text else f'{key}="{text}"')
        elif kind is float:
            if isfinite(value):  # type: ignore[arg-type]  # `kind` says that it is a number
                add(f"{key}={value!r}")
        elif kind is bool:
            add(f"{key}=true" if value else f"{key}=false")
        elif kind is int:
            add(f"{key}={value}i")
        elif isinstance(value, str):
            add(f'{key}="{_quoted(str(value))}"')  # a string enumeration
        else:
            add(f"{key}={float(value)!r}")
    return ",".join(parts)


def _escape(text: str, table: dict[int, str]) -> str:
    # A backslash at the end would escape what follows it, and there is no way to write one there.
    if text.endswith("\\"):
        text += "_"
    return text.translate(table)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')

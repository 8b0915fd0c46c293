"""Line protocol, encoded fast: series and field keys are cached, each line is built in one pass; knows no store.

https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference/ is where the rules come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ingestor.events.point import FieldValue, Point, Tags

#: Keys kept; a home has some thousand series, and a full cache is simply begun anew.
_MAX_CACHED: Final = 100_000
#: No line break may stand outside a string field: it would end the line.
_MEASUREMENT: Final = str.maketrans({",": "\\,", " ": "\\ ", "\n": "\\ ", "\r": "\\ "})
_KEY: Final = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ ", "\n": "\\ ", "\r": "\\ "})
_INFINITE: Final = frozenset({"inf", "-inf", "nan"})


class Encoder:
    """Encodes points; keeps the series keys that it has built. For one thread."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, Tags], str] = {}
        self._keys: dict[str, str] = {}

    def encode(self, points: Sequence[Point]) -> bytes:
        """Return points as lines with times in nanoseconds; a point without any finite field gives no line."""
        lines = [line for point in points if (line := self.line(point))]
        return "\n".join(lines).encode("utf-8", "replace")

    def line(self, point: Point) -> str:
        """Return one line without its end; "" where no field is left."""
        series = self._series.get((point.measurement, point.tags)) or self._make_series(point)
        keys = self._keys
        parts: list[str] = []
        for name, value in point.fields.items():
            key = keys.get(name) or self._make_key(name)
            kind = type(value)
            if kind is str:
                parts.append(f'{key}="{_quoted(value)}"')  # type: ignore[arg-type]  # `kind` says that it is text
            elif kind is float:
                text = repr(value)
                if text not in _INFINITE:
                    parts.append(f"{key}={text}")
            elif kind is bool:
                parts.append(f"{key}=true" if value else f"{key}=false")
            else:
                parts.append(f"{key}={value}i")
        return f"{series} {','.join(parts)} {point.time_ns}" if parts else ""

    def _make_series(self, point: Point) -> str:
        if len(self._series) >= _MAX_CACHED:
            self._series.clear()
        tags = "".join(f",{_escape(name, _KEY)}={_escape(value, _KEY)}" for name, value in sorted(point.tags) if value)
        series = _escape(point.measurement, _MEASUREMENT) + tags
        self._series[point.measurement, point.tags] = series
        return series

    def _make_key(self, name: str) -> str:
        if len(self._keys) >= _MAX_CACHED:
            self._keys.clear()
        key = self._keys[name] = _escape(name, _KEY)
        return key


def _escape(text: str, table: dict[int, str]) -> str:
    # A backslash at the end would escape what follows it, and there is no way to write one there.
    if text.endswith("\\"):
        text += "_"
    return text.translate(table)


def _quoted(text: str) -> str:
    if "\\" in text or '"' in text:
        return text.replace("\\", "\\\\").replace('"', '\\"')
    return text


def is_written(value: FieldValue) -> bool:
    """Tell whether a value can stand on a line: a number that is not finite cannot."""
    return not isinstance(value, float) or repr(value) not in _INFINITE

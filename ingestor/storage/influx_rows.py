"""Makes events of the rows that an InfluxDB answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from ingestor.events.point import FieldValue, StoredEvent
from ingestor.storage.siblings import are_siblings_in, put_back

_MAX_SERIES: Final = 20_000


class EventRows:
    """Makes events of rows; those of a series share their tags, which nobody changes."""

    def __init__(self, tag_names: Collection[str]) -> None:
        self._tag_names = sorted(tag_names)
        self._known: dict[tuple[Any, ...], dict[str, str]] = {}

    def events(
        self, kind: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], grouped_by: Mapping[str, str]
    ) -> list[StoredEvent]:
        """Return rows with these columns (`time` in ns among them) as events of a kind."""
        at = {name: index for index, name in enumerate(columns)}
        tags_at = [(name, at[name]) for name in self._tag_names if name in at]
        fields_at = [(name, index) for name, index in at.items() if name not in self._tag_names and name != "time"]
        time_at, has_siblings = at["time"], are_siblings_in(at)
        found = []
        for row in rows:
            tags = self._tags(grouped_by, tags_at, row)
            fields: dict[str, FieldValue] = {name: row[index] for name, index in fields_at if row[index] is not None}
            if has_siblings:
                put_back(fields)
            # A number without a fraction is told without one.
            if isinstance(fields.get("value"), int):
                fields["value"] = float(fields["value"])
            home, series, domain = (tags.get(name, "") for name in ("home", "series", "domain"))
            found.append(StoredEvent(row[time_at], kind, home, series, domain, tags, fields))
        return found

    def _tags(
        self, grouped_by: Mapping[str, str], tags_at: Sequence[tuple[str, int]], row: Sequence[Any]
    ) -> dict[str, str]:
        key = (*grouped_by.values(), *[row[index] for _, index in tags_at])
        tags = self._known.get(key)
        if tags is None:
            given = {**grouped_by, **{name: str(row[index]) for name, index in tags_at if row[index] is not None}}
            tags = {name: given[name] for name in self._tag_names if name in given}
            if len(self._known) >= _MAX_SERIES:
                self._known.clear()
            self._known[key] = tags
        return tags

"""What held for a home at a time, in a few words; reads nothing."""

from __future__ import annotations

from ingestor.events.point import FieldValue
from ingestor.storage.port import StoredMoment


def in_words(moment: StoredMoment | None) -> str:
    """Return what a moment says in a few words, such as `3.5 °C cloudy · night · Anna, Ben`."""
    if moment is None:
        return ""
    fields = moment.fields
    warmth = f"{fields['outdoor_temperature']} °C" if "outdoor_temperature" in fields else ""
    outside = f"{warmth} {fields.get('outdoor_condition', '')}".strip()
    return " · ".join(word for word in (outside, str(fields.get("sun_phase", "")), _who(fields)) if word)


def _who(fields: dict[str, FieldValue]) -> str:
    if "persons_home_names" not in fields:
        return ""
    return str(fields["persons_home_names"]) or "nobody home"

"""Times as people and programs write them: RFC 3339 and ages, in and out; Unix nanoseconds within."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_NS: Final = 1_000_000_000
_US: Final = 1_000_000
#: The last nanosecond of 64 bits, as every store counts (in 2262).
LAST_NS: Final = 2**63 - 2
RFC_3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LEAP: Final = 60
_LAST_HOUR: Final = 23
_LAST_MINUTE: Final = 59


def rfc3339_of_ns(time_ns: int) -> str:
    """Return Unix nanoseconds as RFC 3339, UTC, with nine digits."""
    seconds, rest = divmod(time_ns, _NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def rfc3339_of_us(time_us: int) -> str:
    """Return Unix microseconds as RFC 3339, UTC, with six digits."""
    seconds, rest = divmod(time_us, _US)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:06d}Z"


def ns_of_rfc3339(text: str) -> int:
    """Return the Unix nanoseconds of an RFC 3339 time, brought within what a store can hold. Raises ValueError.

    A leap second is the last nanosecond of its minute: Unix time has none.
    """
    found = RFC_3339.fullmatch(text)
    if found is None:
        raise ValueError("is no RFC 3339 time with its zone, such as 2026-03-01T12:00:00Z")
    date, hour, minute, second, fraction, sign, off_hours, off_minutes = found.groups()
    leap = int(second) == _LEAP
    day = datetime.fromisoformat(f"{date}T{hour}:{minute}:{59 if leap else second}+00:00") - _EPOCH
    offset = timedelta(hours=int(off_hours or 0), minutes=int(off_minutes or 0))
    if int(off_hours or 0) > _LAST_HOUR or int(off_minutes or 0) > _LAST_MINUTE:
        raise ValueError("has a zone that there is not: at most 23 hours and 59 minutes from UTC")
    whole = day - offset if sign != "-" else day + offset
    rest = _NS - 1 if leap else int((fraction or "0")[:9].ljust(9, "0"))
    return min(max(0, (whole.days * 86_400 + whole.seconds) * _NS + rest), LAST_NS)

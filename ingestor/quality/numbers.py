"""Numbers as people and devices write them: decimal comma, thousands, the unit behind; guesses nothing."""

from __future__ import annotations

import math
import re
from typing import Final, Literal, NamedTuple

from ingestor.quality.units import normal_unit

DECIMAL_COMMA: Final = "decimal_comma"
THOUSANDS: Final = "thousands_separator"
UNIT_INSIDE: Final = "unit_in_state"
#: No number of a sensor is longer; a longer text is text.
_LONGEST: Final = 64
_SPACES: Final = " \u00a0\u202f\u2009"
_PARTS: Final = re.compile(
    rf"([+\-\u2212]?)([0-9][0-9.,'\u2019{_SPACES}]*|[.,][0-9]+)([eE][+-]?[0-9]{{1,3}})?(.*)", re.DOTALL
)
_MINUS: Final = frozenset({"-", "\u2212"})
_NO_NUMBER: Final = frozenset({"nan", "inf", "infinity", "+inf", "-inf", "+infinity", "-infinity", "-nan", "+nan"})


class Reading(NamedTuple):
    """A number, and by which rules it was read; none for a number that is written as it should be."""

    value: float
    used: tuple[str, ...]


def is_non_finite(text: str) -> bool:
    """Tell whether a text says that it is no number, or an infinite one, or one that no float can hold."""
    word = text.strip().lower()
    if word in _NO_NUMBER:
        return True
    try:
        return math.isinf(float(word)) and "_" not in word
    except ValueError:
        return False


def read_number(text: str, unit: str | None, decimal: Literal["auto", "comma", "point"]) -> Reading | None:
    """Return the number that a text means; None where it means none, or could mean two."""
    if len(text) > _LONGEST or (parts := _PARTS.fullmatch(text.strip())) is None:
        return None
    sign, body, exponent, tail = parts.groups()
    # A space between the groups of digits is one of them, one at the end stands before the unit.
    digits = body.rstrip(_SPACES)
    behind = tail.strip()
    if behind and (unit is None or normal_unit(behind) != normal_unit(unit)):
        return None
    plain = _plain(digits, decimal)
    if plain is None:
        return None
    value = float(f"{'-' if sign in _MINUS else ''}{plain[0]}{exponent or ''}")
    used = (*((UNIT_INSIDE,) if behind else ()), *plain[1])
    return Reading(value, used) if math.isfinite(value) else None


def _plain(digits: str, decimal: str) -> tuple[str, tuple[str, ...]] | None:
    """Return digits with a decimal point at most, and the rules that it took."""
    whole, sign, fraction = _split(digits, decimal)
    if sign == "?" or not (fraction.isdecimal() or not fraction):
        return None
    used = (DECIMAL_COMMA,) if sign == "," else ()
    separators = {letter for letter in whole if not letter.isdecimal()}
    if separators:
        if len(separators) > 1 or sign in separators or not _in_groups(whole, separators.pop()):
            return None
        used = (THOUSANDS, *used)
        whole = "".join(letter for letter in whole if letter.isdecimal())
    return f"{whole or '0'}.{fraction or '0'}", used


def _split(digits: str, decimal: str) -> tuple[str, str, str]:
    """Return what is before the decimal sign, the sign ("" for none, "?" where it may be either), and what follows."""
    points, commas = digits.count("."), digits.count(",")
    if points and commas:
        sign = "." if digits.rindex(".") > digits.rindex(",") else ","
        whole, _, fraction = digits.rpartition(sign)
        return whole, sign, fraction
    if points == 1:
        whole, _, fraction = digits.partition(".")
        return whole, ".", fraction
    if commas != 1:
        return digits, "", ""
    whole, _, fraction = digits.partition(",")
    if decimal == "point":
        return digits, "", ""
    # "1,234" is one and a bit to one half of the world, and a thousand and more to the other.
    if decimal == "auto" and len(fraction) == 3 and whole.isdecimal() and 1 <= len(whole) <= 3 and whole != "0":  # noqa: PLR2004 -- digits of a group
        return digits, "?", ""
    return whole, ",", fraction


def _in_groups(whole: str, separator: str) -> bool:
    first, *groups = whole.split(separator)
    return 1 <= len(first) <= 3 and all(len(group) == 3 and group.isdecimal() for group in groups)  # noqa: PLR2004 -- digits of a group

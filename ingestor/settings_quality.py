"""Settings of data quality: the rules' limits, and rules of the user's own. Part of the tree in `settings`."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from ingestor.settings_types import Expects, Glob, Group, Name

#: What each kind of rule is given besides whom it is for; the first must be there, one of them at least.
_PARTS: dict[str, tuple[str, ...]] = {
    "bounds": ("min", "max"),
    "pattern": ("pattern",),
    "deny": (),
    "allow": (),
    "attributes": ("drop", "keep"),
    "dead-band": ("change",),
}
_OF_A_KIND = frozenset(part for parts in _PARTS.values() for part in parts)
Severity = Literal["note", "repair", "reject"]
_ANY: tuple[Severity, ...] = ("note", "repair", "reject")
_NOTE_OR_REJECT: tuple[Severity, ...] = ("note", "reject")
#: Which severity a rule of ours may be given (`ingestor/quality/rules.py`; a test holds the two against each other).
CHOICES: dict[str, tuple[Severity, ...]] = {
    "unexpected_shape": _NOTE_OR_REJECT,
    "time_without_zone": _NOTE_OR_REJECT,
    "time_before_2000": _NOTE_OR_REJECT,
    "time_in_future": _NOTE_OR_REJECT,
    "out_of_order": ("note",),
    "unit_spelling": ("note", "repair"),
    "unit_in_state": _ANY,
    "thousands_separator": _ANY,
    "decimal_comma": _ANY,
    "non_finite": _NOTE_OR_REJECT,
    "not_a_number": _NOTE_OR_REJECT,
    "overlong_state": _NOTE_OR_REJECT,
    "bounds": _ANY,
}
Choice = Annotated[
    str,
    Field(pattern=r"^[a-z0-9_]+=(note|repair|reject|off)$"),
    Expects("RULE=note, RULE=repair, RULE=reject or RULE=off"),
]


class QualityRule(Group):
    """A rule of one's own: whom it is for, what it asks, what follows."""

    name: Name = Field(description="What it is called in lists, metrics and `repaired_by`.")
    kind: Literal["bounds", "pattern", "deny", "allow", "attributes", "dead-band"] = Field(
        description="bounds: a number is from `min` to `max`; pattern: the text is as `pattern`; deny: leave these"
        " entities out; allow: leave all others out; attributes: leave out attributes; dead-band: leave out"
        " what differs by less than `change` from the state before."
    )
    entities: tuple[Glob, ...] = Field((), description="Whom it is for: entity ids, with * and ?. Empty: all.")
    domains: tuple[Glob, ...] = Field((), description="The same by domain; where both are set, both must fit.")
    device_classes: tuple[Glob, ...] = Field((), description="The same by device class.")
    attribute: str | None = Field(
        None, min_length=1, max_length=255, description="Look at this attribute instead of the state (bounds, pattern)."
    )
    min: float | None = Field(None, description="Least value (bounds).")
    max: float | None = Field(None, description="Greatest value (bounds).")
    pattern: str | None = Field(
        None, min_length=1, max_length=500, description="Regular expression that the whole text must match (pattern)."
    )
    drop: tuple[Glob, ...] = Field((), description="Attributes to leave out, with * and ? (attributes).")
    keep: tuple[Glob, ...] = Field(
        (), description="Leave all other attributes out, but unit, classes and friendly name (attributes)."
    )
    change: float | None = Field(None, gt=0, description="Least difference to the state before (dead-band).")
    severity: Severity = Field(
        "note",
        description="What follows (bounds, pattern): note: it is counted; repair: the point has no value, or not that"
        " attribute, and says so; reject: the event goes to quarantine.",
    )
    reason: str = Field("", max_length=300, description="Why, in your own words: for lists and for the quarantine.")

    @model_validator(mode="after")
    def _check_parts(self) -> QualityRule:
        if self.name in CHOICES:
            raise ValueError(f"{self.name} is the name of a rule of ours")
        wanted = _PARTS[self.kind]
        if wanted and not any(_given(self, part) for part in wanted):
            raise ValueError(f"a rule of kind {self.kind} needs {' or '.join(wanted)}")
        if odd := sorted(part for part in _OF_A_KIND - set(wanted) if _given(self, part)):
            raise ValueError(f"{odd[0]} means nothing to a rule of kind {self.kind}")
        if self.attribute is not None and self.kind not in ("bounds", "pattern"):
            raise ValueError(f"attribute means nothing to a rule of kind {self.kind}")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min ({self.min:g}) is more than max ({self.max:g})")
        if self.kind in ("deny", "allow") and not (self.entities or self.domains or self.device_classes):
            raise ValueError(f"a rule of kind {self.kind} needs entities, domains or device_classes")
        _check_pattern(self.pattern)
        return self


def _given(rule: QualityRule, part: str) -> bool:
    return getattr(rule, part) not in (None, ())


def _check_pattern(pattern: Any) -> None:
    try:
        re.compile(pattern or "")
    except re.error as error:
        where = "" if error.pos is None else f" at character {error.pos + 1}"
        raise ValueError(f"pattern {pattern!r:.80} is no regular expression: {error.msg}{where}") from error


class OverTimeSettings(Group):
    """Quality over time: each hour that is over is told in facts, judged and kept."""

    enabled: bool = Field(True, description="Judge the hours of every home.")
    settle_minutes: float = Field(
        10.0,
        ge=1,
        le=360,
        description="Minutes that an hour is over before it is judged; what comes later is not in it.",
    )
    look_back_days: float = Field(
        14.0, ge=0, le=35, description="Days of stored past that are judged at the first time."
    )
    hours_days: int = Field(35, ge=2, le=400, description="Days for which the facts of every hour are kept.")
    days: int = Field(400, ge=2, le=4000, description="Days for which the sums of every day, and problems, are kept.")
    points: bool = Field(True, description="Write scores, and who is alive, as points `ha_quality`, once an hour.")
    heartbeat: bool = Field(False, description="Write a point `ha_heartbeat` for every entity, every five minutes.")


class QualitySettings(Group):
    """Data quality: what is checked at the door, and what is judged over time."""

    rules: tuple[QualityRule, ...] = Field((), max_length=200, description="Rules of your own, asked in this order.")
    severity: tuple[Choice, ...] = Field(
        (), description="Another severity for rules of ours, such as `bounds=repair` (`ha-ingestor quality rules`)."
    )
    future_s: float = Field(
        300.0, ge=0, le=86_400, description="Seconds that an event may be ahead of our clock before that is noted."
    )
    decimal: Literal["auto", "comma", "point"] = Field(
        "auto",
        description="What a comma in a number means where it may be both (1,234); auto: such a number is not repaired.",
    )
    temperature: Literal["as-is", "°C", "°F"] = Field("as-is", description="Unit that temperatures are stored in.")
    energy: Literal["as-is", "kWh", "Wh"] = Field("as-is", description="Unit that energies are stored in.")

    over_time: OverTimeSettings = OverTimeSettings()
    leave_out_learned: bool = Field(
        False,
        description="Leave out attributes that were learned to be constant or long (`ha-ingestor quality attributes`).",
    )

    @field_validator("rules")
    @classmethod
    def _check_names(cls, rules: tuple[QualityRule, ...]) -> tuple[QualityRule, ...]:
        names = [rule.name for rule in rules]
        for name in names:
            if names.count(name) > 1:
                places = " and ".join(str(number) for number, one in enumerate(names) if one == name)
                raise ValueError(f"two rules are called {name} ({places}, counted from 0)")
        return rules

    @field_validator("severity")
    @classmethod
    def _check_choices(cls, choices: tuple[Choice, ...]) -> tuple[Choice, ...]:
        for choice in choices:
            _check_choice(*choice.split("="))
        return choices


def _check_choice(name: str, severity: str) -> None:
    if name not in CHOICES:
        raise ValueError(f"{name} is none of {', '.join(CHOICES)}")
    if severity not in (*CHOICES[name], "off"):
        raise ValueError(f"{name} can be {', '.join(CHOICES[name])} or off, not {severity}")

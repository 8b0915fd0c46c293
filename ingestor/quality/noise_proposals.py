"""What could be left out, and what that would save and lose: tried on stored states by the rules that would do it.

Two kinds: an entity is left out whole, or changes below a dead-band are. What an automation uses is never proposed to
be left out, only named. A dead-band is the widest of those tried from which the series can still be told: no value
would be further off than a few bands.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from ingestor.quality.noise import Measured, Noise, bytes_of, entity_of, figure_of
from ingestor.quality.rule import About, Limits
from ingestor.quality.tryout import as_event, pages
from ingestor.quality.user_rules import UserRule, compiled
from ingestor.settings_quality import QualityRule
from ingestor.storage.line_protocol import Encoder
from ingestor.storage.port import EventQuery, Store

Kind = Literal["exclude", "dead-band"]
#: Fewer points are not worth a rule.
_FEWEST_POINTS: Final = 50
_MOSTLY: Final = 0.9
_NOISY: Final = 0.3
#: Dead-bands that are tried, in standard deviations of the sensor's own noise.
_BANDS: Final = (2.0, 3.0, 4.5)
#: So far from what was may a value be that is told from what is left, in dead-bands.
MOST_OFF: Final = 4.0
_LEAST_SAVED: Final = 0.2
_RADIO: Final = frozenset(("lqi", "dBm"))
_STEPS: Final = (1.0, 2.0, 2.5, 5.0)


@dataclass(slots=True)
class Proposal:
    """One entity, and what could be left out of it. `used_by`: who goes by it in the home, so that it stays.

    The rest is what the trial showed: points and bytes that would be saved, and how far off the series that is left
    would be at most (None: nothing is left of it, or it is no number).
    """

    kind: Kind
    noise: Noise
    why: str
    change: float | None = None
    used_by: tuple[str, ...] = ()
    points: int = 0
    bytes: int = 0
    largest_deviation: float | None = None

    @property
    def share(self) -> float:
        """The share of the entity's points that would be saved, 0 to 1."""
        return self.points / self.noise.points if self.noise.points else 0.0


@dataclass(slots=True)
class _Trial:
    """One proposal under trial: its rule, and the run of left-out values whose last kept one is yet to come."""

    proposal: Proposal
    rule: UserRule
    lowest: float = math.inf
    highest: float = -math.inf
    run: int = 0

    def look(self, left_out: bool, size: int, value: float | None) -> None:
        """Take in a point, newest first: what is left out is told from the next one that is kept."""
        if left_out:
            self.proposal.points += 1
            self.proposal.bytes += size
            if value is not None:
                self.run += 1
                self.lowest, self.highest = min(self.lowest, value), max(self.highest, value)
        elif value is not None and self.run:
            self._off_by(max(abs(self.lowest - value), abs(self.highest - value)))

    def finish(self) -> None:
        """Count what was left out at the very beginning, where nothing stands to tell it from but itself."""
        if self.run and self.proposal.kind == "dead-band":
            self._off_by(self.highest - self.lowest)

    def _off_by(self, off: float) -> None:
        self.proposal.largest_deviation = max(off, self.proposal.largest_deviation or 0.0)
        self.run, self.lowest, self.highest = 0, math.inf, -math.inf


@dataclass(slots=True)
class Proposed:
    """What came out: proposals that would save something, the greatest first; and what would be, but is used."""

    chosen: list[Proposal] = field(default_factory=list)
    used: list[Proposal] = field(default_factory=list)

    def of(self, kind: Kind) -> list[Proposal]:
        """Return the proposals of a kind."""
        return [one for one in self.chosen if one.kind == kind]


def candidates(measured: Measured, uses: Callable[[str], Sequence[str]]) -> list[Proposal]:
    """Return what is to be tried. `uses` tells who in the home goes by an entity."""
    found: list[Proposal] = []
    for noise in measured.entities:
        if noise.points < _FEWEST_POINTS or "." not in noise.entity_id:
            continue
        if why := _says_nothing(noise):
            found.append(Proposal("exclude", noise, why, used_by=tuple(uses(noise.entity_id))))
        else:
            found += _dead_bands(noise)
    return found


def _says_nothing(noise: Noise) -> str:
    if noise.repeat_share >= _MOSTLY:
        return f"{noise.repeat_share:.0%} of its points say what the one before said"
    if noise.device_class == "timestamp":
        return "tells only that time goes on"
    if noise.device_class == "signal_strength" or noise.unit in _RADIO:
        return "how well a radio is heard changes with every breath"
    return ""


def _dead_bands(noise: Noise) -> list[Proposal]:
    # A meter that only rises would stand still below a dead-band: each of its steps is small.
    if noise.steady or not noise.own_noise or noise.within_noise < _NOISY:
        return []
    why = (
        f"{noise.within_noise:.0%} of its changes are within its own noise (about ±{noise.own_noise:.2g} {noise.unit})"
    )
    changes = sorted({_nice(factor * noise.own_noise) for factor in _BANDS})
    return [Proposal("dead-band", noise, why.replace(" )", ")"), change) for change in changes]


def _nice(value: float) -> float:
    """Return the next greater number that people would choose."""
    size = 10.0 ** math.floor(math.log10(value))
    return float(f"{next((step * size for step in _STEPS if step * size >= value), 10 * size):.6g}")


def simulate(
    tried: Sequence[Proposal], store: Store, query: EventQuery, limits: Limits, progress: Callable[[int, int], None]
) -> Proposed:
    """Ask each proposal's rule about the stored states of a query; `progress` is told points and time after a page."""
    trials: dict[str, list[_Trial]] = {}
    for one in tried:
        trials.setdefault(one.noise.entity_id, []).append(_Trial(one, compiled(rule_of(one))))
    encoder, looked = Encoder(), 0
    for page in pages(store, query):
        for stored in page:
            concerned = trials.get(entity_of(stored))
            if concerned is None:
                continue
            event = as_event(replace(stored, fields={**stored.fields, "attributes": ""}))
            size, about = bytes_of(stored, encoder), About(limits)
            value = figure_of(event.state)
            for trial in concerned:
                test = trial.rule.rule.test
                trial.look(bool(test and test(event, about)), size, value)
        looked += len(page)
        progress(looked, page[-1].time_ns)
    for trial in (one for found in trials.values() for one in found):
        trial.finish()
    return _choose([trial.proposal for found in trials.values() for trial in found])


def rule_of(proposal: Proposal) -> QualityRule:
    """Return the rule of one proposal, as the settings have it."""
    entities = (proposal.noise.entity_id,)
    if proposal.kind == "exclude":
        return QualityRule(name="noise", kind="deny", entities=entities)
    return QualityRule(name="noise", kind="dead-band", entities=entities, change=proposal.change)


def _choose(proposals: Sequence[Proposal]) -> Proposed:
    best: dict[str, Proposal] = {}
    for one in proposals:
        before = best.get(one.noise.entity_id)
        if _is_worth_it(one) and (before is None or one.points > before.points):
            best[one.noise.entity_id] = one
    found = sorted(best.values(), key=lambda one: (-one.bytes, one.noise.entity_id))
    return Proposed([one for one in found if not one.used_by], [one for one in found if one.used_by])


def _is_worth_it(one: Proposal) -> bool:
    if one.kind == "exclude":
        return True
    off = one.largest_deviation or 0.0
    return one.share >= _LEAST_SAVED and off <= MOST_OFF * (one.change or 0.0)


def saved(proposals: Sequence[Proposal], measured: Measured) -> Mapping[str, float]:
    """Return what all proposals together save, in points and bytes and as shares of all."""
    points, size = sum(one.points for one in proposals), sum(one.bytes for one in proposals)
    return {
        "points": points,
        "bytes": size,
        "points_share": points / measured.points if measured.points else 0.0,
        "bytes_share": size / measured.bytes if measured.bytes else 0.0,
    }

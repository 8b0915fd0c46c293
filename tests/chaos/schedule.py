"""When which harm is done: drawn from a seed, so that a run can be had again; does nothing itself."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.chaos.harms import HARMS, Harm
from tests.chaos.stage import Options

#: A calm beginning, and a calm end in which the last harm can heal under load.
CALM_BEGINNING_S = 12.0
CALM_END_S = 15.0
#: Harms come no closer than this on average: a worker needs ten seconds to be there again on a small machine.
CLOSEST_S = 4.0


@dataclass(frozen=True, slots=True)
class Planned:
    """A harm and when it begins, in seconds after the first event."""

    at_s: float
    harm: Harm


def make(options: Options, *, repairs_gaps: bool) -> list[Planned]:
    """Return the plan of a run, in order of time."""
    chance = random.Random(options.seed)
    harms = [harm for harm in HARMS for _ in range(harm.in_short if options.short else harm.times)]
    if options.only:
        named = [harm for harm in HARMS if any(name in harm.name for name in options.only)]
        harms = [harm for harm in named for _ in range(max(1, harm.in_short if options.short else harm.times))]
    harms = [harm for harm in harms if _fits(harm, options, repairs_gaps=repairs_gaps)]
    chance.shuffle(harms)
    span_s = max(1.0, options.seconds - CALM_BEGINNING_S - CALM_END_S)
    if not options.only:
        harms = harms[: int(span_s / CLOSEST_S)]
    pace_s = span_s / max(1, len(harms))
    return [
        Planned(CALM_BEGINNING_S + pace_s * (number + chance.uniform(0, 0.8)), harm)
        for number, harm in enumerate(harms)
    ]


def _fits(harm: Harm, options: Options, *, repairs_gaps: bool) -> bool:
    if any(name in harm.name for name in options.without):
        return False
    if harm.cuts and not repairs_gaps:
        return False
    if harm.needs_hosts and not options.hosts:
        return False
    return not (harm.needs_embedded and (options.broker != "redis" or options.hosts))

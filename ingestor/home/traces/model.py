"""A run of an automation or a script, and its steps; values alone."""

from __future__ import annotations

from typing import Any, Final

import msgspec

#: How runs end, in Home Assistant's words.
ERROR: Final = "error"
#: Nothing was tried: the conditions did not hold, or it was running already as often as its mode allows.
NOT_TRIED: Final = ("failed_conditions", "failed_single", "failed_max_runs")

#: An automation or a script for ever: its domain, and the id that stays when it is renamed.
Item = tuple[str, str]


class Child(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The run of a script that a step has called."""

    domain: str
    item_id: str
    run_id: str


class Step(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One step of a run. `path` says where it stands in the configuration: `action/0/choose/1/sequence/0`."""

    path: str
    time_us: int
    #: The service that it called, or the event that it fired.
    call: str = ""
    target: dict[str, Any] = {}
    data: dict[str, Any] = {}
    #: What the called service has answered, where the configuration asked for it.
    answer: Any = None
    #: Whatever else Home Assistant says came out: of a condition, a choice, a delay, a wait.
    result: dict[str, Any] = {}
    #: Variables that it changed, those of Home Assistant's own (`this`, `context`) left out.
    variables: dict[str, Any] = {}
    error: str = ""
    child: Child | None = None


class Run(msgspec.Struct, frozen=True, gc=False):
    """One run, in short. `result` is how it ended: finished, error, failed_conditions, ...; times are Unix µs."""

    domain: str
    item_id: str
    run_id: str
    started_us: int
    finished_us: int
    result: str
    error: str
    trigger: str
    last_step: str
    context_id: str
    parent_id: str
    user_id: str

    @property
    def item(self) -> Item:
        """What has run."""
        return self.domain, self.item_id


class Trace(msgspec.Struct, frozen=True, gc=False):
    """One run with all its steps, in the order in which they were done.

    `resolved` is the configuration that ran, where it comes from a blueprint: with its inputs put in. `cut`: so many
    steps were too many, or too large, to be kept.
    """

    run: Run
    steps: list[Step]
    resolved: dict[str, Any] | None = None
    cut: int = 0


class Failing(msgspec.Struct, frozen=True, gc=False):
    """An automation or script of which each of the newest runs has failed, and how the newest did."""

    domain: str
    item_id: str
    runs: int
    since_us: int
    last_us: int
    error: str
    last_step: str

    @property
    def item(self) -> Item:
        """What fails."""
        return self.domain, self.item_id

"""Fetches from Home Assistant the runs that are not kept yet: one question at a time, so many in one go.

Home Assistant keeps five runs of each automation and script; what ran more often in between is gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import structlog

from ingestor import errors
from ingestor.home.traces.model import Item, Run, Trace
from ingestor.home.traces.reading import read_run, read_trace

Row = Mapping[str, Any]
DOMAINS: Final = ("automation", "script")
#: With more that have run, all are listed: one long answer is less work for Home Assistant than many short ones.
MAX_ITEMS: Final = 20
#: A task has 25 s; what is not fetched by then is fetched the next time.
_WITHIN_S: Final = 15.0
_MAY_NOT: Final = "unauthorized"
_log = structlog.get_logger(__name__)


class Commands(Protocol):
    """What fetching needs of a client."""

    def command(self, type: str, **fields: Any) -> Any:  # noqa: A002 - it is called so in Home Assistant's messages
        """Send a command and return its result. Raises CommandRefused, HomeAssistantUnavailable."""
        ...


class Kept(Protocol):
    """What fetching needs of what keeps runs."""

    def known(self, home: str, run_ids: Iterable[str]) -> set[str]:
        """Return which of these runs are kept."""
        ...

    def add(self, home: str, traces: Iterable[Trace]) -> int:
        """Keep runs, each once; return how many were new."""
        ...


@dataclass(frozen=True, slots=True)
class Fetched:
    """What one fetching has brought. `left`: so many runs wait for the next; `may_not`: this token sees no traces.

    `runs` are those that were fetched, the oldest first.
    """

    new: int = 0
    left: int = 0
    may_not: bool = False
    runs: tuple[Run, ...] = field(default=(), compare=False)


def fetch_traces(
    home: str,
    client: Commands,
    kept: Kept,
    items: Sequence[Item] | None = None,
    *,
    most: int,
    within_s: float = _WITHIN_S,
    clock: Callable[[], float] = time.monotonic,
) -> Fetched:
    """Fetch new runs of these automations and scripts, or of all. Raises HomeAssistantUnavailable, StoreUnavailable."""
    until = clock() + within_s
    try:
        ended = [run for row in _listed(client, items) if (run := _ended(row)) is not None]
    except errors.CommandRefused as refusal:
        _log.info("traces_refused", home=home, reason=refusal.reason)
        return Fetched(may_not=refusal.reason == _MAY_NOT)
    known = kept.known(home, [run.run_id for run in ended])
    # The oldest first: those are the next that Home Assistant forgets.
    waiting = sorted((run for run in ended if run.run_id not in known), key=lambda run: run.started_us)
    traces: list[Trace] = []
    asked = 0
    for run in waiting[:most]:
        if clock() > until:
            break
        asked += 1
        if (trace := _trace(client, run.item, run.run_id)) is not None:
            traces.append(trace)
    return Fetched(kept.add(home, traces), len(waiting) - asked, runs=tuple(trace.run for trace in traces))


def _listed(client: Commands, items: Sequence[Item] | None) -> Iterator[Row]:
    if items is None or len(items) > MAX_ITEMS:
        asked: list[dict[str, str]] = [{"domain": domain} for domain in DOMAINS]
    else:
        asked = [{"domain": domain, "item_id": item_id} for domain, item_id in items]
    for fields in asked:
        answer = client.command("trace/list", **fields)
        yield from (row for row in (answer if isinstance(answer, list) else ()) if isinstance(row, dict))


def _ended(row: Row) -> Run | None:
    try:
        return read_run(row)
    except errors.Rejected:
        return None


def _trace(client: Commands, item: Item, run_id: str) -> Trace | None:
    """Return one run; None where Home Assistant has forgotten it since, or what it tells is no trace."""
    try:
        answer = client.command("trace/get", domain=item[0], item_id=item[1], run_id=run_id)
        return read_trace(answer) if isinstance(answer, dict) else None
    except (errors.CommandRefused, errors.Rejected) as error:
        _log.debug("trace_not_read", item=".".join(item), run_id=run_id, error=str(error))
        return None

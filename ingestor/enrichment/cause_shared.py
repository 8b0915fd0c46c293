"""Contexts that all workers of a home share, in the state server: packed logs by time, one round trip a batch.

A context's id says its time, so nobody needs an index. Two kinds of strings are appended to, each with an end of life:
- *runs* (automations, scripts, users): a line each, by 33 seconds; every worker reads on from where it was;
- *plain* contexts (changes without user and parent), of which any may become somebody's parent: the last 16 characters
  of the id, by second; read only where a parent is looked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec
import redis

from ingestor.enrichment.contexts import ULID_LENGTH, Run
from ingestor.queue.state import state_errors

#: Characters of the id that name a log: 7 are 32.8 seconds, 8 are 1.02 seconds.
RUNS_PREFIX: Final = 7
_PLAIN_PREFIX: Final = 8
_TIME: Final = 10
_CHANCE_LENGTH: Final = 16
#: A run may act for an hour after its start (delays, waits).
RUNS_LIFE_S: Final = 3600
#: A trigger with `for:` names a context of as long ago. A busy home's plain contexts are kept for two minutes only.
QUIET_LIFE_S: Final = 3600
BUSY_LIFE_S: Final = 120
#: At most 96 plain contexts a second are a quiet home's: an hour of them is 6 MB.
QUIET_BYTES: Final = 16 * 96
#: What a log may grow to; then nothing is added to it: 16,000 plain contexts a second, some 2,500 runs in 33 seconds.
MAX_LOG_BYTES: Final = 256 * 1024
#: Logs that are read or written for one batch, and whose ends a process remembers.
MAX_LOGS: Final = 64
_MAX_ENDS: Final = 512

_runs = msgspec.json.Decoder(Run)
_encoder = msgspec.json.Encoder()


@dataclass(slots=True)
class Exchange:
    """What a worker tells and asks for a batch, and the answers: `heard` runs of others."""

    home: str
    runs: list[Run] = field(default_factory=list)
    plain: list[str] = field(default_factory=list)
    #: Ids of contexts that others may have heard something of.
    about: Iterable[str] = ()
    #: Ids of parents that may be plain contexts which others heard.
    parents: Sequence[str] = ()
    heard: list[Run] = field(default_factory=list)


class SharedContexts(Protocol):
    """What workers of a home tell each other of contexts."""

    def exchange(self, exchange: Exchange) -> None:
        """Tell and ask, in one round trip at most. Raises StateUnavailable."""
        ...

    def has_plain(self, home: str, context_id: str) -> bool:
        """Tell whether somebody heard a plain context of that id, as far as was read. No I/O."""
        ...

    def forget(self, home: str) -> None:
        """Read the runs of this home from the start again: what was read is no longer remembered."""
        ...


class OwnContexts:
    """Nobody to share with: one process alone."""

    def exchange(self, exchange: Exchange) -> None:
        """Do nothing."""

    def has_plain(self, home: str, context_id: str) -> bool:  # noqa: ARG002 -- the port's
        """Nobody else hears anything."""
        return False

    def forget(self, home: str) -> None:
        """Do nothing."""


class MemoryContexts:
    """The logs within one process, for several workers: for tests. Each worker has its own, made with `beside`."""

    def __init__(self) -> None:
        self._runs: dict[str, list[Run]] = {}
        self._plain: dict[str, set[str]] = {}
        self._read: dict[str, int] = {}

    def beside(self) -> MemoryContexts:
        """Return what another worker of the same home holds."""
        other = MemoryContexts()
        other._runs, other._plain = self._runs, self._plain
        return other

    def exchange(self, exchange: Exchange) -> None:
        """Tell and ask."""
        runs = self._runs.setdefault(exchange.home, [])
        exchange.heard += runs[self._read.get(exchange.home, 0) :]
        runs += exchange.runs
        self._read[exchange.home] = len(runs)
        self._plain.setdefault(exchange.home, set()).update(exchange.plain)

    def has_plain(self, home: str, context_id: str) -> bool:
        """Tell whether somebody heard a plain context of that id."""
        return context_id in self._plain.get(home, ())

    def forget(self, home: str) -> None:
        """Read the runs of this home from the start again."""
        self._read[home] = 0


class RedisContexts:
    """The logs in the state server. One for each process."""

    def __init__(self, state: redis.Redis[bytes]) -> None:
        self._state = state
        #: How far each log of runs was read.
        self._ends: dict[str, int] = {}
        #: Logs of plain contexts as far as they were read.
        self._plain: dict[str, bytearray] = {}
        #: How long the logs are that were written to.
        self._lengths: dict[str, int] = {}

    def exchange(self, exchange: Exchange) -> None:
        """Tell and ask, in one round trip at most. Raises StateUnavailable."""
        runs, plain, tell = self._runs_to_read(exchange), self._plain_to_read(exchange), self._to_write(exchange)
        if not runs and not plain and not tell:
            return
        pipe = self._state.pipeline(transaction=False)
        # Told first, asked then: of two workers that each hold a part of a story, one at least hears of the other's.
        for key, content, life_s in tell:
            pipe.append(key, content)
            pipe.expire(key, life_s)
        for key in runs:
            pipe.getrange(key, self._ends.get(key, 0), -1)
        for key in plain:
            pipe.getrange(key, len(self._plain.get(key, b"")), -1)
        with state_errors():
            answers = pipe.execute(raise_on_error=True)
        lengths, answers = answers[: 2 * len(tell) : 2], answers[2 * len(tell) :]
        told = {key: (content, length) for (key, content, _), length in zip(tell, lengths, strict=True)}
        for key, answer in zip(runs, answers, strict=False):
            exchange.heard += _decoded(self._others(key, answer, told.get(key)))
        for key, answer in zip(plain, answers[len(runs) :], strict=True):
            self._plain.setdefault(key, bytearray()).extend(answer)
        self._lengths.update((key, length) for key, (_, length) in told.items())
        self._bound()

    def _others(self, key: str, answer: bytes, told: tuple[bytes, int] | None) -> bytes:
        """Return what others wrote of a log that was read on; `told`: what this one wrote, and how long it was then."""
        end = self._ends.get(key, 0)
        self._ends[key] = end + len(answer)
        if told is None:
            return answer
        content, length = told
        if end > length - len(content):
            self._ends[key] = 0  # the state server lost it meanwhile
            return b""
        own = length - len(content) - end
        return answer[:own] + answer[own + len(content) :]

    def has_plain(self, home: str, context_id: str) -> bool:
        """Tell whether somebody heard a plain context of that id, as far as was read. No I/O."""
        if len(context_id) != ULID_LENGTH:
            return False
        log = self._plain.get(_plain_key(home, context_id[:_PLAIN_PREFIX]))
        return log is not None and _has(log, context_id[_TIME:].encode("ascii", "replace"))

    def forget(self, home: str) -> None:
        """Read the runs of this home from the start again."""
        start = _runs_key(home, "")
        self._ends = {key: end for key, end in self._ends.items() if not key.startswith(start)}

    def _runs_to_read(self, exchange: Exchange) -> list[str]:
        logs = {context_id[:RUNS_PREFIX] for context_id in exchange.about if len(context_id) == ULID_LENGTH}
        # The newest first: where there are more than may be read, the oldest have the least to say.
        return [_runs_key(exchange.home, prefix) for prefix in sorted(logs, reverse=True)[:MAX_LOGS]]

    def _plain_to_read(self, exchange: Exchange) -> list[str]:
        logs = {parent[:_PLAIN_PREFIX] for parent in exchange.parents if len(parent) == ULID_LENGTH}
        return [_plain_key(exchange.home, prefix) for prefix in sorted(logs, reverse=True)[:MAX_LOGS]]

    def _to_write(self, exchange: Exchange) -> list[tuple[str, bytes, int]]:
        """Return what to append to which log, and how long it lives then."""
        home = exchange.home
        found: dict[str, list[bytes]] = {}
        for run in exchange.runs:
            if len(run.context_id) == ULID_LENGTH:
                line = _encoder.encode(run) + b"\n"
                found.setdefault(_runs_key(home, run.context_id[:RUNS_PREFIX]), []).append(line)
        told = [(key, b"".join(lines), RUNS_LIFE_S) for key, lines in found.items()]
        packed: dict[str, list[str]] = {}
        for context_id in exchange.plain:
            if len(context_id) == ULID_LENGTH:
                packed.setdefault(context_id[:_PLAIN_PREFIX], []).append(context_id[_TIME:])
        for prefix, ends in packed.items():
            key = _plain_key(home, prefix)
            quiet = self._lengths.get(key, 0) + len(ends) * _CHANCE_LENGTH <= QUIET_BYTES
            told.append((key, "".join(ends).encode("ascii", "replace"), QUIET_LIFE_S if quiet else BUSY_LIFE_S))
        return [one for one in told[:MAX_LOGS] if self._lengths.get(one[0], 0) < MAX_LOG_BYTES]

    def _bound(self) -> None:
        for some in (self._plain, self._ends, self._lengths):
            most = MAX_LOGS if some is self._plain else _MAX_ENDS
            while len(some) > most:
                del some[next(iter(some))]


def _decoded(lines: bytes) -> list[Run]:
    """Return the runs of some lines; one that is none of ours costs itself."""
    found: list[Run] = []
    for line in lines.splitlines():
        try:
            found.append(_runs.decode(line))
        except (msgspec.DecodeError, msgspec.ValidationError):
            continue
    return found


def _has(log: bytearray, packed: bytes) -> bool:
    """Tell whether it is in the log, at a place where one begins."""
    at = log.find(packed)
    while at >= 0 and at % _CHANCE_LENGTH:
        at = log.find(packed, at + 1)
    return at >= 0


def _runs_key(home: str, prefix: str) -> str:
    return f"ha_ingestor:contexts:{home}:runs:{prefix}"


def _plain_key(home: str, prefix: str) -> str:
    return f"ha_ingestor:contexts:{home}:plain:{prefix}"

"""What the operator of `make run` sees: where things are, what happens, and one line that keeps counting."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from ingestor import bootstrap

if TYPE_CHECKING:
    from ingestor.queue.status_board import StatusBoard
    from ingestor.settings import Settings

_EVERY_S = 1.0
#: Off a terminal (a log file, CI) a line a second would be noise.
_EVERY_S_PLAIN = 10.0
#: A batch that waits so long at the least says that a step of the way stands still.
_LONG_S = 15.0
_MINUTE_S = 60
_STARTING = "starting: the first events are here within half a minute"


@dataclass(frozen=True, slots=True)
class Reading:
    """The sums of what the listeners report."""

    written: int
    rejected: int
    rate: float
    pending: int
    connected: int
    listeners: int
    lag_ms: float
    oldest_s: float
    error: str


class Screen:
    """Prints to one stream. On a terminal the last line is rewritten in place."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._live = out.isatty()
        self._board: StatusBoard | None = None
        self._next_at = 0.0
        self._counted: dict[str, Mapping[str, int]] = {}
        self._line_shown = False
        self._heard = False

    def say(self, sentence: str) -> None:
        """Print a line of news above the status line."""
        self._clear()
        self._out.write(f"{time.strftime('%H:%M:%S')}  {sentence}\n")
        self._out.flush()

    def banner(self, settings: Settings, *, demo: bool) -> None:
        """Print where things are."""
        self._board = bootstrap.open_status_board(settings)
        self._clear()
        for line in banner_lines(settings, demo=demo):
            self._out.write(line + "\n")
        self._out.flush()

    def tick(self) -> None:
        """Renew the status line when it is due."""
        now = time.monotonic()
        if self._board is None or now < self._next_at:
            return
        self._next_at = now + (_EVERY_S if self._live else _EVERY_S_PLAIN)
        board = self._board.all()
        # What a listener has counted is kept while it is started again: the line goes on counting.
        self._counted |= counted_by(board)
        reading = sum_up(board, self._counted)
        self._heard = self._heard or reading.listeners > 0
        self._show(status_line(reading) if self._heard else _STARTING)

    def _show(self, line: str) -> None:
        text = f"{time.strftime('%H:%M:%S')}  {line}"
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            self._out.write(f"\r\x1b[2K{text[:width]}")
            self._line_shown = True
        else:
            self._out.write(text + "\n")
        self._out.flush()

    def _clear(self) -> None:
        if self._line_shown:
            self._out.write("\r\x1b[2K")
            self._line_shown = False


def banner_lines(settings: Settings, *, demo: bool) -> list[str]:
    """Return the lines that tell where things are and how to look at the events."""
    flower = f"http://{settings.flower.host}:{settings.flower.port}"
    password = "password in data folder: flower-password" if settings.flower.password is None else "password as set"
    homes = ", ".join(home.name for home in settings.all_homes())
    return [
        "",
        "  HA-Ingestor is running"
        + (" with the demo home: no Home Assistant is configured." if demo else f": {homes}."),
        "",
        f"  API      http://{settings.api.host}:{settings.api.port}   (/api/health, /metrics; key: ha-ingestor key)",
        f"  Flower   {flower}   (user {settings.flower.user}, {password})"
        if settings.flower.enabled
        else "  Flower   off",
        f"  Data     {settings.data_dir.absolute()}   (logs in logs/)",
        f"  Store    {settings.storage.url}",
        "  Events   .venv/bin/ha-ingestor events        State   .venv/bin/ha-ingestor status",
        *(
            ["  Your own HA_INGESTOR_HOMEASSISTANT__URL=http://… HA_INGESTOR_HOMEASSISTANT__TOKEN=… make run"]
            if demo
            else []
        ),
        "  Stop     Ctrl-C",
        "",
    ]


def counted_by(board: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, int]]:
    """Return what each listener on the status board has counted, by outcome."""
    told = {key: (entry.get("intake") or {}).get("counts") for key, entry in _listeners(board).items()}
    return {key: counts for key, counts in told.items() if counts}


def sum_up(board: Mapping[str, Mapping[str, Any]], counted: Mapping[str, Mapping[str, int]]) -> Reading:
    """Add up what the listeners put on the status board, and what they have counted."""
    listeners = list(_listeners(board).values())
    intakes = [entry.get("intake", {}) for entry in listeners]

    def total(name: str) -> int:
        return sum(int(counts.get(name, 0)) for counts in counted.values())

    return Reading(
        written=total("written"),
        rejected=total("rejected"),
        rate=sum(float(intake.get("written_per_s", 0.0)) for intake in intakes),
        pending=sum(int(intake.get("pending_batches", 0)) for intake in intakes),
        connected=sum(1 for entry in listeners if entry.get("connected")),
        listeners=sum(1 for entry in listeners if not entry.get("standing_by")),
        lag_ms=max((float(intake.get("lag_ms", 0.0)) for intake in intakes), default=0.0),
        oldest_s=max((float(intake.get("oldest_pending_s") or 0.0) for intake in intakes), default=0.0),
        error=next((str(entry["last_error"]) for entry in listeners if entry.get("last_error")), ""),
    )


def _listeners(board: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {key: entry for key, entry in board.items() if key.startswith("listener")}


def status_line(reading: Reading) -> str:
    """Return the one line that keeps counting: within 80 columns while all is well, what is wrong at its beginning."""
    parts = [f"{reading.written:,} stored", f"{reading.rate:,.1f}/s", f"lag {_duration(reading.lag_ms / 1000)}"]
    if reading.connected < reading.listeners:
        parts.insert(0, f"NOT CONNECTED ({reading.connected} of {reading.listeners})")
    if reading.oldest_s > _LONG_S:
        parts.append(f"batches wait for {_duration(reading.oldest_s)}: see `ha-ingestor doctor`")
    parts += [f"{reading.pending} in journal", f"{reading.rejected} rejected"]
    if reading.connected == reading.listeners:
        parts.append(f"{reading.connected} connected")
    elif reading.error:
        parts.append(reading.error)
    return " · ".join(parts)


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:,.1f} s" if seconds < _MINUTE_S else f"{seconds / _MINUTE_S:,.0f} min"

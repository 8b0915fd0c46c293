"""The command `status`: how the installation is, once or every second."""
# ruff: noqa: PLC0415 -- rich and the servers' clients are loaded when they are needed

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ingestor import errors
from ingestor.cli.options import JsonFlag, settings_of
from ingestor.cli.output import make_table, print_json
from ingestor.cli.reconcile import sentence, summary_object
from ingestor.wording import number_of

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ingestor.api.overview import Observer, Overview, ReportsSeen
    from ingestor.queue.names import TaskType
    from ingestor.queue.pauses import Pause
    from ingestor.settings import Settings

_BETWEEN_S: Final = 1.0
#: Counts come into the ledger every 10 s; later than this they are late.
_LEDGER_LATE_S: Final = 60.0
_Row = tuple[str, str]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Reading")(status)


def status(
    context: typer.Context,
    *,
    as_json: JsonFlag = False,
    watch: Annotated[bool, typer.Option("--watch", help="Renew every second until Ctrl-C.")] = False,
) -> None:
    """Print connections, rates, queues, workers, lag, journal, quarantine and the last error."""
    from ingestor.api.overview import Observer

    settings = settings_of(context)
    observer = Observer(settings)
    try:
        if watch and not as_json:
            _watch(observer)
        else:
            now = observer.read()
            _print(now, as_json=as_json)
            _require_board(now, settings)
    finally:
        observer.close()


def _require_board(now: Overview, settings: Settings) -> None:
    """Say so where nothing is known because nothing runs here: zeros alone look like a quiet home."""
    if now.listeners is None:
        raise errors.StateUnavailable(
            "the state server does not answer, so little is known: does `ha-ingestor up` run with the data folder"
            f" {settings.data_dir}? (HA_INGESTOR_DATA_DIR and HA_INGESTOR_STATE__URL say where to look)"
        )


def _print(now: Overview, *, as_json: bool) -> None:
    if as_json:
        print_json(as_object(now))
        return
    from rich.console import Console

    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 160).print(_page(now))


def _watch(observer: Observer) -> None:
    from rich.console import Console
    from rich.live import Live

    first = observer.read()
    with Live(console=Console(file=sys.stdout), screen=False, auto_refresh=False) as live:
        try:
            while True:
                live.update(_page(observer.read(), first), refresh=True)
                time.sleep(_BETWEEN_S)
        except KeyboardInterrupt:
            return


def as_object(now: Overview) -> dict[str, Any]:
    """Return what `--json` prints."""
    from ingestor.api.weather import as_object as weather_object
    from ingestor.reading.outgoing import hooks_object, line_state

    return {
        "listeners": now.listeners,
        "written_per_s": now.written_per_s(),
        "counts": now.counts(),
        "queues": now.queues,
        "workers": now.workers,
        "paused": None
        if now.pauses is None
        else {kind.value: {"by": one.by, "since_us": one.since_us} for kind, one in now.pauses.items()},
        "lag_ms": {"p50": now.lag.percentile_ms(0.5), "p95": now.lag.percentile_ms(0.95), "batches": now.lag.count},
        "journal": now.journal(),
        "store": now.store.as_dict() if now.store else None,
        "quarantine": now.quarantine,
        "quarantine_reasons": now.quarantine_reasons,
        "gaps": now.gaps,
        "reconciled": None if now.reconciled is None else [summary_object(home) for home in now.reconciled],
        "ledger": ledger_as_object(now),
        "weather_api": None
        if now.weather is None
        else {home: weather_object(one) for home, one in now.weather.items()},
        "reports": None if now.reports is None else _reports_object(now.reports),
        "webhooks": None if now.webhooks is None else hooks_object(now.webhooks),
        "mqtt_out": asdict(line_state(now.mqtt_out)) if now.mqtt_out else None,
        "last_error": now.last_error(),
        "problems": now.problems,
    }


def _reports_object(seen: ReportsSeen) -> dict[str, Any]:
    newest = [{"id": one.id, "end_us": one.end_us, "figures": dict(one.figures)} for one in seen.newest]
    return {"newest": newest, "alerts": dict(seen.alerts), "deliveries": dict(seen.deliveries)}


def _page(now: Overview, first: Overview | None = None) -> RenderableType:
    from rich.console import Group

    return Group(
        make_table(["listener", "connected", "frames", "waiting", "last error"], _listener_rows(now)),
        make_table(["queue", "batches", "worker nodes", "processes"], _queue_rows(now)),
        make_table(["", ""], _summary(now, first)),
    )


def _listener_rows(now: Overview) -> Iterator[list[str]]:
    for entry in now.listeners or ():
        intake = entry.get("intake") or {}
        yield [
            str(entry["name"]),
            "stands by" if entry.get("standing_by") else "yes" if entry.get("connected") else "NO",
            f"{int(entry.get('frames', entry.get('messages', 0))):,}",
            f"{int(intake.get('pending_batches', 0)):,} batches",
            str(entry.get("last_error") or ""),
        ]


def _queue_rows(now: Overview) -> Iterator[list[str]]:
    workers = now.workers or {}
    for name, depth in (now.queues or {}).items():
        serves = workers.get(name) or {}
        yield [name, f"{depth:,}", str(serves.get("nodes", "")), str(serves.get("processes", ""))]
    for name in sorted(set(workers) - set(now.queues or {})):
        yield [name, "", str(workers[name]["nodes"]), str(workers[name]["processes"])]


def _summary(now: Overview, first: Overview | None) -> Iterator[_Row]:
    counts, journal = now.counts(), now.journal()
    recent = now.lag.since(first.lag) if first else now.lag
    lag = recent if recent.count else now.lag
    yield "events", " · ".join(f"{name} {number:,}" for name, number in counts.items())
    yield "rate", f"{now.written_per_s():,.1f} events/s stored"
    yield "lag", f"p50 {_ms(lag.percentile_ms(0.5))} · p95 {_ms(lag.percentile_ms(0.95))}"
    if now.pauses:
        yield "PAUSED", _paused(now.pauses)
    yield "journal", f"{journal['pending_batches']:,} batches · {journal['bytes_on_disk']:,} bytes"
    yield "store", "unknown" if now.store is None else now.store.sentence()
    yield "ledger", _ledger(now)
    yield "quarantine", _quarantine(now.quarantine_reasons)
    yield "gaps", "unknown" if now.gaps is None else " · ".join(f"{count} {state}" for state, count in now.gaps.items())
    yield "reconciled", _reconciled(now)
    yield "weather", _weather(now)
    yield "reports", _reports(now)
    yield from _outgoing(now)
    yield "last error", now.last_error() or "none"


def _paused(pauses: Mapping[TaskType, Pause]) -> str:
    from ingestor.api.health_pauses import sentence as paused_sentence

    return paused_sentence(pauses)


def _reconciled(now: Overview) -> str:
    if now.reconciled is None:
        return "unknown"
    return "\n".join(f"{home.home}: {sentence(home)}" for home in now.reconciled) or "no hour yet"


def _reports(now: Overview) -> str:
    from ingestor.reports.words import number

    if now.reports is None:
        return "unknown"
    words = [f"{one.id}: score {number(one.figures.get('score'))}" for one in now.reports.newest] or ["none yet"]
    if alerts := sum(now.reports.alerts.values()):
        words.append(number_of(alerts, "alert"))
    words += [f"{count:,} {state}" for state, count in now.reports.deliveries.items() if count]
    return " · ".join(words)


def _outgoing(now: Overview) -> Iterator[_Row]:
    from ingestor.reading.outgoing import hooks_sentence, line_state

    yield "webhooks", "unknown" if now.webhooks is None else hooks_sentence(now.webhooks)
    if now.mqtt_out:
        yield "MQTT out", line_state(now.mqtt_out).says


def _weather(now: Overview) -> str:
    from ingestor.api.weather import sentence as weather_sentence

    if now.weather is None:
        return "unknown"
    return "\n".join(f"{home}: {weather_sentence(one)}" for home, one in now.weather.items()) or "not asked for"


def ledger_as_object(now: Overview) -> dict[str, Any] | None:
    """Return the last 24 hours of the ledger, and for how long a listener's counts wait to come into it."""
    if now.ledger is None:
        return None
    total = now.ledger.total
    return {
        "received": total.total,
        "in_flight": total.in_flight,
        "lost": total.lost,
        "recovered": total.recovered,
        "unbalanced": now.ledger.unbalanced,
        "waiting_s": now.ledger_behind_s(),
    }


def _ledger(now: Overview) -> str:
    if now.ledger is None:
        return "unknown"
    total, wrong = now.ledger.total, now.ledger.unbalanced
    lost = f"lost {total.lost:,}" + (f" (read back {total.recovered:,})" if total.recovered else "")
    words = [f"24 h: received {total.total:,}", lost, f"in flight {total.in_flight:,}"]
    words.append(("1 row DOES" if wrong == 1 else f"{wrong:,} rows DO") + " NOT BALANCE" if wrong else "balances")
    if now.ledger_behind_s() > _LEDGER_LATE_S:
        words.append(f"counts wait for the database for {now.ledger_behind_s():,.0f} s")
    return " · ".join(words)


def _quarantine(reasons: dict[str, int] | None) -> str:
    if reasons is None:
        return "unknown"
    commonest = sorted(reasons.items(), key=lambda item: -item[1])[:5]
    told = ", ".join(f"{pieces:,} {reason}" for reason, pieces in commonest)
    return number_of(sum(reasons.values()), "piece") + (f": {told}" if told else "")


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f} ms"

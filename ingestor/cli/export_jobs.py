"""Export jobs on the command line: one that is waited for, and the command `exports` that lists and removes them."""
# ruff: noqa: PLC0415 -- Celery and the store are loaded when they are needed

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ingestor import bootstrap, errors
from ingestor.cli.options import JsonFlag, settings_of
from ingestor.cli.output import print_json, print_table, progress_bar, say
from ingestor.export.jobs.job import OPEN
from ingestor.managing.workers import whoever_runs_this
from ingestor.reading.times import rfc3339_of_ns
from ingestor.wording import number_of

if TYPE_CHECKING:
    from ingestor.export.jobs.job import ExportJob
    from ingestor.export.jobs.shelf import ExportShelf
    from ingestor.managing.exports import ExportAdmin
    from ingestor.storage.port import EventQuery

_LOOK_EVERY_S: Final = 0.2
_MB: Final = 1_000_000
_COLUMNS: Final = ("id", "name", "form", "state", "done", "events", "MB", "expires", "error")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Reading")(exports)


def exports(
    context: typer.Context,
    *,
    remove: Annotated[str | None, typer.Option(metavar="ID", help="Remove this job and its file.")] = None,
    json_output: JsonFlag = False,
) -> None:
    """List the files that workers make or have made (`export --job`, POST /api/v1/exports), or remove one."""
    if remove is not None:
        _admin(context).remove(whoever_runs_this(), remove)
        say(f"removed {remove}")
        return
    jobs = bootstrap.open_export_shelf(settings_of(context)).all()
    if json_output:
        print_json([_told(job) for job in jobs])
    else:
        print_table(_COLUMNS, [_row(job) for job in jobs])


def make_by_job(
    context: typer.Context, query: EventQuery, *, form: str, packed: str | None, name: str | None, patience_s: float
) -> Path:
    """Have a worker make a file, and wait for it; return where it is. Ctrl-C leaves the job running.

    Raises Fatal where it failed, NobodyListens where no job has moved for `patience_s`.
    """
    shelf = bootstrap.open_export_shelf(settings_of(context))
    job = _admin(context).begin(whoever_runs_this(), query, form=form, packed=packed, name=name)
    say(f"job {job.job_id}: it goes on without this command; `ha-ingestor exports` tells how far it is")
    moving = _Moving(shelf, patience_s)
    with progress_bar("exporting") as move:
        while (job := shelf.read(job.job_id)).state in OPEN:
            move(job.share, f"{job.rows:,} events, {job.state}")
            moving.require(job)
            time.sleep(_LOOK_EVERY_S)
        move(job.share, f"{job.rows:,} events")
    if job.state != "ready":
        raise errors.Fatal(f"the export failed: {job.error or job.state}")
    took_s = (job.finished_us - job.started_us) / 1e6
    say(f"{number_of(job.rows, 'event')} ({job.size / _MB:.1f} MB, {took_s:.1f} s)")
    return shelf.folder_of(job.job_id) / "file"


class _Moving:
    """Sees whether anybody works on export jobs: one that waits behind another moves with that."""

    def __init__(self, shelf: ExportShelf, patience_s: float) -> None:
        self._shelf = shelf
        self._patience_s = patience_s
        self._before: list[ExportJob] = []
        self._moved_s = time.monotonic()

    def require(self, job: ExportJob) -> None:
        """Raise NobodyListens where nothing has moved for too long; the job stays."""
        jobs, now_s = self._shelf.all(), time.monotonic()
        if jobs != self._before:
            self._before, self._moved_s = jobs, now_s
        elif now_s - self._moved_s > self._patience_s:
            raise errors.NobodyListens(
                f"nothing has moved for {self._patience_s:g} s: does `ha-ingestor up` run, is `history` paused"
                f" (`ha-ingestor status`)? The job {job.job_id} stays, and is made when workers come: `ha-ingestor"
                f" exports` lists it, `ha-ingestor exports --remove {job.job_id}` removes it"
            )


def _admin(context: typer.Context) -> ExportAdmin:
    from ingestor.managing.exports import ExportAdmin
    from ingestor.queue.app import make_app
    from ingestor.security.audit import Audit

    settings = settings_of(context)
    shelf = bootstrap.open_export_shelf(settings)
    return ExportAdmin(shelf, Audit(settings.data_dir), make_app(settings.broker_url))


def _row(job: ExportJob) -> list[str]:
    size = f"{job.size / _MB:.1f}" if job.size else ""
    expires = rfc3339_of_ns(job.expires_us * 1000)[:16] if job.expires_us else ""
    done = f"{job.share:.0%}"
    return [job.job_id, job.name, job.form, job.state, done, f"{job.rows:,}", size, expires, job.error]


def _told(job: ExportJob) -> dict[str, Any]:
    return {
        "id": job.job_id,
        "name": job.name,
        "format": job.form,
        "compression": job.packed,
        "state": job.state,
        "progress": round(job.share, 4),
        "rows": job.rows,
        "bytes": job.size,
        "eta_s": job.eta_s(),
        "error": job.error or None,
        "created_by": job.by,
    }

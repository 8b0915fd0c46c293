"""Works on an export job, step by step: reads slices from the store, then has them joined to one file.

A step that is killed costs the slice that it was reading. The file is joined by a process of its own, since no form can
be begun anew in its middle; it may take longer than a task may.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import structlog

from ingestor import errors
from ingestor.export.jobs import join as joining
from ingestor.export.jobs.job import OPEN, ExportJob
from ingestor.export.jobs.shelf import ExportShelf
from ingestor.export.jobs.slices import write_slice
from ingestor.export.reading import portions
from ingestor.storage.port import EventQuery, Store

_log: Final = structlog.get_logger(__name__)
_LOOK_EVERY_S: Final = 0.1
#: A process that ends again and again is not started for ever.
_MOST_JOINS: Final = 10
#: With a step's own time it is below a task's limit.
_BEGINS_WITHIN_S: Final = 12.0
#: Slices between two looks at the disk.
_LOOK_AT_ROOM: Final = 10


def step(shelf: ExportShelf, job_id: str, open_store: Callable[[], Store], *, for_s: float) -> bool:
    """Work on a job for so long; return whether there is more to do. Raises Transient where the store is away."""
    with shelf.at_work(job_id) as mine:
        if not mine:
            return False
        job = shelf.read(job_id)
        if job.state not in OPEN:
            return False
        try:
            return _step(shelf, job, open_store, time.monotonic() + for_s)
        except (errors.Conflict, errors.Rejected, errors.Fatal, OSError) as error:
            _fail(shelf, job, error)
            return False


def _step(shelf: ExportShelf, job: ExportJob, open_store: Callable[[], Store], until_s: float) -> bool:
    if job.state == "waiting":
        shelf.require_room()
        job.state, job.started_us = "reading", time.time_ns() // 1000
        shelf.save(job)
    if job.state == "reading":
        store = open_store()
        try:
            if not _read(shelf, job, store, until_s):
                return True
        finally:
            store.close()
        job.state = "joining"
        shelf.save(job)
    return not _join(shelf, job, until_s)


def _read(shelf: ExportShelf, job: ExportJob, store: Store, until_s: float) -> bool:
    """Read slices until the time is over; return whether all is read."""
    job.until_ns = job.created_us * 1000 if job.query.until_ns is None else job.query.until_ns
    left = replace(
        job.query,
        since_ns=job.next_ns or job.query.since_ns,
        until_ns=job.until_ns,
        limit=job.query.limit - job.rows,
    )
    for events in portions(store, left) if left.limit > 0 else ():
        if not job.first_ns:
            job.first_ns = job.query.since_ns or events[0].time_ns
        write_slice(shelf.folder_of(job.job_id), job.slices, events)
        # Events of one moment are never torn apart, so the next slice begins behind it.
        job.next_ns = events[-1].time_ns + 1
        job.rows += len(events)
        job.slices += 1
        shelf.save(job)
        if job.slices % _LOOK_AT_ROOM == 0:
            shelf.require_room()
        if time.monotonic() >= until_s:
            return False
    return True


def _join(shelf: ExportShelf, job: ExportJob, until_s: float) -> bool:
    """Have the slices joined, and wait for it until then; return whether the job has ended."""
    folder = shelf.folder_of(job.job_id)
    while True:
        joining.want(folder)
        told = joining.joined(folder)
        if told.error:
            raise errors.Conflict(f"the file was not made: {told.error}")
        if told.done:
            _end(shelf, job, told)
            return True
        if not joining.is_joining(folder):
            if job.joins >= _MOST_JOINS:
                raise errors.Conflict(f"what makes the file ended {job.joins} times; see join.log in {folder}")
            job.joins += 1
            shelf.save(job)
            joining.start(folder)
            _await_begin(folder)
        if told.rows != job.joined:
            job.joined = told.rows
            shelf.save(job)
        if time.monotonic() >= until_s:
            return False
        time.sleep(_LOOK_EVERY_S)


def _await_begin(folder: Path) -> None:
    """Wait for a process to be at work: on a busy machine it takes a while to start, and two would be no quicker."""
    until_s = time.monotonic() + _BEGINS_WITHIN_S
    while not (joining.is_joining(folder) or joining.joined(folder).done) and time.monotonic() < until_s:
        time.sleep(_LOOK_EVERY_S)


def _end(shelf: ExportShelf, job: ExportJob, told: joining.Joined) -> None:
    shelf.clear(job, parts_alone=True)
    job.state, job.size, job.joined = "ready", told.size, job.rows
    job.etag = f'"{told.digest}"'
    job.finished_us, job.expires_us = time.time_ns() // 1000, shelf.expires_us()
    shelf.save(job)
    _log.info("export_ready", job=job.job_id, rows=job.rows, bytes=job.size)


def _fail(shelf: ExportShelf, job: ExportJob, error: Exception) -> None:
    job.state, job.error = "failed", str(error)[:500]
    job.finished_us, job.expires_us = time.time_ns() // 1000, shelf.expires_us()
    shelf.clear(job)
    shelf.save(job)
    _log.warning("export_failed", job=job.job_id, error=job.error, kind=type(error).__name__)


def query_for_job(query: EventQuery, now_ns: int) -> EventQuery:
    """Return a query that a job may ask: where it says no end it ends now."""
    return query if query.until_ns is not None else replace(query, until_ns=now_ns)

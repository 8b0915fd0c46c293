"""Begin and remove export jobs: the same for the command line and the API."""

from __future__ import annotations

import contextlib
import re
import time
from typing import Final

from celery import Celery

from ingestor import errors
from ingestor.export.files import PACKERS
from ingestor.export.forms import form_of
from ingestor.export.jobs.job import ExportJob
from ingestor.export.jobs.shelf import ExportShelf, new_id
from ingestor.export.jobs.work import query_for_job
from ingestor.queue import names
from ingestor.queue.asking import ask_quickly
from ingestor.security.access import Action, Principal, authorize
from ingestor.security.audit import Audit
from ingestor.storage.port import EventQuery

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)


class ExportAdmin:
    """Acts on the jobs of one installation. `app` is what asks the workers."""

    def __init__(self, shelf: ExportShelf, audit: Audit, app: Celery) -> None:
        self._shelf = shelf
        self._audit = audit
        self._app = app

    def begin(
        self, who: Principal, query: EventQuery, *, form: str, packed: str | None, name: str | None, **about: str
    ) -> ExportJob:
        """Begin a job. Raises NotFound, Rejected for what cannot be asked, Conflict where there is no room."""
        authorize(who, Action.EXPORT_DATA)
        chosen, now_ns = form_of(form), time.time_ns()
        name = name or f"events-{time.strftime('%Y-%m-%dT%H%M%SZ', time.gmtime(now_ns / 1e9))}"
        if not _NAME.fullmatch(name):
            raise errors.Rejected("invalid_name", f"{name!r:.100} may have letters, digits, dots, - and _")
        if packed is not None and packed not in PACKERS:
            raise errors.Rejected("invalid_packing", f"{packed!r:.40} is none of {', '.join(PACKERS)}")
        job = ExportJob(
            job_id=new_id(),
            name=name,
            form=chosen.name,
            packed=None if chosen.is_packed else packed,
            query=query_for_job(query, now_ns),
            by=who.name,
            created_us=now_ns // 1000,
        )
        self._shelf.require_room()
        self._audit.note(who, Action.EXPORT_DATA, {"begin": job.job_id, "name": name, "form": form, **about})
        self._shelf.add(job)
        with contextlib.suppress(errors.BrokerUnavailable):  # beat looks for it
            ask_quickly(self._app, names.EXPORT_STEP, names.TaskType.HISTORY, job.job_id, expires_s=60)
        return job

    def remove(self, who: Principal, job_id: str, **about: str) -> None:
        """Remove a job and its file; who works on it stops. Raises NotFound."""
        authorize(who, Action.EXPORT_DATA)
        self._shelf.read(job_id)
        self._audit.note(who, Action.EXPORT_DATA, {"remove": job_id, **about})
        self._shelf.remove(job_id)

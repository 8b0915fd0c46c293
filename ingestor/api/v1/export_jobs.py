"""`/exports`: large files that workers make, to be fetched when they are ready, also in parts."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, StringConstraints
from starlette.exceptions import HTTPException
from starlette.responses import MalformedRangeHeader, RangeNotSatisfiable

from ingestor import errors
from ingestor.api.accepting import check_accepts
from ingestor.api.answers import NOT_FOUND, Asking, Page, as_json, json_answer, may_read, whole
from ingestor.api.description import problem_response
from ingestor.api.etag import known_tags, names_tag
from ingestor.api.gate import principal_of
from ingestor.api.health_pauses import sentence
from ingestor.api.v1.events import looked_up, query_of
from ingestor.api.v1.exports import MOST_EVENTS, ExportFilters, FormName, Packed, accepted
from ingestor.export.forms import FORMS
from ingestor.export.jobs.job import OPEN, ExportJob
from ingestor.export.jobs.join import FILE
from ingestor.export.jobs.shelf import ExportShelf
from ingestor.managing.exports import ExportAdmin
from ingestor.queue.names import TaskType
from ingestor.queue.pauses import Pauses
from ingestor.reading.times import rfc3339_of_ns
from ingestor.security.access import Action, authorize

router: Final = APIRouter(prefix="/api/v1", tags=["events"], dependencies=[Depends(may_read)])
_ALL: Final = 2**62
_GONE: Final = 410
_NO_SUCH_PART: Final = 416
_SUFFIXES: Final = {"zstd": "zst", "gzip": "gz"}
_PACKED_TYPES: Final = {"zstd": "application/zstd", "gzip": "application/gzip"}
_CONTENT: Final[dict[str, Any]] = {
    **{form.media_type.partition(";")[0]: {} for form in FORMS.values()},
    **{media_type: {} for media_type in _PACKED_TYPES.values()},
}
JobId = Annotated[str, Path(description="As `id` says.", max_length=100)]
_NO_ROOM: Final[dict[int | str, dict[str, Any]]] = {
    409: problem_response("There is no room: too many jobs, too many bytes, or the disk is nearly full."),
    **NOT_FOUND,
}
_FILE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The file.", "content": _CONTENT},
    206: {"description": "The part of it that `Range` asks for.", "content": _CONTENT},
    409: problem_response("It is not ready yet (`Retry-After`), or it has failed."),
    410: problem_response("It was removed: files are kept for `export.keep_hours`."),
    416: problem_response("The file has no such part."),
    **NOT_FOUND,
}


class ExportedFile(FileResponse):
    """A file, or parts of it; a `Range` that cannot be understood is ignored (RFC 9110, 14.2)."""

    @classmethod
    def _parse_range_header(cls, http_range: str, file_size: int) -> list[tuple[int, int]]:
        try:
            return super()._parse_range_header(http_range, file_size)
        except MalformedRangeHeader:
            return []  # the whole file
        except RangeNotSatisfiable:
            has, headers = f"the file has {file_size:,} bytes", {"Content-Range": f"bytes */{file_size}"}
            raise HTTPException(_NO_SUCH_PART, f"{has}, and none where Range asks for them", headers) from None

    @classmethod
    def _parse_ranges(cls, range_: str, file_size: int) -> list[tuple[int, int]]:
        """Return the ranges of which the file has something; all of them where it has nothing of any."""
        ranges = super()._parse_ranges(range_, file_size)
        return [one for one in ranges if one[0] < file_size] or ranges


class ExportOrder(ExportFilters):
    """What the file is to hold, and how it is to be."""

    model_config = ConfigDict(title="ExportOrder")

    limit: Annotated[StrictInt, Field(ge=1, le=MOST_EVENTS), BeforeValidator(whole)] | None = Field(
        None, description="Most events; default: all."
    )
    format: FormName
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] | None = Field(
        None, description="What the file is called, without its ending."
    )
    compression: Packed | None = Field(None, description="Parquet and Avro are packed as they are.")


class ExportJobShape(BaseModel):
    """An export job."""

    id: str
    name: str
    format: str
    compression: str | None
    state: Literal["waiting", "reading", "joining", "ready", "failed", "expired"] = Field(
        description="`reading` the store, slice by slice; `joining` the slices to one file."
    )
    progress: float = Field(description="From 0 to 1: by time while it is read, by rows while it is joined.")
    slices: int = Field(description="Spans of time that are read, and would not be read again.")
    reached: str | None = Field(json_schema_extra={"format": "date-time"}, description="Up to which time it is read.")
    rows: int
    bytes: int | None = Field(description="Of the file; null until it is ready.")
    eta_s: float | None = Field(description="Seconds until it may be ready, where anybody can tell.")
    detail: str | None = Field(description="Why it waits, where somebody has paused what works on it.")
    error: str | None = Field(description="Why it failed.")
    created: str = Field(json_schema_extra={"format": "date-time"})
    created_by: str
    finished: str | None = Field(json_schema_extra={"format": "date-time"})
    expires: str | None = Field(json_schema_extra={"format": "date-time"}, description="When the file is removed.")
    file: str | None = Field(description="Where it is fetched.")


async def may_export(request: Request) -> None:
    """Let pass who may have files made."""
    authorize(principal_of(request.scope), Action.EXPORT_DATA)


@router.post(
    "/exports", status_code=202, response_model=ExportJobShape, responses=_NO_ROOM, dependencies=[Depends(may_export)]
)
async def begin_export(request: Request, order: ExportOrder, means: Asking) -> Response:
    """Have a file made by a worker. `Location` says where the job is; it goes on whatever happens to whoever asked."""
    admin: ExportAdmin = request.app.state.export_admin
    who, about = principal_of(request.scope), request.scope["state"]["request_id"]
    query = query_of(order, await looked_up(order, means), limit=order.limit or _ALL)
    packed = order.compression.value if order.compression else None

    def begin() -> tuple[ExportJob, str]:
        job = admin.begin(who, query, form=order.format.value, packed=packed, name=order.name, request_id=about)
        return job, _held(request, [job])

    job, held = await means.other(begin)
    answer = json_answer(as_json(_shape(job, held)), {"Location": f"/api/v1/exports/{job.job_id}"})
    answer.status_code = 202
    return answer


@router.get("/exports", response_model=Page[ExportJobShape])
async def list_exports(request: Request, means: Asking) -> Response:
    """Return all export jobs, the newest first; those that are removed for a week."""
    shelf: ExportShelf = request.app.state.export_shelf

    def read() -> bytes:
        jobs = shelf.all()
        held = _held(request, jobs)
        return as_json(Page[ExportJobShape](items=[_shape(job, held) for job in jobs], next=None))

    return json_answer(await means.other(read))


@router.get("/exports/{job_id}", response_model=ExportJobShape, responses=NOT_FOUND)
async def read_export(request: Request, job_id: JobId, means: Asking) -> Response:
    """Return how far an export job is."""
    shelf: ExportShelf = request.app.state.export_shelf

    def read() -> bytes:
        job = shelf.read(job_id)
        return as_json(_shape(job, _held(request, [job])))

    return json_answer(await means.other(read))


@router.delete("/exports/{job_id}", status_code=204, responses=NOT_FOUND, dependencies=[Depends(may_export)])
async def remove_export(request: Request, job_id: JobId, means: Asking) -> Response:
    """Remove an export job and its file; one that is being made is stopped."""
    admin: ExportAdmin = request.app.state.export_admin
    who, about = principal_of(request.scope), request.scope["state"]["request_id"]
    await means.other(lambda: admin.remove(who, job_id, request_id=about))
    return Response(status_code=204)


@router.get("/exports/{job_id}/file", response_class=FileResponse, responses=_FILE)
async def fetch_export(request: Request, job_id: JobId, means: Asking) -> Response:
    """Return the file; `Range` with `If-Range` goes on where a download was cut.

    HEAD tells its size and whether parts can be had, as download managers ask first.
    A file that is packed goes out as it is to who takes that (`Content-Encoding`), else as a packed file.
    """
    shelf: ExportShelf = request.app.state.export_shelf
    job = await means.other(lambda: shelf.read(job_id))
    if job.state == "expired":
        raise HTTPException(_GONE, f"the file of {job_id} was removed; files are kept for export.keep_hours")
    if job.state == "failed":
        raise errors.Conflict(f"the export failed: {job.error}")
    if job.state != "ready":
        raise HTTPException(409, f"the file is not ready: {job.share:.0%} is done", {"Retry-After": "2"})
    headers = {"ETag": job.etag, "Cache-Control": "private, no-cache", "Vary": "Accept-Encoding"}
    name, media_type = job.file_name, FORMS[job.form].media_type
    if job.packed is not None:
        if accepted(request.headers.get("accept-encoding", "")) == job.packed:
            headers["Content-Encoding"] = job.packed
        else:
            name, media_type = f"{name}.{_SUFFIXES[job.packed]}", _PACKED_TYPES[job.packed]
            headers["ETag"] = f'{job.etag[:-1]}-{job.packed}"'
    check_accepts(request, media_type)
    if names_tag(known_tags(request.headers), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    path = shelf.folder_of(job_id) / FILE
    return ExportedFile(path, headers=headers, media_type=media_type, filename=name)


def _held(request: Request, jobs: list[ExportJob]) -> str:
    """Return that jobs are paused, where one of these is to be worked on; empty where nobody can tell. Blocks."""
    if not any(job.state in OPEN for job in jobs):
        return ""
    pauses: Pauses = request.app.state.export_pauses
    try:
        paused = pauses.read()
    except errors.Transient:
        return ""
    return sentence({kind: one for kind, one in paused.items() if kind is TaskType.HISTORY})


def _shape(job: ExportJob, held: str) -> ExportJobShape:
    ready = job.state == "ready"
    eta_s = job.eta_s()
    return ExportJobShape(
        id=job.job_id,
        name=job.name,
        format=job.form,
        compression=job.packed,
        state=job.state,
        progress=round(job.share, 4),
        slices=job.slices,
        reached=_time(job.next_ns // 1000),
        rows=job.rows,
        bytes=job.size if ready else None,
        eta_s=None if eta_s is None else round(eta_s, 1),
        detail=held or None if job.state in OPEN else None,
        error=job.error or None,
        created=rfc3339_of_ns(job.created_us * 1000),
        created_by=job.by,
        finished=_time(job.finished_us),
        expires=_time(job.expires_us),
        file=f"/api/v1/exports/{job.job_id}/file" if ready else None,
    )


def _time(time_us: int) -> str | None:
    return rfc3339_of_ns(time_us * 1000) if time_us else None

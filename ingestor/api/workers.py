"""`/api/workers` and `/api/queues`: who works on what, and what waits; how many work, and on what nobody shall."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt

from ingestor.api.answers import NOT_FOUND, Asking, Page, Text, as_json, json_answer, may_read, whole
from ingestor.api.description import problem_response
from ingestor.api.gate import principal_of
from ingestor.api.workers_watch import WorkersWatch
from ingestor.managing.workers import WorkerAdmin
from ingestor.queue.names import TaskType
from ingestor.queue.pools import POOLS
from ingestor.reading.times import rfc3339_of_ns
from ingestor.reading.workers import read_nodes, read_pools, read_queues
from ingestor.security.access import Action, authorize
from ingestor.settings_pools import MOST_NODES

router: Final = APIRouter(prefix="/api", tags=["admin"])
PoolName = StrEnum("PoolName", {name: name for name in POOLS})  # type: ignore[misc] # the names are kept in one place
_UNKNOWN: Final = "Null: not known just now."
_REFUSED: Final[dict[int | str, dict[str, Any]]] = {
    400: problem_response("More nodes than this pool may have."),
    404: problem_response("There is no supervisor on that host."),
}


class PoolShape(BaseModel):
    """The nodes of a pool on a host."""

    type: str
    host: str
    nodes: int = Field(description="Nodes that work.")
    wanted: int | None = Field(description=f"Nodes that shall. {_UNKNOWN} So it is with the next two.")
    least: int | None = Field(description="As asked for, or as set.")
    most: int | None = Field(description="Up to so many are started by themselves where batches wait.")
    processes: int
    busy: float = Field(description="Share of the processes that were busy, over some ten seconds.")
    tasks: int = Field(description="Taken since the nodes were started.")
    holds: int = Field(description="Tasks in hand.")
    oldest_held_s: float
    waiting: int | None
    oldest_waiting_s: float | None


class TaskShape(BaseModel):
    """A task that a node has in hand."""

    task: str
    about: str = Field(description="What its sender said that it is about.")
    for_s: float = Field(description="Since when the node has it.")


class NodeShape(BaseModel):
    """A worker node, as it told within the last ten seconds."""

    name: str
    type: str
    host: str
    state: str = Field(description="`working`, `idle`, `paused` (all of its queues are), `away` (from its broker).")
    pid: int = 0
    version: str = ""
    started: str | None = Field(json_schema_extra={"format": "date-time"})
    memory_bytes: int = Field(0, description="With its processes.")
    processes: int = 0
    busy: float = 0.0
    tasks: int = Field(0, description="Taken since it was started.")
    holds: int = 0
    in_hand: list[TaskShape] = Field([], description="The oldest eight of them.")
    queues: list[str] = []
    paused: list[str] = Field([], description="Those of its queues that it does not take from.")


class WorkersShape(BaseModel):
    """Who works."""

    pools: list[PoolShape]
    nodes: list[NodeShape]


class QueueShape(BaseModel):
    """A queue: what waits for nodes of a task type."""

    name: str
    depth: int | None = Field(description=f"Batches or tasks that wait. {_UNKNOWN}")
    oldest_s: float | None = Field(description="For how long the oldest has waited; null: none does, or unknown.")
    come_per_s: float | None = Field(description="Of late; null where its nodes do other tasks as well.")
    taken_per_s: float | None = Field(description="As above.")
    nodes: int = Field(description="Nodes that serve it.")
    paused: bool | None = Field(description=f"Whether nobody takes from it, because somebody said so. {_UNKNOWN}")
    paused_by: str | None
    paused_since: str | None = Field(json_schema_extra={"format": "date-time"})


_Nodes = Annotated[StrictInt, Field(ge=1, le=MOST_NODES), BeforeValidator(whole)]


class NodesChange(BaseModel):
    """How many nodes are wanted."""

    model_config = ConfigDict(extra="forbid")

    nodes: _Nodes | None = Field(description="Null: as the settings say.")
    host: Text | None = Field(None, description="Only on this host; default: on each.")


class NodesAsked(BaseModel):
    """What was asked of whom. Nodes take some seconds to start; `/api/workers` tells of them."""

    type: str
    nodes: int | None
    hosts: list[str]


class QueueChange(BaseModel):
    """Whether nobody shall take from it."""

    model_config = ConfigDict(extra="forbid")

    paused: StrictBool


async def may_manage(request: Request) -> None:
    """Let pass who may change who works."""
    authorize(principal_of(request.scope), Action.MANAGE_WORKERS)


@router.get("/workers", response_model=WorkersShape, dependencies=[Depends(may_read)])
async def list_workers(request: Request, means: Asking) -> Response:
    """Return the pools of workers on each host, and each node with what it has in hand."""
    watch: WorkersWatch = request.app.state.workers

    def read() -> bytes:
        board = watch.read().known_board()
        nodes = [_node(one) for one in read_nodes(board)]
        return as_json(WorkersShape(pools=[PoolShape.model_validate(one) for one in read_pools(board)], nodes=nodes))

    return json_answer(await means.other(read))


@router.put("/workers/{pool}", response_model=NodesAsked, responses=_REFUSED, dependencies=[Depends(may_manage)])
async def scale_workers(
    request: Request, named: Annotated[PoolName, Path(alias="pool")], change: NodesChange, means: Asking
) -> Response:
    """Change how many nodes of a pool each host runs, at once and lastingly. 503: no supervisor listens."""
    admin: WorkerAdmin = request.app.state.worker_admin
    who, pool = principal_of(request.scope), named.value

    def change_it() -> bytes:
        hosts = admin.scale(who, {pool: change.nodes}, change.host, request_id=request.scope["state"]["request_id"])
        return as_json(NodesAsked(type=pool, nodes=change.nodes, hosts=hosts))

    return json_answer(await means.other(change_it))


@router.get("/queues", response_model=Page[QueueShape], dependencies=[Depends(may_read)])
async def list_queues(request: Request, means: Asking) -> Response:
    """Return each queue: what waits, for how long, what comes and goes, and whether it is paused."""
    watch: WorkersWatch = request.app.state.workers
    return json_answer(await means.other(lambda: as_json(Page[QueueShape](items=_queues(watch), next=None))))


@router.put("/queues/{queue}", response_model=QueueShape, responses=NOT_FOUND, dependencies=[Depends(may_manage)])
async def change_queue(
    request: Request, named: Annotated[TaskType, Path(alias="queue")], change: QueueChange, means: Asking
) -> Response:
    """Pause a task type, or let it go on: nothing is lost, what comes meanwhile waits in queues and journals.

    It lasts until somebody lets it go on. Nodes follow within a second or two, and finish what they have in hand.
    """
    admin: WorkerAdmin = request.app.state.worker_admin
    watch: WorkersWatch = request.app.state.workers
    who, about = principal_of(request.scope), request.scope["state"]["request_id"]

    def change_it() -> bytes:
        act = admin.pause if change.paused else admin.resume
        act(who, [named], request_id=about)
        return as_json(next(one for one in _queues(watch, fresh=True) if one.name == named.value))

    return json_answer(await means.other(change_it))


def _queues(watch: WorkersWatch, *, fresh: bool = False) -> list[QueueShape]:
    seen = watch.read(fresh=fresh)
    told = read_queues(seen.board or {}, seen.depths, seen.oldest_s, seen.pauses)
    return [QueueShape(**one, paused_since=_time(one["paused_since_us"])) for one in told]


def _time(time_us: float | None) -> str | None:
    return rfc3339_of_ns(int(time_us * 1000)) if time_us else None


def _node(told: dict[str, Any]) -> NodeShape:
    started_s = told.get("started_s")
    started = _time(started_s * 1_000_000) if isinstance(started_s, int | float) else None
    return NodeShape.model_validate({**told, "host": str(told.get("host", "")), "started": started})

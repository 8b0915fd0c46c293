"""The HTTP API put together: pages of health, what stands before everything, and the routers; no logic."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any, Final

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.routing import WebSocketRoute

from ingestor import bootstrap
from ingestor.api.accepting import acceptable
from ingestor.api.admin import open_recent
from ingestor.api.callers import Callers, keep_addresses_out_of_logs
from ingestor.api.description import describe
from ingestor.api.etag import ETags
from ingestor.api.gate import Gate, WriteGuard
from ingestor.api.gauges import OverviewCollector
from ingestor.api.graphql.routes import add_graphql
from ingestor.api.graphs import Graphs
from ingestor.api.heads import Heads
from ingestor.api.health import HealthWatch, checks_for
from ingestor.api.health_answer import board_of, health_object
from ingestor.api.means import Means
from ingestor.api.objects import Objects
from ingestor.api.once import given_once
from ingestor.api.open_streams import OpenStreams, end_at_new_key, end_with_sessions
from ingestor.api.outgoing import outgoing
from ingestor.api.overview import Observer
from ingestor.api.problems import handle_problems
from ingestor.api.recent import RecentStates
from ingestor.api.refusals import refuse_unknown
from ingestor.api.routers import ROUTERS
from ingestor.api.rpc.starting import grpc_served
from ingestor.api.stats import StatsWatch
from ingestor.api.system_watch import SystemWatch
from ingestor.api.v1 import sign_in, stream
from ingestor.api.workers_watch import WorkersWatch
from ingestor.live.hub import LiveHub
from ingestor.managing.exports import ExportAdmin
from ingestor.managing.workers import WorkerAdmin
from ingestor.metrics_files import FolderCollector
from ingestor.queue.alive import AliveFile
from ingestor.queue.app import make_app
from ingestor.queue.heartbeat import heartbeat_of
from ingestor.queue.pauses import Pauses
from ingestor.queue.status_board import StatusBoard
from ingestor.security.audit import Audit
from ingestor.security.ended_sessions import EndedSessions
from ingestor.security.keys import Keyring
from ingestor.security.sessions import Sessions
from ingestor.security.tickets import Tickets
from ingestor.settings import Settings
from ingestor.settings_writing import SettingsFile

_UNAVAILABLE: Final = 503
_SHOW_LIFE_EVERY_S: Final = 1.0
_LINKS: Final = {
    "/api/health": "every component, 200 or 503",
    "/livez": "this process answers",
    "/readyz": "events can be taken through to the store",
    "/metrics": "figures for Prometheus, over all processes",
    "/api/version": "the version",
    "/openapi.json": "the API's description of itself; `ha-ingestor key` shows the key that it takes",
}
#: What needs no key: who watches over us must not need a secret for it. `/` only says where things are.
_OPEN: Final = frozenset({"/", "/livez", "/readyz", "/api/health"})
_METRICS: Final = "/metrics"
_NOT_READY: Final[dict[int | str, dict[str, Any]]] = {
    503: {
        "description": "Something that is needed does not work.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}
_NOT_WELL: Final[dict[int | str, dict[str, Any]]] = {
    503: {"description": "A component does not work.", "content": {"application/json": {"schema": {"type": "object"}}}}
}
_TAGS: Final = [
    {"name": "health", "description": "Whether all works."},
    {"name": "events", "description": "What is stored."},
    {"name": "home", "description": "What the homes consist of, and how it hangs together."},
    {"name": "quality", "description": "How good the data is."},
    {"name": "admin", "description": "Figures, newest states and settings, as the dashboard asks for them."},
    {"name": "keeping", "description": "What became of every event: ledger, gaps, quarantine."},
    {"name": "sign-in", "description": "How browsers, which cannot send a header with a stream, are known."},
    {"name": "live", "description": "What happens now ([the live channel](../explanation/live.md))."},
    {"name": "webhooks", "description": "What happens now, posted to you ([how to](../how-to/webhooks.md))."},
]


def create_app(
    settings: Settings, *, watch: HealthWatch | None = None, settings_file: SettingsFile | None = None
) -> FastAPI:
    """Return the application. `watch` replaces the checks of the installation; `settings_file` may be changed."""
    health = watch or HealthWatch(checks_for(settings))
    observer = Observer(settings)
    keys = bootstrap.open_keyring(settings)
    means = Means(settings)
    stats = StatsWatch(means)
    live = bootstrap.open_live_hub(settings)

    @asynccontextmanager
    async def closing(app: FastAPI) -> AsyncIterator[None]:
        keep_addresses_out_of_logs()
        keys.key()  # made at the first start, so that it is there before anybody asks
        watching = _watches(settings, health, live, *_ends(app, keys, live))
        with heartbeat_of(bootstrap.open_status_board(settings), "api", settings.data_dir):
            async with (
                outgoing(app.state, settings, live, observer.read),
                grpc_served(settings, keys, app.state, health),
            ):
                yield
        await _cancelled(watching)
        app.state.recent.close()
        if live is not None:
            await live.close()
        await app.state.graphql.close()
        health.close()
        observer.close()
        stats.close()
        app.state.workers.close()
        means.close()

    # The pages that FastAPI has for its description load scripts from elsewhere: the reference is in docs/.
    app = FastAPI(
        title="HA-Ingestor",
        version=version("ha-ingestor"),
        lifespan=closing,
        docs_url=None,
        redoc_url=None,
        openapi_tags=_TAGS,
        dependencies=[Depends(acceptable), Depends(given_once)],
    )
    app.state.means = means
    app.state.graphs, app.state.objects = Graphs(means), Objects(means)
    app.state.stats = stats
    app.state.settings_file = settings_file
    _add_admin(app, settings, open_recent(live, means))
    app.state.live = live
    app.state.webhooks = None
    handle_problems(app)
    _add_pages(app)
    _add_health(app, health, stats, bootstrap.open_status_board(settings))

    _add_metrics(app, settings, observer)
    _add_routes(app, settings)
    _add_door(app, settings, keys)
    return app


def _add_routes(app: FastAPI, settings: Settings) -> None:
    for router in ROUTERS:
        app.include_router(router)
    add_graphql(app, settings)
    app.router.routes.append(WebSocketRoute("/{path:path}", refuse_unknown))


def _ends(app: FastAPI, keys: Keyring, live: LiveHub | None) -> tuple[Coroutine[Any, Any, None], ...]:
    """Return what ends open streams, each until it is cancelled."""
    streams: OpenStreams = app.state.streams
    return end_at_new_key(keys, streams, live), end_with_sessions(streams, app.state.ended_sessions)


def _add_metrics(app: FastAPI, settings: Settings, observer: Observer) -> None:
    registry = CollectorRegistry(auto_describe=False)
    FolderCollector(settings.data_dir / "metrics", registry)
    registry.register(OverviewCollector(observer.read))

    @app.get(_METRICS, response_class=PlainTextResponse, tags=["health"])
    def read_metrics() -> Response:
        """Return the figures of all processes in Prometheus' format."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def _add_admin(app: FastAPI, settings: Settings, recent: RecentStates) -> None:
    """Put there what shows and changes who works, what makes files, and what keeps the newest states."""
    app.state.recent = recent
    audit = Audit(settings.data_dir)
    app.state.audit = audit
    app.state.workers = WorkersWatch(settings)
    app.state.export_shelf = bootstrap.open_export_shelf(settings)
    app.state.export_pauses = Pauses(bootstrap.open_state(settings, hurried=True))
    app.state.export_admin = ExportAdmin(app.state.export_shelf, audit, make_app(settings.broker_url))
    app.state.worker_admin = WorkerAdmin(settings, bootstrap.open_state(settings), audit)


def _watches(
    settings: Settings, health: HealthWatch, live: LiveHub | None, *more: Coroutine[Any, Any, None]
) -> list[asyncio.Task[None]]:
    """Show that this process lives, and tell when the installation falls ill, until that is cancelled."""
    watches = [_show_life(AliveFile(settings.data_dir)), *more]
    if live is not None and (feed := bootstrap.open_live_feed(settings)) is not None:
        homes, state = [home.name for home in settings.all_homes()], bootstrap.open_state(settings)
        watches.append(SystemWatch(health.read, feed, state, homes, heard=lambda: live.listeners > 0).watch())
    return [asyncio.create_task(one) for one in watches]


async def _cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _add_door(app: FastAPI, settings: Settings, keys: Keyring) -> None:
    """Put who asks, origin and request id before everything, and ETags behind them."""
    sessions = Sessions(keys, settings.api.session_hours * 3600)
    tickets = Tickets(bootstrap.open_state(settings))
    app.state.keys, app.state.sessions, app.state.tickets = keys, sessions, tickets
    streams = app.state.streams = OpenStreams()
    ended = app.state.ended_sessions = EndedSessions(bootstrap.open_state(settings, hurried=True))
    callers = Callers(keys, sessions, tickets, ended)
    open_paths = _OPEN if settings.api.metrics_need_key else _OPEN | {_METRICS}
    writes = WriteGuard(host=settings.api.host, hosts=settings.api.hosts, origins=settings.api.origins)
    app.add_middleware(ETags)
    app.add_middleware(Heads, but=(stream.PATH,))
    app.add_middleware(
        Gate, callers=callers, open_paths=open_paths, writes=writes, streams=streams, sign_in=sign_in.PATH
    )
    app.openapi = describe(app, open_paths, sign_in.OPEN_OPERATIONS)  # type: ignore[method-assign]  # as FastAPI's documentation has it


async def _show_life(file: AliveFile) -> None:
    """Show that the loop that answers goes round: where it does not, the supervisor starts the process again."""
    try:
        while True:
            file.beat()
            await asyncio.sleep(_SHOW_LIFE_EVERY_S)
    finally:
        file.remove()


def _add_health(app: FastAPI, health: HealthWatch, stats: StatsWatch, board: StatusBoard) -> None:
    """Add the three answers: alive (cheap), ready, and each component."""

    @app.get("/livez", response_class=PlainTextResponse, tags=["health"])
    async def live() -> str:
        """Say that this process answers; looks at nothing else, so that a broker's failure restarts nobody."""
        return "ok\n"

    @app.get("/readyz", response_class=PlainTextResponse, tags=["health"], responses=_NOT_READY)
    def ready() -> PlainTextResponse:
        """Say whether events can be taken through to the store."""
        found = health.read()
        lines = [f"{'ok' if part.ok else 'FAILED'} {part.name}: {part.detail}" for part in found.components]
        return PlainTextResponse("\n".join(lines) + "\n", 200 if found.ready else _UNAVAILABLE)

    @app.get("/api/health", tags=["health"], responses=_NOT_WELL)
    def read_health() -> JSONResponse:
        """Return how each component is; 503 if one does not work, status "degraded" if events are missing."""
        found = health.read()
        answer = health_object(found, stats.read(), board_of(board.read))
        return JSONResponse(answer, 200 if found.ok else _UNAVAILABLE)


def _add_pages(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False, responses={200: {"content": {"application/json": {}, "text/html": {}}}})
    async def landing(request: Request) -> Response:
        """Say where things are: to a browser as a page, else as JSON."""
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(_page())
        return JSONResponse({"name": "HA-Ingestor", "links": _LINKS})

    @app.get("/api/version", tags=["health"])
    async def read_version() -> dict[str, Any]:
        """Return the version."""
        return _version()


def _version() -> dict[str, Any]:
    return {"version": version("ha-ingestor")}


@functools.cache
def _page() -> str:
    items = "".join(f'<li><a href="{path}">{path}</a>: {text}</li>' for path, text in _LINKS.items())
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>HA-Ingestor</title>'
        f"<h1>HA-Ingestor</h1><ul>{items}</ul></html>"
    )

"""How browsers sign in: a session for a page, a ticket for one stream. The key itself never stands in an address."""

from __future__ import annotations

import time
from typing import Any, Final

import structlog
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from ingestor import errors
from ingestor.api.answers import Asking, as_json, json_answer
from ingestor.api.callers import COOKIE
from ingestor.api.description import problem_response
from ingestor.api.gate import principal_of
from ingestor.reading.times import rfc3339_of_ns
from ingestor.security.access import Action, authorize
from ingestor.security.ended_sessions import EndedSessions
from ingestor.security.keys import Keyring
from ingestor.security.sessions import Sessions
from ingestor.security.tickets import EXPIRES_AFTER_S, Tickets

PATH: Final = "/api/v1/session"
#: What needs nobody to be known: to sign in, and to leave.
OPEN_OPERATIONS: Final = frozenset({("post", PATH), ("delete", PATH)})
router: Final = APIRouter(tags=["sign-in"])
_NO_STORE: Final = {"Cache-Control": "no-store"}
_log: Final = structlog.get_logger(__name__)


class SignIn(BaseModel):
    """The key, typed into a page once."""

    model_config = ConfigDict(extra="forbid")

    key: SecretStr = Field(max_length=1000)


class SignedIn(BaseModel):
    """Who asks."""

    name: str
    kind: str = Field(description="`key` or `session`.")
    ends: str | None = Field(json_schema_extra={"format": "date-time"}, description="Null: not a new session.")


class TicketShape(BaseModel):
    """A ticket."""

    ticket: str
    expires_in_s: int


@router.post(PATH, response_model=SignedIn, responses={401: problem_response("This is not the key.")})
async def begin_session(request: Request, said: SignIn, means: Asking) -> Response:
    """Begin the session of a browser: who shows the key gets a cookie that scripts cannot read (HttpOnly, Strict)."""
    keys: Keyring = request.app.state.keys
    sessions: Sessions = request.app.state.sessions
    who = await means.other(lambda: keys.principal(said.key.get_secret_value()))
    if who.kind != "key":
        _log.warning("sign_in_refused", client=request.client.host if request.client else None)
        raise errors.Unauthenticated("this is not the key: `ha-ingestor key` shows it")
    session = sessions.begin(who)
    _log.info("signed_in", who=who.name)
    ends = rfc3339_of_ns(session.ends_s * 10**9)
    answer = json_answer(as_json(SignedIn(name=who.name, kind="session", ends=ends)), dict(_NO_STORE))
    answer.set_cookie(COOKIE, session.word, max_age=max(0, session.ends_s - int(time.time())), **_how(request))
    return answer


@router.get(PATH, response_model=SignedIn)
async def read_session(request: Request) -> Response:
    """Return who asks, as far as we know them."""
    who = principal_of(request.scope)
    authorize(who, Action.READ_HEALTH)
    return json_answer(as_json(SignedIn(name=who.name, kind=who.kind, ends=None)), dict(_NO_STORE))


@router.delete(PATH, status_code=204)
async def end_session(request: Request, means: Asking) -> Response:
    """End the session of a browser: its cookie and its tickets are good for nothing then, in any process."""
    sessions: Sessions = request.app.state.sessions
    ended: EndedSessions = request.app.state.ended_sessions
    who = await means.other(lambda: sessions.principal(request.cookies.get(COOKIE, "")))
    if who.mark:
        await means.other(lambda: ended.end(who.mark, who.ends_s))
        _log.info("signed_out", who=who.name)
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE, **_how(request))
    return answer


@router.post("/api/v1/tickets", response_model=TicketShape)
async def give_ticket(request: Request, means: Asking) -> Response:
    """Return a ticket, for `?ticket=` of `/api/v1/events/stream`, `/api/v1/ws` or `/graphql`: it opens one, once."""
    who = principal_of(request.scope)
    authorize(who, Action.READ_DATA)
    tickets: Tickets = request.app.state.tickets
    word = await means.other(lambda: tickets.give(who))
    return json_answer(as_json(TicketShape(ticket=word, expires_in_s=EXPIRES_AFTER_S)), dict(_NO_STORE))


def _how(request: Request) -> dict[str, Any]:
    # `Strict`: no page from elsewhere has the browser send it. `Secure` only where there is TLS, else it were lost.
    return {"httponly": True, "samesite": "strict", "path": "/", "secure": request.url.scheme == "https"}

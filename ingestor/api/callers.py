"""Who asks: by the key in a header, by a browser's session in its cookie, or by a ticket in the address, used once."""

from __future__ import annotations

import logging
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import anyio.to_thread
from starlette.datastructures import Headers

from ingestor.security.access import ANONYMOUS, Principal
from ingestor.security.ended_sessions import EndedSessions
from ingestor.security.keys import Keyring
from ingestor.security.sessions import Sessions
from ingestor.security.tickets import Tickets

COOKIE: Final = "ha_ingestor_session"
TICKET: Final = "ticket"
#: What goes on until one of both ends it.
STREAM_PATHS: Final = frozenset({"/api/v1/events/stream"})
#: What a ticket opens beside them: what browsers open without headers of ours.
TICKET_SOCKETS: Final = frozenset({"/api/v1/ws", "/api/v1/graphql", "/graphql"})


class Callers:
    """Finds out who asks. Whoever shows a key is who the key says, whatever else they show."""

    def __init__(
        self,
        keys: Keyring,
        sessions: Sessions | None = None,
        tickets: Tickets | None = None,
        ended: EndedSessions | None = None,
    ) -> None:
        self._keys = keys
        self._ended = ended
        self._sessions = sessions
        self._tickets = tickets

    async def of(self, headers: Headers, path: str, ticket: str | None, *, socket: bool = False) -> Principal:
        """Return who asks; `socket`: for a WebSocket. Raises StateUnavailable where a ticket cannot be looked up."""
        if presented := _keys_in(headers):
            # Who shows a right key and a wrong one is nobody: they do not know which of them we are.
            known = {self._keys.principal(one) for one in presented}
            return known.pop() if len(known) == 1 else ANONYMOUS
        if ticket is not None and self._tickets is not None and path in (TICKET_SOCKETS if socket else STREAM_PATHS):
            return await self._unless_ended(await anyio.to_thread.run_sync(self._tickets.take, ticket))
        if self._sessions is not None and (word := _cookie(headers)):
            return await self._unless_ended(self._sessions.principal(word))
        return ANONYMOUS

    async def _unless_ended(self, who: Principal) -> Principal:
        if who.mark and self._ended is not None:
            ended = await anyio.to_thread.run_sync(self._ended.has, who.mark, who.ends_s)
            return ANONYMOUS if ended else who
        return who


def take_ticket_out(scope: Any) -> str | None:
    """Return the ticket in the address, and take it out of there: nothing behind us, no log above all, shall see it."""
    query: bytes = scope.get("query_string", b"")
    if TICKET.encode() not in query:
        return None
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    words = [value for name, value in pairs if name == TICKET]
    if not words:
        return None
    scope["query_string"] = urlencode([pair for pair in pairs if pair[0] != TICKET]).encode()
    return words[0] if len(words) == 1 else ""


def keep_addresses_out_of_logs() -> None:
    """Let the server not log requests as they came, as it does at level debug: a ticket may be in their address."""
    logging.getLogger("uvicorn.error").setLevel(logging.INFO)


def _keys_in(headers: Headers) -> list[str]:
    """Return the keys: of `Authorization: Bearer`, or of `X-API-Key` where a proxy needs the other for itself."""
    kind, _, bearer = headers.get("authorization", "").partition(" ")
    presented = [bearer.strip()] if kind.lower() == "bearer" else []
    return presented + ([headers["x-api-key"]] if "x-api-key" in headers else [])


def _cookie(headers: Headers) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value

"""`/api/v1/ws`: what happens now, over a WebSocket: several subscriptions a connection, each with a task of its own."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import orjson
from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from ingestor import errors
from ingestor.api import asyncapi
from ingestor.api.gate import principal_of
from ingestor.api.live import hub_of
from ingestor.api.refusals import refuse_socket
from ingestor.api.v1 import socket_messages as said
from ingestor.live.cursor import parse_cursor
from ingestor.live.filter import LiveFilter
from ingestor.live.hub import Hearing, LiveHub
from ingestor.live.listener import Delivery, Ended, Gap, Missed
from ingestor.live.pacing import Pace
from ingestor.security.access import Action, authorize
from ingestor.settings import Settings

router: Final = APIRouter()
MAX_SUBSCRIPTIONS: Final = 20
#: Commands that a client may send in a second, and the longest (characters).
MAX_COMMANDS_PER_S: Final = 50
MAX_COMMAND: Final = 64 * 1024
#: The longest frame that the server lets through to us.
MAX_FRAME_BYTES: Final = 4 * MAX_COMMAND
#: The server's extension that writes a message at once (`ingestor.api.serving`): most of what telling many costs is
#: else to wake a task for each, and to copy the message for each three times more.
WRITE_NOW: Final = "ha_ingestor.write_now"
_WAIT_S: Final = 60.0
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]+")
#: Of a frame that has several messages: clients take no more than 1 MiB at once, if nobody tells them.
_MOST_BYTES: Final = 256 * 1024
_GOING_AWAY, _NOT_TEXT, _POLICY, _TOO_LARGE, _TRY_LATER = 1001, 1003, 1008, 1009, 1013


@router.get("/asyncapi.json", include_in_schema=False)
async def describe_socket() -> Response:
    """Return the AsyncAPI document."""
    return Response(orjson.dumps(asyncapi.description()), media_type="application/json")


@router.websocket(asyncapi.PATH)
async def live_socket(socket: WebSocket) -> None:
    """Serve one client until it goes."""
    try:
        authorize(principal_of(socket.scope), Action.READ_DATA)
        hub = hub_of(socket.app.state)
    except errors.IngestorError as error:
        await refuse_socket(socket.scope, socket.receive, socket.send, error)
        return
    await socket.accept()
    connection = Connection(socket, hub, socket.app.state.means.settings)
    try:
        await connection.hear()
    except WebSocketDisconnect:
        pass
    finally:
        await connection.end()


class Connection:
    """One client: its commands are taken one after another, its subscriptions run beside each other."""

    def __init__(self, socket: WebSocket, hub: LiveHub, settings: Settings) -> None:
        self._socket = socket
        self._hub = hub
        self._settings = settings
        self._subscriptions: dict[str, Subscription] = {}
        self._sending = asyncio.Lock()
        self._commands = Pace(max_per_s=MAX_COMMANDS_PER_S)
        extension = (socket.scope.get("extensions") or {}).get(WRITE_NOW)
        self._write_now: Callable[[Sequence[bytes]], bool] | None = extension and extension["write"]

    async def hear(self) -> None:
        """Take commands until the client goes, or says too much. Raises WebSocketDisconnect."""
        while True:
            text = await self._text()
            if text is None:
                await self.close(_NOT_TEXT, "commands are JSON text")
                return
            if len(text) > MAX_COMMAND:
                await self.close(_TOO_LARGE, f"a command has at most {MAX_COMMAND} characters")
                return
            if not self._commands.select([b""]):
                await self.close(_POLICY, f"at most {MAX_COMMANDS_PER_S} commands a second")
                return
            try:
                await self._obey(said.COMMANDS.validate_json(text))
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False)[0]
                where = ".".join(str(step) for step in first["loc"]) or "command"
                await self.say(said.Failed(code="invalid", detail=f"{where}: {first['msg']}"))

    async def _text(self) -> str | None:
        """Return the next frame; None where it is not text. Raises WebSocketDisconnect."""
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message["code"])
        text = message.get("text")
        return text if isinstance(text, str) else None

    async def end(self) -> None:
        """End all subscriptions."""
        tasks = [one.task for one in self._subscriptions.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def say(self, message: BaseModel) -> None:
        """Send a message."""
        await self.send(message.model_dump_json(exclude_none=True))

    async def send(self, text: str) -> None:
        """Send a frame; waits where the client is slow."""
        async with self._sending:
            await self._socket.send_text(text)

    def send_now(self, parts: Sequence[bytes]) -> bool:
        """Send a frame without waiting; False where that cannot be, and nothing was sent."""
        return self._write_now is not None and not self._sending.locked() and self._write_now(parts)

    async def close(self, code: int, reason: str) -> None:
        """Close the connection."""
        async with self._sending:
            await self._socket.close(code, reason)

    def forget(self, name: str) -> None:
        """Let a subscription go that has ended."""
        self._subscriptions.pop(name, None)

    async def _obey(self, command: BaseModel) -> None:
        match command:
            case said.Subscribe():
                await self._subscribe(command)
            case said.Unsubscribe():
                if (subscription := await self._named(command.id)) is not None:
                    subscription.task.cancel()
                    await asyncio.gather(subscription.task, return_exceptions=True)
                    self.forget(command.id)  # one that had not begun has not done so itself
                    await self.say(said.Unsubscribed(id=command.id))
            case said.Ack():
                if (subscription := await self._named(command.id)) is not None:
                    subscription.acknowledge(command.seq)
            case said.Ping():
                await self.say(said.Pong(data=command.data))

    async def _named(self, name: str) -> Subscription | None:
        found = self._subscriptions.get(name)
        if found is None:
            detail = f"there is no subscription {name!r}"
            await self.say(said.Failed(id=name, code="unknown_subscription", detail=detail))
        return found

    async def _subscribe(self, asked: said.Subscribe) -> None:
        if asked.id in self._subscriptions:
            detail = "unsubscribe first, or take another name"
            await self.say(said.Failed(id=asked.id, code="already_subscribed", detail=detail))
            return
        if len(self._subscriptions) >= MAX_SUBSCRIPTIONS:
            detail = f"a connection has at most {MAX_SUBSCRIPTIONS} subscriptions"
            await self.say(said.Failed(id=asked.id, code="overloaded", detail=detail))
            return
        try:
            wanted = asked.filter.checked(self._settings)
            parse_cursor(asked.cursor) if asked.cursor else None
        except (errors.Rejected, errors.NotFound) as error:
            detail = error.detail if isinstance(error, errors.Rejected) else str(error)
            await self.say(said.Failed(id=asked.id, code="invalid", detail=detail))
            return
        self._subscriptions[asked.id] = Subscription(self, self._hub, asked, wanted)


class Part(NamedTuple):
    """What a frame tells: messages in JSON (ASCII), how many, and the cursor behind them."""

    body: bytes
    messages: int
    cursor: str


class Subscription:
    """One of a client's subscriptions, which runs until it is ended, or has to end."""

    def __init__(self, connection: Connection, hub: LiveHub, asked: said.Subscribe, wanted: LiveFilter) -> None:
        self._connection = connection
        self._hub = hub
        self._asked = asked
        self._wanted = wanted
        self._pace = Pace(max_per_s=asked.max_per_s, sample=asked.sample)
        self._seq = 0
        #: Frames that were sent and not acknowledged: how many messages each has.
        self._sent: dict[int, int] = {}
        self._room = asyncio.Event()
        self._room.set()
        self.task = asyncio.create_task(self._run(), name=f"live-subscription-{asked.id}")

    def acknowledge(self, seq: int) -> None:
        """Take note that all up to this frame has been taken."""
        for one in [one for one in self._sent if one <= seq]:
            del self._sent[one]
        self._look_for_room()

    async def _run(self) -> None:
        asked = self._asked
        try:
            after = parse_cursor(asked.cursor) if asked.cursor else None
            async with self._hub.listen(self._wanted, after=after, policy=asked.policy) as hearing:
                await self._connection.say(said.Subscribed(id=asked.id, cursor=hearing.cursor))
                # Who says how much may be under way, or what they want of it, is told by the task that keeps count.
                if asked.window is None and not self._pace.limits:
                    hearing.take_at_once(self._tell_now)
                await self._serve(hearing)
        except errors.Overloaded as error:
            await self._connection.say(said.Failed(id=asked.id, code="overloaded", detail=str(error)))
        except errors.IngestorError as error:
            await self._connection.say(said.Failed(id=asked.id, code="unavailable", detail=str(error)))
        except (WebSocketDisconnect, RuntimeError):
            pass  # the client has gone; whoever hears it ends us all
        finally:
            self._connection.forget(asked.id)

    async def _serve(self, hearing: Hearing) -> None:
        async for item in hearing.items(lambda: _WAIT_S):
            await self._room.wait()
            if isinstance(item, Ended):
                code, why = (_TRY_LATER, "too slow") if item.too_slow else (_GOING_AWAY, "this process ends")
                await self._connection.close(code, why)
                return
            if isinstance(item, Delivery):
                for part in self._together(item, hearing):
                    await self._tell_part(part)
            elif item is not None:
                await self._tell(item)

    def _tell_now(self, delivery: Delivery) -> bool:
        parts = self._parts(delivery)
        if len(parts) != 1 or not self._connection.send_now(self._frame(parts[0], self._seq + 1)):
            return False
        self._seq += 1
        return True

    async def _tell(self, item: Gap | Missed) -> None:
        name = self._asked.id
        match item:
            case Gap():
                await self._connection.say(said.GapTold(id=name, home=item.home, cursor=item.cursor))
            case Missed():
                await self._connection.say(said.MissedTold(id=name, messages=item.messages))

    def _together(self, delivery: Delivery, hearing: Hearing) -> Sequence[Part]:
        """Return a delivery in parts, or with what has come meanwhile: who falls behind has fewer frames to take."""
        parts = self._parts(delivery)
        # Who acknowledges frames says how much may be under way: theirs stay small. Who is sampled takes little.
        if len(parts) != 1 or self._asked.window is not None or self._pace.limits:
            return parts
        behind = hearing.more(_MOST_BYTES - len(parts[0].body), self._size)
        together = [parts[0], *(part for one in behind for part in self._parts(one))]
        body = b",".join([part.body for part in together])
        return [Part(body, sum(part.messages for part in together), together[-1].cursor)]

    def _size(self, delivery: Delivery) -> int:
        return sum(len(part.body) + 1 for part in self._parts(delivery))

    def _parts(self, delivery: Delivery) -> Sequence[Part]:
        """Return the messages that are wanted: made once for all who want all of them in this form."""
        form = self._asked.form

        def rendered(one: Delivery) -> list[bytes]:
            return [one.messages.render(index, form) for index in one.chosen]

        if self._pace.limits:
            bodies = rendered(delivery)
            wanted = {id(body) for body in self._pace.select(bodies)}
            return parts_of(delivery, [(place, body) for place, body in enumerate(bodies) if id(body) in wanted])
        return delivery.made_once(f"ws {form}", lambda one: parts_of(one, list(enumerate(rendered(one)))))

    async def _tell_part(self, part: Part) -> None:
        await self._room.wait()
        self._seq += 1
        if self._asked.window is not None:
            self._sent[self._seq] = part.messages
            self._look_for_room()
        await self._connection.send(b"".join(self._frame(part, self._seq)).decode())

    def _frame(self, part: Part, seq: int) -> tuple[bytes, ...]:
        skipped, self._pace.skipped = self._pace.skipped, 0
        head = {"type": "events", "id": self._asked.id, "seq": seq, "cursor": part.cursor, "skipped": skipped}
        return orjson.dumps(head)[:-1], b',"events":[', part.body, b"]}"

    def _look_for_room(self) -> None:
        window = self._asked.window
        if window is None or sum(self._sent.values()) < window:
            self._room.set()
        else:
            self._room.clear()


def parts_of(delivery: Delivery, wanted: Sequence[tuple[int, bytes]]) -> list[Part]:
    """Return messages, each with its place in the delivery, in parts that any client takes."""
    parts: list[Part] = []
    texts: list[bytes] = []
    size = last = 0
    for place, body in wanted:
        if texts and size + len(body) > _MOST_BYTES:
            parts.append(_part(texts, delivery.cursor_at(last)))
            texts, size = [], 0
        texts.append(body)
        size, last = size + len(body) + 1, place
    return [*parts, _part(texts, delivery.cursor)] if texts else parts


def _part(texts: Sequence[bytes], cursor: str) -> Part:
    return Part(_in_ascii(b",".join(texts)), len(texts), cursor)


def _in_ascii(text: bytes) -> bytes:
    """Return JSON that means the same: of a text with a single "°" UTF-8 is made letter by letter, for each client."""
    if text.isascii():
        return text
    return _NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text.decode()).encode()

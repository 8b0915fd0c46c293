"""What happens now, fed by the hub of this process; reads no store."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from enum import Enum
from typing import Annotated, Any, Final

import orjson
import strawberry

from ingestor import errors
from ingestor.api.graphql.context import Asked
from ingestor.api.graphql.events import given
from ingestor.api.graphql.fields import heard, told
from ingestor.api.graphql.scalars import JSON, Long, Time
from ingestor.api.live import LiveFilters, hub_of, in_parts
from ingestor.live.cursor import parse_cursor
from ingestor.live.hub import Hearing
from ingestor.live.listener import Delivery, Ended, Gap, Item, Missed
from ingestor.live.pacing import Pace

#: Messages that are told together where more than one delivery waits.
_TOGETHER: Final = 500
#: Bytes of one frame, as far as one message does not have more: many clients take no more than a megabyte.
_MOST_BYTES: Final = 512 * 1024
_WAIT_S: Final = 60.0


@strawberry.enum
class LivePolicy(Enum):
    """What goes where whoever listens is too slow."""

    DROP_OLDEST = "drop_oldest"
    DROP_NEWEST = "drop_newest"
    DISCONNECT = "disconnect"


def _of(name: str) -> str | None:
    return LiveFilters.model_fields[name].description


@strawberry.input
class LiveFilter:
    """Which messages. Of several values of one kind any may fit; of different kinds all must."""

    entity: list[str] | None = strawberry.field(default=None, description=_of("entity"))
    domain: list[str] | None = strawberry.field(default=None, description=_of("domain"))
    area: list[str] | None = strawberry.field(default=None, description=_of("area"))
    device: list[str] | None = strawberry.field(default=None, description=_of("device"))
    type: list[str] | None = strawberry.field(default=None, description=_of("type"))
    home: list[str] | None = strawberry.field(default=None, description=_of("home"))


@strawberry.type(description="The subscription holds.")
class LiveReady:
    """The subscription holds."""

    cursor: str = strawberry.field(description="Where it begins.")


@strawberry.type(description="Something that happened.")
class LiveMessage:
    """Something that happened, as the live channel tells it."""

    id: strawberry.ID = strawberry.field(description="The same when it is told again; of an event its `eventId`.")
    type: str = strawberry.field(description="`event.new`, `automation.failed`, `device.offline`, …")
    home: str
    time: Time = strawberry.field(description="When it happened.")
    subject: str = strawberry.field(description="Entity, device or type of event that it is about.")
    late: bool = strawberry.field(description="It happened more than 60 s before it was told.")
    data: JSON = strawberry.field(description="All that is told of it, with the names of exported columns.")

    @property
    def _known(self) -> dict[str, Any]:
        found: Any = self.data
        return found if isinstance(found, dict) else {}

    @told("The entity that it is about.")
    def entity_id(self) -> str | None:
        """Return the entity_id."""
        return self._known.get("entity_id")

    @told("The state as it was sent.")
    def state(self) -> str | None:
        """Return the state."""
        return self._known.get("state")

    @told("The state as a number, where it is one.")
    def value(self) -> float | None:
        """Return the number."""
        return self._known.get("value")

    @told("Unit of `value`.")
    def unit(self) -> str | None:
        """Return the unit."""
        return self._known.get("unit")

    @told("The state before.")
    def previous_state(self) -> str | None:
        """Return the state."""
        return self._known.get("previous_state")


@strawberry.type(description="Messages, in order.")
class LiveMessages:
    """Messages, in order."""

    cursor: str = strawberry.field(description="Behind the last of them: to go on from there.")
    skipped: Long = strawberry.field(description="Messages that `maxPerS` has left out since the last time.")
    messages: list[LiveMessage]


@strawberry.type(description="Messages of a home were not kept; their events are in `events`.")
class LiveGap:
    """Messages of a home were not kept."""

    home: str
    cursor: str = strawberry.field(description="Where it goes on.")


@strawberry.type(description="Messages were let go, because whoever listens was too slow.")
class LiveMissed:
    """Messages were let go."""

    messages: Long = strawberry.field(description="How many.")


Told = LiveReady | LiveMessages | LiveGap | LiveMissed
LiveItem = Annotated[
    LiveReady | LiveMessages | LiveGap | LiveMissed, strawberry.union("LiveItem", description="What is heard.")
]
Made = dict[bytes, LiveMessage]


@strawberry.type(description="What can be listened to, over a WebSocket (`graphql-transport-ws`).")
class Subscription:
    """What can be listened to."""

    @heard(
        "What happens now, as it is written. First comes LiveReady. Who comes back with a cursor goes on "
        "behind it; what is no longer kept is told as LiveGap, what was let go as LiveMissed."
    )
    async def live(
        self,
        info: Asked,
        filter: LiveFilter | None = None,  # noqa: A002 -- its name in the schema
        cursor: str | None = None,
        policy: LivePolicy = LivePolicy.DROP_OLDEST,
        max_per_s: Annotated[
            float | None,
            strawberry.argument(description="Most messages a second, up to 100,000; what is over is left out."),
        ] = None,
        sample: Annotated[
            float | None, strawberry.argument(description="Which share of the messages: 0.1 is every tenth or so.")
        ] = None,
    ) -> AsyncGenerator[LiveItem, None]:
        """Yield what is heard, until one of both ends it."""
        asked = LiveFilters.model_validate(given(filter))
        for home in asked.home or (None,):
            info.context.allow(home)
        after = parse_cursor(cursor) if cursor else None
        pace = Pace(max_per_s=max_per_s, sample=sample)
        opened = hub_of(info.context.state).listen(
            asked.checked(info.context.means.settings), after=after, policy=policy.value
        )
        async with opened as hearing:
            yield LiveReady(cursor=hearing.cursor)
            async for item in hearing.items(lambda: _WAIT_S):
                if isinstance(item, Ended) and not item.too_slow:
                    return
                for found in () if item is None else _heard(item, hearing, pace):
                    yield found


def _heard(item: Item, hearing: Hearing, pace: Pace) -> Iterator[Told]:
    """Yield what one listener is told. Raises Overloaded where they must go."""
    match item:
        case Delivery():
            deliveries = [item, *hearing.more(_TOGETHER - len(item.chosen))]
            for messages, cursor in in_parts(
                deliveries, pace, lambda one: one.made_once("graphql", _made), _MOST_BYTES
            ):
                skipped, pace.skipped = pace.skipped, 0
                yield LiveMessages(cursor=cursor, skipped=Long(skipped), messages=messages)
        case Gap():
            yield LiveGap(home=item.home, cursor=item.cursor)
        case Missed():
            yield LiveMissed(messages=Long(item.messages))
        case Ended():
            raise errors.Overloaded("whoever listens is too slow: come back with the last cursor")


def _made(delivery: Delivery) -> Made:
    """Return the messages of a delivery, by their text: made once for all who listen by that filter."""
    found: Made = {}
    for index in delivery.chosen:
        rendered = delivery.messages.render(index, "native")
        message = orjson.loads(rendered)
        found[rendered] = LiveMessage(
            id=strawberry.ID(message["id"]),
            type=message["type"],
            home=message["home"],
            time=Time(message["time"]),
            subject=message["subject"],
            late=message.get("late", False),
            data=JSON(message["data"]),
        )
    return found

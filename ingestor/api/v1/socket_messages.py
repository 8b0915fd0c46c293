"""What is said over the WebSocket, both ways: each message a model, which also describes it. Does nothing."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
    StringConstraints,
    TypeAdapter,
)

from ingestor.api.answers import whole
from ingestor.api.live import LiveFilters
from ingestor.live.envelope import Form
from ingestor.live.listener import Policy
from ingestor.live.pacing import MOST_PER_S

MAX_CURSOR: Final = 8000
SubscriptionId = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:-]+$")]
CursorText = Annotated[str, StringConstraints(max_length=MAX_CURSOR)]


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Subscribe(_Said):
    """Asks for messages, from now on or from behind a cursor."""

    type: Literal["subscribe"]
    id: SubscriptionId = Field(description="A name that the client gives; it stands in all that comes of it.")
    filter: LiveFilters = LiveFilters()
    cursor: CursorText | None = Field(None, description="Behind which message to begin; default: now.")
    form: Form = Field("native", description="`cloudevents`: each message is a CloudEvent 1.0.2.")
    policy: Policy = Field("drop_oldest", description="What goes where this client is too slow.")
    window: Annotated[StrictInt, Field(ge=1, le=100_000), BeforeValidator(whole)] | None = Field(
        None, description="Most messages that are sent without an `ack`; default: any number."
    )
    max_per_s: StrictFloat | None = Field(
        None, gt=0, le=MOST_PER_S, description="Most messages a second; what is over is counted in `skipped`."
    )
    sample: StrictFloat | None = Field(
        None, gt=0, le=1, description="Which share of the messages: 0.1 is every tenth or so."
    )


class Unsubscribe(_Said):
    """Ends a subscription."""

    type: Literal["unsubscribe"]
    id: SubscriptionId


class Ack(_Said):
    """Says that all up to this frame has been taken: makes room in the window."""

    type: Literal["ack"]
    id: SubscriptionId
    seq: Annotated[
        StrictInt,
        Field(ge=1, description="`seq` of the last frame of `events` that was taken."),
        BeforeValidator(whole),
    ]


class Ping(_Said):
    """Asks for a `pong`."""

    type: Literal["ping"]
    data: Annotated[str, StringConstraints(max_length=125)] = ""


Command = Annotated[Subscribe | Unsubscribe | Ack | Ping, Field(discriminator="type")]
COMMANDS: Final[TypeAdapter[Subscribe | Unsubscribe | Ack | Ping]] = TypeAdapter(Command)


class Subscribed(_Said):
    """A subscription holds."""

    type: Literal["subscribed"] = "subscribed"
    id: str
    cursor: str = Field(description="Where it begins.")


class Unsubscribed(_Said):
    """A subscription has ended."""

    type: Literal["unsubscribed"] = "unsubscribed"
    id: str


class Events(_Said):
    """Messages, in order: what one entry of the channel has for this subscription."""

    type: Literal["events"] = "events"
    id: str
    seq: int = Field(description="Counts the frames of this subscription, from 1.")
    cursor: str = Field(description="Behind the last of them: to go on from there.")
    skipped: int = Field(0, description="Messages that `max_per_s` has left out since the last frame.")
    events: list[dict[str, Any]] = Field(description="Messages (or CloudEvents), as the live channel tells them.")


class GapTold(_Said):
    """Messages of a home were not kept; their events are in `/api/v1/events`."""

    type: Literal["gap"] = "gap"
    id: str
    home: str
    cursor: str


class MissedTold(_Said):
    """Messages that were let go, because this client was too slow."""

    type: Literal["missed"] = "missed"
    id: str
    messages: int


class Pong(_Said):
    """Answers a `ping`."""

    type: Literal["pong"] = "pong"
    data: str = ""


class Failed(_Said):
    """A command could not be done, or a subscription had to end; the connection goes on."""

    type: Literal["error"] = "error"
    id: str | None = Field(None, description="Of which subscription, where that is known.")
    code: Literal["invalid", "unknown_subscription", "already_subscribed", "overloaded", "unavailable"]
    detail: str


#: Everything that is said, by who says it.
FROM_CLIENT: Final[tuple[type[BaseModel], ...]] = (Subscribe, Unsubscribe, Ack, Ping)
FROM_SERVER: Final[tuple[type[BaseModel], ...]] = (
    Subscribed,
    Unsubscribed,
    Events,
    GapTold,
    MissedTold,
    Pong,
    Failed,
)

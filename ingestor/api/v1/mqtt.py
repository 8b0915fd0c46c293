"""`/mqtt/topics`: what listeners have seen on MQTT, and what we publish there."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from ingestor import bootstrap, errors
from ingestor.api.answers import NOT_FOUND, Asking, Question, Text, as_json, json_answer, may_read
from ingestor.reading.homes import check_home
from ingestor.reading.mqtt import topics_object

router: Final = APIRouter(prefix="/api/v1", tags=["live"], dependencies=[Depends(may_read)])
_MOST: Final = 10_000


class TopicList(Question):
    """Which topics."""

    home: Text | None = None
    limit: Annotated[int, Field(ge=1, le=_MOST, description="Most topics that were seen.")] = 1000


class SeenTopic(BaseModel):
    """A topic that a listener has heard since it started."""

    topic: str
    kind: str = Field(description="What it was taken for; `ignored`: nothing, `own`: we publish it.")
    count: int = Field(description="Messages.")
    last: str = Field(json_schema_extra={"format": "date-time"})
    home: str
    listener: str


class PublishedTopic(BaseModel):
    """A topic that we publish to, or a template of topics."""

    topic: str
    kind: str = Field(description="`messages`, `sensors`, `gap`, `status` or `discovery`.")
    count: int | None = Field(description="Messages since it started; null: not counted.")


class TopicsShape(BaseModel):
    """The topics of MQTT."""

    seen: list[SeenTopic] = Field(description="Those with most messages first.")
    seen_in_all: int
    other_messages: int = Field(description="Messages on further topics: a listener tells 1,000 of them by name.")
    published: list[PublishedTopic]
    published_by_event: dict[str, int]
    connected: bool = Field(description="MQTT out is connected to its broker.")
    last_error: str
    refused: int = Field(description="Messages that the broker does not take, passed over since it started.")
    last_refused: str = Field(description="The last of them: how large, which topic, why; empty: none.")
    missing: str = Field("", description="Why this is not known just now; mostly empty.")


@router.get("/mqtt/topics", response_model=TopicsShape, responses=NOT_FOUND)
async def list_topics(asked: Annotated[TopicList, Query()], means: Asking) -> Response:
    """Return the topics that listeners have seen, as of some seconds ago, and those that we publish."""

    def read() -> bytes:
        check_home(means.settings, asked.home, means.metadata)
        missing, board = "", dict[str, dict[str, Any]]()
        try:
            board = bootstrap.open_topics_board(means.settings).read()
        except errors.StateUnavailable as error:
            missing = str(error)
        return as_json(TopicsShape(**topics_object(board, asked.home, asked.limit), missing=missing))

    return json_answer(await means.other(read))

"""`/webhooks`: registered addresses that messages of the live channel are posted to, and what became of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StringConstraints,
)

from ingestor import bootstrap, errors
from ingestor.api.answers import NOT_FOUND, Asking, Question, as_json, json_answer, whole
from ingestor.api.description import problem_response
from ingestor.api.gate import principal_of
from ingestor.api.live import LiveFilters, hub_of
from ingestor.api.means import Means
from ingestor.live.cursor import Position, cursor_text
from ingestor.live.envelope import Form
from ingestor.live.filter import LiveFilter
from ingestor.reading.webhooks import delivery_object, hook_object
from ingestor.security.access import Action, authorize
from ingestor.settings import Settings
from ingestor.webhooks.desk import LONGEST_URL, WebhookDesk
from ingestor.webhooks.model import LONGEST_WAIT_S, MOST_IN_BATCH, Delivery, DeliveryState, Hook, Wanted

T = TypeVar("T")
_REFUSED: Final[dict[int | str, dict[str, Any]]] = {
    409: problem_response(
        "It cannot be done as things stand: too many webhooks or secrets, a disabled one, nothing to replay."
    )
}
_UNREACHABLE: Final[dict[int | str, dict[str, Any]]] = {
    400: problem_response("The address can never be reached: it is private, or is none.")
}
_SEQ: Final = 2**62
_Url = Annotated[str, StringConstraints(max_length=LONGEST_URL, pattern=r"^https?://[!-~]+$")]
_Text = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00]*$")]
_Batch = Annotated[
    StrictInt, Field(ge=1, le=MOST_IN_BATCH, description="Most messages in one delivery."), BeforeValidator(whole)
]
_BatchWait = Annotated[
    StrictFloat, Field(ge=0, le=LONGEST_WAIT_S, description="Seconds that a message waits for others.")
]
_Late = Annotated[StrictBool, Field(description="Also what happened more than a minute before it was told.")]
_HookId = Annotated[str, Path(alias="webhook_id", description="As `/webhooks` names it.", max_length=40)]
_DeliveryId = Annotated[str, Path(description="Also its `webhook-id`.", max_length=64)]


async def may_see_webhooks(request: Request) -> None:
    """Let pass who may look at webhooks."""
    authorize(principal_of(request.scope), Action.READ_WEBHOOKS)


async def may_change_webhooks(request: Request) -> None:
    """Let pass who may register webhooks, and by that send data out."""
    authorize(principal_of(request.scope), Action.CHANGE_WEBHOOKS)


router: Final = APIRouter(prefix="/api/v1", tags=["webhooks"])
_READS: Final = [Depends(may_see_webhooks)]
_WRITES: Final = [Depends(may_change_webhooks)]


class WebhookAsked(BaseModel):
    """A webhook that is to be registered."""

    model_config = ConfigDict(extra="forbid")

    url: _Url = Field(description="Where deliveries are posted to.")
    description: _Text = ""
    filter: LiveFilters = Field(LiveFilters(), description="Which messages; nothing: all.")
    form: Form = Field("native", description="`cloudevents`: each message is a CloudEvent 1.0.2.")
    batch: _Batch = 1
    batch_wait_s: _BatchWait = 1.0
    late: _Late = False


class WebhookChange(BaseModel):
    """What is to be different; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    url: _Url | None = None
    description: _Text | None = None
    filter: LiveFilters | None = None
    form: Form | None = None
    batch: _Batch | None = None
    batch_wait_s: _BatchWait | None = None
    late: _Late | None = None
    enabled: StrictBool | None = None


class WebhookShape(BaseModel):
    """A webhook, and how it does."""

    id: str
    url: str
    description: str
    enabled: bool
    why_disabled: str = Field(description="Why it is disabled, where nobody did it by hand.")
    filter: LiveFilters
    form: Form
    batch: int
    batch_wait_s: float
    late: bool
    secret_masked: str
    created: str = Field(json_schema_extra={"format": "date-time"})
    cursor: str = Field(description="How far its messages were taken from the live channel; empty: not begun.")
    waiting: int = Field(description="Deliveries that wait.")
    waiting_bytes: int
    dead: int = Field(description="Deliveries that were given up and can be replayed.")
    delivered: int = Field(description="Deliveries that were taken so far.")
    gaps: int = Field(description="Times that messages were lost before they could be taken; each was told.")
    forgotten: int = Field(description="Dead deliveries that were forgotten, because there were too many.")
    failures: int = Field(description="Tries that failed since the last one that did not.")
    paused_until: str | None = Field(json_schema_extra={"format": "date-time"})
    last_taken: str | None = Field(json_schema_extra={"format": "date-time"})
    last_error: str


class WebhookWithSecret(WebhookShape):
    """A webhook with its secret, which is told this once."""

    secret: str = Field(description="`whsec_…`: what deliveries are signed with (Standard Webhooks).")


class WebhookItems(BaseModel):
    """Webhooks, the oldest first."""

    items: list[WebhookShape]


class DeliveryShape(BaseModel):
    """A delivery."""

    id: str = Field(description="Also the header `webhook-id`: the same at every try.")
    webhook: str
    kind: str = Field(description="`messages`, `gap` or `ping`.")
    messages: int
    state: DeliveryState
    created: str = Field(json_schema_extra={"format": "date-time"})
    next_try: str | None = Field(json_schema_extra={"format": "date-time"})
    ended: str | None = Field(json_schema_extra={"format": "date-time"})
    tries: int
    status: int | None = Field(description="What the receiver answered last; null: nothing.")
    error: str
    bytes: int


class DeliveryWithBody(DeliveryShape):
    """A delivery with what it says."""

    body: str | None = Field(description="Null where it was taken: it is not kept then.")


class DeliveryItems(BaseModel):
    """Deliveries, the newest first."""

    items: list[DeliveryShape]
    next: str | None = Field(description="`before` of the next page; null on the last one.")


class Replayed(BaseModel):
    """What will be tried anew."""

    deliveries: int


class DeliveryList(Question):
    """Which deliveries."""

    state: DeliveryState | None = Field(None, description="`dead`: those that were given up.")
    before: int | None = Field(None, ge=1, le=_SEQ, description="`next` of the page before.")
    limit: int = Field(100, ge=1, le=1000, description="Most deliveries of a page.")


@router.post(
    "/webhooks",
    status_code=201,
    response_model=WebhookWithSecret,
    responses={**NOT_FOUND, **_UNREACHABLE, **_REFUSED},
    dependencies=_WRITES,
)
async def create_webhook(request: Request, asked: WebhookAsked, means: Asking) -> Response:
    """Register a webhook; its secret is in the answer, and nowhere else afterwards."""
    wanted = Wanted(asked.filter.checked(means.settings), asked.form, asked.batch, asked.batch_wait_s, asked.late)
    cursor = await _now(request, wanted.messages)

    def write(desk: WebhookDesk) -> bytes:
        hook, secret = desk.create(asked.url, wanted, asked.description, cursor)
        return as_json(WebhookWithSecret(**_told(desk, hook), secret=secret))

    return Response(await _written(request, means, write), 201, media_type="application/json")


@router.get("/webhooks", response_model=WebhookItems, dependencies=_READS)
async def list_webhooks(means: Asking) -> Response:
    """Return all webhooks and how they do."""

    def read() -> bytes:
        desk = _desk(means)
        return as_json(WebhookItems(items=[WebhookShape(**_told(desk, hook)) for hook in desk.book.hooks()]))

    return json_answer(await means.other(read))


@router.get("/webhooks/{webhook_id}", response_model=WebhookShape, responses=NOT_FOUND, dependencies=_READS)
async def read_webhook(hook_id: _HookId, means: Asking) -> Response:
    """Return a webhook and how it does."""

    def read() -> bytes:
        desk = _desk(means)
        return as_json(WebhookShape(**_told(desk, desk.book.find(hook_id))))

    return json_answer(await means.other(read))


@router.patch(
    "/webhooks/{webhook_id}",
    response_model=WebhookShape,
    responses={**NOT_FOUND, **_UNREACHABLE},
    dependencies=_WRITES,
)
async def change_webhook(request: Request, hook_id: _HookId, change: WebhookChange, means: Asking) -> Response:
    """Change a webhook, disable it, or enable it again: what waits for it is tried at once then."""

    def write(desk: WebhookDesk) -> bytes:
        hook = desk.change(
            hook_id,
            url=change.url,
            wanted=lambda now: _wanted(now, change, means.settings),
            description=change.description,
            enabled=change.enabled,
        )
        return as_json(WebhookShape(**_told(desk, hook)))

    return json_answer(await _written(request, means, write))


@router.delete("/webhooks/{webhook_id}", status_code=204, responses=NOT_FOUND, dependencies=_WRITES)
async def remove_webhook(request: Request, hook_id: _HookId, means: Asking) -> Response:
    """Forget a webhook with all that waits for it."""

    def write(desk: WebhookDesk) -> None:
        desk.remove(hook_id)

    await _written(request, means, write)
    return Response(status_code=204)


@router.post(
    "/webhooks/{webhook_id}/secret",
    response_model=WebhookWithSecret,
    responses={**NOT_FOUND, **_REFUSED},
    dependencies=_WRITES,
)
async def rotate_secret(request: Request, hook_id: _HookId, means: Asking) -> Response:
    """Make a new secret; deliveries are signed with each old one too, for a day after it was replaced."""

    def write(desk: WebhookDesk) -> bytes:
        hook, secret = desk.rotate(hook_id)
        return as_json(WebhookWithSecret(**_told(desk, hook), secret=secret))

    return json_answer(await _written(request, means, write))


@router.post(
    "/webhooks/{webhook_id}/ping",
    status_code=202,
    response_model=DeliveryShape,
    responses={**NOT_FOUND, **_REFUSED},
    dependencies=_WRITES,
)
async def ping_webhook(request: Request, hook_id: _HookId, means: Asking) -> Response:
    """Have a test delivery made; what became of it is at its own address."""

    def write(desk: WebhookDesk) -> bytes:
        return as_json(DeliveryShape(**delivery_object(desk.ping(hook_id))))

    return Response(await _written(request, means, write), 202, media_type="application/json")


@router.get("/webhooks/{webhook_id}/deliveries", response_model=DeliveryItems, responses=NOT_FOUND, dependencies=_READS)
async def list_deliveries(hook_id: _HookId, asked: Annotated[DeliveryList, Query()], means: Asking) -> Response:
    """Return the deliveries of a webhook: all that wait or were given up, and the newest of those that were taken."""

    def read() -> bytes:
        book = _desk(means).book
        book.find(hook_id)
        found = book.list(hook_id, state=asked.state, before=asked.before, limit=asked.limit + 1)
        more = str(found[asked.limit - 1].seq) if len(found) > asked.limit else None
        items = [DeliveryShape(**delivery_object(one)) for one in found[: asked.limit]]
        return as_json(DeliveryItems(items=items, next=more))

    return json_answer(await means.other(read))


@router.get(
    "/webhooks/{webhook_id}/deliveries/{delivery_id}",
    response_model=DeliveryWithBody,
    responses=NOT_FOUND,
    dependencies=_READS,
)
async def read_delivery(hook_id: _HookId, delivery_id: _DeliveryId, means: Asking) -> Response:
    """Return one delivery, with what it says."""

    def read() -> bytes:
        return _with_body(_desk(means).book.delivery(hook_id, delivery_id))

    return json_answer(await means.other(read))


@router.post(
    "/webhooks/{webhook_id}/deliveries/{delivery_id}/replay",
    response_model=DeliveryWithBody,
    responses={**NOT_FOUND, **_REFUSED},
    dependencies=_WRITES,
)
async def replay_delivery(request: Request, hook_id: _HookId, delivery_id: _DeliveryId, means: Asking) -> Response:
    """Try a delivery anew that was given up."""

    def write(desk: WebhookDesk) -> bytes:
        desk.replay(hook_id, delivery_id)
        return _with_body(desk.book.delivery(hook_id, delivery_id))

    return json_answer(await _written(request, means, write))


@router.post("/webhooks/{webhook_id}/replay", response_model=Replayed, responses=NOT_FOUND, dependencies=_WRITES)
async def replay_all(request: Request, hook_id: _HookId, means: Asking) -> Response:
    """Try all deliveries of a webhook anew that were given up."""

    def write(desk: WebhookDesk) -> bytes:
        return as_json(Replayed(deliveries=desk.replay(hook_id)))

    return json_answer(await _written(request, means, write))


def _desk(means: Means) -> WebhookDesk:
    return bootstrap.open_webhook_desk(means.settings, means.metadata())


async def _written(request: Request, means: Means, write: Callable[[WebhookDesk], T]) -> T:
    """Do something, and have whoever delivers look at it at once."""
    by, request_id = principal_of(request.scope), str(request.scope["state"]["request_id"])
    answer = await means.other(
        lambda: write(bootstrap.open_webhook_desk(means.settings, means.metadata(), by=by, request_id=request_id))
    )
    if request.app.state.webhooks is not None:
        request.app.state.webhooks.look()
    return answer


async def _now(request: Request, wanted: LiveFilter) -> str:
    """Return the cursor of this moment; empty while nobody can tell: it begins when the channel can be read.

    Raises NotFound where the live channel is switched off.
    """
    try:
        kept = await hub_of(request.app.state).kept()
    except errors.Transient:
        return ""
    return cursor_text({home: Position(one.last) for home, one in kept.items() if wanted.takes_home(home)})


def _told(desk: WebhookDesk, hook: Hook) -> dict[str, Any]:
    return hook_object(hook, desk.book.counted(hook.hook_id))


def _with_body(delivery: Delivery) -> bytes:
    return as_json(DeliveryWithBody(**delivery_object(delivery, with_body=True)))


def _wanted(now: Wanted, change: WebhookChange, settings: Settings) -> Wanted:
    def of(value: T | None, before: T) -> T:
        return before if value is None else value

    return Wanted(
        now.messages if change.filter is None else change.filter.checked(settings),
        of(change.form, now.form),
        of(change.batch, now.batch),
        of(change.batch_wait_s, now.batch_wait_s),
        of(change.late, now.late),
    )

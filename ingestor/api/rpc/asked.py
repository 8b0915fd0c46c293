"""Requests as the questions of REST: checked by the same models. Asks nobody."""

from __future__ import annotations

from typing import Any, Final

from pydantic import TypeAdapter

from ingestor import errors
from ingestor.api.answers import MAX_PAGE
from ingestor.api.live import LiveFilters
from ingestor.api.rpc import ingestor_pb2 as pb
from ingestor.api.v1.events import EventFilters, EventList
from ingestor.api.v1.history import HistoryList
from ingestor.api.v1.keeping import GapList, LedgerSpan
from ingestor.live.listener import Policy
from ingestor.live.pacing import Pace

_USUAL_PAGE: Final = 100
_ALL: Final = 2**62
_POLICY: Final[TypeAdapter[Policy]] = TypeAdapter(Policy)


def event_list(request: Any) -> EventList:
    """Return which page of events is asked for. Raises ValidationError, Unanswerable."""
    order = {pb.ORDER_OLDEST: "oldest"}.get(request.order, "newest")
    more = {"order": order, "limit": page_size(request.page_size), "cursor": request.page_token or None}
    return EventList.model_validate({**_filter(request.filter), **more})


def page_size(asked: int) -> int:
    """Return how many are asked for. Raises Unanswerable."""
    if not 0 <= asked <= MAX_PAGE:
        raise errors.Unanswerable(f"{asked} is not 1 to {MAX_PAGE:,}")
    return asked or _USUAL_PAGE


def event_filters(told: Any) -> EventFilters:
    """Return which events are asked for. Raises ValidationError, Unanswerable."""
    return EventFilters.model_validate(_filter(told))


def limit(asked: int) -> int:
    """Return the most events of all. Raises Unanswerable."""
    if asked < 0:
        raise errors.Unanswerable("limit is not negative")
    return min(asked, _ALL) or _ALL


def history_list(request: Any) -> HistoryList:
    """Return which past is asked for. Raises ValidationError, Unanswerable."""
    told = {
        "entity": list(request.entity),
        "home": _set(request, "home"),
        **_times(request),
        "window": request.window or None,
        "aggregate": [_word(pb.Aggregate.Name(one), "AGGREGATE_") for one in request.aggregate],
        "fill": _word(pb.Fill.Name(request.fill), "FILL_").replace("unspecified", "none"),
    }
    asked = HistoryList.model_validate(told)
    asked.check()
    return asked


def ledger_span(request: Any) -> LedgerSpan:
    """Return which hours of the ledger are asked for. Raises ValidationError."""
    return LedgerSpan.model_validate({"home": _set(request, "home"), **_times(request)})


def gap_list(request: Any) -> GapList:
    """Return which gaps are asked for. Raises ValidationError, Unanswerable."""
    told = {"home": _set(request, "home"), "since": _time(request, "since"), "limit": page_size(request.limit)}
    return GapList.model_validate(told)


def live_filters(told: Any) -> LiveFilters:
    """Return which messages are asked for. Raises ValidationError."""
    names = LiveFilters.model_fields
    return LiveFilters.model_validate({name: list(getattr(told, name)) for name in names})


def policy(request: Any) -> Policy:
    """Return what goes where whoever listens is too slow."""
    name = _word(pb.Policy.Name(request.policy), "POLICY_").replace("unspecified", "drop_oldest")
    return _POLICY.validate_python(name)


def pace(request: Any) -> Pace:
    """Return how much of what is for them somebody wants. Raises Unanswerable."""
    return Pace(max_per_s=request.max_per_s or None, sample=request.sample or None)


def _filter(told: Any) -> dict[str, Any]:
    kind = {pb.EVENT_KIND_STATE: "state", pb.EVENT_KIND_EVENT: "event"}.get(told.kind)
    named = {name: _set(told, name) for name in ("entity", "type", "home", "cause")}
    several = {name: list(getattr(told, name)) for name in ("domain", "area", "device", "integration", "context")}
    return {**named, **several, "kind": kind, **_times(told)}


def _set(message: Any, name: str) -> Any:
    return getattr(message, name) if message.HasField(name) else None


def _times(message: Any) -> dict[str, str | None]:
    return {name: _time(message, name) for name in ("since", "until")}


def _time(message: Any, name: str) -> str | None:
    if not message.HasField(name):
        return None
    try:
        return str(getattr(message, name).ToJsonString())
    except ValueError as error:
        raise errors.Unanswerable(f"{name}: {error}") from error


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower()

import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EventKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_KIND_UNSPECIFIED: _ClassVar[EventKind]
    EVENT_KIND_STATE: _ClassVar[EventKind]
    EVENT_KIND_EVENT: _ClassVar[EventKind]

class Order(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORDER_UNSPECIFIED: _ClassVar[Order]
    ORDER_NEWEST: _ClassVar[Order]
    ORDER_OLDEST: _ClassVar[Order]

class Aggregate(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AGGREGATE_UNSPECIFIED: _ClassVar[Aggregate]
    AGGREGATE_MEAN: _ClassVar[Aggregate]
    AGGREGATE_MIN: _ClassVar[Aggregate]
    AGGREGATE_MAX: _ClassVar[Aggregate]
    AGGREGATE_LAST: _ClassVar[Aggregate]
    AGGREGATE_SUM: _ClassVar[Aggregate]
    AGGREGATE_COUNT: _ClassVar[Aggregate]
    AGGREGATE_TIME_WEIGHTED_MEAN: _ClassVar[Aggregate]
    AGGREGATE_DURATION: _ClassVar[Aggregate]

class Fill(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FILL_UNSPECIFIED: _ClassVar[Fill]
    FILL_NULL: _ClassVar[Fill]
    FILL_PREVIOUS: _ClassVar[Fill]
    FILL_ZERO: _ClassVar[Fill]
    FILL_LINEAR: _ClassVar[Fill]

class Policy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    POLICY_UNSPECIFIED: _ClassVar[Policy]
    POLICY_DROP_OLDEST: _ClassVar[Policy]
    POLICY_DROP_NEWEST: _ClassVar[Policy]
    POLICY_DISCONNECT: _ClassVar[Policy]
EVENT_KIND_UNSPECIFIED: EventKind
EVENT_KIND_STATE: EventKind
EVENT_KIND_EVENT: EventKind
ORDER_UNSPECIFIED: Order
ORDER_NEWEST: Order
ORDER_OLDEST: Order
AGGREGATE_UNSPECIFIED: Aggregate
AGGREGATE_MEAN: Aggregate
AGGREGATE_MIN: Aggregate
AGGREGATE_MAX: Aggregate
AGGREGATE_LAST: Aggregate
AGGREGATE_SUM: Aggregate
AGGREGATE_COUNT: Aggregate
AGGREGATE_TIME_WEIGHTED_MEAN: Aggregate
AGGREGATE_DURATION: Aggregate
FILL_UNSPECIFIED: Fill
FILL_NULL: Fill
FILL_PREVIOUS: Fill
FILL_ZERO: Fill
FILL_LINEAR: Fill
POLICY_UNSPECIFIED: Policy
POLICY_DROP_OLDEST: Policy
POLICY_DROP_NEWEST: Policy
POLICY_DISCONNECT: Policy

class EventFilter(_message.Message):
    __slots__ = ("entity", "domain", "area", "device", "integration", "type", "kind", "home", "since", "until", "cause", "context")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    AREA_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    INTEGRATION_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    HOME_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    entity: str
    domain: _containers.RepeatedScalarFieldContainer[str]
    area: _containers.RepeatedScalarFieldContainer[str]
    device: _containers.RepeatedScalarFieldContainer[str]
    integration: _containers.RepeatedScalarFieldContainer[str]
    type: str
    kind: EventKind
    home: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    cause: str
    context: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, entity: _Optional[str] = ..., domain: _Optional[_Iterable[str]] = ..., area: _Optional[_Iterable[str]] = ..., device: _Optional[_Iterable[str]] = ..., integration: _Optional[_Iterable[str]] = ..., type: _Optional[str] = ..., kind: _Optional[_Union[EventKind, str]] = ..., home: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., cause: _Optional[str] = ..., context: _Optional[_Iterable[str]] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("time_unix_nano", "event_id", "kind", "event_type", "home", "series", "entity_id", "domain", "area", "device", "device_class", "state", "value", "unit", "previous_state", "available", "source", "context_id", "cause_kind", "cause_id", "more")
    TIME_UNIX_NANO_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    EVENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    HOME_FIELD_NUMBER: _ClassVar[int]
    SERIES_FIELD_NUMBER: _ClassVar[int]
    ENTITY_ID_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    AREA_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_CLASS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_STATE_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_ID_FIELD_NUMBER: _ClassVar[int]
    CAUSE_KIND_FIELD_NUMBER: _ClassVar[int]
    CAUSE_ID_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    time_unix_nano: int
    event_id: str
    kind: str
    event_type: str
    home: str
    series: str
    entity_id: str
    domain: str
    area: str
    device: str
    device_class: str
    state: str
    value: float
    unit: str
    previous_state: str
    available: bool
    source: str
    context_id: str
    cause_kind: str
    cause_id: str
    more: str
    def __init__(self, time_unix_nano: _Optional[int] = ..., event_id: _Optional[str] = ..., kind: _Optional[str] = ..., event_type: _Optional[str] = ..., home: _Optional[str] = ..., series: _Optional[str] = ..., entity_id: _Optional[str] = ..., domain: _Optional[str] = ..., area: _Optional[str] = ..., device: _Optional[str] = ..., device_class: _Optional[str] = ..., state: _Optional[str] = ..., value: _Optional[float] = ..., unit: _Optional[str] = ..., previous_state: _Optional[str] = ..., available: _Optional[bool] = ..., source: _Optional[str] = ..., context_id: _Optional[str] = ..., cause_kind: _Optional[str] = ..., cause_id: _Optional[str] = ..., more: _Optional[str] = ...) -> None: ...

class ListEventsRequest(_message.Message):
    __slots__ = ("filter", "order", "page_size", "page_token")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    filter: EventFilter
    order: Order
    page_size: int
    page_token: str
    def __init__(self, filter: _Optional[_Union[EventFilter, _Mapping]] = ..., order: _Optional[_Union[Order, str]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListEventsResponse(_message.Message):
    __slots__ = ("events", "next_page_token")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    next_page_token: str
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ReadEventsRequest(_message.Message):
    __slots__ = ("filter", "limit")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    filter: EventFilter
    limit: int
    def __init__(self, filter: _Optional[_Union[EventFilter, _Mapping]] = ..., limit: _Optional[int] = ...) -> None: ...

class EventBatch(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ...) -> None: ...

class ReadHistoryRequest(_message.Message):
    __slots__ = ("entity", "home", "since", "until", "window", "aggregate", "fill")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    HOME_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    AGGREGATE_FIELD_NUMBER: _ClassVar[int]
    FILL_FIELD_NUMBER: _ClassVar[int]
    entity: _containers.RepeatedScalarFieldContainer[str]
    home: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    window: str
    aggregate: _containers.RepeatedScalarFieldContainer[Aggregate]
    fill: Fill
    def __init__(self, entity: _Optional[_Iterable[str]] = ..., home: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., window: _Optional[str] = ..., aggregate: _Optional[_Iterable[_Union[Aggregate, str]]] = ..., fill: _Optional[_Union[Fill, str]] = ...) -> None: ...

class HistoryBatch(_message.Message):
    __slots__ = ("windows", "states")
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    windows: _containers.RepeatedCompositeFieldContainer[Window]
    states: _containers.RepeatedCompositeFieldContainer[Event]
    def __init__(self, windows: _Optional[_Iterable[_Union[Window, _Mapping]]] = ..., states: _Optional[_Iterable[_Union[Event, _Mapping]]] = ...) -> None: ...

class Window(_message.Message):
    __slots__ = ("entity_id", "series", "start", "mean", "min", "max", "last", "last_state", "sum", "count", "time_weighted_mean", "duration_s", "other_s")
    class DurationSEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    ENTITY_ID_FIELD_NUMBER: _ClassVar[int]
    SERIES_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    LAST_STATE_FIELD_NUMBER: _ClassVar[int]
    SUM_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    TIME_WEIGHTED_MEAN_FIELD_NUMBER: _ClassVar[int]
    DURATION_S_FIELD_NUMBER: _ClassVar[int]
    OTHER_S_FIELD_NUMBER: _ClassVar[int]
    entity_id: str
    series: str
    start: _timestamp_pb2.Timestamp
    mean: float
    min: float
    max: float
    last: float
    last_state: str
    sum: float
    count: int
    time_weighted_mean: float
    duration_s: _containers.ScalarMap[str, float]
    other_s: float
    def __init__(self, entity_id: _Optional[str] = ..., series: _Optional[str] = ..., start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., mean: _Optional[float] = ..., min: _Optional[float] = ..., max: _Optional[float] = ..., last: _Optional[float] = ..., last_state: _Optional[str] = ..., sum: _Optional[float] = ..., count: _Optional[int] = ..., time_weighted_mean: _Optional[float] = ..., duration_s: _Optional[_Mapping[str, float]] = ..., other_s: _Optional[float] = ...) -> None: ...

class ExportRequest(_message.Message):
    __slots__ = ("filter", "format", "limit", "compression")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    COMPRESSION_FIELD_NUMBER: _ClassVar[int]
    filter: EventFilter
    format: str
    limit: int
    compression: str
    def __init__(self, filter: _Optional[_Union[EventFilter, _Mapping]] = ..., format: _Optional[str] = ..., limit: _Optional[int] = ..., compression: _Optional[str] = ...) -> None: ...

class ExportChunk(_message.Message):
    __slots__ = ("data", "media_type", "file_name")
    DATA_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    FILE_NAME_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    media_type: str
    file_name: str
    def __init__(self, data: _Optional[bytes] = ..., media_type: _Optional[str] = ..., file_name: _Optional[str] = ...) -> None: ...

class LiveFilter(_message.Message):
    __slots__ = ("entity", "domain", "area", "device", "type", "home")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    AREA_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    HOME_FIELD_NUMBER: _ClassVar[int]
    entity: _containers.RepeatedScalarFieldContainer[str]
    domain: _containers.RepeatedScalarFieldContainer[str]
    area: _containers.RepeatedScalarFieldContainer[str]
    device: _containers.RepeatedScalarFieldContainer[str]
    type: _containers.RepeatedScalarFieldContainer[str]
    home: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, entity: _Optional[_Iterable[str]] = ..., domain: _Optional[_Iterable[str]] = ..., area: _Optional[_Iterable[str]] = ..., device: _Optional[_Iterable[str]] = ..., type: _Optional[_Iterable[str]] = ..., home: _Optional[_Iterable[str]] = ...) -> None: ...

class SubscribeRequest(_message.Message):
    __slots__ = ("filter", "cursor", "policy", "max_per_s", "sample")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    MAX_PER_S_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    filter: LiveFilter
    cursor: str
    policy: Policy
    max_per_s: float
    sample: float
    def __init__(self, filter: _Optional[_Union[LiveFilter, _Mapping]] = ..., cursor: _Optional[str] = ..., policy: _Optional[_Union[Policy, str]] = ..., max_per_s: _Optional[float] = ..., sample: _Optional[float] = ...) -> None: ...

class SubscribeResponse(_message.Message):
    __slots__ = ("ready", "messages", "gap", "missed")
    READY_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    GAP_FIELD_NUMBER: _ClassVar[int]
    MISSED_FIELD_NUMBER: _ClassVar[int]
    ready: Ready
    messages: LiveMessages
    gap: LiveGap
    missed: Missed
    def __init__(self, ready: _Optional[_Union[Ready, _Mapping]] = ..., messages: _Optional[_Union[LiveMessages, _Mapping]] = ..., gap: _Optional[_Union[LiveGap, _Mapping]] = ..., missed: _Optional[_Union[Missed, _Mapping]] = ...) -> None: ...

class Ready(_message.Message):
    __slots__ = ("cursor",)
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    cursor: str
    def __init__(self, cursor: _Optional[str] = ...) -> None: ...

class LiveMessages(_message.Message):
    __slots__ = ("messages", "cursor", "skipped")
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    messages: _containers.RepeatedCompositeFieldContainer[LiveMessage]
    cursor: str
    skipped: int
    def __init__(self, messages: _Optional[_Iterable[_Union[LiveMessage, _Mapping]]] = ..., cursor: _Optional[str] = ..., skipped: _Optional[int] = ...) -> None: ...

class LiveMessage(_message.Message):
    __slots__ = ("id", "type", "home", "time", "subject", "late", "data_json")
    ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    HOME_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    DATA_JSON_FIELD_NUMBER: _ClassVar[int]
    id: str
    type: str
    home: str
    time: _timestamp_pb2.Timestamp
    subject: str
    late: bool
    data_json: str
    def __init__(self, id: _Optional[str] = ..., type: _Optional[str] = ..., home: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., subject: _Optional[str] = ..., late: _Optional[bool] = ..., data_json: _Optional[str] = ...) -> None: ...

class LiveGap(_message.Message):
    __slots__ = ("home", "cursor")
    HOME_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    home: str
    cursor: str
    def __init__(self, home: _Optional[str] = ..., cursor: _Optional[str] = ...) -> None: ...

class Missed(_message.Message):
    __slots__ = ("messages",)
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    messages: int
    def __init__(self, messages: _Optional[int] = ...) -> None: ...

class GetLedgerRequest(_message.Message):
    __slots__ = ("home", "since", "until")
    HOME_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    home: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    def __init__(self, home: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Counts(_message.Message):
    __slots__ = ("received", "written", "duplicate", "rejected", "filtered", "in_flight", "lost", "recovered", "balances")
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    WRITTEN_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    FILTERED_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    RECOVERED_FIELD_NUMBER: _ClassVar[int]
    BALANCES_FIELD_NUMBER: _ClassVar[int]
    received: int
    written: int
    duplicate: int
    rejected: int
    filtered: int
    in_flight: int
    lost: int
    recovered: int
    balances: bool
    def __init__(self, received: _Optional[int] = ..., written: _Optional[int] = ..., duplicate: _Optional[int] = ..., rejected: _Optional[int] = ..., filtered: _Optional[int] = ..., in_flight: _Optional[int] = ..., lost: _Optional[int] = ..., recovered: _Optional[int] = ..., balances: _Optional[bool] = ...) -> None: ...

class LedgerRow(_message.Message):
    __slots__ = ("hour", "home", "source", "counts")
    HOUR_FIELD_NUMBER: _ClassVar[int]
    HOME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    hour: _timestamp_pb2.Timestamp
    home: str
    source: str
    counts: Counts
    def __init__(self, hour: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., home: _Optional[str] = ..., source: _Optional[str] = ..., counts: _Optional[_Union[Counts, _Mapping]] = ...) -> None: ...

class Ledger(_message.Message):
    __slots__ = ("rows", "total", "verdict", "newest_missing")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    NEWEST_MISSING_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedCompositeFieldContainer[LedgerRow]
    total: Counts
    verdict: str
    newest_missing: str
    def __init__(self, rows: _Optional[_Iterable[_Union[LedgerRow, _Mapping]]] = ..., total: _Optional[_Union[Counts, _Mapping]] = ..., verdict: _Optional[str] = ..., newest_missing: _Optional[str] = ...) -> None: ...

class ListGapsRequest(_message.Message):
    __slots__ = ("home", "since", "limit")
    HOME_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    home: str
    since: _timestamp_pb2.Timestamp
    limit: int
    def __init__(self, home: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., limit: _Optional[int] = ...) -> None: ...

class Gaps(_message.Message):
    __slots__ = ("waiting", "items")
    WAITING_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    waiting: int
    items: _containers.RepeatedCompositeFieldContainer[Gap]
    def __init__(self, waiting: _Optional[int] = ..., items: _Optional[_Iterable[_Union[Gap, _Mapping]]] = ...) -> None: ...

class Gap(_message.Message):
    __slots__ = ("gap_id", "home", "listener", "reason", "start", "end", "state", "ended", "why", "event_types", "lost", "counts", "entities")
    class LostEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class CountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    GAP_ID_FIELD_NUMBER: _ClassVar[int]
    HOME_FIELD_NUMBER: _ClassVar[int]
    LISTENER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    EVENT_TYPES_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    ENTITIES_FIELD_NUMBER: _ClassVar[int]
    gap_id: str
    home: str
    listener: str
    reason: str
    start: _timestamp_pb2.Timestamp
    end: _timestamp_pb2.Timestamp
    state: str
    ended: bool
    why: str
    event_types: _containers.RepeatedScalarFieldContainer[str]
    lost: _containers.ScalarMap[str, int]
    counts: _containers.ScalarMap[str, int]
    entities: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, gap_id: _Optional[str] = ..., home: _Optional[str] = ..., listener: _Optional[str] = ..., reason: _Optional[str] = ..., start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., state: _Optional[str] = ..., ended: _Optional[bool] = ..., why: _Optional[str] = ..., event_types: _Optional[_Iterable[str]] = ..., lost: _Optional[_Mapping[str, int]] = ..., counts: _Optional[_Mapping[str, int]] = ..., entities: _Optional[_Iterable[str]] = ...) -> None: ...

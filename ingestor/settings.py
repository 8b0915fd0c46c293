"""Every setting: type, default, one sentence. Reads no file and no environment by itself (`settings_sources` does).

Names: `HA_INGESTOR_` + path in upper case, levels joined by `__`; in `ha-ingestor.toml` the same path as tables.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, SecretStr, ValidationInfo, field_validator, model_validator

from ingestor import settings_types as types
from ingestor.path_urls import sqlite_url, url_of_path
from ingestor.settings_api import ApiSettings
from ingestor.settings_context import EnrichmentSettings, RegistrySettings
from ingestor.settings_demo import DemoSettings
from ingestor.settings_export import ExportSettings
from ingestor.settings_graphql import GraphQLSettings
from ingestor.settings_grpc import GrpcSettings
from ingestor.settings_homes import (
    DEFAULT_EVENT_TYPES,
    HomeAssistantSettings,
    HomeSettings,
    MqttSettings,
    TopicMapping,
)
from ingestor.settings_live import LiveSettings
from ingestor.settings_mqtt_out import MqttOutSettings, heard_again
from ingestor.settings_pools import WorkerSettings
from ingestor.settings_quality import QualitySettings
from ingestor.settings_reports import ReportsSettings
from ingestor.settings_retention import RetentionSettings
from ingestor.settings_tracing import TracingSettings
from ingestor.settings_types import Group, Name, Port
from ingestor.settings_weather import WeatherSettings
from ingestor.settings_webhooks import WebhooksSettings

__all__ = [
    "DEFAULT_EVENT_TYPES",
    "EnrichmentSettings",
    "HomeAssistantSettings",
    "HomeSettings",
    "MqttSettings",
    "RegistrySettings",
    "TopicMapping",
    "WorkerSettings",
]

_SOCKET_PATH_BYTES = 100


class StorageSettings(Group):
    """The store of events."""

    url: types.StoreUrl = Field(
        "sqlite://",
        description="influxdb2://host:8086/bucket?org=…, influxdb1://host:8086/database, influxdb3://host:8181/database (add `?tls=true` for https), or sqlite:// (in the data folder) or sqlite:///path.",
    )
    token: SecretStr | None = Field(None, description="Token (InfluxDB 2 and 3), or user:password (InfluxDB 1).")
    schema_: Literal["native", "home-assistant", "both"] = Field(
        "native",
        alias="schema",
        description="native: our own; home-assistant: the points that Home Assistant's own integration writes; both.",
    )
    extra_tags: tuple[Literal["floor", "integration"], ...] = Field(
        (), description="More context as tags. Choose before the first write: InfluxDB 3 fixes a table's tags then."
    )
    extra_fields: tuple[str, ...] = Field(
        (),
        description="More fields: any of attributes (the rest of them as JSON), integration, labels, last_changed, parent_id, user_id, origin, received_at, fired_at, receive_delay, write_delay; or attribute names as `attribute:NAME`.",
    )
    context_fields: tuple[str, ...] = Field(
        ("outdoor_temperature", "cause_*", "root_cause_*", "nearest_zone*", "geo_cell"),
        description="Which fields of enrichment stand on every point of a state, by name or pattern; `*`: all. Each costs an InfluxDB 4 to 7 µs an event. What a moment says of the whole home is stored once a minute in `home_assistant_context` in any case.",
    )
    on_type_conflict: Literal["quarantine", "sibling"] = Field(
        "quarantine",
        description="What becomes of a value whose field holds another type in InfluxDB: its event goes to quarantine, or the value to a field beside it (`value_text`).",
    )
    timeout_s: float = Field(
        10.0, gt=0, le=12, description="Seconds to wait for the store's answer; a task may take 25."
    )
    gzip: bool | None = Field(None, description="Compress requests; default: only if the store is not on this machine.")

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    @field_validator("token")
    @classmethod
    def _sendable(cls, token: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if token is None or not (text := token.get_secret_value().rstrip("\r\n")):
            return None
        # InfluxDB 1 has user and password, which are sent in base64: they may have any sign.
        if str(info.data.get("url", "")).startswith(("influxdb2:", "influxdb3:")):
            return types.check_token(token)
        return SecretStr(text)


class BrokerSettings(Group):
    """The task broker."""

    url: types.BrokerUrl = Field(
        "embedded",
        description="redis://, redis+socket://, redis+sentinel:// or amqp:// URL (with TLS rediss://, rediss+sentinel://,"
        " amqps://); `embedded` starts one in the data folder.",
    )
    max_memory_bytes: int = Field(
        512 * 1024 * 1024, ge=32 * 1024 * 1024, description="Memory ceiling of the embedded broker."
    )
    hold_at: float = Field(
        0.6,
        gt=0,
        lt=1,
        description="Share of the memory ceiling at which listeners hold batches in the journal: at the"
        " ceiling itself the workers, too, cannot put anything there, and nothing drains.",
    )


class StateSettings(Group):
    """Where done marks, caches and the index of written points live: a Redis."""

    url: types.StateUrl | None = Field(
        None,
        description="redis://, rediss://, redis+sentinel://, rediss+sentinel:// or unix:// URL; default: the broker, if"
        " that is a Redis.",
    )
    written_window_s: int = Field(
        600, ge=60, description="How long a written point is remembered for the duplicate check."
    )
    written_max: int = Field(
        250_000, ge=1000, description="Most written points of a home that are remembered: 40 bytes of memory each."
    )


class DatabaseSettings(Group):
    """Metadata: the home's map over time, quarantine."""

    url: types.DatabaseUrl | None = Field(
        None, description="sqlite:///path or postgresql://user@host/name; default: metadata.sqlite in the data folder."
    )


class QuarantineSettings(Group):
    """How much of what could not be used is kept: at a limit the oldest of the commonest cause goes, and is counted."""

    max_pieces: int = Field(100_000, ge=1, description="Most pieces in quarantine.")
    max_bytes: int = Field(256 * 1024 * 1024, ge=1024 * 1024, description="Most bytes of their payloads.")
    max_age_s: float = Field(
        0.0, ge=0, description="What was not seen for so long goes, and is counted; 0: age alone removes nothing."
    )


class BatchSettings(Group):
    """When a batch closes: whichever limit is reached first."""

    max_frames: int = Field(500, ge=1, le=100_000, description="Frames in a batch.")
    max_bytes: int = Field(1_000_000, ge=1000, description="Bytes in a batch before compression.")
    flush_after_s: float = Field(0.025, gt=0, le=60, description="Age of the first frame.")
    busy_flush_after_s: float = Field(
        0.1,
        gt=0,
        le=60,
        description="The longest age, when many batches before it wait to be written: fewer, larger ones then.",
    )


class JournalSettings(Group):
    """The journal of batches that are not yet written."""

    enabled: bool = Field(
        True, description="For tests alone: without it what the queue loses is lost (`make chaos ARGS=--no-journal`)."
    )
    max_bytes: int = Field(2 * 1024**3, ge=1024 * 1024, description="Most bytes on disk, for each listener.")
    segment_bytes: int = Field(32 * 1024 * 1024, ge=64 * 1024, description="Size of a segment file.")
    resend_after_s: float = Field(15.0, gt=0, description="Seconds until a batch that is not done is sent again.")
    resend_per_s: float = Field(
        20.0, gt=0, description="Most batches sent again each second, so that live events do not starve."
    )
    backlog_order: Literal["oldest", "newest"] = Field(
        "oldest",
        description="Which batches go first when many wait: `oldest` keeps the order; with `newest`, what happens now is"
        " stored first and the past is filled in behind it.",
    )
    max_age_s: float = Field(
        86_400.0,
        gt=0,
        description="A batch that waits longer than this is an alarm (`overdue` in the status). Nothing is dropped for its"
        " age: only `max_bytes` may refuse a batch.",
    )

    @model_validator(mode="after")
    def _check_room(self) -> JournalSettings:
        if self.segment_bytes > self.max_bytes:
            raise ValueError(f"segment_bytes ({self.segment_bytes}) is more than max_bytes ({self.max_bytes})")
        return self


class QueueSettings(Group):
    """Limits of the queues between the steps."""

    high_water: int = Field(
        400, ge=1, description="Batches waiting in a queue at which listeners hold new ones in the journal."
    )
    low_water: int = Field(200, ge=0, description="Batches waiting at which they send again.")
    home_events_per_s: float = Field(
        0.0,
        ge=0,
        description="Most events a second that a listener of a home sends on in the long run; 0: what the workers take,"
        " and a fair share of it where several homes send more than that. The rest waits in its journal.",
    )

    @model_validator(mode="after")
    def _check_order(self) -> QueueSettings:
        if self.low_water >= self.high_water:
            raise ValueError(f"low_water ({self.low_water}) is not below high_water ({self.high_water})")
        return self


class FlowerSettings(Group):
    """Flower, the queue monitor."""

    enabled: bool = Field(True, description="Start Flower with `up`.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: Port = Field(5555, description="Port to listen on.")
    user: str = Field("admin", description="User to sign in with.")
    password: SecretStr | None = Field(
        None, description="Password to sign in with; default: made at the first start, kept in the data folder."
    )


class LogSettings(Group):
    """Logs."""

    format: Literal["auto", "human", "json"] = Field("auto", description="auto: human on a terminal, else json.")
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")


class Settings(Group):
    """The whole tree. The plain `homeassistant` and `mqtt` groups are the first home; `homes` lists more."""

    profile: Literal["standard", "small", "low-latency"] = Field(
        "standard",
        description="Which defaults hold: `small` is for a machine with little memory, `low-latency` for one that is to"
        " be quick; what is set elsewhere holds over it.",
    )
    data_dir: types.Folder = Field(description="Where everything is kept.")
    home: Name = Field("home", description="Name of the first home: the value of the tag `home`.")
    homeassistant: HomeAssistantSettings = HomeAssistantSettings()
    mqtt: MqttSettings = MqttSettings()
    homes: tuple[HomeSettings, ...] = Field((), description="Further homes.")
    storage: StorageSettings = StorageSettings()
    broker: BrokerSettings = BrokerSettings()
    state: StateSettings = StateSettings()
    database: DatabaseSettings = DatabaseSettings()
    quarantine: QuarantineSettings = QuarantineSettings()
    batch: BatchSettings = BatchSettings()
    journal: JournalSettings = JournalSettings()
    queue: QueueSettings = QueueSettings()
    workers: WorkerSettings = WorkerSettings()
    enrichment: EnrichmentSettings = EnrichmentSettings()
    quality: QualitySettings = QualitySettings()
    retention: RetentionSettings = RetentionSettings()
    export: ExportSettings = ExportSettings()
    reports: ReportsSettings = ReportsSettings()
    registry: RegistrySettings = RegistrySettings()
    weather: WeatherSettings = WeatherSettings()
    live: LiveSettings = LiveSettings()
    webhooks: WebhooksSettings = WebhooksSettings()
    mqtt_out: MqttOutSettings = MqttOutSettings()
    api: ApiSettings = ApiSettings()
    graphql: GraphQLSettings = GraphQLSettings()
    grpc: GrpcSettings = GrpcSettings()
    flower: FlowerSettings = FlowerSettings()
    demo: DemoSettings = DemoSettings()
    log: LogSettings = LogSettings()
    tracing: TracingSettings = TracingSettings()

    @model_validator(mode="after")
    def _check_across(self) -> Settings:
        names = [home.name for home in self.all_homes()]
        if len(set(names)) != len(names):
            raise ValueError(f"two homes have the same name: {', '.join(sorted(names))}")
        if self.broker.url.startswith("amqp") and not self.state.url:
            raise ValueError(
                "state.url is not set, and the broker is no Redis: set state.url to one, which keeps what is done and known"
            )
        for ours, theirs in heard_again(self.mqtt_out, [home.mqtt for home in self.all_homes()]):
            raise ValueError(f"mqtt_out publishes to {ours}, which an MQTT listener would hear again as {theirs}")
        return self

    def all_homes(self) -> list[HomeSettings]:
        """Return every home, the first one from the plain variables."""
        first = HomeSettings(name=self.home, homeassistant=self.homeassistant, mqtt=self.mqtt)
        return [first, *self.homes]

    def home_named(self, name: str) -> HomeSettings | None:
        """Return the home of that name."""
        return next((home for home in self.all_homes() if home.name == name), None)

    @property
    def broker_url(self) -> str:
        """The broker's URL for Celery; the embedded one is a Unix socket in the data folder."""
        if self.broker.url != "embedded":
            return self.broker.url
        return url_of_path("redis+socket", self.broker_socket, "virtual_host=0")

    @property
    def broker_socket(self) -> Path:
        """Where the embedded broker listens: a socket that only this user may open.

        A Unix socket's path has room for 107 bytes; a longer data folder gets a short one by its hash.
        """
        path = self.data_dir.absolute() / "broker" / "valkey.sock"
        if len(os.fsencode(path)) <= _SOCKET_PATH_BYTES:
            return path
        digest = hashlib.blake2b(os.fsencode(path), digest_size=8).hexdigest()
        return Path(tempfile.gettempdir()) / f"ha-ingestor-{os.getuid()}-{digest}" / "valkey.sock"

    @property
    def state_url(self) -> str:
        """The state server's URL for redis-py."""
        if self.state.url:
            return self.state.url
        url = self.broker_url
        if url.startswith("redis+socket://"):
            path, _, query = url.removeprefix("redis+socket://").partition("?")
            number = query.removeprefix("virtual_host=") or "0"
            return f"unix://{path}?db={number}"
        return url

    @property
    def database_url(self) -> str:
        """The metadata database's URL for SQLAlchemy."""
        return self.database.url or sqlite_url(self.data_dir.absolute() / "metadata.sqlite")

    def carries(self) -> frozenset[str]:
        """Return what must travel with an event besides the lean fields: "attributes", "data"."""
        wanted = set()
        fields: tuple[Any, ...] = self.storage.extra_fields
        if self.storage.schema_ != "native" or any(str(name).startswith("attribute") for name in fields):
            wanted.add("attributes")
        if any(rule.attribute for rule in self.quality.rules):
            wanted.add("attributes")
        return frozenset(wanted | {"data"})

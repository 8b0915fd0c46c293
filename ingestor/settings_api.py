"""Settings of the HTTP API: where it listens, who is let in, how much it answers at once."""

from __future__ import annotations

from pydantic import Field, SecretStr

from ingestor.settings_types import Group, Port


class ApiSettings(Group):
    """The HTTP API."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: Port = Field(8080, description="Port to listen on.")
    key: SecretStr | None = Field(
        None,
        min_length=16,
        description="Key that opens the API; default: made at the first start, kept in the data folder.",
    )
    session_hours: float = Field(
        12.0, gt=0, le=720, description="Hours after which a browser that signed in must show the key again."
    )
    hosts: tuple[str, ...] = Field(
        (),
        description="Names by which the API is reached, besides addresses, `localhost` and this machine's own name. "
        "A write that names another host is refused.",
    )
    origins: tuple[str, ...] = Field(
        (),
        description="Web pages from elsewhere that may write, as `https://panel.example`; those of the API itself may. "
        "There is no CORS: a browser lets such a page use the WebSocket alone.",
    )
    metrics_need_key: bool = Field(False, description="Ask for the key at /metrics, too.")
    store_connections: int = Field(
        4, ge=1, le=64, description="Questions that the store is asked at once; others wait for their turn."
    )
    recent_events: int = Field(
        500,
        ge=0,
        le=10_000,
        description="Newest changes of state that are kept from the live channel while a dashboard asks for them"
        " (`/api/events/recent`); what is older is read from the store, with 0 all of it.",
    )
    timeout_s: float = Field(
        30.0, gt=0, le=600, description="Seconds that a question to the embedded store may take, or wait for its turn."
    )

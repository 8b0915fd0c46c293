"""The settings of webhooks: whom they may reach, how much waits for a receiver. Part of the tree in `settings`."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import AfterValidator, Field

from ingestor.settings_types import Expects, Group


def _network(value: str) -> str:
    ipaddress.ip_network(value)
    return value


Network = Annotated[
    str, AfterValidator(_network), Expects("a network such as 192.168.1.0/24 or fd00::/8, or one address")
]


class WebhooksSettings(Group):
    """Webhooks: messages of the live channel, posted to addresses that were registered for them."""

    enabled: bool = Field(True, description="Deliver to the webhooks that are registered.")
    allow_private: bool = Field(
        False,
        description="Reach private, loopback and link-local addresses too, as a receiver in your own network has.",
    )
    allow_networks: tuple[Network, ...] = Field(
        (), max_length=100, description="Reach addresses of these networks, whatever kind they are."
    )
    timeout_s: float = Field(15.0, gt=0, le=60, description="Seconds that a receiver has to answer, all in all.")
    max_hooks: int = Field(50, ge=1, le=1000, description="Most webhooks that can be registered.")
    max_waiting: int = Field(
        10_000,
        ge=1,
        description="Most deliveries that wait for one receiver. No more is taken from the live channel then; what"
        " falls out of it meanwhile is told to the receiver as a gap.",
    )
    max_waiting_bytes: int = Field(32 * 1024 * 1024, ge=64 * 1024, description="Most bytes of them.")
    keep_dead: int = Field(
        1000,
        ge=0,
        description="Deliveries of a webhook that were given up and can be replayed; older ones are forgotten.",
    )
    keep_delivered: int = Field(
        100, ge=0, description="Deliveries of a webhook that are listed after they were taken, without what they said."
    )

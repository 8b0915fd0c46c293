"""Puts MQTT out together; names the adapters, does nothing."""

from __future__ import annotations

from collections.abc import Callable

import redis
import sqlalchemy as sa

from ingestor.intake.leadership import Leadership
from ingestor.live.hub import LiveHub
from ingestor.live.places import ReaderPlaces
from ingestor.mqtt_out.service import LEASE_S, READER, MqttOut, ReadFigures
from ingestor.queue.topics_board import OUT, TopicsBoard
from ingestor.settings import Settings


def open_service(
    settings: Settings,
    hub: LiveHub,
    figures: ReadFigures,
    state: redis.Redis[bytes],
    database: Callable[[], sa.Engine],
) -> MqttOut:
    """Open MQTT out for this process; the database is opened when it is first asked."""
    board = TopicsBoard(state)
    return MqttOut(
        settings.mqtt_out,
        hub,
        places=lambda: ReaderPlaces(database()),
        leadership=Leadership(state, READER, LEASE_S),
        figures=figures,
        tell=lambda entry: board.tell(OUT, entry),
    )

"""The WebSocket listener: hears a home's events from Home Assistant and hands on raw frames; decodes none of them."""

from ingestor.intake.websocket.gaps import Gap
from ingestor.intake.websocket.keeper import GapKeeper
from ingestor.intake.websocket.listener import Sink, WebSocketListener
from ingestor.intake.websocket.memory import GapMemory

__all__ = ["Gap", "GapKeeper", "GapMemory", "Sink", "WebSocketListener"]

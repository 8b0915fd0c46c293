"""The WebSocket listener: hears a home's events from Home Assistant and hands on raw frames; decodes none of them."""

from ingestor.intake.gaps import Gap
from ingestor.intake.websocket.listener import Sink, WebSocketListener

__all__ = ["Gap", "Sink", "WebSocketListener"]

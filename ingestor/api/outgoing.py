"""What goes out of the API's process by itself, while it runs: webhooks, MQTT out; serves no request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from starlette.datastructures import State

from ingestor import bootstrap
from ingestor.api.mqtt_figures import FigureReader
from ingestor.api.overview import Overview
from ingestor.live.hub import LiveHub
from ingestor.settings import Settings


@asynccontextmanager
async def outgoing(
    state: State, settings: Settings, live: LiveHub | None, overview: Callable[[], Overview]
) -> AsyncIterator[None]:
    """Deliver while it is entered; where the live channel is switched off there is nothing to deliver."""
    async with AsyncExitStack() as stack:
        if live is not None:
            state.webhooks = webhooks = bootstrap.open_webhook_deliverer(settings, live)
            stack.push_async_callback(webhooks.close)
            webhooks.start()
            mqtt = bootstrap.open_mqtt_out(settings, live, FigureReader(overview, live.homes))
            if mqtt is not None:
                stack.push_async_callback(mqtt.close)
                mqtt.start()
        yield

"""Flower as a process of ours: shows that it lives, how long the queues of any broker are, and ends within its time.

`ha-ingestor flower` puts Flower's own settings into the environment (ingestor/cli/flower.py) and becomes this.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, Final, NoReturn

import structlog
from celery import Celery
from flower import command
from flower.app import Flower
from flower.urls import settings as page_settings
from flower.views import BaseHandler
from tornado import web
from tornado.ioloop import IOLoop, PeriodicCallback
from tornado.options import options

from ingestor import bootstrap, errors, logs
from ingestor.cli.failing import ended
from ingestor.queue.alive import AliveFile
from ingestor.queue.app import make_app
from ingestor.queue.depths import Depths
from ingestor.queue.heartbeat import heartbeat_of
from ingestor.settings import Settings

_log: Final = structlog.get_logger("workers")
_SHOW_LIFE_EVERY_MS: Final = 1000


class QueuesPage(BaseHandler):  # type: ignore[misc]  # Flower has no types
    """Flower's page "Broker", with all our queues on every broker, also those that nobody reads from.

    Its own asks RabbitMQ's management plugin, which need not be there, and knows the queues of living workers alone.
    """

    def initialize(self, depths: Depths) -> None:
        """Take what measures."""
        self._depths = depths

    @web.authenticated
    async def get(self) -> None:
        """Show how many batches wait in each queue."""
        queues = await IOLoop.current().run_in_executor(None, self._read)
        self.render("broker.html", broker_url=self.application.broker_uri, queues=queues)

    def _read(self) -> list[dict[str, Any]]:
        try:
            read = self._depths.read()
        except errors.BrokerUnavailable as error:
            _log.warning("queues_unread", error=str(error))
            return []
        return [{"name": name, "messages": depth, "messages_ready": depth} for name, depth in read.items()]


class QueueLengths(QueuesPage):
    """The same for programs: Flower's `/api/queues/length`."""

    @web.authenticated
    async def get(self) -> None:
        """Tell name and messages of each queue."""
        queues = await IOLoop.current().run_in_executor(None, self._read)
        self.write({"active_queues": [{"name": one["name"], "messages": one["messages"]} for one in queues]})


def build(settings: Settings, celery: Celery) -> Flower:
    """Return Flower with our pages; it takes its own settings from the environment."""
    command.apply_env_options()
    command.extract_settings()
    flower = Flower(capp=celery, options=options, **page_settings)
    depths = {"depths": Depths(settings.broker_url)}
    flower.add_handlers(r".*", [(r"/broker", QueuesPage, depths), (r"/api/queues/length", QueueLengths, depths)])
    return flower


def main() -> NoReturn:
    """Serve until SIGTERM or SIGINT; what was seen is on disk then."""
    settings = bootstrap.settings()
    logs.set_up(settings.log)
    flower = build(settings, make_app(settings.broker_url))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: flower.io_loop.add_callback_from_signal(flower.io_loop.stop))
    alive = AliveFile(settings.data_dir)
    PeriodicCallback(alive.beat, _SHOW_LIFE_EVERY_MS).start()
    with heartbeat_of(bootstrap.open_status_board(settings), "flower", settings.data_dir):
        port = flower.start_http_server()
        _log.info("flower_started", host=settings.flower.host, port=port)
        flower.start()
        flower.events.stop()
    alive.remove()
    # Its threads may hang on a broker that does not answer; what it has seen is saved.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(ended(main))

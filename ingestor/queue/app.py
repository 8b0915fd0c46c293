"""The Celery application, as both sides of the queue use it: settings from `celeryconfig`, the broker from ours."""

from __future__ import annotations

from celery import Celery

from ingestor.queue import transport


def make_app(broker_url: str) -> Celery:
    """Return the application `ha-ingestor` for a broker; connects to nothing yet."""
    transport.register()
    app = Celery("ha-ingestor")
    app.config_from_object("celeryconfig", silent=True)
    app.conf.update(broker_url=broker_url)
    return app

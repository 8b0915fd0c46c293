"""The Celery application, its workers and the supervisor that keeps them alive: `celery -A workers …`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ingestor  # noqa: F401 -- before anybody else loads structlog

if TYPE_CHECKING:
    from celery import Celery

    app: Celery


def __getattr__(name: str) -> Any:
    """Build the application when it is first asked for: importing a part of this package reads no settings."""
    if name in {"app", "celery"}:
        from workers.app import build  # noqa: PLC0415 -- see above

        built = build()
        globals().update(app=built, celery=built)
        return built
    raise AttributeError(name)

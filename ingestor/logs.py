"""Sets up logging for a process: human lines on a terminal, JSON else; does nothing until it is told to."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Final, TextIO

import structlog

from ingestor import logs_level
from ingestor.logs_sparing import Sparing
from ingestor.settings import LogSettings

if TYPE_CHECKING:
    from structlog.typing import Processor

#: Celery says so on RabbitMQ at each start and for each task with a countdown.
_NO_NEWS: Final = "native delayed delivery"


def set_up(settings: LogSettings, *, stream: TextIO | None = None) -> None:
    """Send structlog's and the standard library's records to `stream` (standard error), in one format."""
    out = sys.stderr if stream is None else stream
    human = settings.format == "human" or (settings.format == "auto" and out.isatty())
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    shared = _shared_processors(human=human)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        # A line a batch is logged, so a cache gains nothing; and a process may set up its logs a second time.
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(human=human, out=out)],
        )
    )
    handler.addFilter(_is_news)
    handler.addFilter(Sparing())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    logs_level.level().begin(level)
    logs_level.apply_level(level)


def _is_news(record: logging.LogRecord) -> bool:
    """Tell whether a record says something that is not known (docs/explanation/queue.md, "Tasks for later")."""
    return not (isinstance(record.msg, str) and _NO_NEWS in record.msg)


def set_up_quietly(settings: LogSettings) -> None:
    """Set up for a command that prints data: warnings on standard error, unless a level was asked for."""
    asked = settings.level != LogSettings.model_fields["level"].default
    set_up(settings if asked else settings.model_copy(update={"level": "warning"}))


def _shared_processors(*, human: bool) -> list[Processor]:
    clock = structlog.processors.TimeStamper(fmt="%H:%M:%S" if human else "iso", utc=not human, key="time")
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        clock,
        structlog.processors.StackInfoRenderer(),
    ]


def _renderers(*, human: bool, out: TextIO) -> list[Processor]:
    if human:
        # Not rich's tracebacks: they show every variable, payloads and secrets among them, and take a second each.
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=out.isatty(), timestamp_key="time", exception_formatter=plain)]
    return [
        structlog.processors.format_exc_info,
        structlog.processors.UnicodeDecoder(),
        structlog.processors.JSONRenderer(default=str),
    ]

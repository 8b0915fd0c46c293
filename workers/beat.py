"""Beat as a program: `python -m workers.beat` enqueues what is due by schedule; of several, one acts.

It is `celery -A workers beat` without what that loads and beat does not use: Celery's commands, Flower's, and the
tasks, which it sends by name. What ends it is a sentence.
"""

from __future__ import annotations

import socket
import sys
from typing import Final

from celery.apps.beat import Beat
from celery.beat import Service

from ingestor import bootstrap
from ingestor.cli.failing import ended
from workers.app import build

#: As Celery's own: no question of beat's waits for ever.
_ANSWER_S: Final = 30.0


class Program(Beat):
    """Celery's beat without a banner, and without a traceback of what whoever runs it tells in a sentence."""

    def start_scheduler(self) -> Service:
        """Tick until SIGTERM or SIGINT. Raises what the state server raises where it is away at the start."""
        assert self.app is not None  # noqa: S101 -- it was given
        service = self.Service(app=self.app, scheduler_cls=self.app.conf.beat_scheduler)
        self.setup_logging()
        socket.setdefaulttimeout(_ANSWER_S)
        self.install_sync_handler(service)
        service.start()
        return service


def program() -> Program:
    """Return beat as it is to run."""
    return Program(app=build(()), loglevel=bootstrap.settings().log.level, quiet=True)


def main() -> int:
    """Run beat until it is stopped; return the exit code."""
    return ended(_main)


def _main() -> int:
    program().run()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A worker node as a program: `python -m workers.worker -Q write -n write@host -c 1`, in the words of `celery worker`.

It is `celery -A workers worker` without what that loads and a node does not use: Celery's other commands, Flower's, and
the tasks of other queues: batches wait for a node that starts (docs/reference/scale.md). What is not said follows from
the settings.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

from ingestor import bootstrap
from ingestor.cli.failing import ended
from ingestor.queue.pools import POOLS, pool_of
from ingestor.settings import Settings


def arguments(settings: Settings, said: Sequence[str]) -> list[str]:
    """Return what Celery's worker is told: what was said here, and what follows from the settings."""
    node = said[said.index("-n") + 1] if "-n" in said[:-1] else ""
    pool = pool_of(node)
    prefetch = settings.workers.pools.named(pool if pool in POOLS else "rare").prefetch
    return [
        *("-P", "prefork", "--prefetch-multiplier", str(prefetch)),
        *("--without-gossip", "--without-mingle", "-l", settings.log.level),
        *said,
    ]


def queues(said: Sequence[str]) -> list[str] | None:
    """Return the queues that were named; None: all."""
    return said[said.index("-Q") + 1].split(",") if "-Q" in said[:-1] else None


def main(said: Sequence[str]) -> int:
    """Run a node until it is stopped; return Celery's exit code, or that of what ended it."""
    return ended(lambda: _main(said))


def _main(said: Sequence[str]) -> int:
    # What is loaded stays: looking through it for garbage is a sixth of the start. The signal `worker_init` ends it.
    gc.disable()
    # Not before: who imports this module must not get Celery's signals connected.
    from celery.bin.base import CLIContext  # noqa: PLC0415 -- see above
    from celery.bin.worker import worker  # noqa: PLC0415 -- see above

    from workers.app import build  # noqa: PLC0415 -- see above

    try:
        settings = bootstrap.settings()
        context = CLIContext(app=build(queues(said)), no_color=False, workdir=None)
        worker.main(arguments(settings, said), prog_name="workers.worker", obj=context)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

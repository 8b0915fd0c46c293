"""Event loops in threads of their own, ended without a complaint."""

from __future__ import annotations

import asyncio
import contextlib
import threading


def stop_loop(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    """End what a loop does, and its thread: one that stops while tasks wait complains of each when it is collected."""
    with contextlib.suppress(TimeoutError):
        asyncio.run_coroutine_threadsafe(_end_tasks(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)


async def _end_tasks() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)

"""Asks the book of webhooks from an event loop: it blocks, so it is asked in threads of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from ingestor.webhooks.book import WebhookBook

T = TypeVar("T")
_THREADS: Final = 2


class AskBook:
    """Opens the book at the first question; `await ask(lambda book: …)` returns the answer."""

    def __init__(self, opened: Callable[[], WebhookBook]) -> None:
        self._opened = opened
        self._book: WebhookBook | None = None
        self._threads = ThreadPoolExecutor(_THREADS, "webhooks")

    async def __call__(self, question: Callable[[WebhookBook], T]) -> T:
        """Return what the book answers. Raises what it raises."""
        return await self.threaded(lambda: question(self._open()))

    async def threaded(self, call: Callable[[], T]) -> T:
        """Return what anything else that blocks returns."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False)

    def _open(self) -> WebhookBook:
        if self._book is None:
            self._book = self._opened()
        return self._book

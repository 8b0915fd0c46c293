"""Takes from the live channel what a webhook wants, and keeps it with the cursor behind it; sends nothing.

What is kept is in the metadata database: a process that dies loses nothing of it, and the next goes on behind it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from ingestor.live.cursor import parse_cursor
from ingestor.live.hub import Hearing, LiveHub
from ingestor.live.listener import Delivery, Ended, Gap, Item
from ingestor.settings_webhooks import WebhooksSettings
from ingestor.webhooks.asking import AskBook
from ingestor.webhooks.messages import Said, gap_parcel, parcels_of, said_of
from ingestor.webhooks.model import Counted, Hook, Parcel
from ingestor.webhooks.schedule import now_us

#: A quiet webhook's cursor is moved on so often: else it would fall out of a channel that had nothing for it.
_MOVE_ON_S: Final = 30.0
#: What comes within this time is kept in one transaction.
_TOGETHER_S: Final = 0.25
_MOST_HELD: Final = 500


class Taker:
    """Takes for one webhook; `kept` is called when there is something to send."""

    def __init__(
        self, hook: Hook, hub: LiveHub, book: AskBook, limits: WebhooksSettings, kept: Callable[[], None]
    ) -> None:
        self._hook = hook
        self._hub = hub
        self._book = book
        self._limits = limits
        self._kept = kept
        self._cursor = ""
        self._said: list[Said] = []
        self._parcels: list[Parcel] = []
        self._gaps = 0
        self._since_s = 0.0
        self._kept_s = 0.0

    async def has_room(self) -> bool:
        """Tell whether more may wait for this receiver. Raises StoreUnavailable."""
        return self._is_room(await self._book(lambda book: book.counted(self._hook.hook_id)))

    async def take(self) -> None:
        """Take what comes until there is no room, or the hub ends it. Raises Transient."""
        hook = self._hook = await self._book(lambda book: book.find(self._hook.hook_id))
        after = parse_cursor(hook.cursor) if hook.cursor else None
        self._said, self._parcels, self._gaps = [], [], 0  # what was not kept comes again
        async with self._hub.listen(hook.wanted.messages, after=after, policy="disconnect") as hearing:
            self._cursor = hook.cursor or hearing.cursor
            if not hook.cursor:
                await self._book(lambda book: book.begin(hook.hook_id, hearing.cursor))
            async for item in hearing.items(self._wait_s):
                if isinstance(item, Ended):
                    break
                self._note(item, hearing)
                if self._is_due() and not await self._keep():
                    return
        await self._keep()

    def _note(self, item: Item | None, hearing: Hearing) -> None:
        if not self._is_holding():
            self._since_s = time.monotonic()
        match item:
            case Delivery():
                self._said.extend(said_of(self._hook, item))
                self._cursor = item.cursor
            case Gap():
                self._parcels += [*parcels_of(self._hook, self._said), self._gap(item)]
                self._said = []
                self._gaps += 1
                self._cursor = item.cursor
            case None if not self._is_holding():
                self._cursor = hearing.heard_all()

    def _gap(self, gap: Gap) -> Parcel:
        return gap_parcel(self._hook, gap, self._cursor, now_us())

    def _is_holding(self) -> bool:
        return bool(self._said or self._parcels)

    def _wait_s(self) -> float:
        return max(0.0, self._due_s() - time.monotonic()) if self._is_holding() else _MOVE_ON_S

    def _due_s(self) -> float:
        """Return when what is held has waited long enough: for others to go with it, or for one transaction."""
        if self._hook.wanted.batch > 1:
            return self._since_s + self._hook.wanted.batch_wait_s
        return self._kept_s + _TOGETHER_S

    def _is_due(self) -> bool:
        if not self._is_holding():
            return time.monotonic() - self._kept_s >= _MOVE_ON_S
        most = self._hook.wanted.batch if self._hook.wanted.batch > 1 else _MOST_HELD
        return bool(self._parcels) or len(self._said) >= most or time.monotonic() >= self._due_s()

    async def _keep(self) -> bool:
        """Keep what is held, and the cursor behind it; tell whether there is room for more. Raises StoreUnavailable."""
        parcels = [*self._parcels, *parcels_of(self._hook, self._said)]
        mine, cursor, gaps = self._hook.hook_id, self._cursor, self._gaps
        found = await self._book(lambda book: book.add(mine, parcels, cursor, now_us(), gaps))
        self._said, self._parcels, self._gaps = [], [], 0
        self._kept_s = time.monotonic()
        if parcels:
            self._kept()
        return self._is_room(found)

    def _is_room(self, found: Counted) -> bool:
        return found.waiting < self._limits.max_waiting and found.waiting_bytes < self._limits.max_waiting_bytes

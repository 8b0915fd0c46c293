"""Delivers to all webhooks of an installation from one process: each has tasks of its own, so none waits for another.

It reads what is registered; where nothing is, it does nothing else, and loads nothing more.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import structlog

from ingestor import errors
from ingestor.live.hub import LiveHub
from ingestor.settings_webhooks import WebhooksSettings
from ingestor.webhooks.asking import AskBook
from ingestor.webhooks.model import Hook
from ingestor.webhooks.schedule import now_us
from ingestor.webhooks.secrets import SecretShelf

if TYPE_CHECKING:
    from ingestor.intake.leadership import Leadership
    from ingestor.webhooks.posting import Postman
    from ingestor.webhooks.sending import Sender

#: How often it looks what is registered: with webhooks, and without any.
_LOOK_S: Final = 3.0
_LOOK_WITHOUT_S: Final = 10.0
#: How often it looks whether another process on this host has changed something: no more than the time of a file.
_CHANGED_S: Final = 0.5
#: Not at once: few installations have any, and while it starts others need the machine.
_FIRST_LOOK_S: Final = 2.0
#: A process that dies is followed by another after this time.
LEASE_S: Final = 12.0
_AFTER_FAILURE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 15.0
_log: Final = structlog.get_logger(__name__)


class Deliverer:
    """The webhooks of this process. `lease` gives a candidate for one: of several processes one delivers to it."""

    def __init__(
        self,
        hub: LiveHub,
        book: AskBook,
        shelf: SecretShelf,
        limits: WebhooksSettings,
        lease: Callable[[str], Leadership],
    ) -> None:
        self._hub = hub
        self._book = book
        self._shelf = shelf
        self._limits = limits
        self._lease = lease
        self._leases: dict[str, Leadership] = {}
        self._runs: dict[str, Run] = {}
        self._unread: set[str] = set()
        self._sender: Sender | None = None
        self._wake = asyncio.Event()
        self._changed_ns = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; for the loop that is running now."""
        if self._limits.enabled:
            self._changed_ns = self._shelf.changed_ns()
            self._task = asyncio.create_task(self._watch(), name="webhooks")

    def look(self) -> None:
        """Look at once what is registered, and what is to be sent."""
        self._wake.set()

    async def close(self) -> None:
        """End; what is not delivered is kept."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.gather(*(run.end() for run in self._runs.values()))
        for lease in self._leases.values():
            await self._book.threaded(lease.stop)
        if self._sender is not None:
            await self._sender.close()
        self._book.close()

    async def _watch(self) -> None:
        """Keep running what is registered."""
        away, pause_s = False, _FIRST_LOOK_S
        while True:
            await self._rest(pause_s)
            try:
                await self._step()
                away = False
            except errors.IngestorError as error:
                if not away:
                    _log.warning("webhooks_not_read", error=str(error), kind=type(error).__name__)
                away = True
            except Exception:  # noqa: BLE001 -- what nobody foresaw must not end all deliveries for ever
                _log.exception("webhooks_failed")
            pause_s = _LOOK_S if self._leases else _LOOK_WITHOUT_S

    async def _rest(self, pause_s: float) -> None:
        """Wait until it is time to look, or something was changed: here, or by the command line."""
        until_s = time.monotonic() + pause_s
        while (left_s := until_s - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), min(left_s, _CHANGED_S))
            changed_ns = self._shelf.changed_ns()
            if self._wake.is_set() or changed_ns != self._changed_ns:
                self._changed_ns = changed_ns
                break
        self._wake.clear()

    async def _step(self) -> None:
        if not self._runs and not self._leases and not self._shelf.has_any():
            return  # few installations have webhooks, and the database takes the others 20 MB
        hooks = {hook.hook_id: hook for hook in await self._book(lambda book: book.hooks()) if hook.enabled}
        mine = await self._book.threaded(lambda: self._mine(hooks))
        for hook_id, run in list(self._runs.items()):
            if hook_id not in mine or run.version != hooks[hook_id].version or run.is_over():
                await self._runs.pop(hook_id).end()
        for hook_id in mine - set(self._runs):
            self._runs[hook_id] = self._start(hooks[hook_id])
        if self._runs:
            ready = await self._book(lambda book: book.ready(now_us()))
            for hook_id in ready & set(self._runs):
                self._runs[hook_id].wake()

    def _mine(self, hooks: dict[str, Hook]) -> set[str]:
        """Return to which webhooks this process delivers: it has the secret, and holds the lease."""
        for gone in set(self._leases) - set(hooks):
            self._leases.pop(gone).stop()
        self._unread &= set(hooks)
        found = set()
        for hook_id in hooks:
            if hook_id not in self._leases:
                if not self._has_secret(hook_id):
                    continue
                self._leases[hook_id] = self._lease(hook_id)
            self._leases[hook_id].step()
            if self._leases[hook_id].leading.is_set():
                found.add(hook_id)
        return found

    def _has_secret(self, hook_id: str) -> bool:
        """Tell whether there is one; of one that cannot be read warn once: that is no matter of the other webhooks."""
        try:
            found = self._shelf.find(hook_id) is not None
        except errors.Fatal as error:
            if hook_id not in self._unread:
                self._unread.add(hook_id)
                _log.warning("webhook_passed_over", webhook=hook_id, error=str(error), kind=type(error).__name__)
            return False
        self._unread.discard(hook_id)
        return found

    def _start(self, hook: Hook) -> Run:
        # Only now: who has no webhook does not pay for what sends.
        from ingestor.webhooks.addresses import Reach  # noqa: PLC0415 -- see above
        from ingestor.webhooks.posting import Postman  # noqa: PLC0415 -- see above
        from ingestor.webhooks.sending import Sender  # noqa: PLC0415 -- see above
        from ingestor.webhooks.taking import Taker  # noqa: PLC0415 -- see above

        limits = self._limits
        if self._sender is None:
            reach = Reach(private=limits.allow_private, networks=limits.allow_networks)
            self._sender = Sender(reach, limits.timeout_s)
        postman = Postman(
            hook.hook_id, self._book, shelf=self._shelf, sender=self._sender, limits=limits, disabled=self.look
        )
        taker = Taker(hook, self._hub, self._book, limits, postman.wake)

        async def take() -> None:
            while True:
                if await taker.has_room():
                    await taker.take()
                else:
                    await asyncio.sleep(_LOOK_S)

        return Run(hook, postman, take)


class Run:
    """What runs for one webhook: its taking, and its posting; each begins again after a failure."""

    def __init__(self, hook: Hook, postman: Postman, take: Callable[[], Awaitable[None]]) -> None:
        self.version = hook.version
        self._postman = postman
        self._tasks = [
            asyncio.create_task(self._patiently(hook.hook_id, one), name=f"webhook-{hook.hook_id}")
            for one in (take, postman.run)
        ]

    def wake(self) -> None:
        """Look at once whether something waits."""
        self._postman.wake()

    def is_over(self) -> bool:
        """Tell whether something of it has ended by itself."""
        return any(task.done() for task in self._tasks)

    async def end(self) -> None:
        """End it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _patiently(self, hook_id: str, work: Callable[[], Awaitable[None]]) -> None:
        pause_s = _AFTER_FAILURE_S
        while True:
            began_s = time.monotonic()
            try:
                await work()
            except errors.NotFound:
                return  # it was removed; whoever looks what is registered ends the rest
            except errors.IngestorError as error:
                _log.warning("webhook_waits", webhook=hook_id, error=str(error), kind=type(error).__name__)
            except Exception:  # noqa: BLE001 -- one webhook's fault, whatever it is, ends no other
                _log.exception("webhook_failed", webhook=hook_id)
            else:
                return
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            if time.monotonic() - began_s > _LONGEST_PAUSE_S:
                pause_s = _AFTER_FAILURE_S  # it had worked
            await asyncio.sleep(pause_s)

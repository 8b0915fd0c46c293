"""Posts what waits for a webhook, one after another, and keeps what came of each try."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import structlog

from ingestor.settings_webhooks import WebhooksSettings
from ingestor.webhooks.asking import AskBook
from ingestor.webhooks.messages import content_type
from ingestor.webhooks.model import Answer, Delivery, DeliveryState, Hook, Secrets
from ingestor.webhooks.schedule import GIVE_UP_AFTER_S, judge, now_us
from ingestor.webhooks.secrets import SecretShelf
from ingestor.webhooks.signing import signed

_AT_ONCE: Final = 20
_US: Final = 1_000_000
#: What was taken is noted so often at the least: after a kill no more than that comes twice.
_NOTE_S: Final = 1.0
_TIDY_S: Final = 60.0
_LONGEST_PAUSE_S: Final = 3600.0
_log: Final = structlog.get_logger(__name__)


class Post(Protocol):
    """Makes one try."""

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Answer:
        """Return what came of it; never raises."""
        ...


class Postman:
    """Posts for one webhook; `disabled` is called when its receiver wants no more."""

    def __init__(
        self,
        hook_id: str,
        book: AskBook,
        *,
        shelf: SecretShelf,
        sender: Post,
        limits: WebhooksSettings,
        disabled: Callable[[], None],
    ) -> None:
        self._hook_id = hook_id
        self._book = book
        self._shelf = shelf
        self._sender = sender
        self._limits = limits
        self._disabled = disabled
        self._wake = asyncio.Event()
        self._tidied_s = 0.0

    def wake(self) -> None:
        """Look at once whether something waits."""
        self._wake.set()

    async def run(self) -> None:
        """Post what is due until the webhook is disabled. Raises Transient, NotFound."""
        while True:
            self._wake.clear()
            hook = await self._book(lambda book: book.find(self._hook_id))
            secrets = await self._book.threaded(lambda: self._shelf.find(self._hook_id))
            if not hook.enabled or secrets is None:
                self._disabled()
                return
            await self._tidy()
            due = await self._due(hook)
            if due:
                await self._post(hook, secrets, due)
            else:
                await self._rest(hook)

    async def _due(self, hook: Hook) -> list[Delivery]:
        at_us = now_us()
        paused = hook.paused_until_us > at_us
        return await self._book(lambda book: book.due(hook.hook_id, at_us, _AT_ONCE, pings_only=paused))

    async def _rest(self, hook: Hook) -> None:
        """Wait for what may be tried next."""
        next_us = await self._book(lambda book: book.next_us(hook.hook_id))
        pause_s = _LONGEST_PAUSE_S
        if next_us is not None:
            pause_s = min(pause_s, max(0.0, (max(next_us, hook.paused_until_us) - now_us()) / _US))
        try:
            await asyncio.wait_for(self._wake.wait(), pause_s)
        except TimeoutError:
            return

    async def _post(self, hook: Hook, secrets: Secrets, due: Sequence[Delivery]) -> None:
        """Try what is due, until one fails on account of the receiver."""
        tried: list[Delivery] = []
        back, noted_s = False, time.monotonic()
        try:
            for one in due:
                verdict = judge(hook, one, await self._try(hook, secrets, one), now_us(), random.random())  # noqa: S311 -- no secret
                hook, back = verdict.hook, back or verdict.back
                tried.append(verdict.delivery)
                _say(hook, verdict.delivery)
                if not verdict.taken or time.monotonic() - noted_s >= _NOTE_S:
                    await self._settle(hook, tried, back=back)
                    tried, back, noted_s = [], False, time.monotonic()
                if not hook.enabled or hook.paused_until_us > now_us():
                    return
        finally:
            if tried:
                await asyncio.shield(self._settle(hook, tried, back=back))

    async def _try(self, hook: Hook, secrets: Secrets, delivery: Delivery) -> Answer:
        at_us = now_us()
        headers = signed(secrets.valid(at_us), delivery.delivery_id, at_us // _US, delivery.body)
        return await self._sender.post(hook.url, {"content-type": content_type(hook), **headers}, delivery.body)

    async def _settle(self, hook: Hook, tried: list[Delivery], *, back: bool) -> None:
        await self._book(lambda book: book.settle(hook, tried, back=back))

    async def _tidy(self) -> None:
        if time.monotonic() - self._tidied_s < _TIDY_S:
            return
        self._tidied_s = time.monotonic()
        limits = self._limits
        await self._book(
            lambda book: book.tidy(
                self._hook_id,
                now_us(),
                give_up_after_us=GIVE_UP_AFTER_S * _US,
                keep_dead=limits.keep_dead,
                keep_delivered=limits.keep_delivered,
            )
        )


def _say(hook: Hook, delivery: Delivery) -> None:
    if delivery.state is DeliveryState.DELIVERED:
        return
    told = {"webhook": hook.hook_id, "delivery": delivery.delivery_id, "tries": delivery.tries}
    if not hook.enabled:
        _log.warning("webhook_disabled", why=hook.why, **told)
    elif delivery.state is DeliveryState.DEAD:
        _log.error("webhook_delivery_given_up", error=delivery.error, **told)
    else:
        _log.warning("webhook_delivery_failed", error=delivery.error, **told)

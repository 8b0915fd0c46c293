"""Where webhooks and their deliveries rest: a port. The book keeps and counts; it decides nothing and sends nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ingestor.webhooks.model import Counted, Delivery, DeliveryState, Hook, Parcel

_Hooks = list[Hook]
_Deliveries = list[Delivery]


class WebhookBook(Protocol):
    """Webhooks and deliveries. Every call may raise StoreUnavailable."""

    def hooks(self) -> _Hooks:
        """Return all webhooks, the oldest first."""
        ...

    def find(self, hook_id: str) -> Hook:
        """Return a webhook. Raises NotFound."""
        ...

    def counted(self, hook_id: str) -> Counted:
        """Return how much waits, and how much was given up."""
        ...

    def create(self, hook: Hook, most: int) -> None:
        """Keep a new webhook. Raises Conflict where there are so many already."""
        ...

    def change(self, hook_id: str, decide: Callable[[Hook], Hook]) -> Hook:
        """Keep what somebody decides of a webhook as it is now, and let what waits be tried at once.

        Nobody changes it in between. Nothing is kept of how it does. Raises NotFound, and what `decide` raises.
        """
        ...

    def remove(self, hook_id: str) -> None:
        """Forget a webhook and all its deliveries. Raises NotFound."""
        ...

    def add(self, hook_id: str, parcels: Sequence[Parcel], cursor: str, now_us: int, gaps: int = 0) -> Counted:
        """Keep deliveries and how far their messages were taken, both or neither; what is there already stays."""
        ...

    def begin(self, hook_id: str, cursor: str) -> bool:
        """Note where a new webhook begins to listen; False where it has begun."""
        ...

    def due(self, hook_id: str, now_us: int, limit: int, *, pings_only: bool = False) -> _Deliveries:
        """Return deliveries that may be tried now with their bodies, the oldest first."""
        ...

    def ready(self, now_us: int) -> set[str]:
        """Return the webhooks that something waits for which may be tried now."""
        ...

    def next_us(self, hook_id: str) -> int | None:
        """Return when the next delivery that waits may be tried; None where none waits."""
        ...

    def settle(self, hook: Hook, tried: Sequence[Delivery], *, back: bool) -> None:
        """Keep how a webhook and its deliveries are after tries; `back`: let all that waits for it be tried now."""
        ...

    def tidy(self, hook_id: str, now_us: int, *, give_up_after_us: int, keep_dead: int, keep_delivered: int) -> None:
        """Give up what waits for too long, and forget what is more than is kept."""
        ...

    def list(
        self, hook_id: str, *, state: DeliveryState | None = None, before: int | None = None, limit: int = 100
    ) -> _Deliveries:
        """Return deliveries without bodies, the newest first; `before`: older than that `seq`."""
        ...

    def delivery(self, hook_id: str, delivery_id: str) -> Delivery:
        """Return a delivery with its body. Raises NotFound."""
        ...

    def replay(self, hook_id: str, now_us: int, delivery_id: str | None = None) -> int:
        """Let dead deliveries be tried anew, one or all; return how many."""
        ...

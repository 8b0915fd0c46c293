"""Delivers what waits: each try is noted before it is made; nothing is given up in silence."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import structlog

from ingestor import errors
from ingestor.reports.message import Message, of_alert, of_report
from ingestor.reports.roads import NotDelivered, Road
from ingestor.reports.shelf import AlertBook, Delivery, DeliveryState, Outbox, ReportShelf

_FIRST_US: Final = 30_000_000
_LONGEST_US: Final = 3_600_000_000
_HOUR_US: Final = 3_600_000_000
_MOST_WORDS: Final = 500
_NO_END: Final = "a try did not end: it took too long, or its process was ended"
_log: Final = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PostOffice:
    """What deliveries need: the outbox, where parcels are found, and the roads that are set."""

    outbox: Outbox
    shelf: ReportShelf
    alerts: AlertBook
    roads: Mapping[str, Road]
    give_up_h: float
    jitter: Callable[[], float] = random.random

    def deliver(self, delivery: Delivery, now_us: int) -> Delivery:
        """Try a delivery once; return how it is then. Raises StoreUnavailable (metadata)."""
        next_us = now_us + self._pause_us(delivery.tries)
        begun = self._failed(replace(delivery, tries=delivery.tries + 1, next_us=next_us), _NO_END, now_us)
        # Noted first, as failed: a try that ends this process counts too, and the next does not come at once.
        self.outbox.set(begun)
        try:
            self._road(delivery.road)(self._message(delivery))
        except NotDelivered as error:
            ended = self._failed(begun, str(error), now_us)
        except errors.NotFound as error:
            ended = replace(begun, state=DeliveryState.UNDELIVERED, error=str(error))
        else:
            ended = replace(begun, state=DeliveryState.DELIVERED, error="")
        self.outbox.set(ended)
        _say(ended)
        return ended

    def _road(self, name: str) -> Road:
        if name not in self.roads:
            raise errors.NotFound(f"the road {name} is not set any more")
        return self.roads[name]

    def _pause_us(self, tries: int) -> int:
        longest = min(_LONGEST_US, _FIRST_US * 2 ** min(tries, 20))
        return int(longest * (0.5 + self.jitter()))

    def _failed(self, delivery: Delivery, words: str, now_us: int) -> Delivery:
        over = now_us - delivery.asked_us >= self.give_up_h * _HOUR_US
        state = DeliveryState.UNDELIVERED if over else DeliveryState.WAITING
        return replace(delivery, state=state, error=words[:_MOST_WORDS])

    def _message(self, delivery: Delivery) -> Message:
        if delivery.kind == "report":
            return of_report(self.shelf.find(delivery.parcel))
        return of_alert(self.alerts.find(delivery.parcel))


def _say(delivery: Delivery) -> None:
    told = {"parcel": delivery.parcel, "road": delivery.road, "tries": delivery.tries}
    if delivery.state is DeliveryState.DELIVERED:
        _log.info("delivered", **told)
    elif delivery.state is DeliveryState.WAITING:
        _log.warning("delivery_failed", error=delivery.error, **told)
    else:
        _log.error("undelivered", error=delivery.error, **told)

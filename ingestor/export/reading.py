"""Reads the events of a query oldest first, in portions: memory stays flat, here and in the store."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from ingestor.events.point import StoredEvent
from ingestor.storage.port import EventQuery, Store


def portions(store: Store, query: EventQuery) -> Iterator[list[StoredEvent]]:
    """Yield all events of a query, oldest first; `query.limit` is the most of all. Raises as `Store.scan` does.

    What comes in meanwhile with a later time is read up to the moment at which the reading began.
    """
    until_ns = query.until_ns if query.until_ns is not None else time.time_ns() + 1
    left = query.limit
    if left <= 0:
        return
    for found in store.scan(replace(query, until_ns=until_ns)):
        yield found[:left]
        left -= len(found)
        if left <= 0:
            return

"""Which MQTT messages are in the journal, and which acknowledgements are due; sends none itself (rule 12).

A packet id names a message only until the broker has its acknowledgement; then the id is used for another one.
So what is known of an id ends with the next message that comes under it for the first time.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import Final

Delivery = tuple[int, int]
#: Less than there are packet ids: what is remembered cannot be of an earlier round of them.
_REMEMBERED: Final = 50_000


def delivery_of(packet_id: int, topic: str, payload: bytes) -> Delivery:
    """Return what a redelivered message is recognised by: packet id, and a hash of topic and payload."""
    return packet_id, zlib.crc32(payload, zlib.crc32(topic.encode("utf-8", "surrogatepass")))


class Deliveries:
    """The QoS 1 messages of one session; `wake` is called when an acknowledgement has become due.

    All methods belong to the network's thread, but `journaled`, which the journal's thread calls.
    """

    def __init__(self, known: Iterable[Delivery], wake: Callable[[], None]) -> None:
        self._known: OrderedDict[int, int] = OrderedDict(known)
        self._taken: dict[Delivery, int] = {}
        self._done: deque[tuple[Delivery, ...]] = deque()
        self._wake = wake
        self.generation = 0
        self._replaying = True

    def open_connection(self, *, resumed: bool) -> None:
        """Begin a new connection; a session that the broker has forgotten sends nothing again."""
        self.generation += 1
        self._replaying = resumed
        if not resumed:
            self._known.clear()
            self._taken.clear()

    def is_known(self, delivery: Delivery, *, again: bool) -> bool:
        """Tell whether a message needs no writing: it comes `again`, and the journal has it.

        The broker sends again what it misses before anything new: so with the first new message all is
        confirmed that was journaled before this connection.
        """
        if not again:
            if self._replaying:
                self._replaying = False
                self._known.clear()
            else:
                self._known.pop(delivery[0], None)
            return False
        return self._known.get(delivery[0]) == delivery[1]

    def is_under_way(self, delivery: Delivery) -> bool:
        """Tell whether the sink has a message that comes again; its acknowledgement then goes by this connection."""
        if delivery not in self._taken:
            return False
        self._taken[delivery] = self.generation
        return True

    def take(self, deliveries: Iterable[Delivery]) -> None:
        """Note that the sink has these now."""
        for delivery in deliveries:
            self._taken[delivery] = self.generation

    def give_back(self, deliveries: Iterable[Delivery]) -> None:
        """Note that the sink did not take these after all."""
        for delivery in deliveries:
            self._taken.pop(delivery, None)

    def journaled(self, deliveries: tuple[Delivery, ...]) -> None:
        """Note that these are on the disk; may be called from any thread."""
        self._done.append(deliveries)
        self._wake()

    def is_waiting(self) -> bool:
        """Tell whether the sink has something that is not on the disk yet, or not acknowledged."""
        return bool(self._taken or self._done)

    def due(self) -> list[int]:
        """Return the packet ids to acknowledge on this connection, and remember their messages.

        What came by an earlier connection is not among them: there its packet id may mean another message by now.
        """
        ids: list[int] = []
        while self._done:
            for delivery in self._done.popleft():
                generation = self._taken.pop(delivery, None)
                if generation == self.generation:
                    ids.append(delivery[0])
                if generation is not None:
                    self._remember(delivery)
        return ids

    def _remember(self, delivery: Delivery) -> None:
        self._known[delivery[0]] = delivery[1]
        self._known.move_to_end(delivery[0])
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

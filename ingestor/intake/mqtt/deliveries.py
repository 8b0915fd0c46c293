"""Which MQTT messages are in the journal, and which acknowledgements are due; sends none itself (rule 12).

A packet id names a message only until the broker has its acknowledgement; then the id is used for another one.
So what is known of an id ends with the next message that comes under it for the first time.
"""

from __future__ import annotations

import zlib
from array import array
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

Delivery = tuple[int, int]
#: Less than there are packet ids: what is remembered cannot be of an earlier round of them.
_REMEMBERED: Final = 50_000
_PACKET_IDS: Final = 65_536
_MOST_COUNTED: Final = 2**32 - 1
#: Generation of a message whose session is over.
_NEVER: Final = -1


class Ticket:
    """One message on its way to the journal, and the connection by which its acknowledgement may go."""

    __slots__ = ("delivery", "generation")

    def __init__(self, delivery: Delivery, generation: int) -> None:
        self.delivery = delivery
        self.generation = generation


def delivery_of(packet_id: int, topic: str, payload: bytes) -> Delivery:
    """Return what a redelivered message is recognised by: packet id, and a hash of topic and payload."""
    return packet_id, zlib.crc32(payload, zlib.crc32(topic.encode("utf-8", "surrogatepass")))


class _Memory:
    """The newest delivery under each packet id, forgotten after 50,000 others: half a megabyte at any rate."""

    def __init__(self) -> None:
        self._count = 0
        #: By packet id: number of the delivery, from 1, above 32 bits of its hash; 0 is nothing.
        self._entries = array("Q", bytes(8 * _PACKET_IDS))

    def remember(self, delivery: Delivery) -> None:
        """Note a delivery as the newest."""
        if self._count == _MOST_COUNTED:  # its 32 bits are used up; who forgets writes twice at worst
            self.take_all()
            self._count = 0
        self._count += 1
        self._entries[delivery[0]] = self._count << 32 | delivery[1]

    def forget(self, packet_id: int) -> None:
        """Forget what came under a packet id."""
        self._entries[packet_id] = 0

    def has(self, delivery: Delivery) -> bool:
        """Tell whether this is the newest delivery under its packet id, and not too long ago."""
        number, known = divmod(self._entries[delivery[0]], 1 << 32)
        return bool(number) and known == delivery[1] and self._count - number < _REMEMBERED

    def take_all(self) -> set[Delivery]:
        """Return all that is remembered, and forget it."""
        found = {
            (packet_id, entry & 0xFFFFFFFF)
            for packet_id, entry in enumerate(self._entries)
            if entry and self._count - (entry >> 32) < _REMEMBERED
        }
        self._entries = array("Q", bytes(8 * _PACKET_IDS))
        return found


class Deliveries:
    """The QoS 1 messages of one session; `wake` is called when an acknowledgement has become due.

    All methods belong to the network's thread, but `journaled`, which the journal's thread calls.
    """

    def __init__(self, known: Iterable[Delivery], wake: Callable[[], None]) -> None:
        self._before: set[Delivery] = set(known)
        self._known = _Memory()
        self._taken: dict[Delivery, Ticket] = {}
        self._in_sink = 0
        self._done: deque[list[Ticket]] = deque()
        self._wake = wake
        self.generation = 0

    def open_connection(self, *, resumed: bool) -> None:
        """Begin a new connection; a session that the broker has forgotten sends nothing again."""
        self.generation += 1
        known = self._known.take_all()
        if resumed:
            self._before.update(known)
        else:
            self._before.clear()
            for ticket in self._taken.values():
                ticket.generation = _NEVER
            self._taken.clear()

    def is_known(self, delivery: Delivery, *, again: bool) -> bool:
        """Tell whether a message needs no writing: it comes `again`, and the journal has it.

        The broker sends again what it misses before anything new: so with the first new message all is
        confirmed that was journaled before this connection.
        """
        if not again:
            self._before.clear()
            self._known.forget(delivery[0])
            return False
        return delivery in self._before or self._known.has(delivery)

    def is_under_way(self, delivery: Delivery) -> bool:
        """Tell whether we hold a message that comes again; its acknowledgement then goes by this connection."""
        ticket = self._taken.get(delivery)
        if ticket is None:
            return False
        ticket.generation = self.generation
        return True

    def take(self, delivery: Delivery) -> None:
        """Note that we hold this message from now on, though the connection may end."""
        self._taken[delivery] = Ticket(delivery, self.generation)

    def give_back(self, delivery: Delivery) -> None:
        """Note that this message needs no keeping after all."""
        self._taken.pop(delivery, None)

    def hand_over(self, deliveries: Iterable[Delivery]) -> list[Ticket]:
        """Return the tickets of messages that go to the sink now."""
        tickets = [self._taken[delivery] for delivery in deliveries if delivery in self._taken]
        self._in_sink += len(tickets)
        return tickets

    def take_back(self, tickets: list[Ticket]) -> None:
        """Note that the sink did not take these after all."""
        self._in_sink -= len(tickets)

    def journaled(self, tickets: list[Ticket]) -> None:
        """Note that these are on the disk; may be called from any thread."""
        self._done.append(tickets)
        self._wake()

    def is_waiting(self) -> bool:
        """Tell whether the sink has something that is not on the disk yet, or not acknowledged."""
        return self._in_sink > 0

    def due(self) -> list[int]:
        """Return the packet ids to acknowledge on this connection, and remember their messages.

        What came by an earlier connection is not among them: there its packet id may mean another message by now.
        """
        ids: list[int] = []
        while self._done:
            for ticket in self._done.popleft():
                self._in_sink -= 1
                if self._taken.get(ticket.delivery) is ticket:
                    del self._taken[ticket.delivery]
                if ticket.generation == self.generation:
                    ids.append(ticket.delivery[0])
                if ticket.generation != _NEVER:
                    self._known.remember(ticket.delivery)
        return ids

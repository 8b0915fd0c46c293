"""Which redelivered messages are known, and which acknowledgements are still ours to send (rule 12)."""

from __future__ import annotations

from collections.abc import Iterable

from ingestor.intake.mqtt.deliveries import Deliveries, Delivery, Ticket, delivery_of

ONE, OTHER = (1, 111), (1, 222)


def session(known: Iterable[Delivery] = ()) -> Deliveries:
    deliveries = Deliveries(known, lambda: None)
    deliveries.open_connection(resumed=True)
    return deliveries


def hand_over(deliveries: Deliveries, *taken: Delivery) -> list[Ticket]:
    for delivery in taken:
        deliveries.take(delivery)
    return deliveries.hand_over(taken)


def test_a_redelivery_of_what_the_journal_held_at_the_start_is_known() -> None:
    deliveries = session({ONE})

    assert deliveries.is_known(ONE, again=True)
    assert not deliveries.is_known(OTHER, again=True)


def test_the_same_message_that_comes_for_the_first_time_is_a_new_one() -> None:
    deliveries = session({ONE})

    assert not deliveries.is_known(ONE, again=False)


def test_after_the_first_new_message_nothing_of_an_earlier_connection_is_known_any_more() -> None:
    deliveries = session({ONE, (2, 5)})

    deliveries.is_known((9, 9), again=False)

    # The id may belong to another message by now, whose first sending never reached us.
    assert not deliveries.is_known(ONE, again=True)


def test_what_was_journaled_on_this_connection_is_known_until_its_id_is_used_again() -> None:
    deliveries = session()
    deliveries.is_known(ONE, again=False)
    tickets = hand_over(deliveries, ONE)
    deliveries.journaled(tickets)
    assert deliveries.due() == [1]
    deliveries.open_connection(resumed=True)

    assert deliveries.is_known(ONE, again=True)
    assert not deliveries.is_known((1, 999), again=False)
    assert not deliveries.is_known(ONE, again=True)


def test_nothing_is_due_before_the_journal_has_it() -> None:
    deliveries = session()
    hand_over(deliveries, ONE)

    assert deliveries.due() == []
    assert deliveries.is_waiting()


def test_an_acknowledgement_of_an_earlier_connection_is_never_sent() -> None:
    deliveries = session()
    tickets = hand_over(deliveries, ONE)

    deliveries.open_connection(resumed=True)
    deliveries.journaled(tickets)

    assert deliveries.due() == []
    assert deliveries.is_known(ONE, again=True), "so that the redelivery is acknowledged, not written"


def test_a_redelivery_of_what_the_sink_has_is_acknowledged_by_the_new_connection() -> None:
    deliveries = session()
    tickets = hand_over(deliveries, ONE)
    deliveries.open_connection(resumed=True)

    assert deliveries.is_under_way(ONE)
    deliveries.journaled(tickets)

    assert deliveries.due() == [1]


def test_a_session_that_the_broker_has_forgotten_is_forgotten_here_too() -> None:
    deliveries = session({ONE})
    tickets = hand_over(deliveries, OTHER)

    deliveries.open_connection(resumed=False)
    deliveries.journaled(tickets)

    assert not deliveries.is_known(ONE, again=True)
    assert deliveries.due() == []


def test_the_hash_tells_topics_and_payloads_apart() -> None:
    found = {delivery_of(1, topic, payload) for topic in ("a", "b") for payload in (b"on", b"off", b"")}

    assert len(found) == 6
    assert all(0 <= digest < 2**32 for _, digest in found)


def test_an_old_message_in_the_journal_acknowledges_no_new_one_that_looks_the_same() -> None:
    deliveries = session()
    old = hand_over(deliveries, ONE)
    deliveries.open_connection(resumed=True)
    deliveries.is_known(ONE, again=False)
    new = hand_over(deliveries, ONE)

    deliveries.journaled(old)
    before = deliveries.due()
    deliveries.journaled(new)

    assert before == []
    assert deliveries.due() == [1]


def test_memory_goes_on_after_more_deliveries_than_its_counter_has_room_for() -> None:
    deliveries = Deliveries((), lambda: None)
    deliveries.open_connection(resumed=False)
    deliveries._known._count = 2**32 - 2
    for packet_id in (1, 2, 3):
        deliveries.take((packet_id, 7))
        deliveries.journaled(deliveries.hand_over([(packet_id, 7)]))

    due = deliveries.due()

    assert due == [1, 2, 3]
    assert deliveries.is_known((3, 7), again=True)

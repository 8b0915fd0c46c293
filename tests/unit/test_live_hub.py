"""One reader for all who listen: each hears what they asked for, whatever the others do; nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any

import pytest

from ingestor import errors
from ingestor.events.event import Event, EventBatch, Place
from ingestor.live.channel import Entry, EntryId, Kept
from ingestor.live.channel_memory import MemoryChannel
from ingestor.live.cursor import Position, parse_cursor
from ingestor.live.entry import encode_entry, entry_of
from ingestor.live.filter import LiveFilter
from ingestor.live.hub import Hearing, LiveHub
from ingestor.live.listener import Delivery, Ended, Gap, Item, Listener, Missed, Policy

ALL = LiveFilter()


class Faulty(MemoryChannel):
    """A channel whose server can be away; or have nothing for the reader, who waits, and all for others."""

    away = False
    refused = 0
    blind = False
    unseen = 0

    def read(self, after: Mapping[str, EntryId], *, most: int, wait_s: float) -> list[Entry]:
        if self.away:
            self.refused += 1
            raise errors.StateUnavailable
        if self.blind and wait_s:
            self.unseen += 1
            time.sleep(0.01)
            return []
        return super().read(after, most=most, wait_s=min(wait_s, 0.05))

    def kept(self, home: str) -> Kept:
        if self.away:
            raise errors.StateUnavailable
        return super().kept(home)


class Stage:
    """A channel of two homes, a hub on it, and those who listen."""

    def __init__(self, *, max_entries: int = 1000, **limits: Any) -> None:
        self.channel = Faulty(max_entries=max_entries, max_bytes=10**7)
        self.hub = LiveHub(self.channel, ("villa", "cabin"), **limits)

    def publish(self, *entities: str, home: str = "villa") -> None:
        places = [Place(name, name.partition(".")[0]) for name in entities]
        events = [
            Event(slot, "state", "state_changed", name, name, 1, 1, "websocket", 7, state="on", place=slot)
            for slot, name in enumerate(entities)
        ]
        batch = EventBatch("B", home, "websocket", "j", 0, len(events), events, places=places)
        entry = entry_of(batch, [(event, 1, False) for event in events])
        assert entry is not None
        self.channel.publish(home, encode_entry(entry))

    @contextlib.asynccontextmanager
    async def hearing(self, wanted: LiveFilter = ALL, **how: Any) -> AsyncIterator[Heard]:
        async with self.hub.listen(wanted, **how) as hearing:
            heard = Heard(hearing)
            task = asyncio.create_task(heard.listen())
            try:
                yield heard
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


class Heard:
    """What one listener has heard so far."""

    def __init__(self, hearing: Hearing) -> None:
        self.cursor = hearing.cursor
        self.hearing = hearing
        self.items: list[Item] = []
        self.attached = False

    async def listen(self) -> None:
        async for item in self.hearing.items(lambda: 0.05):
            self.attached = True
            if item is not None:
                self.items.append(item)
            if isinstance(item, Ended):
                return

    @property
    def entities(self) -> list[str]:
        told = [item for item in self.items if isinstance(item, Delivery)]
        return [item.messages.subjects[index].entity_id for item in told for index in item.chosen]

    async def until(self, condition: Callable[[], bool]) -> None:
        until_s = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < until_s, f"heard only {self.items}"
            await asyncio.sleep(0.005)

    async def all_of(self, *entities: str) -> None:
        await self.until(lambda: self.entities == list(entities))

    async def count(self, entities: int) -> None:
        await self.until(lambda: len(self.entities) >= entities)

    async def reader_is_blind(self, stage: Stage) -> None:
        """Have the reader see nothing; what it was about to see, it has seen."""
        stage.channel.blind = True
        await self.until(lambda: stage.channel.unseen > 0)

    async def ready(self) -> None:
        await self.until(lambda: self.attached)


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


def test_each_hears_what_they_asked_for_and_equal_filters_share_what_was_made() -> None:
    async def story() -> None:
        stage = Stage()
        lights = LiveFilter(entities=("light.*",))
        async with (
            stage.hearing() as everything,
            stage.hearing(lights) as one,
            stage.hearing(LiveFilter(entities=("light.*",))) as other,
            stage.hearing(LiveFilter(homes=("cabin",))) as cabin,
        ):
            for heard in (everything, one, other, cabin):
                await heard.ready()
            stage.publish("light.hall", "sensor.kitchen")
            stage.publish("light.shed", home="cabin")

            await everything.all_of("light.hall", "sensor.kitchen", "light.shed")
            await one.all_of("light.hall", "light.shed")
            await other.all_of("light.hall", "light.shed")
            await cabin.all_of("light.shed")
            assert one.items[0] is other.items[0]
        await stage.hub.close()

    run(story())


def test_who_goes_leaves_nothing_behind_and_who_comes_then_hears() -> None:
    async def story() -> None:
        stage = Stage()
        for turn in range(3):
            async with stage.hearing() as heard:
                await heard.ready()
                stage.publish(f"light.{turn}")
                await heard.all_of(f"light.{turn}")
            assert stage.hub.listeners == 0
            assert stage.hub._reader is None
            assert not stage.hub._listeners
            stage.publish("light.unheard")
        await stage.hub.close()

    run(story())


def test_who_comes_back_with_a_cursor_goes_on_behind_it_also_within_an_entry() -> None:
    async def story() -> None:
        stage = Stage()
        async with stage.hearing() as heard:
            await heard.ready()
            stage.publish("light.0", "light.1", "light.2")
            await heard.all_of("light.0", "light.1", "light.2")
            (delivery,) = heard.items
        assert isinstance(delivery, Delivery)
        stage.publish("light.3", home="cabin")
        stage.publish("light.4")

        for place, rest in enumerate((["light.1", "light.2"], ["light.2"], [])):
            async with stage.hearing(after=parse_cursor(delivery.cursor_at(place))) as again:
                await again.count(len(rest) + 2)
                assert sorted(again.entities) == [*rest, "light.3", "light.4"]
                assert not [item for item in again.items if isinstance(item, Gap)]
        await stage.hub.close()

    run(story())


def test_between_what_was_missed_and_what_comes_nothing_is_lost_and_nothing_comes_twice() -> None:
    async def story() -> None:
        stage = Stage(max_waiting=100_000)
        start = {home: Position(stage.channel.kept(home).last) for home in ("villa", "cabin")}
        for number in range(250):
            stage.publish(f"light.{number}")

        async with stage.hearing() as running, stage.hearing(after=start) as heard:
            await running.ready()
            for number in range(250, 500):
                stage.publish(f"light.{number}")
                await asyncio.sleep(0)
            await heard.until(lambda: len(heard.entities) >= 500)

        assert heard.entities == [f"light.{number}" for number in range(500)]
        await stage.hub.close()

    run(story())


def test_a_cursor_that_fell_out_is_told_as_a_gap_and_the_rest_is_heard() -> None:
    async def story() -> None:
        stage = Stage(max_entries=3)
        start = {home: Position(stage.channel.kept(home).last) for home in ("villa", "cabin")}
        for number in range(6):
            stage.publish(f"light.{number}")

        async with stage.hearing(after=start) as heard:
            await heard.all_of("light.3", "light.4", "light.5")

        (gap,) = [item for item in heard.items if isinstance(item, Gap)]
        assert heard.items[0] is gap
        assert gap.home == "villa"
        assert parse_cursor(gap.cursor)["villa"] == Position(stage.channel.kept("villa").after)
        await stage.hub.close()

    run(story())


def test_a_reader_that_is_overtaken_tells_of_a_gap() -> None:
    async def story() -> None:
        stage = Stage(max_entries=2)
        async with stage.hearing() as heard:
            await heard.ready()
            stage.publish("light.0")
            await heard.all_of("light.0")
            stage.channel.away = True
            await heard.until(lambda: stage.channel.refused > 0)
            for number in range(1, 6):
                stage.publish(f"light.{number}")
            stage.channel.away = False

            await heard.all_of("light.0", "light.4", "light.5")
            assert [item.home for item in heard.items if isinstance(item, Gap)] == ["villa"]
        await stage.hub.close()

    run(story())


def test_a_reader_that_was_too_slow_for_the_channel_tells_of_a_gap() -> None:
    async def story() -> None:
        stage = Stage(max_entries=2)
        async with stage.hearing() as heard:
            await heard.ready()
            stage.publish("light.0")
            await heard.all_of("light.0")
            await heard.reader_is_blind(stage)
            for number in range(1, 6):
                stage.publish(f"light.{number}")
            stage.channel.blind = False

            await heard.all_of("light.0", "light.4", "light.5")
            assert [type(item) for item in heard.items] == [Delivery, Gap, Delivery, Delivery]
        await stage.hub.close()

    run(story())


def test_who_caught_up_beyond_the_reader_hears_nothing_twice() -> None:
    async def story() -> None:
        stage = Stage()
        start = {home: Position(stage.channel.kept(home).last) for home in ("villa", "cabin")}
        async with stage.hearing() as running:
            await running.ready()
            stage.publish("light.0")
            await running.all_of("light.0")
            await running.reader_is_blind(stage)
            stage.publish("light.1")
            async with stage.hearing(after=start) as heard:
                await heard.until(lambda: heard.hearing._listener in stage.hub._listeners)
                stage.channel.blind = False
                stage.publish("light.2")
                await running.all_of("light.0", "light.1", "light.2")

                await heard.all_of("light.0", "light.1", "light.2")
        await stage.hub.close()

    run(story())


def test_an_entry_of_another_version_is_told_as_a_gap() -> None:
    async def story() -> None:
        stage = Stage()
        async with stage.hearing() as heard:
            await heard.ready()
            stage.channel.publish("villa", b"HAIl\x63of tomorrow")
            stage.publish("light.0")

            await heard.all_of("light.0")
            assert [type(item) for item in heard.items] == [Gap, Delivery]
        await stage.hub.close()

    run(story())


def test_a_server_that_is_away_at_the_beginning_is_said_and_nobody_counts_as_listening() -> None:
    async def story() -> None:
        stage = Stage()
        stage.channel.away = True
        with pytest.raises(errors.StateUnavailable):
            async with stage.hub.listen(ALL):
                pass
        assert stage.hub.listeners == 0
        stage.channel.away = False
        async with stage.hearing() as heard:
            await heard.ready()
        await stage.hub.close()

    run(story())


def test_no_more_listen_than_may_and_the_end_is_told_to_all() -> None:
    async def story() -> None:
        stage = Stage(max_listeners=1)
        async with stage.hearing() as heard:
            await heard.ready()
            with pytest.raises(errors.Overloaded):
                async with stage.hub.listen(ALL):
                    pass
            await stage.hub.close()
            await heard.until(lambda: heard.items == [Ended(too_slow=False)])

    run(story())


def test_a_slow_listener_is_told_how_many_it_missed_and_the_others_miss_none() -> None:
    async def story() -> None:
        stage = Stage(max_waiting=10)
        async with stage.hub.listen(ALL) as slow, stage.hearing() as quick:
            items = slow.items(lambda: 0.01)
            assert await anext(items) is None
            await quick.ready()
            for number in range(20):
                stage.publish(f"light.{number}", f"lamp.{number}")
                await quick.count(2 * number + 2)
            found = [await anext(items) for _ in range(6)]

            assert found[0] == Missed(30)
            assert [len(item.chosen) for item in found[1:] if isinstance(item, Delivery)] == [2] * 5
            assert len(quick.entities) == 40
            await items.aclose()
        await stage.hub.close()

    run(story())


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("drop_oldest", [Missed(3), "light.3", "light.4"]),
        ("drop_newest", [Missed(3), "light.0", "light.1"]),
        ("disconnect", [Missed(3), Ended(too_slow=True)]),
    ],
)
def test_the_policy_says_what_goes(policy: Policy, expected: list[Any]) -> None:
    async def story() -> None:
        stage = Stage(max_waiting=2)
        async with stage.hub.listen(ALL, policy=policy) as slow, stage.hearing() as quick:
            items = slow.items(lambda: 0.01)
            assert await anext(items) is None
            await quick.ready()
            for number in range(5):
                stage.publish(f"light.{number}")
                await quick.count(number + 1)
            found = [await anext(items) for _ in expected]

            assert [shown(item) for item in found] == expected
            await items.aclose()
        await stage.hub.close()

    run(story())


def shown(item: Item | None) -> Any:
    return item.messages.subjects[item.chosen[0]].entity_id if isinstance(item, Delivery) else item


def test_an_entry_that_is_larger_than_may_wait_still_has_room_for_itself() -> None:
    async def story() -> None:
        listener = Listener(ALL, most=1)
        stage = Stage()
        async with stage.hearing() as heard:
            await heard.ready()
            stage.publish(*(f"light.{number}" for number in range(9)))
            await heard.until(lambda: len(heard.entities) == 9)
            (delivery,) = heard.items
        assert isinstance(delivery, Delivery)
        listener.put(delivery)

        assert await listener.get(1) is delivery
        await stage.hub.close()

    run(story())


def test_what_waits_can_be_taken_together_up_to_a_number_and_never_past_what_must_be_told_first() -> None:
    async def story() -> None:
        stage = Stage()
        async with stage.hearing() as heard:
            await heard.ready()
            for first in (0, 2, 4, 6):
                stage.publish(f"light.{first}", f"light.{first + 1}")
            await heard.until(lambda: len(heard.entities) == 8)
        listener = Listener(ALL, most=8)
        one, two, three, four = (item for item in heard.items if isinstance(item, Delivery))
        gap = Gap("villa", one.cursor)
        for item in (one, two, three, gap, four):
            listener.put(item)

        assert await listener.get(1) is one
        assert listener.more(1) == []
        assert listener.more(3) == [two]
        assert listener.more(100) == [three]
        assert listener.more(100) == []
        assert [await listener.get(1), await listener.get(1), await listener.get(0)] == [gap, four, None]
        for item in (one, two, three, four, one):
            listener.put(item)
        assert listener.more(100) == [], "what was missed is told first"
        assert await listener.get(1) == Missed(2)
        assert listener.more(100) == [two, three, four, one]
        await stage.hub.close()

    asyncio.run(story())


def test_what_can_be_taken_at_once_never_overtakes_what_waits() -> None:
    async def story() -> None:
        stage = Stage()
        async with stage.hearing() as heard:
            await heard.ready()
            for number in range(5):
                stage.publish(f"light.{number}")
            await heard.until(lambda: len(heard.entities) == 5)
        one, two, three, four, five = (item for item in heard.items if isinstance(item, Delivery))
        listener, taken, can_take = Listener(ALL, most=8), list[Delivery](), [True]

        def take_now(delivery: Delivery) -> bool:
            taken.extend([delivery] * can_take[0])
            return can_take[0]

        listener.take_now = take_now
        listener.put(one)
        assert (taken, await listener.get(1)) == ([], one), "nobody waited yet"
        waiting = asyncio.ensure_future(listener.get(60))
        await asyncio.sleep(0)
        listener.put(two)
        assert taken == [two]
        can_take[0] = False
        listener.put(three)
        can_take[0] = True
        listener.put(four)
        assert taken == [two], "what could not be taken waits, and what comes then waits behind it"
        assert (await waiting, await listener.get(1)) == (three, four)
        waiting = asyncio.ensure_future(listener.get(60))
        await asyncio.sleep(0)
        listener.put(Gap("villa", one.cursor))
        listener.put(five)
        assert (isinstance(await waiting, Gap), await listener.get(1), taken) == (True, five, [two])
        await stage.hub.close()

    run(story())


def test_one_who_cannot_take_at_once_stops_nobody_and_hears_by_their_own_task() -> None:
    async def story() -> None:
        stage = Stage()
        async with stage.hearing() as heard, stage.hearing() as other:
            await heard.ready()
            await other.ready()

            def broken(_: Delivery) -> bool:
                raise ValueError("cannot be made")

            heard.hearing.take_at_once(broken)
            stage.publish("light.1")
            stage.publish("light.2")
            await heard.until(lambda: len(heard.entities) == 2)
            await other.until(lambda: len(other.entities) == 2)
        await stage.hub.close()

    run(story())

"""What the live transports have in common: the hub, the filters as parameters. Knows no transport."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from pydantic import Field
from starlette.datastructures import State

from ingestor import errors
from ingestor.api.answers import Question, Texts
from ingestor.live.filter import LiveFilter
from ingestor.live.hub import LiveHub
from ingestor.live.listener import Delivery
from ingestor.live.pacing import Pace
from ingestor.reading.homes import home_name
from ingestor.settings import Settings

M = TypeVar("M")


class LiveFilters(Question):
    """Which messages. Of several values of one kind any may fit; of different kinds all must."""

    entity: Texts = Field([], description="Globs over the entity_id: `*` stands for any signs, `?` for one.")
    domain: Texts = Field([], description="Domains, such as `sensor`.")
    area: Texts = Field([], description="Names of areas, in whatever case.")
    device: Texts = Field([], description="Names of devices, in whatever case.")
    type: Texts = Field(
        [],
        description="Globs over the type of message (`event.new`, `automation.*`, `device.*`) or over Home Assistant's"
        " type of event (`call_service`).",
    )
    home: Texts = Field([], description="Names of homes.")

    def checked(self, settings: Settings) -> LiveFilter:
        """Return the filter. Raises Rejected, and NotFound for a home that is not there: nothing ever comes of it."""
        for home in self.home:
            home_name(settings, home)
        found = LiveFilter(
            entities=tuple(self.entity),
            domains=tuple(self.domain),
            areas=tuple(self.area),
            devices=tuple(self.device),
            types=tuple(self.type),
            homes=tuple(self.home),
        )
        found.check()
        return found


def hub_of(state: State) -> LiveHub:
    """Return the hub of an application. Raises NotFound where the live channel is switched off."""
    found = state.live
    if found is None:
        raise errors.NotFound("the live channel is switched off (live.enabled)")
    assert isinstance(found, LiveHub)  # noqa: S101 -- put there by create_app
    return found


def in_parts(
    deliveries: Sequence[Delivery], pace: Pace, made_of: Callable[[Delivery], Mapping[bytes, M]], most_bytes: int
) -> Iterator[tuple[list[M], str]]:
    """Yield what is wanted of some deliveries, in parts of so many bytes, each with the cursor behind it.

    `made_of` returns what a transport makes of a delivery's messages, by their text. One message is never parted.
    """
    found: list[M] = []
    size = 0
    last: tuple[Delivery, int] | None = None
    for delivery in deliveries:
        made = made_of(delivery)
        wanted = frozenset(pace.select(list(made))) if pace.limits else made
        for place, (text, message) in enumerate(made.items()):
            if text not in wanted:
                continue
            if last is not None and size + len(text) > most_bytes:
                yield found, last[0].cursor_at(last[1])
                found, size = [], 0
            found.append(message)
            size += len(text)
            last = (delivery, place)
    if found:
        yield found, deliveries[-1].cursor

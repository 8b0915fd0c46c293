"""The step `zone`: where a tracker is, by the zones of the home and by a cell of the globe; no I/O."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from ingestor.enrichment.steps import Surroundings
from ingestor.events.event import Event
from ingestor.home.facts import ZoneFacts
from ingestor.home.model import domain_of
from ingestor.home.observation import number

_EARTH_M: Final = 6_371_000.0
_BASE32: Final = "0123456789bcdefghjkmnpqrstuvwxyz"
_BITS: Final = 5
#: Their attributes are where they lie, not where somebody is.
_FIXED: Final = frozenset({"zone", "sun", "weather"})


class Near(NamedTuple):
    """The nearest zone, and how far its edge is (metres); 0 is inside."""

    zone: ZoneFacts
    distance_m: float


class ZoneStep:
    """Gives an event with coordinates the nearest zone and its cell. `cell_length` is the length of the geohash."""

    name: Final = "zone"

    def __init__(self, cell_length: int) -> None:
        self._cell_length = cell_length

    def apply(self, event: Event, around: Surroundings) -> bool:
        """Add zone, distance and cell to an event that says where it is."""
        attributes = event.attributes
        if attributes is None or "latitude" not in attributes:
            return True
        latitude, longitude = number(attributes["latitude"]), number(attributes.get("longitude"))
        if latitude is None or longitude is None or domain_of(event.subject) in _FIXED:
            return True
        if not (abs(latitude) <= 90 and abs(longitude) <= 180):  # noqa: PLR2004 - what the globe has
            return True
        extras = event.extras = event.extras or {}
        extras["geo_cell"] = geohash(latitude, longitude, self._cell_length)
        if (near := nearest(latitude, longitude, around.facts.zones)) is not None:
            extras["nearest_zone"] = near.zone.name
            extras["nearest_zone_distance"] = near.distance_m
        return True


def nearest(latitude: float, longitude: float, zones: Sequence[ZoneFacts]) -> Near | None:
    """Return the zone whose edge is nearest; of several that one is in, the smallest."""
    found = [(max(0.0, distance_m(latitude, longitude, zone) - zone.radius_m), zone.radius_m, zone) for zone in zones]
    if not found:
        return None
    away_m, _, zone = min(found, key=lambda one: one[:2])
    return Near(zone, round(away_m, 1))


def distance_m(latitude: float, longitude: float, zone: ZoneFacts) -> float:
    """Return how far a zone's middle is, on a sphere: wrong by at most 0.5 %."""
    here, there = math.radians(latitude), math.radians(zone.latitude)
    across = math.radians(zone.longitude - longitude)
    half = math.sin((there - here) / 2) ** 2 + math.cos(here) * math.cos(there) * math.sin(across / 2) ** 2
    return 2 * _EARTH_M * math.asin(math.sqrt(min(1.0, half)))


def geohash(latitude: float, longitude: float, length: int) -> str:
    """Return the geohash of a place: a cell of the globe, each further sign 32 times smaller."""
    bounds = [[-180.0, 180.0], [-90.0, 90.0]]
    bits = 0
    for number_of_bit in range(length * _BITS):
        axis = number_of_bit % 2
        middle = sum(bounds[axis]) / 2
        upper = (longitude, latitude)[axis] >= middle
        bounds[axis][0 if upper else 1] = middle
        bits = bits << 1 | upper
    return "".join(_BASE32[bits >> _BITS * (length - 1 - at) & 31] for at in range(length))

"""A home as the tests of the API find it: some of everything that a route can tell of."""

from __future__ import annotations

from tests.integration.api_bench import ApiBench, called, state

KITCHEN = {"area": "Kitchen", "device": "Climate", "device_class": "temperature", "integration": "mqtt"}


def fill(bench: ApiBench) -> None:
    """Write an hour of events."""
    bench.write(
        *(
            state(60 * minute, "sensor.kitchen", f"{20 + minute / 10}", place=KITCHEN, unit="°C")
            for minute in range(60)
        ),
        *(state(300 * turn, "light.hall", "on" if turn % 2 else "off", place={"area": "Hall"}) for turn in range(12)),
        called(300, "light.hall"),
    )

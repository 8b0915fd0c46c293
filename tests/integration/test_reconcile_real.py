"""Reconciliation with a real Home Assistant's history: what was not stored of it is found, and read back."""

from __future__ import annotations

import time
from uuid import uuid4

import pytest

from ingestor.homeassistant.history import rows_between
from ingestor.storage.memory import MemoryStore
from ingestor.storage.port import HOUR_US
from ingestor.storage.reconciled import HourState
from tests.homeassistant.run import HomeAssistant
from tests.homeassistant.talk import request
from tests.integration.reconcile_home import HOME, SETTLE_US, Line, Reconciling
from tests.servers import wait_until

pytestmark = pytest.mark.homeassistant


def test_changes_that_were_not_stored_are_found_in_real_history_and_read_back(homeassistant: HomeAssistant) -> None:
    entity_id = f"sensor.reconciled_{uuid4().hex[:8]}"
    line = Line(MemoryStore())
    of = Reconciling(line, homeassistant.url, homeassistant.token, now_us=0)
    hour_us = time.time_ns() // 1000 // HOUR_US * HOUR_US
    for number in range(12):
        attributes = {"note": number}  # two of three change this alone
        body = {"state": str(number // 3), "attributes": attributes}
        request(f"{homeassistant.url}/api/states/{entity_id}", token=homeassistant.token, body=body)
    _wait_for_history(of, entity_id, hour_us)
    hours = {hour_us, time.time_ns() // 1000 // HOUR_US * HOUR_US}
    # As if it had been heard since the hour before: this one is compared from its beginning.
    line.counted[hour_us - HOUR_US] = 1
    of.now_us = max(hours) + HOUR_US + SETTLE_US

    of.run()
    found = [of.hour(hour) for hour in hours]
    # The hour is not over: what the home does of itself while it is read (its sun moves) is missing the next time.
    for _ in range(5):
        of.fill()
        of.run()
        after = [of.hour(hour) for hour in hours]
        if not any(hour.missing for hour in after):
            break

    assert HourState.REPAIRING in {hour.state for hour in found}
    assert sum(hour.missing for hour in found) >= 12
    assert [(hour.state, hour.missing) for hour in after] == [(HourState.COMPLETE, 0)] * len(after)
    assert sum(hour.repaired for hour in after) >= 12
    states = line.store.states_between(HOME, hour_us * 1000, of.now_us * 1000, 100_000)
    stored = sorted(state for state in states if state.entity_id == entity_id)
    assert [state.state for state in stored] == [str(number // 3) for number in range(12)]


def _wait_for_history(of: Reconciling, entity_id: str, since_us: int) -> None:
    """Wait until the recorder has committed what was set."""

    def there() -> bool:
        with of.ask() as client:
            rows = rows_between(client, since_us, time.time_ns() // 1000, [entity_id])
        return len(rows.get(entity_id, ())) == 12

    wait_until(there, timeout_s=60, what="the recorder")

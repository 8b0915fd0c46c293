"""A day in the life of a real Home Assistant, told to the whole stack and to a witness; what is left of it to read.

No product code: the stack is a process, its store a database that anybody can ask.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.homeassistant.run import HomeAssistant
from tests.system import home_life
from tests.system.influxql import Database, Fields, Key
from tests.system.stack import Stack, wait_until
from tests.system.witness import Said, Witness

STATES: Final = "home_assistant_events"
OTHERS: Final = "home_assistant_other_events"
#: A state that says "from here on" and "until here".
MARK: Final = "sensor.system_mark"
#: The share of changes that must come by MQTT too: removals and empty states do not.
BY_BOTH: Final = 0.8
Change = tuple[str, int, str | None]


@dataclass(frozen=True, slots=True)
class Window:
    """A time, in Unix microseconds, in which Home Assistant and the stack were up and connected."""

    start_us: int
    end_us: int

    def has(self, time_us: int) -> bool:
        """Tell whether a moment is in it; the marks themselves are."""
        return self.start_us <= time_us <= self.end_us


@dataclass(slots=True)
class Story:
    """What happened, and where it was written down."""

    home: HomeAssistant
    stack: Stack
    theirs: Database
    ours: Database
    windows: list[Window] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    entities: list[dict[str, Any]] = field(default_factory=list)
    devices: dict[str, dict[str, Any]] = field(default_factory=dict)
    areas: dict[str, str] = field(default_factory=dict)
    status: dict[str, Any] = field(default_factory=dict)
    quarantine: list[dict[str, Any]] = field(default_factory=list)
    gaps: list[dict[str, Any]] = field(default_factory=list)
    listeners_before: list[int] = field(default_factory=list)
    listeners_after: list[int] = field(default_factory=list)

    def in_windows(self, time_us: int) -> bool:
        """Tell whether a moment is in one of the windows."""
        return any(window.has(time_us) for window in self.windows)

    def changes(self) -> Counter[Change]:
        """Return the state changes that Home Assistant sent within the windows."""
        states = (one for one in self.said if one.event_type == "state_changed")
        return Counter(one.change for one in states if self.in_windows(one.time_us))

    def stored_changes(self) -> Counter[Change]:
        """Return the state changes that our store holds of the windows."""
        return Counter(
            (fields["entity_id"], key[2] // 1000, fields.get("state")) for key, fields in self.stored(STATES).items()
        )

    def stored(self, measurement: str) -> dict[Key, Fields]:
        """Return our points of the windows."""
        points = self.ours.points(measurement)
        return {key: fields for key, fields in points.items() if self.in_windows(key[2] // 1000)}


def tell(home: HomeAssistant, stack: Stack, theirs: Database, ours: Database) -> Story:
    """Live in the home while the stack listens, with a restart of Home Assistant in the middle; return what is left."""
    story = Story(home, stack, theirs, ours)
    home.set_state(MARK, "before")
    witness = Witness(home)
    stack.start()
    _live(story, witness, "first", _first_part)
    story.listeners_before = stack.pids("listen websocket")
    _note_registries(story)
    home.restart()
    witness.close()
    story.said += witness.said
    witness = Witness(home)
    _live(story, witness, "second", _second_part)
    witness.close()
    story.said += witness.said
    story.listeners_after = stack.pids("listen websocket")
    _wait_until_all_is_written(story)
    return story


def _first_part(home: HomeAssistant) -> None:
    home_life.live_a_while(home)
    home_life.rename(home)


def _second_part(home: HomeAssistant) -> None:
    home_life.live_a_while(home)
    home.call_service("light.turn_on", entity_id=home_life.RENAMED[1], brightness=45)
    home.call_service("light.turn_on", entity_id=home_life.RENAMED[1], brightness=55)


def _live(story: Story, witness: Witness, name: str, happenings: Callable[[HomeAssistant], None]) -> None:
    """Let things happen between two marks, of which the first is set again until the stack hears by WebSocket."""
    tries = iter(range(1_000))
    wait_until(lambda: _is_heard(story, f"{name} start {next(tries)}"), 90, "our listener hears Home Assistant")
    start = witness.changes_of(MARK)[-1]
    happenings(story.home)
    last = f"{name} end"
    story.home.set_state(MARK, last)
    wait_until(lambda: _marks(witness)[-1:] == [last], 60, "the witness heard the last")
    wait_until(lambda: last in _stored_marks(story), 90, "the last is in our store")
    wait_until(lambda: _is_written_by_home_assistant(story, last), 60, "the last is in Home Assistant's own database")
    story.windows.append(Window(start.time_us, witness.changes_of(MARK)[-1].time_us))


def _is_heard(story: Story, mark: str) -> bool:
    story.home.set_state(MARK, mark)
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        if _stored_marks(story).get(mark) == "websocket":
            return True
        time.sleep(0.2)  # the pace of asking
    return False


def _marks(witness: Witness) -> list[str]:
    return [str(one.change[2]) for one in witness.changes_of(MARK)]


def _stored_marks(story: Story) -> dict[str, str]:
    """Return the source of each mark in our store, by its state."""
    found = story.ours.series(f'SELECT "state", "source" FROM "{STATES}" WHERE "entity_id" = \'{MARK}\'')
    return {row[1]: row[2] for series in found for row in series["values"]}


def _is_written_by_home_assistant(story: Story, mark: str) -> bool:
    return any(fields.get("state") == mark for fields in story.theirs.points(MARK).values())


def _note_registries(story: Story) -> None:
    ask = story.home.command_result
    story.entities = ask("config/entity_registry/list")
    story.devices = {device["id"]: device for device in ask("config/device_registry/list")}
    story.areas = {area["area_id"]: area["name"] for area in ask("config/area_registry/list")}


def _wait_until_all_is_written(story: Story) -> None:
    """Wait for the slower road too; what is missing then is for the tests to say."""
    deadline = time.monotonic() + 45
    while time.monotonic() < deadline:
        story.status = json.loads(story.stack.run("status", "--json"))
        nothing_waits = story.status["journal"]["pending_batches"] == 0
        by_both = story.status["counts"]["duplicate"] >= BY_BOTH * story.changes().total()
        if nothing_waits and by_both and not story.changes() - story.stored_changes():
            break
        time.sleep(0.5)  # the pace of asking
    story.gaps = wait_until(lambda: ended_gaps(story.stack), 60, "the gaps have ended")
    listed = story.stack.run("quarantine", "list", "--pieces", "--json").splitlines()
    story.quarantine = [json.loads(line) for line in listed if line.startswith("{")]


def ended_gaps(stack: Stack) -> list[dict[str, Any]]:
    """Return the gaps, newest first, once there are some and all have ended."""
    found = json.loads(stack.run("gaps", "--json"))
    return list(found["gaps"]) if found["all_ended"] else []

"""Those who listen are told once of a device that does not work as it should, by kind; of old hours not at all."""

from __future__ import annotations

from ingestor.pipeline.quality_told import device_errors
from ingestor.quality.hours import HOUR_US
from ingestor.quality.model import Problem, ProblemKind, Scope
from ingestor.quality.subjects import Subject

HOUR = 1_800_000_000_000_000 // HOUR_US * HOUR_US
NOW = HOUR + 2 * HOUR_US
MAP = {
    name: Subject(name, f"{name}_now", device=device)
    for name, device in (("sensor.a", "Thermometer"), ("sensor.b", "Thermometer"), ("sensor.helper", ""))
}


def problem(kind: ProblemKind, subject: str, scope: Scope = Scope.ENTITY, since_us: int = HOUR) -> Problem:
    return Problem(kind, scope, subject, since_us, None, 1, "silent for two days", "look at its battery")


def test_a_device_is_told_of_once_for_all_its_entities_by_kind() -> None:
    found = [
        problem(ProblemKind.DEAD, "sensor.a"),
        problem(ProblemKind.DEAD, "sensor.b", since_us=HOUR - 1_000_000),
        problem(ProblemKind.HUB_DEAD, "Bridge", Scope.DEVICE),
        problem(ProblemKind.DEAD, "sensor.helper"),
        problem(ProblemKind.UNIT_CHANGED, "sensor.a"),
        problem(ProblemKind.DEAD, "sensor.nobody_knows"),
        problem(ProblemKind.HUB_DEAD, "zha", Scope.INTEGRATION),
    ]

    hub, dead = device_errors("villa", HOUR, found, MAP, NOW)

    assert (hub.name, hub.subject, hub.data["problem"]) == ("device.error", "Bridge", "hub_dead")
    assert "entities" not in hub.data
    assert (dead.subject, dead.time_us) == ("Thermometer", HOUR + HOUR_US)
    assert dead.notice_id == f"villa~problem~dead~Thermometer~{HOUR}"
    assert dead.data == {
        "problem": "dead",
        "entities": ["sensor.a_now", "sensor.b_now"],
        "since": "2027-01-15T07:59:59Z",
        "evidence": "silent for two days",
        "advice": "look at its battery",
    }


def test_what_was_found_of_long_ago_is_not_told_of_now() -> None:
    found = [problem(ProblemKind.DEAD, "sensor.a")]

    assert device_errors("villa", HOUR, found, MAP, NOW + 3 * HOUR_US) == []
    assert len(device_errors("villa", HOUR, found, MAP, NOW + 2 * HOUR_US)) == 1

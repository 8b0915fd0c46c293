"""When reports are due, when alerts begin and end, and how deliveries are tried again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from ingestor import errors
from ingestor.reading.config import shown_settings
from ingestor.reports.alerts import changes
from ingestor.reports.deliver import PostOffice
from ingestor.reports.document import Report
from ingestor.reports.message import Message
from ingestor.reports.roads import NotDelivered
from ingestor.reports.schedule import due_reports
from ingestor.reports.shelf import Alert, Delivery, DeliveryState
from ingestor.settings_reports import AlertSetting, MailSettings, ReportsSettings
from ingestor.settings_sources import load_settings
from tests.fakes.report_home import example_report

BERLIN = ZoneInfo("Europe/Berlin")
MINUTE_US = 60_000_000


def us(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    return int(datetime(year, month, day, hour, minute, tzinfo=BERLIN).timestamp()) * 1_000_000


def test_a_day_is_due_from_its_time_of_day_on_and_a_week_from_its_day_on() -> None:
    settings = ReportsSettings(at="06:00", weekly="monday")

    early = {one.period: one for one in due_reports(settings, us(2026, 11, 23, 5, 59), BERLIN)}
    later = {one.period: one for one in due_reports(settings, us(2026, 11, 23, 6, 0), BERLIN)}

    assert (early["daily"].start_us, early["daily"].end_us) == (us(2026, 11, 21), us(2026, 11, 22))
    assert (later["daily"].start_us, later["daily"].end_us) == (us(2026, 11, 22), us(2026, 11, 23))
    assert (early["weekly"].start_us, early["weekly"].end_us) == (us(2026, 11, 9), us(2026, 11, 16))
    assert (later["weekly"].start_us, later["weekly"].end_us) == (us(2026, 11, 16), us(2026, 11, 23))
    assert list(due_reports(ReportsSettings(daily=False, weekly="never"), us(2026, 11, 23), BERLIN)) == []


def test_the_day_on_which_clocks_change_has_25_hours() -> None:
    (day,) = due_reports(ReportsSettings(weekly="never"), us(2026, 10, 26, 12), BERLIN)

    assert day.end_us - day.start_us == 25 * 60 * MINUTE_US


def alerts_of(value: float | None, opened: list[Alert], **more: Any) -> list[Alert]:
    setting = AlertSetting(name="poor", on="score", limit=80, clear=85, **more)
    return list(changes("home", [setting], {"score": value}, opened, 1000))


def test_an_alert_begins_at_its_limit_and_is_over_only_when_it_is_clear() -> None:
    assert alerts_of(80.0, []) == []
    (raised,) = alerts_of(79.9, [])
    assert (raised.over_us, raised.sentence) == (None, "The home's score is 79.9, below 80.")

    assert alerts_of(70.0, [raised]) == []
    assert alerts_of(84.9, [raised]) == []
    assert alerts_of(None, [raised]) == []
    (over,) = alerts_of(85.0, [raised])

    assert (over.since_us, over.over_us) == (raised.since_us, 1000)
    assert over.sentence == "Over: the home's score is 85 again."


def test_an_alert_on_a_count_begins_above_its_limit_and_one_that_is_not_watched_is_over() -> None:
    lost = AlertSetting(name="lost", on="lost", limit=0)

    (raised,) = changes("home", [lost], {"lost": 3.0}, [], 1)
    assert list(changes("home", [lost], {"lost": 3.0}, [raised], 2)) == []
    (over,) = changes("home", [lost], {"lost": 0.0}, [raised], 3)
    (dropped,) = changes("home", [], {"lost": 3.0}, [raised], 4)

    assert raised.sentence == "The number of lost events is 3, above 0."
    assert (over.over_us, dropped.over_us) == (3, 4)


@pytest.mark.parametrize(
    "wrong",
    [
        {"on": "score", "limit": 80, "clear": 70},
        {"on": "lost", "limit": 1, "clear": 2},
        {"on": "mood", "limit": 1},
        {"on": "valid", "limit": 99},
        {"on": "score", "limit": 80, "clear": 101},
    ],
)
def test_a_threshold_that_would_be_over_before_it_began_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AlertSetting(name="x", **wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": "mail"},
        {"host": "mail", "sender": "a@b", "to": ["c@d\nBcc: e@f"]},
        {"security": "none", "password": "x"},
        {"sender": "no address"},
    ],
)
def test_mail_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MailSettings.model_validate(wrong)


class Box:
    """An outbox of one delivery, and the shelf with its report."""

    def __init__(self, delivery: Delivery) -> None:
        self.seen = [delivery]

    def due(self, now_us: int, limit: int = 50) -> list[Delivery]:
        return [one for one in self.seen[-1:] if one.state is DeliveryState.WAITING and one.next_us <= now_us]

    def set(self, delivery: Delivery) -> None:
        self.seen.append(delivery)

    def find(self, report_id: str) -> Report:
        if report_id != self.seen[0].parcel or report_id == "gone":
            raise errors.NotFound("it is gone")
        return example_report()


class Fails:
    """A road that fails so many times."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.taken: list[Message] = []

    def __call__(self, message: Message) -> None:
        self.times -= 1
        if self.times >= 0:
            raise NotDelivered("nobody there")
        self.taken.append(message)


DELIVERY = Delivery("r", "mail", "report", "home", DeliveryState.WAITING, 0, 0, 0)


def office(box: Box, road: Fails, name: str = "mail") -> PostOffice:
    return PostOffice(box, box, box, {name: road}, 24.0, lambda: 0.5)  # type: ignore[arg-type]  # only what is asked


def test_a_delivery_that_fails_is_tried_again_later_each_time_until_it_is_taken() -> None:
    box, road, now_us, pauses = Box(DELIVERY), Fails(9), 0, []

    while found := box.due(now_us):
        after = office(box, road).deliver(found[0], now_us)
        pauses.append(after.next_us - now_us)
        now_us = after.next_us

    assert (box.seen[-1].state, box.seen[-1].tries, len(road.taken)) == (DeliveryState.DELIVERED, 10, 1)
    assert [pause // MINUTE_US for pause in pauses[1:]] == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_delivery_that_fails_for_too_long_is_undelivered_and_says_why() -> None:
    box, road = Box(DELIVERY), Fails(10**6)

    first = office(box, road).deliver(DELIVERY, 0)
    last = office(box, road).deliver(first, 24 * 60 * MINUTE_US)

    assert (first.state, last.state, last.error) == (DeliveryState.WAITING, DeliveryState.UNDELIVERED, "nobody there")


def test_a_try_is_noted_before_it_is_made() -> None:
    box = Box(DELIVERY)

    class Dies(Fails):
        def __call__(self, message: Message) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        office(box, Dies(0)).deliver(DELIVERY, 0)

    assert (box.seen[-1].tries, box.due(0)) == (1, [])
    with pytest.raises(KeyboardInterrupt):
        office(box, Dies(0)).deliver(box.seen[-1], 24 * 60 * MINUTE_US)
    assert (box.seen[-1].state, box.seen[-1].tries) == (DeliveryState.UNDELIVERED, 2)
    assert "did not end" in box.seen[-1].error


def test_what_has_no_road_or_no_report_any_more_is_undelivered() -> None:
    gone = replace(DELIVERY, parcel="gone")

    assert "not set any more" in office(Box(DELIVERY), Fails(0), "webhook").deliver(DELIVERY, 0).error
    found = office(Box(gone), Fails(0)).deliver(gone, 0)
    assert (found.state, found.error) == (DeliveryState.UNDELIVERED, "it is gone")


def test_no_secret_of_a_road_is_shown_with_the_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HA_INGESTOR_DATA_DIR", str(tmp_path))
    for name in ("WEBHOOK__SECRET", "MAIL__PASSWORD"):
        monkeypatch.setenv(f"HA_INGESTOR_REPORTS__{name}", "hush-hush-hush-a1b2")
    monkeypatch.setenv("HA_INGESTOR_REPORTS__MQTT__URL", "mqtt://anna:hush-hush-hush@broker:1883")
    monkeypatch.setenv("HA_INGESTOR_REPORTS__MAIL__USER", "anna")

    shown = {row["key"]: row["value"] for row in shown_settings(load_settings())}

    assert "hush" not in str(shown)
    assert shown["reports.mail.password"] == "****a1b2"
    assert shown["reports.mail.user"] == "anna"

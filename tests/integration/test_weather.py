"""Weather from a real local server and a real Redis: asked seldom, by one for all, with patience and within limits."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import redis

from ingestor import errors
from ingestor.api.weather import is_ill, sentence
from ingestor.enrichment.opening import Means, enrichment_steps
from ingestor.events.event import Event, EventBatch, Place
from ingestor.home.cache import MemoryHomeMap
from ingestor.home.facts import HomeFacts, MemoryFacts
from ingestor.home.model import Snapshot, Timeline
from ingestor.home.observation import Observation
from ingestor.home.watched import Reading
from ingestor.home.watched_redis import publish_readings
from ingestor.pipeline.enrich import enrich
from ingestor.queue.state import connect_state
from ingestor.settings import Settings
from ingestor.storage.gaps import GapRecord
from ingestor.storage.memory import MemoryStore
from ingestor.weather.degree_days import bounds_us
from ingestor.weather.desk import Phase, Rules, WeatherDesk, archive_key, read_days, read_status
from ingestor.weather.home_assistant import HomeAssistantWeather
from ingestor.weather.open_meteo import OpenMeteo
from ingestor.weather.open_weather_map import OpenWeatherMap
from ingestor.weather.opening import open_desk
from ingestor.weather.port import Coordinates, WeatherLimited, WeatherRefused, WeatherUnavailable
from tasks.history import _bring_weather
from tasks.resources import Resources
from tasks.weather import write_degree_days
from tests.fakes.weather_server import Reply, WeatherServer, weather_server
from tests.servers import free_port
from tests.servers_brokers import RedisServer

BERLIN = Coordinates(52.52, 13.41)
DOWN = Reply(503, {"error": True, "reason": "overloaded"})
LIMITED = Reply(429, {"error": True, "reason": "Minutely API request limit exceeded. Please try again in one minute."})


@pytest.fixture
def server() -> Iterator[WeatherServer]:
    with weather_server() as found:
        yield found


@pytest.fixture
def state(redis_server: RedisServer) -> redis.Redis[bytes]:
    return connect_state(redis_server.url)


@dataclass
class Bench:
    """A home's desk with a clock of its own; every pause between tries is noted, none is waited for."""

    server: WeatherServer
    state: redis.Redis[bytes]
    rules: Rules = field(default_factory=Rules)
    home: str = field(default_factory=lambda: f"home-{uuid.uuid4().hex[:12]}")
    now_s: float = field(default_factory=time.time)
    pauses: list[float] = field(default_factory=list)

    def desk(self, today: date | None = None) -> WeatherDesk:
        provider = OpenMeteo(BERLIN, self.server.url, **({"today": lambda: today} if today else {}))
        return WeatherDesk(
            self.home,
            "weather:open-meteo",
            provider,
            self.state,
            self.rules,
            now_s=lambda: self.now_s,
            pause=self.pauses.append,
        )

    def let_expire(self) -> None:
        """What the cache's time does."""
        self.state.delete(f"ha_ingestor:weather:{self.home}:open-meteo:fresh")

    def worker(self, provider: str = "open-meteo") -> Worker:
        return Worker(self.home, self.state, provider)


class Worker:
    """A process that enriches: its own caches, the shared Redis."""

    def __init__(self, home: str, state: redis.Redis[bytes], provider: str) -> None:
        settings = Settings.model_validate({"data_dir": "unused", "weather": {"provider": provider}})
        self.steps = enrichment_steps(("weather",), Means(settings, state))
        self.facts = HomeFacts(home, latitude=52.52, longitude=13.41, time_zone="Europe/Berlin")
        self.map = MemoryHomeMap()
        self.map.publish(Snapshot(home, 1, 0, {"light.lamp": Timeline(0, Place("light.lamp", "light"))}), [])
        self.home = home

    def enrich(self, *times_us: int, source: str = "websocket") -> list[dict[str, Any]]:
        now_ns = time.time_ns()
        events = [
            Event(slot, "state", "state_changed", "light.lamp", "light.lamp", time_us, now_ns, source, slot, state="on")
            for slot, time_us in enumerate(times_us)
        ]
        batch = EventBatch("b" * 26, self.home, source, "j", 0, len(events), events)
        ready = enrich(batch, self.map, now_ns=0, wait_s=5, steps=self.steps, facts=self.facts).ready
        assert ready is not None
        assert not any(event.notes for event in ready.events)
        return [ready.moments[event.moment].fields for event in ready.events]


def now_us() -> int:
    return time.time_ns() // 1000


def test_four_workers_with_ten_thousand_events_each_cost_one_call(
    server: WeatherServer, state: redis.Redis[bytes]
) -> None:
    bench = Bench(server, state)
    gate = threading.Barrier(4)
    phases: list[Phase] = []

    def work(_: int) -> list[dict[str, Any]]:
        worker, ends_s = bench.worker(), time.monotonic() + 60
        found: list[dict[str, Any]] = []
        gate.wait()
        while len(found) < 10_000 or ("outdoor_temperature" not in found[-1] and time.monotonic() < ends_s):
            # Every worker asks before every batch: only one of them may reach the provider.
            phases.append(bench.desk().refresh())
            begin_us = now_us()
            found += worker.enrich(*range(begin_us, begin_us + 500))
        return found

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(work, range(4)))

    assert len(server.asked) == 1
    assert phases.count("ok") == 1
    assert set(phases) <= {"ok", "fresh", "busy"}
    assert all(len(one) >= 10_000 and "outdoor_temperature" in one[-1] for one in found)


def test_open_meteo_is_read_in_units_of_our_own(server: WeatherServer) -> None:
    found = OpenMeteo(BERLIN, server.url).now()

    assert found is not None
    (asked,) = server.asked
    assert (asked.path, asked.params["latitude"], asked.params["wind_speed_unit"]) == ("/v1/forecast", "52.52", "ms")
    observed = datetime.fromtimestamp(found.observed_us / 1e6, UTC)
    assert timedelta(0) <= datetime.now(UTC) - observed < timedelta(minutes=17)
    expected = Observation(found.observed_us, "open-meteo", "rainy", 5 + observed.hour / 10, 81.0, 1013.2, 3.4, 75.0)
    assert found == expected


def test_openweathermap_is_read_in_units_of_our_own(server: WeatherServer) -> None:
    found = OpenWeatherMap(BERLIN, "right", server.url).now()

    assert found is not None
    assert server.asked[0].params["units"] == "metric"
    assert 100 < time.time() - found.observed_us / 1e6 < 180
    assert found == Observation(found.observed_us, "openweathermap", "rainy", 7.5, 64.0, 1016.0, 3.6, 90.0)


def test_home_assistants_entity_is_read_with_the_time_it_was_told_last() -> None:
    told = {
        "entity_id": "weather.home",
        "state": "sunny",
        "last_updated": "2026-11-21T11:00:00+00:00",
        "last_reported": "2026-11-21T12:00:00+00:00",
        "attributes": {"temperature": 41, "temperature_unit": "°F"},
    }

    assert HomeAssistantWeather("weather.home", lambda: [told]).now() == Observation(
        1_795_262_400_000_000, "homeassistant", "sunny", 5.0
    )
    assert HomeAssistantWeather("", lambda: [told]).now() is None
    with pytest.raises(WeatherRefused, match=r"weather\.other"):
        HomeAssistantWeather("weather.other", lambda: [told]).now()
    with pytest.raises(WeatherUnavailable, match="unavailable"):
        HomeAssistantWeather("weather.home", lambda: [{**told, "state": "unavailable"}]).now()


def test_home_assistants_recorder_is_the_past_of_its_weather() -> None:
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    asked: list[tuple[datetime, datetime]] = []

    def row(minutes: float, state: str, **attributes: Any) -> dict[str, Any]:
        return {"s": state, "a": attributes, "lu": (noon + timedelta(minutes=minutes)).timestamp()}

    def read(start: datetime, end: datetime) -> list[dict[str, Any]]:
        asked.append((start, end))
        rows = [
            row(0, "sunny", temperature=41, temperature_unit="°F"),
            row(5, "sunny", temperature=1),
            row(20, "rainy"),
        ]
        return [*rows, row(40, "unavailable"), {"s": "sunny"}, row(13 * 60, "sunny")]

    provider = HomeAssistantWeather("weather.home", list, read)
    found = provider.days(date(2026, 11, 19), date(2026, 11, 20))

    noon_us = int(noon.timestamp()) * 1_000_000
    assert found == [
        Observation(noon_us, "homeassistant", "sunny", 5.0),
        Observation(noon_us + 20 * 60_000_000, "homeassistant", "rainy"),
    ]
    assert asked == [(datetime(2026, 11, 19, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC))]
    assert provider.has_history
    assert not HomeAssistantWeather("weather.home", list).has_history
    assert not HomeAssistantWeather("", list, read).has_history


def test_of_a_day_that_is_not_over_the_past_is_soon_asked_for_again(
    server: WeatherServer, state: redis.Redis[bytes]
) -> None:
    bench = Bench(server, state)
    today = datetime.fromtimestamp(bench.now_s, UTC).date()

    bench.desk(today).bring_days(today - timedelta(days=1), today)

    kept_s = [state.ttl(archive_key(bench.home, day)) for day in (today - timedelta(days=1), today)]
    assert kept_s[0] > 86_400
    assert 0 < kept_s[1] <= 900


def test_home_assistant_that_is_away_is_a_provider_that_is_away() -> None:
    def away() -> list[dict[str, Any]]:
        raise errors.HomeAssistantUnavailable

    provider = HomeAssistantWeather("weather.home", away, lambda _start, _end: away())

    with pytest.raises(WeatherUnavailable):
        provider.now()
    with pytest.raises(WeatherUnavailable):
        provider.days(date(2026, 11, 20), date(2026, 11, 20))


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (DOWN, WeatherUnavailable),
        (LIMITED, WeatherLimited),
        (Reply(401, {"cod": 401, "message": "Invalid API key."}), WeatherRefused),
        (Reply(400, {"error": True, "reason": "Latitude must be in range"}), WeatherRefused),
        (Reply(302, "", {"Location": "http://127.0.0.1:1/"}), WeatherUnavailable),
        (Reply(200, b"<html>a proxy's page</html>"), WeatherUnavailable),
        (Reply(200, []), WeatherUnavailable),
        (Reply(200, {"current": None}), WeatherUnavailable),
        (Reply(200, {"current": {"time": "soon"}}), WeatherUnavailable),
        (Reply(200, {"current": {"time": "2026-11-21T12:00"}}, cut=True), WeatherUnavailable),
        (Reply(200, b"\xff\xfe"), WeatherUnavailable),
    ],
)
def test_every_answer_that_is_none_has_its_error(server: WeatherServer, reply: Reply, kind: type[Exception]) -> None:
    server.always(reply)

    with pytest.raises(kind) as caught:
        OpenMeteo(BERLIN, server.url).now()

    assert server.url not in str(caught.value)


def test_values_that_are_none_are_left_out(server: WeatherServer) -> None:
    server.always(Reply(body={"current": {"time": "2026-11-21T12:00", "temperature_2m": None, "weather_code": "x"}}))

    assert OpenMeteo(BERLIN, server.url).now() == Observation(1_795_262_400_000_000, "open-meteo")


def test_a_provider_that_stalls_is_not_waited_for(server: WeatherServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestor.weather.http.get_json.__kwdefaults__", {"timeout_s": 0.2})
    server.always(Reply(body={}, stall_s=60))

    began_s = time.monotonic()
    with pytest.raises(WeatherUnavailable, match="does not answer"):
        OpenMeteo(BERLIN, server.url).now()

    assert time.monotonic() - began_s < 30


def test_a_provider_that_is_not_there_is_away() -> None:
    with pytest.raises(WeatherUnavailable, match="does not answer"):
        OpenMeteo(BERLIN, f"http://127.0.0.1:{free_port()}").now()


def test_what_fails_is_tried_again_with_pauses(server: WeatherServer, state: redis.Redis[bytes]) -> None:
    bench = Bench(server, state)
    server.fixed(DOWN, DOWN)

    phase = bench.desk().refresh()

    assert (phase, len(server.asked), len(bench.pauses)) == ("ok", 3, 2)
    assert all(0 <= pause <= 2 for pause in bench.pauses)
    assert bench.desk().status().calls_today == 3


def test_after_three_failures_the_provider_is_left_alone_and_then_tried_again(
    server: WeatherServer, state: redis.Redis[bytes]
) -> None:
    bench = Bench(server, state)
    server.always(DOWN)
    phases = [bench.desk().refresh() for _ in range(4)]
    asked = len(server.asked)
    ill = bench.desk().status()

    bench.now_s += 61
    server.fixed()
    after = bench.desk().refresh()

    assert (phases, asked) == (["failed", "failed", "failed", "open"], 9)
    assert is_ill(ill, 500)
    assert "open-meteo away (3 times, not asked again for 60 s)" in sentence(ill, now_s=bench.now_s - 61)
    assert after == "ok"
    assert bench.desk().status().trouble is None


def test_a_limit_is_kept_to_as_long_as_the_provider_asks(server: WeatherServer, state: redis.Redis[bytes]) -> None:
    bench = Bench(server, state)
    server.fixed(Reply(429, LIMITED.body, {"Retry-After": "600"}))

    phases = [bench.desk().refresh(), bench.desk().refresh()]
    bench.now_s += 599
    phases.append(bench.desk().refresh())
    asked = len(server.asked)
    bench.now_s += 2
    phases.append(bench.desk().refresh())

    assert (phases, asked) == (["failed", "open", "open", "ok"], 1)


def test_a_key_that_is_refused_is_not_tried_again_for_an_hour(server: WeatherServer, state: redis.Redis[bytes]) -> None:
    bench = Bench(server, state)
    provider = OpenWeatherMap(BERLIN, "wrong", server.url)
    desk = WeatherDesk(bench.home, "weather:openweathermap", provider, state, Rules(), now_s=lambda: bench.now_s)

    phases = [desk.refresh(), desk.refresh()]

    status = desk.status()
    assert (phases, len(server.asked)) == (["failed", "open"], 1)
    assert status.trouble is not None
    assert (status.trouble.kind, is_ill(status, 500)) == ("refused", True)
    assert "Invalid API key" in sentence(status)
    assert "wrong" not in sentence(status)


def test_the_days_calls_are_a_budget(server: WeatherServer, state: redis.Redis[bytes]) -> None:
    bench = Bench(server, state, Rules(daily_calls=2))
    phases: list[Phase] = []
    for _ in range(4):
        phases.append(bench.desk().refresh())
        bench.let_expire()

    bench.now_s += 86_400
    phases.append(bench.desk().refresh())

    assert phases == ["ok", "ok", "spent", "spent", "ok"]
    assert len(server.asked) == 3


def test_points_carry_the_value_as_of_their_time_and_a_stale_one_with_its_age(
    server: WeatherServer, state: redis.Redis[bytes]
) -> None:
    bench = Bench(server, state)
    times = [now_us() - 7 * 3_600_000_000, now_us() - 2 * 3_600_000_000]
    for at_us, degrees in zip(times, (1.0, 2.0), strict=True):
        stamp = datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M")
        server.always(Reply(body={"current": {"time": stamp, "temperature_2m": degrees}}))
        bench.desk().refresh()
        bench.let_expire()
    server.always(DOWN)

    assert bench.desk().refresh() == "failed"

    worker, hour_us = bench.worker(), 3_600_000_000
    before, first, second, now, later = worker.enrich(
        times[0] - hour_us, times[0] + hour_us, times[1] + hour_us, now_us(), times[1] + 7 * hour_us
    )
    assert (before, later) == ({}, {})
    assert [fields["outdoor_temperature"] for fields in (first, second, now)] == [1.0, 2.0, 2.0]
    assert now["weather_provider"] == "open-meteo"
    assert 7_000 < now["weather_age"] < 7_500
    assert now["weather_observed_at"].endswith("+00:00")


def test_the_past_is_brought_once_and_known_to_every_worker(server: WeatherServer, state: redis.Redis[bytes]) -> None:
    bench = Bench(server, state)
    first = date(2026, 3, 1)
    today = date(2026, 11, 21)

    phases = [bench.desk(today).bring_days(first, first + timedelta(days=20)) for _ in range(3)]

    assert phases == ["ok", "ok", "fresh"]
    assert [(asked.path, asked.params["start_date"], asked.params["end_date"]) for asked in server.asked] == [
        ("/v1/archive", "2026-03-01", "2026-03-14"),
        ("/v1/archive", "2026-03-15", "2026-03-21"),
    ]
    noon_us = int(datetime(2026, 3, 10, 12, 30, tzinfo=UTC).timestamp()) * 1_000_000
    (found,) = bench.worker().enrich(noon_us, source="history")
    assert found["outdoor_temperature"] == 6.2
    assert (found["weather_provider"], found["weather_age"]) == ("open-meteo-archive", 1800.0)
    assert read_days(state, bench.home, [date(2025, 1, 1)]) == {}


def test_days_that_the_archive_has_not_yet_come_from_the_forecast(
    server: WeatherServer, state: redis.Redis[bytes]
) -> None:
    bench = Bench(server, state)

    bench.desk(date(2026, 11, 21)).bring_days(date(2026, 11, 19), date(2026, 11, 19))

    assert [asked.path for asked in server.asked] == ["/v1/forecast"]


def test_the_settings_say_who_is_asked_and_where(server: WeatherServer, state: redis.Redis[bytes]) -> None:
    def desk(facts: HomeFacts, **weather: Any) -> WeatherDesk | None:
        settings = Settings.model_validate({"data_dir": "unused", "home": facts.home, "weather": weather})
        return open_desk(settings, settings.all_homes()[0], facts, state)

    nowhere, berlin = HomeFacts(uuid.uuid4().hex), HomeFacts(uuid.uuid4().hex, latitude=1.5, longitude=2.5)
    assert desk(berlin) is None
    assert desk(berlin, provider="none") is None
    assert desk(nowhere, provider="open-meteo") is None

    for facts, place in ((berlin, {}), (nowhere, {"latitude": 10.5, "longitude": 20.5})):
        found = desk(facts, provider="open-meteo", url=server.url, **place)
        assert found is not None
        assert found.refresh() == "ok"
    assert [(asked.params["latitude"], asked.params["longitude"]) for asked in server.asked] == [
        ("1.5", "2.5"),
        ("10.5", "20.5"),
    ]


def test_without_the_state_server_nobody_is_asked(server: WeatherServer) -> None:
    away = connect_state(f"redis://127.0.0.1:{free_port()}/0")
    desk = WeatherDesk("home", "weather:open-meteo", OpenMeteo(BERLIN, server.url), away, Rules())

    with pytest.raises(errors.StateUnavailable):
        desk.refresh()
    with pytest.raises(errors.StateUnavailable):
        read_status(away, "home", "open-meteo")

    assert server.asked == []


BERLINS = ZoneInfo("Europe/Berlin")


def yesterday() -> date:
    return datetime.now(BERLINS).date() - timedelta(days=1)


@dataclass
class Days:
    """What the weather task does for the degree days of one home, with a store in memory."""

    state: redis.Redis[bytes]
    url: str = ""
    home: str = field(default_factory=lambda: uuid.uuid4().hex)
    store: MemoryStore = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        weather = {"provider": "open-meteo", **({"url": self.url} if self.url else {"historical": False})}
        self.held = Resources(Settings.model_validate({"data_dir": "unused", "home": self.home, "weather": weather}))
        self.held.__dict__.update(state=self.state, store=self.store)
        self.facts = HomeFacts(self.home, time_zone="Europe/Berlin", latitude=52.52, longitude=13.41)

    def look(self) -> list[str]:
        """Let the task look once; return the days that are written."""
        write_degree_days(self.held, self.held.settings.all_homes()[0], self.facts)
        return sorted(str(fields["day"]) for fields in self.store.points.values())

    def was_there_since(self, day: date) -> None:
        self.state.set(f"ha_ingestor:weather:{self.home}:degree_days", json.dumps({"since": day.isoformat()}))

    def observe_yesterday(self) -> int:
        start_us, end_us = bounds_us(yesterday(), BERLINS)
        told = [Observation(at, "open-meteo", temperature_c=6.0) for at in range(start_us, end_us, 3_600_000_000)]
        publish_readings(self.state, self.home, [Reading("weather:open-meteo", one.observed_us, one) for one in told])
        return start_us


def test_the_weather_task_writes_the_day_before_once(state: redis.Redis[bytes]) -> None:
    days = Days(state)
    start_us = days.observe_yesterday()

    for _ in range(2):
        days.look()

    ((measurement, tags, time_ns),) = days.store.points
    assert (measurement, tags, time_ns) == ("home_degree_days", (("home", days.home),), start_us * 1000)
    assert days.store.points[measurement, tags, time_ns]["heating_degree_days"] == 12.0
    assert days.store.writes == 1


def test_after_an_outage_the_days_before_are_brought_from_the_past_each_once(
    server: WeatherServer, state: redis.Redis[bytes]
) -> None:
    days = Days(state, server.url)
    days.was_there_since(yesterday() - timedelta(days=3))
    days.observe_yesterday()

    first, second = days.look(), days.look()

    assert first == second == [(yesterday() - timedelta(days=before)).isoformat() for before in (3, 2, 1, 0)]
    assert days.store.writes == 4
    providers = {str(fields["day"]): fields["weather_provider"] for fields in days.store.points.values()}
    assert providers.pop(yesterday().isoformat()) == "open-meteo"
    assert set(providers.values()) == {"open-meteo-archive"}


def test_a_past_that_cannot_be_had_now_keeps_no_later_day_and_is_had_later(
    server: WeatherServer, state: redis.Redis[bytes]
) -> None:
    days = Days(state, server.url)
    days.was_there_since(yesterday() - timedelta(days=1))
    days.observe_yesterday()
    server.always(LIMITED)

    during = days.look()
    server.fixed()
    state.delete(*state.keys(f"*{days.home}:open-meteo*"))  # the provider's rest is over

    assert during == [yesterday().isoformat()]
    assert days.look() == [(yesterday() - timedelta(days=1)).isoformat(), yesterday().isoformat()]


def test_where_nobody_knows_the_past_it_is_not_asked_for_again(state: redis.Redis[bytes]) -> None:
    days = Days(state)
    days.was_there_since(yesterday() - timedelta(days=30))

    assert days.look() == []
    days.observe_yesterday()

    assert days.look() == []


def test_the_weather_of_a_gap_is_brought_before_its_events_and_costs_none_of_them_where_it_cannot_be(
    server: WeatherServer, state: redis.Redis[bytes]
) -> None:
    days = Days(state, server.url)
    facts = MemoryFacts(days.facts)
    days.held.__dict__.update(facts=facts)
    home = days.held.settings.all_homes()[0]
    start_us = int(datetime(2026, 3, 10, 22, tzinfo=UTC).timestamp()) * 1_000_000
    gap = GapRecord("g", home.name, "l", "why", start_us, start_us + 4 * 3_600_000_000)
    march = [date(2026, 3, 10), date(2026, 3, 11)]

    _bring_weather(days.held, home, gap)
    _bring_weather(days.held, home, gap)

    assert {day: len(hours) for day, hours in read_days(state, home.name, march).items()} == dict.fromkeys(march, 24)
    assert len(server.asked) == 1
    server.always(DOWN)
    days.held.__dict__.update(state=connect_state(f"redis://127.0.0.1:{free_port()}/0"))
    _bring_weather(days.held, home, gap)


@pytest.mark.parametrize("unwanted", [{"weather": {"historical": False}}, {"enrichment": {"steps": ["time"]}}])
def test_the_weather_of_a_gap_is_not_asked_for_where_nobody_wants_it(
    server: WeatherServer, state: redis.Redis[bytes], unwanted: dict[str, Any]
) -> None:
    weather = {"provider": "open-meteo", "url": server.url, **unwanted.get("weather", {})}
    settings = Settings.model_validate({"data_dir": "unused", "home": "h", **unwanted, "weather": weather})
    held = Resources(settings)
    held.__dict__.update(state=state, facts=MemoryFacts(HomeFacts("h", latitude=1.0, longitude=2.0)))

    _bring_weather(held, settings.all_homes()[0], GapRecord("g", "h", "l", "why", 0, 3_600_000_000))

    assert server.asked == []

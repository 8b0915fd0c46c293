"""A weather provider on a loopback port: answers in the documented shapes of Open-Meteo and OpenWeatherMap.

It counts what it is asked, and does instead what the test tells it to: fail, stall, limit, break off.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Reply:
    """An answer. `cut`: the line is cut before all of it has left. `stall_s`: it comes so late."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    stall_s: float = 0.0


@dataclass
class Asked:
    """A question as it arrived."""

    path: str
    params: dict[str, str]


Behaviour = Callable[[Asked], Reply]


def answer(asked: Asked) -> Reply:
    """Answer as the real ones do."""
    if asked.path == "/data/2.5/weather":
        return _open_weather_map(asked.params)
    if asked.path in ("/v1/forecast", "/v1/archive"):
        return _open_meteo(asked)
    return Reply(404, {"error": True, "reason": "Not Found"})


def _open_weather_map(params: dict[str, str]) -> Reply:
    if params.get("appid") != "right":
        words = "Invalid API key. Please see https://openweathermap.org/faq#error401 for more info."
        return Reply(401, {"cod": 401, "message": words})
    return Reply(
        body={
            "coord": {"lon": float(params["lon"]), "lat": float(params["lat"])},
            "weather": [{"id": 501, "main": "Rain", "description": "moderate rain", "icon": "10d"}],
            "base": "stations",
            "main": {
                "temp": 7.5,
                "feels_like": 5.2,
                "temp_min": 6.8,
                "temp_max": 8.1,
                "pressure": 1015,
                "humidity": 64,
                "sea_level": 1016,
                "grnd_level": 933,
            },
            "visibility": 10000,
            "wind": {"speed": 3.6, "deg": 349, "gust": 7.1},
            "rain": {"1h": 3.16},
            "clouds": {"all": 90},
            "dt": int(time.time()) - 120,
            "sys": {"type": 2, "id": 2075663, "country": "DE", "sunrise": 1661834187, "sunset": 1661882248},
            "timezone": 3600,
            "id": 3163858,
            "name": "Berlin",
            "cod": 200,
        }
    )


def _open_meteo(asked: Asked) -> Reply:
    params = asked.params
    if "latitude" not in params or not -90 <= float(params["latitude"]) <= 90:
        words = f"Latitude must be in range of -90 to 90°. Given: {params.get('latitude')}."
        return Reply(400, {"error": True, "reason": words})
    head = {
        "latitude": 52.52,
        "longitude": 13.419998,
        "generationtime_ms": 0.08,
        "utc_offset_seconds": 0,
        "timezone": "GMT",
        "timezone_abbreviation": "GMT",
        "elevation": 38.0,
    }
    units = {"time": "iso8601", "temperature_2m": "°C", "wind_speed_10m": "m/s"}
    if "current" in params:
        now = datetime.now(UTC)
        quarter = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0)
        return Reply(body={**head, "current_units": units, "current": {"interval": 900, **_values(quarter)}})
    first, last = (date.fromisoformat(params[name]) for name in ("start_date", "end_date"))
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    rows = [_values(start + timedelta(hours=number)) for number in range(24 * ((last - first).days + 1))]
    hourly = {name: [row[name] for row in rows] for name in rows[0]}
    return Reply(body={**head, "hourly_units": units, "hourly": hourly})


def _values(at: datetime) -> dict[str, Any]:
    return {
        "time": at.strftime("%Y-%m-%dT%H:%M"),
        "temperature_2m": round(5.0 + at.hour / 10, 1),
        "relative_humidity_2m": 81,
        "pressure_msl": 1013.2,
        "wind_speed_10m": 3.4,
        "cloud_cover": 75,
        "weather_code": 61,
        "is_day": 1,
    }


@dataclass
class WeatherServer:
    """What was asked, and how it answers."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    behaviour: Behaviour = answer
    over: threading.Event = field(default_factory=threading.Event)

    def fixed(self, *replies: Reply) -> None:
        """Give these answers one after the other, then the right ones."""
        waiting = list(replies)
        self.behaviour = lambda asked: waiting.pop(0) if waiting else answer(asked)

    def always(self, reply: Reply) -> None:
        """Give the same answer for ever."""
        self.behaviour = lambda _: reply


@contextmanager
def weather_server() -> Iterator[WeatherServer]:
    """Run one."""
    told = WeatherServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = Asked(parts.path, {name: values[0] for name, values in parse_qs(parts.query).items()})
            told.asked.append(asked)
            reply = told.behaviour(asked)
            told.over.wait(reply.stall_s)
            self._send(reply)

        def _send(self, reply: Reply) -> None:
            body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if reply.cut else body)
            self.close_connection = reply.cut

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 -- named so by its base
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield told
    finally:
        told.over.set()
        server.shutdown()
        server.server_close()
        thread.join()

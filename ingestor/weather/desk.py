"""Where a home's weather is fetched, by one worker for all: seldom, within a budget, with patience and its limits.

What is fetched is put among the watched entities, as if it were one: every worker then has it, with its time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal, TypeVar

import msgspec
import redis
import structlog
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from ingestor import errors, metrics
from ingestor.events.decoding import UNREADABLE
from ingestor.home.observation import Observation
from ingestor.home.watched import Reading
from ingestor.home.watched_redis import publish_readings
from ingestor.queue.locking import only_one
from ingestor.queue.state import state_errors
from ingestor.weather.breaker import Trouble, WeatherBreaker
from ingestor.weather.port import WeatherProvider, WeatherUnavailable

T = TypeVar("T")
Phase = Literal["ok", "fresh", "none", "busy", "open", "spent", "failed"]

#: Three tries of 6 s and their pauses stay below the 25 s of a task.
_ATTEMPTS: Final = 3
_LONGEST_PAUSE_S: Final = 2.0
#: A refresh that died holds its lock no longer than this: more than a task may take.
_LOCK_S: Final = 40.0
#: A day of the past stays known for so long; an import comes back to the same days.
_ARCHIVE_KEPT_S: Final = 30 * 24 * 3600
#: Of a day that is not over there is more to come.
_TODAY_KEPT_S: Final = 900
#: Days that are asked for at once: Open-Meteo counts a longer span as several calls.
_MAX_DAYS: Final = 14

_decoder: Final = msgspec.msgpack.Decoder(list[Observation])
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rules:
    """How often a provider may be asked: not within `cache_s` of the last answer, and so many times a day (UTC)."""

    cache_s: float = 900.0
    daily_calls: int = 500


class WeatherStatus(msgspec.Struct, frozen=True):
    """How the weather of a home is: for `status` and `/api/health`. Times are Unix seconds, 0 for never."""

    provider: str
    fetched_s: float = 0.0
    observed_s: float = 0.0
    calls_today: int = 0
    trouble: Trouble | None = None


class WeatherDesk:
    """Fetches for one home from one provider; `key` is the name of its weather among the watched entities."""

    def __init__(
        self,
        home: str,
        key: str,
        provider: WeatherProvider,
        state: redis.Redis[bytes],
        rules: Rules,
        *,
        now_s: Callable[[], float] = time.time,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._home = home
        self._key = key
        self._provider = provider
        self._state = state
        self._rules = rules
        self._now_s = now_s
        self._pause = pause
        self._breaker = WeatherBreaker(state, f"{home}:{provider.name}", now_s=now_s)

    def refresh(self) -> Phase:
        """Fetch the weather, if it is due and nobody else does. Raises StateUnavailable."""
        if self._is_fresh():
            return "fresh"
        with only_one(self._state, f"weather:{self._home}", for_s=_LOCK_S) as mine:
            if not mine:
                return "busy"
            if self._is_fresh():
                return "fresh"
            phase, found = self._ask(self._provider.now)
            if phase != "ok":
                return phase
            if found is None:
                return "none"
            publish_readings(self._state, self._home, [Reading(self._key, found.observed_us, found)])
            self._note(found)
            return "ok"

    def bring_days(self, first: date, last: date) -> Phase:
        """See that the past weather of these days is known: one call at most; "fresh" where all is.

        Raises StateUnavailable.
        """
        if not self._provider.has_history:
            return "none"
        missing = self._missing(first, last)
        if not missing:
            return "fresh"
        last = min(missing[-1], missing[0] + timedelta(days=_MAX_DAYS - 1))
        phase, found = self._ask(lambda: self._provider.days(missing[0], last))
        if phase == "ok":
            self._keep_days(missing[0], last, found or ())
        return phase

    def status(self) -> WeatherStatus:
        """Return how it is. Raises StateUnavailable."""
        return read_status(self._state, self._home, self._provider.name, now_s=self._now_s)

    def _ask(self, question: Callable[[], T]) -> tuple[Phase, T | None]:
        if self._breaker.is_open(self._breaker.trouble()):
            return "open", None
        try:
            answer = self._patiently(question)
        except _BudgetSpentError:
            self._count("spent")
            return "spent", None
        except errors.IngestorError as error:
            if isinstance(error, errors.StateUnavailable):
                raise
            self._breaker.failed(error)
            _log.warning("weather_failed", home=self._home, provider=self._provider.name, error=str(error))
            return "failed", None
        self._breaker.succeeded()
        return "ok", answer

    def _patiently(self, question: Callable[[], T]) -> T:
        """Ask, and again where nobody answers: what is limited or refused is not asked again now."""
        retrying = Retrying(
            retry=retry_if_exception_type(WeatherUnavailable),
            wait=wait_random_exponential(multiplier=0.25, max=_LONGEST_PAUSE_S),
            stop=stop_after_attempt(_ATTEMPTS),
            sleep=self._pause,
            reraise=True,
        )
        answer: T = retrying(self._once, question)
        return answer

    def _once(self, question: Callable[[], T]) -> T:
        if not self._breaker.take_call(self._rules.daily_calls):
            raise _BudgetSpentError
        try:
            answer = question()
        except errors.IngestorError:
            self._count("failed")
            raise
        self._count("answered")
        return answer

    def _count(self, outcome: str) -> None:
        metrics.counter("ingestor_weather_calls_total", provider=self._provider.name, outcome=outcome).inc()

    def _is_fresh(self) -> bool:
        with state_errors():
            return bool(self._state.exists(_fresh_key(self._home, self._provider.name)))

    def _note(self, found: Observation) -> None:
        told = {"fetched_s": self._now_s(), "observed_s": found.observed_us / 1_000_000}
        with state_errors():
            pipe: Any = self._state.pipeline(transaction=True)
            pipe.set(_fresh_key(self._home, self._provider.name), 1, px=max(1, int(self._rules.cache_s * 1000)))
            pipe.set(_told_key(self._home, self._provider.name), msgspec.json.encode(told))
            pipe.execute()

    def _missing(self, first: date, last: date) -> list[date]:
        days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        with state_errors():
            pipe: Any = self._state.pipeline(transaction=False)
            for day in days:
                pipe.exists(archive_key(self._home, day))
            there = pipe.execute()
        return [day for day, found in zip(days, there, strict=True) if not found]

    def _keep_days(self, first: date, last: date, found: Sequence[Observation]) -> None:
        days: dict[date, list[Observation]] = {
            first + timedelta(days=number): [] for number in range((last - first).days + 1)
        }
        for one in found:
            days.setdefault(day_of_us(one.observed_us), []).append(one)
        today = datetime.fromtimestamp(self._now_s(), UTC).date()
        with state_errors():
            pipe: Any = self._state.pipeline(transaction=False)
            for day, hours in days.items():
                kept_s = _ARCHIVE_KEPT_S if day < today else _TODAY_KEPT_S
                pipe.set(archive_key(self._home, day), msgspec.msgpack.encode(hours), ex=kept_s)
            pipe.execute()


class _BudgetSpentError(errors.IngestorError):
    """The calls of this day are used up."""


def read_status(
    state: redis.Redis[bytes], home: str, provider: str, *, now_s: Callable[[], float] = time.time
) -> WeatherStatus:
    """Return how the weather of a home is. Raises StateUnavailable."""
    breaker = WeatherBreaker(state, f"{home}:{provider}", now_s=now_s)
    with state_errors():
        packed = state.get(_told_key(home, provider))
    try:
        told = {} if packed is None else msgspec.json.decode(packed, type=dict[str, float])
    except UNREADABLE:
        told = {}
    return WeatherStatus(
        provider, told.get("fetched_s", 0.0), told.get("observed_s", 0.0), breaker.calls_today(), breaker.trouble()
    )


def read_days(state: redis.Redis[bytes], home: str, days: Sequence[date]) -> dict[date, list[Observation]]:
    """Return the past weather of days, as far as it was brought: one round trip. Raises StateUnavailable."""
    if not days:
        return {}
    with state_errors():
        packed: Any = state.mget([archive_key(home, day) for day in days])
    found: dict[date, list[Observation]] = {}
    for day, one in zip(days, packed, strict=True):
        try:
            if one is not None:
                found[day] = _decoder.decode(one)
        except UNREADABLE:
            continue
    return found


def day_of_us(time_us: int) -> date:
    """Return the day (UTC) of a time."""
    return datetime.fromtimestamp(time_us / 1_000_000, UTC).date()


def archive_key(home: str, day: date) -> str:
    """Return where a day's weather is kept."""
    return f"ha_ingestor:weather:{home}:day:{day.isoformat()}"


def _fresh_key(home: str, provider: str) -> str:
    return f"ha_ingestor:weather:{home}:{provider}:fresh"


def _told_key(home: str, provider: str) -> str:
    return f"ha_ingestor:weather:{home}:{provider}:told"

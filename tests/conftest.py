"""The real servers of the tests, as fixtures: shared ones by name, and `start_server` for tests that harm theirs.

Where a server is missing a test is skipped with what and why; with `CI=true` it fails: a green run has seen them all.
"""

from __future__ import annotations

import logging
import os
import signal
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

import hypothesis
import pytest
import structlog

from tests.homeassistant.configuration import InfluxTarget
from tests.homeassistant.install import HA_2024, HA_2026, NoPythonError, Release
from tests.homeassistant.run import HomeAssistant
from tests.servers import MissingServerError, Server
from tests.servers_brokers import Mosquitto, RabbitMQ, RedisServer, ValkeyServer
from tests.servers_stores import InfluxDB, PostgreSQL, VictoriaMetrics

if TYPE_CHECKING:
    from collections.abc import Iterator

if not os.environ.get("CI"):  # there hypothesis has a profile of its own, without a deadline as well
    hypothesis.settings.register_profile("any machine", deadline=None)
    hypothesis.settings.load_profile("any machine")

AnyServer = TypeVar("AnyServer", bound=Server)


def pytest_configure() -> None:
    """End as Ctrl-C does when asked to end: the servers are stopped then too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the settings of whoever runs the tests; those for the tests themselves stay."""
    for name in list(os.environ):
        if name.startswith("HA_INGESTOR_") and not name.startswith("HA_INGESTOR_TEST_"):
            monkeypatch.delenv(name)


@pytest.fixture
def logging_stays_as_it_was() -> Iterator[None]:
    """Put logging back afterwards: the command line sets it up for the whole process."""
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    yield
    structlog.reset_defaults()
    root.setLevel(before[0])
    root.handlers[:] = before[1]


class StartServer(Protocol):
    """Starts a server of the given kind, to be stopped at the end of the test."""

    def __call__(self, kind: type[AnyServer], **options: Any) -> AnyServer: ...


def missing(reason: object) -> NoReturn:
    """Skip the test, or fail it where nothing may be missing."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}; with CI=true a missing server is a failure", pytrace=False)
    pytest.skip(str(reason))


def make(kind: type[AnyServer], **options: Any) -> AnyServer:
    """Return a server that is not started yet; skip or fail where it is missing."""
    try:
        return kind(**options)
    except NoPythonError as error:
        if options.get("release") is HA_2026:
            pytest.skip(str(error))  # the one that may be missing everywhere: few machines have so new a Python
        missing(error)
    except MissingServerError as error:
        missing(error)


@pytest.fixture
def start_server() -> Iterator[StartServer]:
    """Start servers for one test alone, which may kill and restart them."""
    with ExitStack() as stack:

        def start(kind: type[AnyServer], **options: Any) -> AnyServer:
            server = make(kind, **options)
            stack.enter_context(server)
            return server

        yield start


@pytest.fixture(scope="session")
def mosquitto() -> Iterator[Mosquitto]:
    """An MQTT broker for all tests: use topics and client ids of your own."""
    with make(Mosquitto) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """Debian's Redis for all tests: use keys of your own."""
    with make(RedisServer) as server:
        yield server


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    """The embedded broker's program for all tests: use keys of your own."""
    with make(ValkeyServer) as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQ]:
    """A RabbitMQ node for all tests: use queues of your own."""
    with make(RabbitMQ) as server:
        yield server


@pytest.fixture(scope="session")
def influxdb() -> Iterator[InfluxDB]:
    """An InfluxDB 1.6 for all tests: make a database of your own."""
    with make(InfluxDB) as server:
        yield server


@pytest.fixture(scope="session")
def victoria_metrics() -> Iterator[VictoriaMetrics]:
    """A VictoriaMetrics for all tests: use measurements of your own."""
    with make(VictoriaMetrics) as server:
        yield server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL cluster for all tests: make a database of your own."""
    with make(PostgreSQL) as server:
        yield server


@pytest.fixture(scope="session")
def homeassistant(influxdb: InfluxDB) -> Iterator[HomeAssistant]:
    """Home Assistant 2024.3.3 for all tests; a test that restarts or floods it waits until it is itself again."""
    with _home_assistant(HA_2024, influxdb) as server:
        yield server


@pytest.fixture(scope="session")
def homeassistant_2026(influxdb: InfluxDB) -> Iterator[HomeAssistant]:
    """Home Assistant 2026.2.3 for all tests, where a Python 3.13 is there."""
    with _home_assistant(HA_2026, influxdb) as server:
        yield server


def _home_assistant(release: Release, influxdb: InfluxDB) -> HomeAssistant:
    server = make(HomeAssistant, release=release, influx=InfluxTarget(influxdb.port, f"ha_{release.python}"))
    influxdb.create_database(f"ha_{release.python}")
    return server

"""Brokers that are more than one Redis on a bare port: three sentinels over a failover, and TLS with wrong papers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from redbeat.schedulers import get_redis

from ingestor import bootstrap, errors
from ingestor.cli.doctor_servers import examine_servers
from ingestor.queue.depths import queue_depths
from ingestor.queue.state import connect_state, state_errors
from ingestor.settings import BrokerSettings, Settings
from tests.certificates import Certificates
from tests.integration.real_workers import Road
from tests.servers import wait_until
from tests.servers_brokers import RabbitMQ
from tests.servers_sentinel import TlsRedis, WatchedRedis
from workers.app import build


@pytest.fixture(scope="module")
def tls_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsRedis]:
    with TlsRedis(Certificates(tmp_path_factory.mktemp("certificates"))) as server:
        yield server


def test_nothing_is_lost_when_the_master_is_killed_under_load_and_sentinels_choose_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with WatchedRedis() as watched, ExitStack() as stack:
        road = Road(stack, tmp_path / "data", watched.url, watched.url)
        node = road.start_workers()
        monkeypatch.setenv("HA_INGESTOR_DATA_DIR", str(tmp_path / "data"))
        monkeypatch.setenv("HA_INGESTOR_BROKER__URL", watched.url)
        bootstrap.settings.cache_clear()
        beat = get_redis(build())  # what RedBeat keeps its schedule in
        beat.set("of-beat", "1")

        sent = 0
        while sent < 150 or not watched.failed_over():  # the failover in their midst
            if sent == 50:
                watched.master.kill()
            for _ in range(10):
                road.add(str(sent))
                sent += 1
                time.sleep(0.01)  # the load, no waiting

        road.settle(60)
        assert node.poll() is None, road.log()[-3000:]  # the same node goes on, nobody started another one
        assert sorted(set(road.stored()), key=int) == [str(number) for number in range(sent)]
        assert connect_state(watched.url).connection_pool.get_connection().port == watched.replica.port
        assert beat.get("of-beat") == "1"
        bootstrap.settings.cache_clear()


def test_sentinels_over_tls_lead_to_their_master_and_after_a_failover_to_the_other_one(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    with WatchedRedis(certificates) as watched, ExitStack() as stack:
        url = f"{watched.url}?ssl_ca_certs={certificates.authority}"
        road = Road(stack, tmp_path / "data", url, url)
        node = road.start_workers()
        road.add("before")
        road.settle(60)

        watched.master.kill()
        wait_until(watched.failed_over, timeout_s=60, what="the sentinels choose the other one")
        road.add("after")

        road.settle(60)
        assert node.poll() is None, road.log()[-3000:]
        assert sorted(set(road.stored())) == ["after", "before"]
        assert connect_state(url).connection_pool.get_connection().port == watched.replica.port
        for trusted in ("", f"?ssl_ca_certs={certificates.other}"):
            with pytest.raises(errors.BrokerUnavailable):
                queue_depths(f"{watched.url}{trusted}", ["validate"])
            with pytest.raises(errors.StateUnavailable), state_errors():
                connect_state(f"{watched.url}{trusted}").ping()


def test_a_broker_with_a_certificate_that_we_trust_takes_messages(tls_redis: TlsRedis) -> None:
    url = f"{tls_redis.url}?ssl_ca_certs={tls_redis.certificates.authority}"

    assert queue_depths(url, ["validate"]) == {"validate": 0}
    assert connect_state(url).ping()


@pytest.mark.parametrize("trusted", ["nobody in particular", "another authority"])
def test_a_broker_whose_certificate_we_do_not_trust_is_refused_and_doctor_says_what_to_set(
    tls_redis: TlsRedis, tmp_path: Path, trusted: str
) -> None:
    other = f"?ssl_ca_certs={tls_redis.certificates.other}" if trusted == "another authority" else ""
    url = f"{tls_redis.url}{other}"

    with pytest.raises(errors.BrokerUnavailable, match="certificate verify failed"):
        queue_depths(url, ["validate"])
    with pytest.raises(errors.StateUnavailable, match="certificate verify failed"), state_errors():
        connect_state(url).ping()

    found = [
        one
        for one in examine_servers(Settings(data_dir=tmp_path, broker=BrokerSettings(url=url)))
        if one.verdict == "failed"
    ]
    assert {one.subject for one in found} >= {"broker", "state server"}
    assert all("ssl_ca_certs" in one.advice for one in found if one.subject in {"broker", "state server"})


def test_a_name_that_the_certificate_does_not_have_is_refused(tls_redis: TlsRedis) -> None:
    url = f"rediss://localhost:{tls_redis.port}/0?ssl_ca_certs={tls_redis.certificates.authority}"

    with pytest.raises(errors.BrokerUnavailable, match=r"[Hh]ostname mismatch"):
        queue_depths(url, ["validate"])
    with pytest.raises(errors.StateUnavailable, match=r"[Hh]ostname mismatch"), state_errors():
        connect_state(url).ping()


def test_a_rabbitmq_with_a_certificate_that_we_trust_takes_messages(rabbitmq: RabbitMQ) -> None:
    url = f"{rabbitmq.tls_url}?ssl_ca_certs={rabbitmq.certificates.authority}"

    assert queue_depths(url, ["tls"]) == {"tls": 0}


@pytest.mark.parametrize("trusted", ["nobody in particular", "another authority"])
def test_a_rabbitmq_whose_certificate_we_do_not_trust_is_refused(rabbitmq: RabbitMQ, trusted: str) -> None:
    other = f"?ssl_ca_certs={rabbitmq.certificates.other}" if trusted == "another authority" else ""

    with pytest.raises(errors.BrokerUnavailable, match="certificate verify failed"):
        queue_depths(f"{rabbitmq.tls_url}{other}", ["tls"])


def test_a_rabbitmq_of_another_name_than_its_certificate_has_is_refused(rabbitmq: RabbitMQ) -> None:
    url = rabbitmq.tls_url.replace("127.0.0.1", "localhost")

    with pytest.raises(errors.BrokerUnavailable, match=r"[Hh]ostname mismatch"):
        queue_depths(f"{url}?ssl_ca_certs={rabbitmq.certificates.authority}", ["tls"])

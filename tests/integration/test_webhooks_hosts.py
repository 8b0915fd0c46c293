"""Webhooks of an installation with several hosts: each has a data folder, all share PostgreSQL and the state server."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import standardwebhooks

from ingestor import bootstrap
from ingestor.webhooks.secrets import SecretShelf
from ingestor.webhooks.secrets_sql import SharedSecretShelf
from tests.fakes.receiver import receiving
from tests.integration.api_bench import served
from tests.integration.test_webhooks import LOOPBACK, Hooks, came
from tests.servers import wait_until
from tests.servers_brokers import ValkeyServer
from tests.servers_stores import PostgreSQL

NewHost = Callable[[str], Hooks]


@pytest.fixture
def new_host(tmp_path: Path, valkey_server: ValkeyServer, postgresql: PostgreSQL) -> NewHost:
    """Make the API of a host by its name."""
    home = f"hosts-{uuid.uuid4().hex[:8]}"
    shared = {"webhooks": LOOPBACK, "database": {"url": postgresql.create_database(f"h{uuid.uuid4().hex[:12]}")}}
    return lambda name: Hooks(tmp_path / name, valkey_server.url, home=home, more=shared)


def test_a_host_that_is_gone_has_its_webhooks_delivered_by_another_once_each_and_signed(new_host: NewHost) -> None:
    first, second = new_host("first"), new_host("second")
    with receiving() as receiver, contextlib.ExitStack() as stack:
        with served(first.app) as first.address:
            second.address = stack.enter_context(served(second.app))
            hook_id, secret = first.register(receiver)
            wait_until(lambda: first.hub.listeners == 1 or second.hub.listeners == 1, timeout_s=60, what="one listens")
            first.publish(*[f"light.a{number}" for number in range(20)])
            came(receiver, 20)
            wait_until(lambda: first.shown(hook_id)["delivered"] == 20, timeout_s=60, what="all is noted")
        first.publish(*[f"light.b{number}" for number in range(20)])
        came(receiver, 40)

    assert receiver.subjects() == [f"light.{part}{number}" for part in "ab" for number in range(20)]
    for posted in receiver.posted:
        standardwebhooks.Webhook(secret).verify(posted.body, posted.headers)


def test_a_secret_of_before_the_hosts_shared_a_database_is_taken_over(new_host: NewHost) -> None:
    host = new_host("first")
    folder, database = host.settings.data_dir, bootstrap.open_metadata(host.settings)
    secret = SecretShelf(folder).make("wh_old")
    here, elsewhere = (SharedSecretShelf(one, lambda: database) for one in (folder, folder / "other"))
    assert elsewhere.find("wh_old") is None

    taken = here.find("wh_old")

    assert taken is not None
    assert taken.current == secret
    assert elsewhere.find("wh_old") == taken
    assert not list((folder / "webhook-secrets").iterdir())
    renewed = elsewhere.rotate("wh_old", 1)
    assert (found := here.find("wh_old")) is not None
    assert (found.current, found.previous) == (renewed, secret)
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda shelf: shelf.rotate("wh_old", 2), [here, elsewhere] * 2))
    assert (found := here.find("wh_old")) is not None
    assert set(found.valid(3)) == {secret, renewed, *made}
    here.remove("wh_old")
    assert elsewhere.find("wh_old") is None
    database.dispose()

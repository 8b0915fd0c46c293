"""Webhooks through the API that is served, with a real state server, and receivers that verify as others do."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa
import standardwebhooks
from structlog.testing import capture_logs

from ingestor import bootstrap
from ingestor.webhooks.model import Parcel, Secrets
from ingestor.webhooks.secrets import FOLDER, SecretShelf
from ingestor.webhooks.tables import DELIVERIES
from tests.certificates import Certificates
from tests.fakes.receiver import Posted, Receiver, receiving
from tests.integration.api_bench import KEY, served
from tests.integration.live_home import LiveHome
from tests.servers import free_port, wait_until
from tests.servers_brokers import ValkeyServer

PATH = "/api/v1/webhooks"
LOOPBACK = {"allow_networks": ["127.0.0.0/8"], "timeout_s": 20}
Start = Callable[..., "Hooks"]


class Hooks(LiveHome):
    """An API with webhooks that reach this machine alone."""

    def ask(self, method: str, path: str = "", status: int = 200, **body: Any) -> Any:
        sent = {"json": body} if method in ("POST", "PATCH") else {"params": body}
        answer = requests.request(method, self.address + PATH + path, headers={"X-API-Key": KEY}, timeout=60, **sent)  # type: ignore[arg-type]  # one of two
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def register(self, receiver: Receiver, **asked: Any) -> tuple[str, str]:
        """Register a webhook for events, whatever the installation tells besides; return its id and its secret."""
        made = self.ask("POST", status=201, url=receiver.url, **{"filter": {"type": ["event.*"]}, **asked})
        return made["id"], made["secret"]

    def shown(self, hook_id: str) -> dict[str, Any]:
        return dict(self.ask("GET", f"/{hook_id}"))

    def publish(self, *entities: str, **changes: Any) -> None:
        super().publish(*entities, time_us=time.time_ns() // 1000, **changes)  # what is old is not posted


@pytest.fixture
def start(tmp_path: Path, valkey_server: ValkeyServer) -> Start:
    """Make such an API on one folder, however often."""
    home: list[str] = []

    def made(webhooks: dict[str, Any] | None = None, **live: Any) -> Hooks:
        known = home[0] if home else None
        found = Hooks(tmp_path, valkey_server.url, home=known, more={"webhooks": LOOPBACK | (webhooks or {})}, **live)
        home[:] = [found.home]
        return found

    return made


@pytest.fixture
def hooks(start: Start) -> Iterator[Hooks]:
    made = start()
    with served(made.app) as made.address:
        yield made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def came(receiver: Receiver, number: int) -> list[Posted]:
    wait_until(lambda: len(receiver.posted) >= number, timeout_s=60, what=f"{number} deliveries came")
    return list(receiver.posted)


def test_what_is_written_is_posted_signed_once_and_in_order(hooks: Hooks, receiver: Receiver) -> None:
    hook_id, secret = hooks.register(receiver, filter={"domain": ["light"], "type": ["event.*"]})

    hooks.publish("light.hall", "sensor.kitchen")
    hooks.publish("light.bed")
    posted = came(receiver, 2)

    assert receiver.subjects() == ["light.hall", "light.bed"]
    for one in posted:
        assert standardwebhooks.Webhook(secret).verify(one.body, one.headers) == one.json()
        assert one.headers["content-type"] == "application/json"
    wait_until(lambda: hooks.shown(hook_id)["delivered"] == 2, timeout_s=60, what="both are noted")
    shown = hooks.shown(hook_id)
    assert (shown["waiting"], shown["dead"], shown["last_error"]) == (0, 0, "")
    assert secret not in json.dumps(hooks.ask("GET"))
    (noted,) = [json.loads(line) for line in (hooks.settings.data_dir / "audit.jsonl").read_text().splitlines()]
    assert (noted["who"], noted["what"], noted["webhook"]) == ("installation", "create", hook_id)
    listed = hooks.ask("GET", f"/{hook_id}/deliveries")["items"]
    assert [one["id"] for one in listed] == [one.id for one in reversed(posted)]
    assert {one["state"] for one in listed} == {"delivered"}


def test_several_come_in_one_delivery_where_that_is_asked_for(hooks: Hooks, receiver: Receiver) -> None:
    hooks.register(receiver, batch=3, batch_wait_s=60, form="cloudevents")

    hooks.publish("light.0", "light.1")
    hooks.publish("light.2")
    (one,) = came(receiver, 1)

    assert [event["subject"] for event in one.json()] == ["light.0", "light.1", "light.2"]
    assert one.headers["content-type"] == "application/cloudevents-batch+json"


def test_a_failed_delivery_comes_again_with_the_same_id_and_a_new_secret_beside_the_old(
    hooks: Hooks, receiver: Receiver
) -> None:
    hook_id, old = hooks.register(receiver)
    receiver.answer = lambda _: (503, {"Retry-After": "3600"})
    hooks.publish("light.hall")
    (first,) = came(receiver, 1)
    wait_until(lambda: hooks.shown(hook_id)["failures"] == 1, timeout_s=60, what="the failure is noted")
    (waiting,) = hooks.ask("GET", f"/{hook_id}/deliveries", state="waiting")["items"]
    assert (waiting["status"], waiting["tries"]) == (503, 1)
    assert waiting["next_try"] == hooks.shown(hook_id)["paused_until"]

    new = hooks.ask("POST", f"/{hook_id}/secret")["secret"]
    receiver.answer = lambda _: (200, {})
    hooks.ask("PATCH", f"/{hook_id}", enabled=True)
    again = came(receiver, 2)[1]

    assert (again.id, again.body) == (first.id, first.body)
    assert new != old
    for secret in (old, new):
        standardwebhooks.Webhook(secret).verify(again.body, again.headers)


def test_a_ping_that_is_taken_brings_all_that_waited(hooks: Hooks, receiver: Receiver) -> None:
    hook_id, _ = hooks.register(receiver)
    receiver.answer = lambda _: (500, {"Retry-After": "3600"})
    hooks.publish("light.0", "light.1")
    came(receiver, 1)
    wait_until(lambda: hooks.shown(hook_id)["failures"] == 1, timeout_s=60, what="the failure is noted")

    receiver.answer = lambda _: (204, {})
    sent = hooks.ask("POST", f"/{hook_id}/ping", status=202)
    posted = came(receiver, 4)

    assert [posted[1].json()["type"], *[one.json()["subject"] for one in posted[2:]]] == ["ping", "light.0", "light.1"]
    assert posted[1].id == sent["id"]


def test_what_waits_and_what_was_written_meanwhile_comes_after_a_restart(start: Start) -> None:
    port, first = free_port(), start()
    with served(first.app) as first.address:
        url, events = f"http://127.0.0.1:{port}/hook", {"type": ["event.*"]}
        made = first.ask("POST", status=201, url=url, filter=events)
        first.publish("light.0")
        wait_until(lambda: first.shown(made["id"])["failures"] == 1, timeout_s=60, what="nobody took it")
    first.publish("light.1")

    second = start()
    with receiving(port) as receiver, served(second.app) as second.address:
        second.publish("light.2")
        second.ask("PATCH", f"/{made['id']}", enabled=True)
        came(receiver, 3)

    assert receiver.subjects() == ["light.0", "light.1", "light.2"]


def test_what_fell_out_of_the_channel_is_told_as_a_gap(start: Start, receiver: Receiver) -> None:
    first = start(max_entries=10)
    with served(first.app) as first.address:
        hook_id, _ = first.register(receiver)
        first.publish("light.before")
        place = first.newest()
        came(receiver, 1)
        wait_until(
            lambda: not first.is_behind(first.shown(hook_id)["cursor"], place), timeout_s=60, what="the cursor is kept"
        )
    for number in range(13):
        first.publish(f"light.{number}")

    second = start(max_entries=10)
    with served(second.app) as second.address:
        wait_until(lambda: b"light.12" in receiver.posted[-1].body, timeout_s=60, what="the newest came")
        wait_until(lambda: second.shown(hook_id)["waiting"] == 0, timeout_s=60, what="all are noted")
        assert second.shown(hook_id)["gaps"] == 1

    gap, *rest = [one.json() for one in receiver.posted[1:]]
    assert (gap["type"], gap["home"]) == ("gap", second.home)
    assert gap["data"]["from"] < gap["data"]["to"]
    # What the installation tells of itself may stand in the channel, too.
    names = [f"light.{number}" for number in range(13)]
    assert [one["subject"] for one in rest] == names[-len(rest) :]
    assert 8 <= len(rest) <= 10


def test_a_receiver_that_does_not_answer_holds_no_other(hooks: Hooks, receiver: Receiver) -> None:
    let_go = threading.Event()
    with receiving() as slow:
        slow.answer = lambda _: ((let_go.wait(60) and 204) or 500, {})
        hooks.register(slow)
        hooks.register(receiver)
        for number in range(20):
            hooks.publish(f"light.{number}")
        came(slow, 1)

        came(receiver, 20)

        assert len(slow.posted) == 1
        let_go.set()
        came(slow, 20)
        assert slow.subjects() == receiver.subjects()


def test_who_takes_too_long_has_not_taken_it(start: Start, receiver: Receiver) -> None:
    hooks, let_go = start({"timeout_s": 0.2}), threading.Event()
    receiver.answer = lambda _: ((let_go.wait(60) and 204) or 500, {})
    with served(hooks.app) as hooks.address:
        hook_id, _ = hooks.register(receiver)
        hooks.publish("light.0")
        wait_until(lambda: hooks.shown(hook_id)["failures"] == 1, timeout_s=60, what="it is given no more time")
        let_go.set()

        assert "no answer within 0.2 s" in hooks.shown(hook_id)["last_error"]


def test_a_full_store_of_what_waits_takes_no_more_and_loses_nothing_that_the_channel_keeps(
    start: Start, receiver: Receiver
) -> None:
    hooks = start({"max_waiting": 3})
    receiver.answer = lambda _: (500, {"Retry-After": "3600"})
    with served(hooks.app) as hooks.address:
        hook_id, _ = hooks.register(receiver)
        for number in range(3):
            hooks.publish(f"light.{number}")
        wait_until(lambda: hooks.shown(hook_id)["waiting"] == 3, timeout_s=60, what="three wait")
        wait_until(hooks.nobody_listens, timeout_s=60, what="no more is taken")
        hooks.publish("light.3")

        receiver.answer = lambda _: (204, {})
        hooks.ask("PATCH", f"/{hook_id}", enabled=True)
        came(receiver, 5)

    assert receiver.subjects()[1:] == [f"light.{number}" for number in range(4)]


def test_410_disables_and_what_was_given_up_is_replayed_one_or_all(hooks: Hooks, receiver: Receiver) -> None:
    hook_id, _ = hooks.register(receiver)
    receiver.answer = lambda _: (410, {})
    hooks.publish("light.0")
    wait_until(lambda: not hooks.shown(hook_id)["enabled"], timeout_s=60, what="it is disabled")
    hooks.publish("light.1")
    (dead,) = hooks.ask("GET", f"/{hook_id}/deliveries", state="dead")["items"]
    assert (dead["status"], hooks.shown(hook_id)["dead"]) == (410, 1)
    assert "410" in hooks.shown(hook_id)["why_disabled"]
    figures = requests.get(f"{hooks.address}/metrics", timeout=60).text
    assert f'ingestor_webhook_dead{{webhook="{hook_id}"}} 1.0' in figures
    hooks.ask("POST", f"/{hook_id}/ping", status=409)
    body = hooks.ask("GET", f"/{hook_id}/deliveries/{dead['id']}")["body"]
    assert json.loads(body)["subject"] == "light.0"

    receiver.answer = lambda _: (204, {})
    hooks.ask("PATCH", f"/{hook_id}", enabled=True)
    assert hooks.ask("POST", f"/{hook_id}/replay")["deliveries"] == 1
    came(receiver, 3)

    assert sorted(receiver.subjects()[1:]) == ["light.0", "light.1"]
    assert {one.id for one in receiver.posted if one.json()["subject"] == "light.0"} == {dead["id"]}
    hooks.ask("POST", f"/{hook_id}/deliveries/{dead['id']}/replay", status=409)


def test_a_redirect_is_not_followed(hooks: Hooks, receiver: Receiver) -> None:
    with receiving() as elsewhere:
        receiver.answer = lambda _: (307, {"Location": elsewhere.url})
        hook_id, _ = hooks.register(receiver)
        hooks.publish("light.0")
        wait_until(lambda: hooks.shown(hook_id)["failures"] == 1, timeout_s=60, what="the redirect counts as a failure")

        assert "redirects are not followed" in hooks.shown(hook_id)["last_error"]
        assert elsewhere.posted == []


def test_a_name_that_means_this_machine_is_not_connected_to(start: Start, receiver: Receiver) -> None:
    hooks = start({"allow_networks": []})
    with served(hooks.app) as hooks.address:
        refused = hooks.ask("POST", status=400, url=receiver.url)
        made = hooks.ask("POST", status=201, url="https://example.org/hook", filter={"type": ["event.*"]})
        book = bootstrap.open_webhook_desk(hooks.settings).book  # as a name that is given another address later
        book.change(made["id"], lambda hook: replace(hook, url=f"http://localhost:{receiver.port}/hook"))
        hooks.publish("light.0")
        wait_until(lambda: hooks.shown(made["id"])["failures"] == 1, timeout_s=60, what="it is not reached")

        assert "private" in hooks.shown(made["id"])["last_error"]
        assert "private" in refused["detail"]

        told = hooks.ask("PATCH", f"/{made['id']}", enabled=False, description="moved")
        assert (told["enabled"], told["description"]) == (False, "moved")
        assert "private" in hooks.ask("PATCH", f"/{made['id']}", status=400, enabled=True)["detail"]
    assert receiver.posted == []


def test_a_certificate_that_nobody_trusts_is_no_receiver(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = Certificates(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates.certificate, certificates.key)
    for authority, taken in ((certificates.other, False), (certificates.authority, True)):
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        hooks = start()
        with receiving(tls=tls) as receiver, served(hooks.app) as hooks.address:
            hook_id, _ = hooks.register(receiver)
            hooks.publish("light.0")
            count = "delivered" if taken else "failures"
            wait_until(lambda: hooks.shown(hook_id)[count] == 1, timeout_s=60, what=count)  # noqa: B023 -- at once

            assert len(receiver.posted) == taken
            assert taken or "certificate" in hooks.shown(hook_id)["last_error"]
            hooks.ask("DELETE", f"/{hook_id}", status=204)


def test_of_two_processes_one_delivers_and_the_other_goes_on_when_it_ends(start: Start, receiver: Receiver) -> None:
    one, other = start(), start()
    with contextlib.ExitStack() as stack:
        with served(one.app) as one.address:
            other.address = stack.enter_context(served(other.app))
            one.register(receiver)
            wait_until(lambda: len(one.app.state.webhooks._runs) == 1, timeout_s=60, what="one delivers")
            other.app.state.webhooks.look()
            wait_until(lambda: bool(other.app.state.webhooks._leases), timeout_s=60, what="the other stands for it")
            wait_until(lambda: one.hub.listeners == 1, timeout_s=60, what="one listens")
            one.publish("light.0")
            came(receiver, 1)
            assert other.app.state.webhooks._runs == {}
        wait_until(lambda: len(other.app.state.webhooks._runs) == 1, timeout_s=60, what="the other delivers")
        one.publish("light.1")
        came(receiver, 2)

    assert receiver.subjects() == ["light.0", "light.1"]


def test_a_secret_that_cannot_be_read_silences_no_other_webhook_and_is_mended_by_a_new_one(
    start: Start, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = start()
    with served(first.app) as first.address:
        well, broken = first.register(receiver)[0], first.register(receiver)[0]
        wait_until(lambda: first.hub.listeners == 2, timeout_s=60, what="both listen")
    (first.settings.data_dir / FOLDER / f"{broken}.json").write_text("{broken")
    asked: list[str] = []
    find = SecretShelf.find

    def noted(shelf: SecretShelf, hook_id: str) -> Secrets | None:
        asked.append(hook_id)
        return find(shelf, hook_id)

    monkeypatch.setattr(SecretShelf, "find", noted)
    monkeypatch.setattr("ingestor.webhooks.deliverer._LOOK_S", 0.2)
    second = start()
    with capture_logs() as said, served(second.app) as second.address:
        second.publish("light.0")
        came(receiver, 1)
        wait_until(lambda: second.shown(well)["delivered"] == 1, timeout_s=60, what="the other is delivered")
        wait_until(lambda: asked.count(broken) >= 3, timeout_s=60, what="it looked several times")
        assert second.shown(broken)["delivered"] == 0
        secret = second.ask("POST", f"/{broken}/secret")["secret"]
        posted = came(receiver, 2)[1]

    standardwebhooks.Webhook(secret).verify(posted.body, posted.headers)
    assert [one["webhook"] for one in said if one["log_level"] == "warning" and "webhook" in one] == [broken]


def test_a_fault_of_the_book_is_lived_through(hooks: Hooks, receiver: Receiver) -> None:
    hook_id, _ = hooks.register(receiver)
    wait_until(lambda: hooks.hub.listeners == 1, timeout_s=60, what="it listens")
    database = bootstrap.open_metadata(hooks.settings)
    with database.begin() as connection:
        connection.execute(sa.text("ALTER TABLE webhook_deliveries RENAME TO away"))
    hooks.publish("light.0")
    wait_until(hooks.nobody_listens, timeout_s=60, what="it failed")
    with database.begin() as connection:
        connection.execute(sa.text("ALTER TABLE away RENAME TO webhook_deliveries"))

    came(receiver, 1)

    assert receiver.subjects() == ["light.0"]
    with database.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(DELIVERIES)).scalar() == 1
    database.dispose()
    assert hooks.shown(hook_id)["enabled"]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"url": "not an address"}, 422),
        ({"url": "https://example.org", "batch": 0}, 422),
        ({"url": "https://example.org", "filter": {"type": ["event.newer"]}}, 422),
        ({"url": "https://example.org", "filter": {"home": ["nobody"]}}, 404),
        ({"url": "https://example.org", "secret": "mine"}, 422),
    ],
)
def test_what_cannot_be_registered_is_a_problem(hooks: Hooks, asked: dict[str, Any], status: int) -> None:
    assert hooks.ask("POST", status=status, **asked)["type"].startswith("urn:ha-ingestor:problem:")
    assert hooks.ask("GET")["items"] == []


def test_changes_at_once_undo_nothing_of_each_other(hooks: Hooks) -> None:
    made = hooks.ask("POST", status=201, url="https://example.org/hook", filter={"type": ["event.*"]})["id"]
    for number in range(8):
        given = {"enabled": number % 2 == 0, "description": f"d{number}", "batch": number + 1, "late": number % 2 == 1}

        def change(name: str, given: dict[str, Any] = given) -> None:
            hooks.ask("PATCH", f"/{made}", 200, **{name: given[name]})

        with ThreadPoolExecutor(len(given)) as threads:
            list(threads.map(change, given))

        shown = hooks.shown(made)
        assert {name: shown[name] for name in given} == given


def test_the_last_page_of_deliveries_names_no_next_one_also_where_it_is_full(hooks: Hooks) -> None:
    made = hooks.ask("POST", status=201, url="https://example.org/hook", filter={"type": ["event.*"]})["id"]
    book = bootstrap.open_webhook_desk(hooks.settings).book
    book.add(made, [Parcel(f"p{number}", "messages", 1, b"{}") for number in range(4)], "", 1)

    first = hooks.ask("GET", f"/{made}/deliveries", limit=2)
    second = hooks.ask("GET", f"/{made}/deliveries", limit=2, before=first["next"])

    assert [one["id"] for one in first["items"] + second["items"]] == ["p3", "p2", "p1", "p0"]
    assert second["next"] is None


def test_there_are_only_so_many_and_none_without_a_live_channel(start: Start, receiver: Receiver) -> None:
    hooks = start({"max_hooks": 1})
    with served(hooks.app) as hooks.address:
        hook_id, _ = hooks.register(receiver)
        hooks.ask("POST", status=409, url=receiver.url)
        hooks.ask("DELETE", f"/{hook_id}", status=204)
        hooks.ask("DELETE", f"/{hook_id}", status=404)
        assert not list((hooks.settings.data_dir / "webhook-secrets").iterdir())
    off = start(enabled=False)
    with served(off.app) as off.address:
        off.ask("POST", status=404, url=receiver.url)

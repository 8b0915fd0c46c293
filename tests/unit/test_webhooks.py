"""Webhooks without a network: signatures, when a delivery is tried again, which addresses may be reached, bodies."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import standardwebhooks

from ingestor import errors
from ingestor.events.event import Event, EventBatch, Place
from ingestor.live.channel import EntryId
from ingestor.live.entry import entry_of
from ingestor.live.envelope import Messages
from ingestor.live.filter import LiveFilter
from ingestor.live.listener import Delivery as Heard
from ingestor.live.listener import Gap
from ingestor.settings_webhooks import WebhooksSettings
from ingestor.webhooks.addresses import Reach
from ingestor.webhooks.desk import WebhookDesk
from ingestor.webhooks.messages import gap_parcel, parcels_of, ping_parcel, said_of
from ingestor.webhooks.model import Answer, Delivery, DeliveryState, Hook, Secrets, Wanted
from ingestor.webhooks.schedule import GIVE_UP_AFTER_S, RETRY_S, judge
from ingestor.webhooks.secrets import MOST_SECRETS, SecretShelf, secrets_of
from ingestor.webhooks.signing import new_secret, signed

US = 1_000_000
NOW_US = 1_795_229_244 * US
HOOK = Hook("wh_1", "https://example.org/hook", Wanted())
WAITING = Delivery("wh_1", "msg_1", 1, "messages", 1, DeliveryState.WAITING, NOW_US, NOW_US, size=2, body=b"{}")
OK, AWAY = Answer(204), Answer(error="no answer")


def test_a_standard_verifier_takes_what_either_of_two_secrets_signed_and_nothing_else() -> None:
    old, new = new_secret(), new_secret()
    now_s = int(time.time())
    headers = signed(Secrets(new, old, (now_s + 60) * US).valid(now_s * US), "msg_1", now_s, b'{"a": 1}')

    for secret in (old, new):
        assert standardwebhooks.Webhook(secret).verify(b'{"a": 1}', headers) == {"a": 1}
    for secret, body in ((new_secret(), b'{"a": 1}'), (new, b'{"a": 2}')):
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            standardwebhooks.Webhook(secret).verify(body, headers)


def test_the_old_secret_holds_for_its_time_alone() -> None:
    secrets = Secrets("new", "old", NOW_US)

    assert (secrets.valid(NOW_US - 1), secrets.valid(NOW_US)) == (("new", "old"), ("new",))


def test_a_secret_holds_for_a_day_however_often_it_is_rotated_in_it(tmp_path: Path) -> None:
    shelf = SecretShelf(tmp_path)
    made = [shelf.make("wh_1"), *(shelf.rotate("wh_1", NOW_US + hours * 3600 * US) for hours in (0, 1, 2))]

    def valid(hours: int) -> tuple[str, ...]:
        found = shelf.find("wh_1")
        assert found is not None
        return found.valid(NOW_US + hours * 3600 * US)

    assert valid(2) == tuple(reversed(made))
    assert valid(24) == tuple(reversed(made[1:]))
    assert valid(25) == (made[3], made[2])
    assert valid(26) == (made[3],)
    renewed = shelf.rotate("wh_1", NOW_US + 26 * 3600 * US)
    assert (found := shelf.find("wh_1")) is not None
    assert (found.current, found.previous, found.older) == (renewed, made[3], ())


def test_no_secret_that_was_promised_a_day_is_given_up_for_more_of_them(tmp_path: Path) -> None:
    shelf = SecretShelf(tmp_path)
    made = [shelf.make("wh_1")] + [shelf.rotate("wh_1", NOW_US) for _ in range(MOST_SECRETS - 1)]

    with pytest.raises(errors.Conflict, match="secrets hold already"):
        shelf.rotate("wh_1", NOW_US + 1)

    assert (found := shelf.find("wh_1")) is not None
    assert found.valid(NOW_US + 1) == tuple(reversed(made))


def test_of_those_who_rotate_at_once_each_gets_a_secret_that_holds(tmp_path: Path) -> None:
    shelf = SecretShelf(tmp_path)
    first = shelf.make("wh_1")

    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: shelf.rotate("wh_1", NOW_US), range(8)))

    assert (found := shelf.find("wh_1")) is not None
    assert set(found.valid(NOW_US)) == {first, *made}


def test_secrets_that_an_earlier_version_kept_are_read() -> None:
    kept = b'{"current":"new","previous":"old","previous_until_us":7}'

    assert secrets_of("wh_1", kept) == Secrets("new", "old", 7)


def test_a_dead_receiver_is_tried_by_the_schedule_and_then_no_more() -> None:
    hook, delivery, at_us = HOOK, WAITING, NOW_US
    pauses = []

    while delivery.state is DeliveryState.WAITING:
        verdict = judge(hook, delivery, AWAY, at_us, 0.0)
        hook, delivery = verdict.hook, verdict.delivery
        if delivery.state is DeliveryState.WAITING:
            assert hook.paused_until_us == delivery.next_us
            pauses.append((delivery.next_us - at_us) // US)
            at_us = delivery.next_us

    assert tuple(pauses) == RETRY_S
    assert (delivery.state, delivery.tries, delivery.body, hook.failures) == (DeliveryState.DEAD, 10, b"{}", 10)


def test_chance_only_ever_adds_to_a_pause() -> None:
    pauses = [judge(HOOK, WAITING, AWAY, NOW_US, chance).delivery.next_us - NOW_US for chance in (0.0, 0.5, 1.0)]

    assert pauses == [5 * US, int(5.5 * US), 6 * US]


def test_a_receiver_that_is_back_is_known_by_its_first_yes() -> None:
    failed = judge(HOOK, WAITING, AWAY, NOW_US, 0.0)

    taken = judge(failed.hook, failed.delivery, OK, NOW_US + 9, 0.0)

    assert (taken.taken, taken.back, taken.hook.failures, taken.hook.paused_until_us) == (True, True, 0, 0)
    assert (taken.delivery.body, taken.delivery.ended_us, taken.delivery.tries) == (b"", NOW_US + 9, 2)
    assert not judge(HOOK, WAITING, OK, NOW_US, 0.0).back


@pytest.mark.parametrize(
    ("status", "holds_others"), [(400, False), (422, False), (404, True), (429, True), (503, True)]
)
def test_what_only_one_delivery_did_wrong_holds_no_other(status: int, holds_others: bool) -> None:
    verdict = judge(HOOK, WAITING, Answer(status, f"answers {status}"), NOW_US, 0.0)

    assert verdict.delivery.next_us == NOW_US + 5 * US
    assert (verdict.hook.paused_until_us > NOW_US) == holds_others
    assert verdict.hook.last_error == f"answers {status}"


def test_retry_after_is_obeyed_up_to_a_day() -> None:
    def waits_s(asked_s: float) -> float:
        verdict = judge(HOOK, WAITING, Answer(503, "busy", asked_s), NOW_US, 0.0)
        assert verdict.hook.paused_until_us == verdict.delivery.next_us
        return (verdict.delivery.next_us - NOW_US) / US

    assert [waits_s(asked_s) for asked_s in (0, 2, 120, 10**8)] == [5, 5, 120, 86_400]


def test_a_receiver_that_is_gone_is_asked_no_more() -> None:
    verdict = judge(HOOK, WAITING, Answer(410, "answers 410"), NOW_US, 0.0)

    assert (verdict.hook.enabled, verdict.delivery.state) == (False, DeliveryState.DEAD)
    assert "410" in verdict.hook.why


def test_what_waited_for_days_behind_others_is_given_up_at_its_first_failure() -> None:
    old = replace(WAITING, made_us=NOW_US - GIVE_UP_AFTER_S * US)

    assert judge(replace(HOOK, failures=9), old, AWAY, NOW_US, 0.0).delivery.state is DeliveryState.DEAD


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::", False),
        ("::1", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:93.184.215.14", True),
        ("2002:7f00:1::", False),
        ("2002:a00:1::", False),
        ("64:ff9b::10.0.0.1", False),
        ("64:ff9b::93.184.215.14", True),
        ("fec0::1", False),
        ("::7f00:1", False),
        ("::808:808", False),
        ("::ffff:0:127.0.0.1", False),
        ("::ffff:0:8.8.8.8", False),
        ("64:ff9b:1::8.8.8.8", False),
        ("3fff::1", False),
        ("5f00::1", False),
        ("4000::1", False),
        ("no address", False),
    ],
)
def test_only_public_addresses_may_be_reached(address: str, public: bool) -> None:
    assert Reach().allows(address) is public


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("192.168.1.9", True),
        ("::ffff:192.168.1.9", True),
        ("192.168.2.9", False),
        ("::192.168.1.9", False),
        ("fd00::5", True),
        ("::1", True),
        ("8.8.8.8", True),
    ],
)
def test_networks_that_are_allowed_may_be_reached_too(address: str, allowed: bool) -> None:
    assert Reach(networks=("192.168.1.0/24", "fd00::/64", "::1/128")).allows(address) is allowed


def test_who_allows_private_addresses_reaches_all_but_groups_and_nobody() -> None:
    reach = Reach(private=True)

    assert all(reach.allows(one) for one in ("127.0.0.1", "10.0.0.1", "fe80::1", "::1", "169.254.169.254"))
    assert not any(reach.allows(one) for one in ("0.0.0.0", "::", "224.0.0.1", "ff02::1"))


def heard(*entities: str, at_ms: int = 1000, wanted: LiveFilter = LiveFilter()) -> Heard:  # noqa: B008 -- a value
    events = [
        Event(slot, "state", "state_changed", name, name, 1_000_000, 1, "websocket", 7, state="on", place=slot)
        for slot, name in enumerate(entities)
    ]
    places = [Place(name, name.partition(".")[0]) for name in entities]
    entry = entry_of(
        EventBatch("B", "home", "websocket", "j", 0, len(events), events, places=places),
        [(event, event.time_us * 1000, False) for event in events],
    )
    assert entry is not None
    messages = Messages(entry, EntryId(at_ms, 0))
    return Heard(messages, EntryId(at_ms, 0), wanted.select(messages), {})


def test_one_message_is_a_body_of_its_own_and_its_id_is_the_same_whenever_it_is_made() -> None:
    parcels = [list(parcels_of(HOOK, list(said_of(HOOK, heard("light.a", "light.b"))))) for _ in range(2)]

    assert parcels[0] == parcels[1]
    assert len({parcel.delivery_id for parcel in parcels[0]}) == 2
    assert [json.loads(parcel.body)["subject"] for parcel in parcels[0]] == ["light.a", "light.b"]


def test_a_batch_has_so_many_messages_and_no_more_bytes_than_receivers_take() -> None:
    hook = replace(HOOK, wanted=Wanted(batch=2))
    said = list(said_of(hook, heard("light.a", "light.b", "light.c")))

    two, one = parcels_of(hook, said)
    large = [part._replace(body=b'"' + b"x" * 200_000 + b'"') for part in said]

    assert [event["subject"] for event in json.loads(two.body)["events"]] == ["light.a", "light.b"]
    assert (json.loads(one.body)["type"], two.messages, one.messages) == ("events", 2, 1)
    assert [parcel.messages for parcel in parcels_of(hook, large)] == [1, 1, 1]


def test_cloud_events_come_alone_or_as_their_batch() -> None:
    alone = replace(HOOK, wanted=Wanted(form="cloudevents"))
    several = replace(HOOK, wanted=Wanted(form="cloudevents", batch=5))

    (one,) = parcels_of(alone, list(said_of(alone, heard("light.a"))))
    (all_of_them,) = parcels_of(several, list(said_of(several, heard("light.a", "light.b"))))
    ping = json.loads(ping_parcel(alone, NOW_US).body)

    assert json.loads(one.body)["specversion"] == ping["specversion"] == "1.0"
    assert ping["type"] == "ha_ingestor.ping"
    assert [event["type"] for event in json.loads(all_of_them.body)] == ["ha_ingestor.event.new"] * 2


def test_what_happened_more_than_a_minute_ago_is_told_only_where_that_is_wanted() -> None:
    late = heard("light.a", at_ms=62_000)

    assert list(said_of(HOOK, late)) == []
    assert len(list(said_of(replace(HOOK, wanted=Wanted(late=True)), late))) == 1


def test_a_gap_is_told_with_its_times() -> None:
    parcel = gap_parcel(HOOK, Gap("home", "home:5000-0,other:9000-1"), "home:2000-0.3,other:9000-1", NOW_US)

    told = json.loads(parcel.body)
    assert (told["type"], told["home"]) == ("gap", "home")
    assert (told["data"]["from"], told["data"]["to"]) == ("1970-01-01T00:00:02.000Z", "1970-01-01T00:00:05.000Z")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "https:///hook",
        "https://user:secret@example.org/",
        "https://example.org:0/",
        "https://example.org:99999/",
        "https://exämple.org/",
        "https://example.org/a b",
        "https://example.org/#part",
        "https://[::1",
        "http://127.0.0.1/",
        "http://[::ffff:10.0.0.1]/",
        "http://localhost:8080/",
        "http://LOCALHOST./",
        "http://api.localhost/",
        "http://0x7f000001/",
        "http://2130706433/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://127.0.0.1./",
        "http://192.168.257/",
        "https://example.org/" + "x" * 2000,
    ],
)
def test_an_address_that_can_never_be_reached_is_refused_at_once(url: str) -> None:
    nobody: object = None
    desk = WebhookDesk(nobody, nobody, WebhooksSettings(), nobody)  # type: ignore[arg-type]  # none is asked

    with pytest.raises(errors.Unanswerable, match="the url"):
        desk.create(url, Wanted())


@pytest.mark.parametrize("url", ["https://example.org/", "https://localhost.example.org/", "https://0x5db8d70e/"])
def test_an_address_that_may_be_reached_is_not_refused(url: str) -> None:
    nobody: object = None
    desk = WebhookDesk(nobody, nobody, WebhooksSettings(), nobody)  # type: ignore[arg-type]  # none is asked

    with pytest.raises(errors.Unauthenticated):  # what is asked next
        desk.create(url, Wanted())


def test_who_may_not_changes_nothing() -> None:
    nobody: object = None
    desk = WebhookDesk(nobody, nobody, WebhooksSettings(), nobody)  # type: ignore[arg-type]  # none is asked

    with pytest.raises(errors.Unauthenticated):
        desk.create("https://example.org", Wanted())

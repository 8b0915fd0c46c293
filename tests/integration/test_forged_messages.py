"""What somebody could put into the queues and mailboxes: it runs nothing, ends no worker for ever, and is bounded."""

from __future__ import annotations

import base64
import json
import pickle
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from ingestor.events.frame import Frame, RawBatch, new_batch_id
from ingestor.queue import message
from tests.integration.real_workers import Road
from tests.servers import wait_until
from tests.servers_brokers import RedisServer


@pytest.fixture
def road(tmp_path: Path, start_server: Any) -> Iterator[Road]:
    server = start_server(RedisServer)
    with ExitStack() as stack:
        yield Road(stack, tmp_path / "data", server.url, server.url)


class Trap:
    """Writes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def __reduce__(self) -> Any:
        return (Path.touch, (Path(self._path),))


def kombu_message(body: bytes, content_type: str, *, task: str = "tasks.validate.validate_batch") -> bytes:
    """Return a message as kombu keeps it in Redis."""
    tag = str(uuid.uuid4())
    return json.dumps(
        {
            "body": base64.b64encode(body).decode(),
            "content-encoding": "binary",
            "content-type": content_type,
            "headers": {"lang": "py", "task": task, "id": tag, "root_id": tag, "argsrepr": "", "kwargsrepr": ""},
            "properties": {
                "correlation_id": tag,
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": "validate"},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": tag,
            },
        }
    ).encode()


def pickled_everywhere(trap: Path) -> list[bytes]:
    """Return forged messages by the ways that a worker might read them."""
    evil = pickle.dumps(([Trap(trap)], {}, None))
    packed = msgspec.msgpack.encode(([evil], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}))
    return [
        kombu_message(evil, "application/x-python-serialize"),
        kombu_message(evil, "pickle"),
        kombu_message(evil, "application/data"),
        kombu_message(f"!!python/object/apply:os.mkdir ['{trap}']".encode(), "application/x-yaml"),
        kombu_message(packed, "application/x-msgpack"),
        kombu_message(packed, "application/x-msgpack", task="os.system"),
        kombu_message(b"\xc1 no msgpack", "application/x-msgpack"),
        kombu_message(b"[]", "application/json"),
        kombu_message(b'{"id": 1}', "application/json", task=""),
    ]


def test_nothing_is_unpickled_and_the_worker_goes_on_with_the_next_message(road: Road, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    process = road.start_workers()
    with redis.Redis.from_url(road.settings.state_url) as client:
        client.lpush("validate", *pickled_everywhere(trap))

    road.add(*(f"event-{number}" for number in range(30)))
    road.settle(30)

    assert road.stored() == sorted(road.sent)
    assert not trap.exists()
    assert process.poll() is None
    assert {piece.reason for piece in road.quarantined()} == {"unknown_message"}


def test_what_is_no_message_at_all_ends_no_worker(road: Road) -> None:
    process = road.start_workers()
    with redis.Redis.from_url(road.settings.state_url) as client:
        client.lpush("validate", b"not json", b"\xff\xfe", b"[1]", b"{}", b"null")

    starts = 1
    road.add(*(f"event-{number}" for number in range(30)))

    def done() -> bool:
        nonlocal process, starts
        if process.poll() is not None:
            starts += 1
            process = road.start_workers()
        return road.pending() == 0

    wait_until(done, timeout_s=90, what=f"all done\n{road.log()[-3000:]}")
    assert road.stored() == sorted(road.sent)
    assert starts == 1


def test_a_message_of_a_newer_program_is_neither_written_nor_ended_nor_kept_by_an_older_one(road: Road) -> None:
    road.start_workers()
    road.add("from-today")
    road.settle(30)
    newer = bytearray(message.encode_raw(message.decode_raw(newest_message(road))))
    newer[4] = message.VERSION + 1
    packed = msgspec.msgpack.encode(([bytes(newer)], {"attempt": 1, "journal": road.listener}, {}))

    with redis.Redis.from_url(road.settings.state_url) as client:
        client.lpush("validate", kombu_message(packed, "application/x-msgpack"))
    wait_until(lambda: "message_of_newer_version" in road.log(), timeout_s=60, what="it is said")

    assert road.quarantined() == []
    with redis.Redis.from_url(road.settings.state_url) as client:
        assert not client.exists(f"ha_ingestor:done:{road.listener}")


def newest_message(road: Road) -> bytes:
    return message.encode_raw(RawBatch(new_batch_id(), "home", "mqtt", road.listener, 1, [Frame("topic", 1, b"{}")]))


def test_forged_done_marks_are_bounded_and_end_no_other_batch(road: Road) -> None:
    mailbox = f"ha_ingestor:done:home-{road.listener}"
    with redis.Redis.from_url(road.settings.state_url) as client:
        for forged in (
            b"rubbish",
            msgspec.msgpack.encode(["01ARZ3NDEKTSV4RRFFQ69G5FAV", "store", 2**62, [["written", [0]]], 0]),
            msgspec.msgpack.encode(["01ARZ3NDEKTSV4RRFFQ69G5FAV", "store", -1, [["written", [0]]], 0]),
            msgspec.msgpack.encode(["01ARZ3NDEKTSV4RRFFQ69G5FAV", "store", 3, [["written", [10**15, -5]]], 0]),
            msgspec.msgpack.encode(["x" * 1_000_000, "store", 3, [["written", list(range(100_000))]], 0]),
        ):
            client.rpush(mailbox, forged)
        road.add("an-event")
        wait_until(lambda: not client.exists(mailbox), timeout_s=60, what="they are taken")

    assert road.pending() == 1
    road.start_workers()
    road.settle(30)
    assert road.stored() == ["an-event"]

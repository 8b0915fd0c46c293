"""A worker's child that has grown too large ends after its task, and a fresh one goes on."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from tests.integration.real_workers import Road
from tests.servers import wait_until
from tests.servers_brokers import RedisServer


def test_a_child_above_its_memory_is_replaced_and_its_batch_is_stored(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        road = Road(stack, tmp_path / "data", redis_server.url, redis_server.url)
        node = road.start_workers(poisoned=True)
        (before,) = (child.pid for child in road.children(node))

        road.add("fine-1")
        road.settle(60)
        assert [child.pid for child in road.children(node)] == [before]

        road.add("large", topic="poison/swells")
        road.add("fine-2")
        road.settle(60)
        wait_until(
            lambda: (found := [child.pid for child in road.children(node)]) != [] and before not in found,
            timeout_s=60,
            what="another child",
        )
        road.add("fine-3")
        road.settle(60)

        assert road.stored() == sorted(road.sent)
        assert node.poll() is None

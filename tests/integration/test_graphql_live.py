"""GraphQL subscriptions over `graphql-transport-ws`, with a client that others wrote, from a real state server."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator
from pathlib import Path
from typing import Any

import gql
import pytest
import websocket
from gql.client import AsyncClientSession
from gql.transport.exceptions import TransportQueryError
from gql.transport.websockets import WebsocketsTransport

from ingestor.api.graphql.wire import MAX_MESSAGES_PER_S, MAX_OPERATIONS
from ingestor.live.channel import EntryId
from ingestor.live.cursor import Position, cursor_text
from tests.integration.api_bench import KEY, served
from tests.integration.live_home import LiveHome
from tests.servers import wait_until
from tests.servers_brokers import ValkeyServer

LIVE = """subscription Live($filter: LiveFilter, $cursor: String, $policy: LivePolicy! = DROP_OLDEST, $maxPerS: Float) {
  live(filter: $filter, cursor: $cursor, policy: $policy, maxPerS: $maxPerS) { kind: __typename
    ... on LiveReady { cursor } ... on LiveGap { home cursor } ... on LiveMissed { missed: messages }
    ... on LiveMessages { cursor skipped messages { id type home time subject late entityId state data } } } }"""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, valkey_server: ValkeyServer) -> Iterator[LiveHome]:
    made = LiveHome(tmp_path_factory.mktemp("live"), valkey_server.url)
    with served(made.app) as made.address:
        yield made


@pytest.fixture(autouse=True)
def nobody_is_left(live: LiveHome) -> Iterator[None]:
    yield
    wait_until(live.nobody_listens, timeout_s=60, what="an end of all hearings")


@contextlib.asynccontextmanager
async def connected(live: LiveHome) -> AsyncIterator[AsyncClientSession]:
    transport = WebsocketsTransport(
        url=live.address.replace("http", "ws") + "/graphql",
        headers={"X-API-Key": KEY},
        subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
    )
    async with gql.Client(transport=transport) as session:
        yield session


@contextlib.asynccontextmanager
async def hearing(session: AsyncClientSession, **variables: Any) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """Subscribe; yield what comes, the first of which says where it begins."""

    async def heard() -> AsyncGenerator[dict[str, Any], None]:
        async for told in session.subscribe(gql.GraphQLRequest(LIVE, variable_values=variables)):
            yield told["live"]

    async with contextlib.aclosing(heard()) as found:
        yield found


async def subjects(heard: AsyncIterator[dict[str, Any]], count: int) -> list[str]:
    """Return what the next messages are about: so many of them."""
    found: list[str] = []
    while len(found) < count:
        told = await anext(heard)
        assert told["kind"] == "LiveMessages", told
        found += [one["subject"] for one in told["messages"]]
    return found


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 120))


def test_each_subscription_of_a_connection_hears_what_it_asked_for(live: LiveHome) -> None:
    async def test() -> None:
        async with (
            connected(live) as session,
            hearing(session, filter={"domain": ["light"]}) as lights,
            hearing(session, filter={"entity": ["*.kitchen"], "area": ["küche"]}) as kitchen,
        ):
            assert (await anext(lights))["kind"] == (await anext(kitchen))["kind"] == "LiveReady"
            live.publish("light.hall", "light.kitchen", "sensor.kitchen")

            assert await subjects(lights, 2) == ["light.hall", "light.kitchen"]
            assert await subjects(kitchen, 2) == ["light.kitchen", "sensor.kitchen"]

    run(test())


def test_a_message_is_what_the_live_channel_tells(live: LiveHome) -> None:
    async def test() -> None:
        async with connected(live) as session, hearing(session) as heard:
            await anext(heard)
            live.publish("light.hall", previous_state="unavailable")

            told = await anext(heard)

            new, online = told["messages"]
            assert (new["type"], new["entityId"], new["state"], new["home"]) == (
                "event.new",
                "light.hall",
                "on",
                live.home,
            )
            assert (new["data"]["area"], new["data"]["event_id"], new["late"]) == ("Küche", new["id"], True)
            assert (online["type"], online["subject"]) == ("device.online", "Lamp")

    run(test())


def test_who_comes_back_with_a_cursor_goes_on_behind_it(live: LiveHome) -> None:
    async def test() -> None:
        async with connected(live) as session, hearing(session) as heard:
            await anext(heard)
            live.publish("light.0")
            cursor = (await anext(heard))["cursor"]
        live.publish("light.1")
        async with connected(live) as session, hearing(session, cursor=cursor) as heard:
            assert (await anext(heard))["cursor"] == cursor
            live.publish("light.2")

            assert await subjects(heard, 2) == ["light.1", "light.2"]

    run(test())


def test_a_cursor_that_fell_out_is_told_as_a_gap(live: LiveHome) -> None:
    async def test() -> None:
        long_ago = cursor_text({live.home: Position(EntryId(1, 0))})
        async with connected(live) as session, hearing(session, cursor=long_ago) as heard:
            assert (await anext(heard))["kind"] == "LiveReady"

            gap = await anext(heard)

            assert (gap["kind"], gap["home"]) == ("LiveGap", live.home)

    run(test())


def test_large_messages_come_in_more_frames_each_with_its_cursor(live: LiveHome) -> None:
    async def test() -> None:
        names = [f"text.n{number}" for number in range(100)]
        async with connected(live) as session, hearing(session) as heard:
            await anext(heard)
            live.publish(*names, state="x" * 50_000)
            first = await anext(heard)
            rest = await subjects(heard, 100 - len(first["messages"]))
        async with connected(live) as session, hearing(session, cursor=first["cursor"]) as heard:
            await anext(heard)

            assert await subjects(heard, len(rest)) == rest != []
        assert [one["subject"] for one in first["messages"]] + rest == names

    run(test())


def test_what_is_over_the_rate_is_left_out_and_counted(live: LiveHome) -> None:
    async def test() -> None:
        async with connected(live) as session, hearing(session, maxPerS=2.0) as heard:
            await anext(heard)
            live.publish(*[f"light.{number}" for number in range(9)])

            told = await anext(heard)

            assert (len(told["messages"]), told["skipped"]) == (2, 7)

    run(test())


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({"cursor": "nonsense"}, "invalid"),
        ({"filter": {"home": ["nobody"]}}, "not-found"),
        ({"filter": {"entity": ["x" * 300]}}, "invalid"),
        ({"maxPerS": 0.0}, "unanswerable"),
        ({"maxPerS": 1e6}, "unanswerable"),
    ],
)
def test_a_subscription_that_cannot_be_is_told_so_and_the_connection_goes_on(
    live: LiveHome, variables: dict[str, Any], code: str
) -> None:
    async def test() -> None:
        async with connected(live) as session:
            async with hearing(session, **variables) as heard:
                with pytest.raises(TransportQueryError) as failed:
                    await anext(heard)
            assert [one["extensions"]["code"] for one in failed.value.errors or ()] == [code]
            assert await session.execute(gql.GraphQLRequest("{ homes { name } }")) == {"homes": [{"name": live.home}]}
            unanswered = {
                '{ entity(id: "light.nobody") { name } }': "not-found",
                "query One { homes { name } } query Two { homes { name } }": "invalid",
            }
            for query, told in unanswered.items():
                with pytest.raises(TransportQueryError) as failed:
                    await session.execute(gql.GraphQLRequest(query))
                assert [one["extensions"]["code"] for one in failed.value.errors or ()] == [told]

    run(test())


# -- what the protocol says, by hand ---------------------------------------------------------------------------


def opened(live: LiveHome, *, key: str = KEY, protocol: str = "graphql-transport-ws") -> websocket.WebSocket:
    address = live.address.replace("http", "ws") + "/api/v1/graphql"
    return websocket.create_connection(address, header={"X-API-Key": key}, subprotocols=[protocol], timeout=60)


def said(socket: websocket.WebSocket, *messages: Any) -> int:
    """Say something; return the code that the connection ends with."""
    for one in messages:
        socket.send(one if isinstance(one, str) else json.dumps(one))
    while True:
        opcode, data = socket.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            socket.close()
            return int.from_bytes(data[:2], "big")


INIT = {"type": "connection_init"}
SUBSCRIBE = {"type": "subscribe", "id": "1", "payload": {"query": "subscription { live { __typename } }"}}


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([SUBSCRIBE], 4401),
        ([INIT, INIT], 4429),
        ([INIT, SUBSCRIBE, SUBSCRIBE], 4409),
        ([INIT, "no json"], 4400),
        ([INIT, []], 4400),
        ([INIT, {"type": "sing"}], 4400),
        ([INIT, {**SUBSCRIBE, "id": [1]}], 4400),
        ([INIT, {**SUBSCRIBE, "payload": "subscription"}], 4400),
        ([INIT, {**SUBSCRIBE, "payload": {"query": ""}}], 4400),
        ([INIT, {**SUBSCRIBE, "payload": {"query": "{ homes { name } }", "variables": [1]}}], 4400),
        ([{"type": "ping"}] * (MAX_MESSAGES_PER_S + 9), 1008),
    ],
)
def test_what_is_no_message_of_the_protocol_ends_the_connection(live: LiveHome, messages: list[Any], code: int) -> None:
    assert said(opened(live), *messages) == code


@pytest.mark.parametrize(
    "query", ["subscription {", "subscription { nothing }", "{ nothing }", "subscription " + "{ a " * 1500]
)
def test_a_question_in_no_order_is_an_error_and_the_connection_goes_on(live: LiveHome, query: str) -> None:
    socket = opened(live)
    for message in (INIT, {**SUBSCRIBE, "payload": {"query": query}}, {**SUBSCRIBE, "id": "2"}):
        socket.send(json.dumps(message))

    told = [json.loads(socket.recv()) for _ in range(3)]
    socket.close()

    assert sorted((one.get("id", ""), one["type"]) for one in told) == [
        ("", "connection_ack"),
        ("1", "error"),
        ("2", "next"),
    ]
    faults = next(one["payload"] for one in told if one["type"] == "error")
    assert [one["extensions"]["code"] for one in faults] == ["invalid"]


def test_another_protocol_is_refused_and_nobody_comes_in_without_the_key(live: LiveHome) -> None:
    with pytest.raises(websocket.WebSocketBadStatusException):
        opened(live, key="another key that is long enough")

    with pytest.raises(websocket.WebSocketException):  # the client sees that it was not taken
        opened(live, protocol="graphql-ws")


def test_a_connection_has_so_many_subscriptions_at_most(live: LiveHome) -> None:
    socket = opened(live)
    socket.send(json.dumps(INIT))
    assert json.loads(socket.recv())["type"] == "connection_ack"
    for number in range(MAX_OPERATIONS + 1):
        socket.send(json.dumps({**SUBSCRIBE, "id": str(number)}))

    told = [json.loads(socket.recv()) for _ in range(MAX_OPERATIONS + 1)]

    assert sorted(one["type"] for one in told) == ["error"] + ["next"] * MAX_OPERATIONS
    assert live.hub.listeners == MAX_OPERATIONS
    socket.close()


def test_who_reads_too_slowly_misses_something_and_is_told_how_much(
    tmp_path: Path, valkey_server: ValkeyServer
) -> None:
    live = LiveHome(tmp_path, valkey_server.url, max_waiting=10)

    async def test() -> None:
        async with connected(live) as session, hearing(session) as heard:
            await anext(heard)
            live.publish_at_once(400, 20)
            seen = missed = 0
            while seen + missed < 8000:
                told = await anext(heard)
                seen += len(told.get("messages", ()))
                missed += told.get("missed", 0)
            assert seen + missed == 8000
            assert missed

    with served(live.app) as live.address:
        run(test())
        wait_until(live.nobody_listens, timeout_s=60, what="an end of all hearings")

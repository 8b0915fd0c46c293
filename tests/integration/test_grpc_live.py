"""What happens now over gRPC, from a real state server; TLS; what is published is enough for others."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pyarrow.parquet
import pytest
from grpc_tools import protoc
from pydantic import ValidationError

from ingestor import errors
from ingestor.api.rpc.certificate import certificate_pair
from ingestor.live.channel import EntryId
from ingestor.live.cursor import Position, cursor_text
from ingestor.settings_grpc import GrpcSettings
from tests.certificates import Certificates
from tests.integration.api_bench import KEY, api_bench, served
from tests.integration.api_home import fill
from tests.integration.grpc_client import Client, as_json
from tests.integration.live_home import LiveHome
from tests.servers import wait_until
from tests.servers_brokers import ValkeyServer

ROOT = Path(__file__).parent.parent.parent
ON = {"grpc": {"enabled": True, "port": 0}}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, valkey_server: ValkeyServer) -> Iterator[LiveHome]:
    made = LiveHome(tmp_path_factory.mktemp("live"), valkey_server.url, more=ON)
    with served(made.app) as made.address:
        yield made


@pytest.fixture
def client(live: LiveHome) -> Iterator[Client]:
    with grpc.insecure_channel(f"127.0.0.1:{live.app.state.grpc.port}") as channel:
        yield Client(channel)
    wait_until(live.nobody_listens, timeout_s=60, what="an end of all hearings")


class Heard:
    """What a subscription hears."""

    def __init__(self, client: Client, **asked: Any) -> None:
        self.call = client.call("Subscribe", timeout=120, **asked)

    def next(self) -> dict[str, Any]:
        return as_json(next(self.call))

    def subjects(self, count: int) -> list[str]:
        found: list[str] = []
        while len(found) < count:
            found += [one["subject"] for one in self.next()["messages"]["messages"]]
        return found


def test_each_subscription_hears_what_it_asked_for(live: LiveHome, client: Client) -> None:
    lights = Heard(client, filter={"domain": ["light"]})
    kitchen = Heard(client, filter={"entity": ["*.kitchen"]})
    assert lights.next().keys() == kitchen.next().keys() == {"ready"}

    live.publish("light.hall", "light.kitchen", "sensor.kitchen")

    assert lights.subjects(2) == ["light.hall", "light.kitchen"]
    assert kitchen.subjects(2) == ["light.kitchen", "sensor.kitchen"]


def test_a_message_is_what_the_live_channel_tells(live: LiveHome, client: Client) -> None:
    heard = Heard(client)
    heard.next()
    live.publish("light.hall", previous_state="unavailable")

    new, online = heard.next()["messages"]["messages"]

    assert (new["type"], new["home"], new["late"], new["time"][:4]) == ("event.new", live.home, True, "1970")
    assert json.loads(new["data_json"])["event_id"] == new["id"]
    assert (online["type"], online["subject"]) == ("device.online", "Lamp")


def test_who_comes_back_goes_on_and_is_told_of_a_gap(live: LiveHome, client: Client) -> None:
    heard = Heard(client)
    heard.next()
    live.publish("light.0")
    cursor = heard.next()["messages"]["cursor"]
    heard.call.cancel()
    live.publish("light.1")

    back = Heard(client, cursor=cursor)
    assert back.next() == {"ready": {"cursor": cursor}}
    assert back.subjects(1) == ["light.1"]

    late = Heard(client, cursor=cursor_text({live.home: Position(EntryId(1, 0))}))
    late.next()
    assert late.next()["gap"]["home"] == live.home


def test_large_messages_come_in_more_answers_each_with_its_cursor(live: LiveHome, client: Client) -> None:
    names = [f"text.n{number}" for number in range(100)]
    heard = Heard(client)
    heard.next()
    live.publish(*names, state="x" * 50_000)

    first = heard.next()["messages"]
    rest = heard.subjects(100 - len(first["messages"]))
    back = Heard(client, cursor=first["cursor"])
    back.next()

    assert [one["subject"] for one in first["messages"]] + rest == names
    assert back.subjects(len(rest)) == rest != []


def test_what_is_over_the_rate_is_left_out_and_counted(live: LiveHome, client: Client) -> None:
    heard = Heard(client, max_per_s=2.0)
    heard.next()
    live.publish(*[f"light.{number}" for number in range(9)])

    told = heard.next()["messages"]

    assert (len(told["messages"]), told["skipped"]) == (2, "7")


def test_who_reads_too_slowly_is_told_what_they_missed_or_has_to_go(
    tmp_path: Path, valkey_server: ValkeyServer
) -> None:
    live = LiveHome(tmp_path, valkey_server.url, more=ON, max_waiting=10)
    with served(live.app) as live.address, grpc.insecure_channel(f"127.0.0.1:{live.app.state.grpc.port}") as channel:
        client = Client(channel)
        heard, proud = Heard(client), Heard(client, policy="POLICY_DISCONNECT")
        heard.next(), proud.next()
        live.publish_at_once(300, 20)
        seen = missed = 0
        while seen + missed < 6000:
            told = heard.next()
            seen += len(told.get("messages", {}).get("messages", ()))
            missed += int(told.get("missed", {}).get("messages", 0))
        assert (seen + missed, missed > 0) == (6000, True)
        with pytest.raises(grpc.RpcError) as failed:
            list(proud.call)
        assert failed.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_an_end_of_the_server_is_told(tmp_path: Path, valkey_server: ValkeyServer) -> None:
    live = LiveHome(tmp_path, valkey_server.url, more=ON)
    with served(live.app) as live.address:
        channel = grpc.insecure_channel(f"127.0.0.1:{live.app.state.grpc.port}")
        heard = Heard(Client(channel))
        heard.next()

    with channel, pytest.raises(grpc.RpcError) as failed:
        list(heard.call)

    assert failed.value.code() is grpc.StatusCode.UNAVAILABLE


def test_more_calls_than_are_served_at_once_are_refused(tmp_path: Path, valkey_server: ValkeyServer) -> None:
    live = LiveHome(tmp_path, valkey_server.url, more={"grpc": {**ON["grpc"], "max_calls": 2}})
    with served(live.app) as live.address, grpc.insecure_channel(f"127.0.0.1:{live.app.state.grpc.port}") as channel:
        client = Client(channel)
        heard: list[Heard] = []
        # What is over at this end may take a moment until it is at the other.
        wait_until(lambda: answered(client), timeout_s=60, what="room for a call")
        wait_until(lambda: hears(client, heard, 2), timeout_s=60, what="room for two streams")

        with pytest.raises(grpc.RpcError) as failed:
            client.one("ListGaps")
        for one in heard:
            one.call.cancel()

        assert failed.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        wait_until(lambda: answered(client), timeout_s=60, what="room for another call")


def hears(client: Client, heard: list[Heard], most: int) -> bool:
    one = Heard(client)
    try:
        one.next()
    except grpc.RpcError:
        return False
    heard.append(one)
    return len(heard) == most


def answered(client: Client) -> bool:
    try:
        return client.one("ListGaps") == {}
    except grpc.RpcError:
        return False


# -- TLS and settings ----------------------------------------------------------------------------------------------


def test_a_certificate_is_shown_and_others_are_not_believed(tmp_path: Path) -> None:
    made = Certificates(tmp_path)
    settings = {"grpc": {**ON["grpc"], "certificate": made.certificate, "private_key": made.key}}
    with api_bench(tmp_path / "data", settings) as bench:
        address = f"127.0.0.1:{bench.app.state.grpc.port}"
        trusting = grpc.ssl_channel_credentials(made.authority.read_bytes())
        with grpc.secure_channel(address, trusting) as channel:
            assert Client(channel).one("ListEvents") == {}
        doubting = grpc.ssl_channel_credentials(made.other.read_bytes())
        with grpc.secure_channel(address, doubting) as channel, pytest.raises(grpc.RpcError) as failed:
            channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=60)
    assert failed.value.code() is grpc.StatusCode.UNAVAILABLE


def test_what_cannot_be_a_certificate_is_said_before_anything_listens(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="go together"):
        GrpcSettings(certificate=tmp_path / "x")
    with pytest.raises(errors.InvalidSettings, match="cannot be used"):
        certificate_pair(GrpcSettings(certificate=tmp_path / "x", private_key=tmp_path / "y"))


def test_grpc_is_off_where_nobody_asked_for_it(tmp_path: Path) -> None:
    with api_bench(tmp_path) as bench:
        assert bench.app.state.grpc is None


# -- what is published -----------------------------------------------------------------------------------------------


def test_the_example_of_the_documentation_runs_with_what_is_published(tmp_path: Path) -> None:
    folder = ROOT / "docs" / "reference" / "schemas"
    include = Path(protoc.__file__).parent / "_proto"
    options = [f"-I{folder}", f"-I{include}", f"--python_out={tmp_path}", f"--grpc_python_out={tmp_path}"]
    assert protoc.main(["protoc", *options, str(folder / "ingestor_v1.proto")]) == 0
    example = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "how-to" / "use-grpc.md").read_text(), re.DOTALL)[0]

    with api_bench(tmp_path / "data", ON) as bench:
        fill(bench)
        at = f"127.0.0.1:{bench.app.state.grpc.port}"
        program = f"KEY = {KEY!r}\n" + example.replace("127.0.0.1:50051", at)
        # In a process of its own: this one knows these messages by another file's name.
        told = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, check=False, capture_output=True, text=True, timeout=120
        )

    assert (told.stderr, told.returncode) == ("", 0)
    assert told.stdout.count("sensor.kitchen") == 60
    assert pyarrow.parquet.read_table(tmp_path / "kitchen.parquet").num_rows == 60

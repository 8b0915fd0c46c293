"""Posting lines: one connection for many, a new one where the server has closed it, and what is no yes."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from ingestor import errors
from ingestor.events.point import Point
from ingestor.storage.influx import Address
from ingestor.storage.influx_posting import POSTING_ERRORS, LinePoster, Posted
from ingestor.storage.influxdb1 import InfluxDB1Store

YES = b"HTTP/1.1 204 No Content\r\nX-Influxdb-Version: 1\r\n\r\n"
POINT = Point("m", (("series", "a"),), {"value": 1.0}, 1)


class Server:
    """Answers each request by `answer(connection, what was read of it)`; where that is False it hangs up."""

    def __init__(self, answer: Callable[[socket.socket, bytes], bool]) -> None:
        self._answer = answer
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.connections: list[socket.socket] = []
        self.requests: list[bytes] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listening.accept()[0]
            except OSError:
                return
            self.connections.append(connection)
            self._threads.append(threading.Thread(target=self._serve, args=(connection,), daemon=True))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with closing(connection):
            while read := connection.recv(65_536):
                while not _is_whole(read):
                    read += connection.recv(65_536)
                self.requests.append(read)
                if not self._answer(connection, read):
                    return

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


def _is_whole(request: bytes) -> bool:
    head, end, body = request.partition(b"\r\n\r\n")
    length = next((line for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")), b":0")
    return bool(end) and len(body) >= int(length.partition(b":")[2])


@contextmanager
def served(answer: Callable[[socket.socket, bytes], bool]) -> Iterator[Server]:
    server = Server(answer)
    try:
        yield server
    finally:
        server.close()


def says(*answers: bytes) -> Callable[[socket.socket, bytes], bool]:
    """Return what gives these answers in turn, then the last one again; an empty one hangs up."""
    left = list(answers)

    def answer(connection: socket.socket, _: bytes) -> bool:
        said = left.pop(0) if len(left) > 1 else left[0]
        connection.sendall(said)
        return bool(said)

    return answer


def store_at(url: str, *, timeout_s: float = 5.0) -> InfluxDB1Store:
    return InfluxDB1Store(Address(url, "events", "", "", timeout_s, gzip=False))


def test_writes_share_a_connection() -> None:
    with served(says(YES)) as server:
        store = store_at(server.url)

        results = [store.write([POINT]) for _ in range(5)]

    assert [result.written for result in results] == [1] * 5
    assert (len(server.connections), len(server.requests)) == (1, 5)
    assert server.requests[0].startswith(b"POST /write?db=events&precision=ns HTTP/1.1\r\n")
    assert b"\r\n\r\nm,series=a " in server.requests[0]


def test_a_connection_that_the_server_has_closed_is_not_written_to() -> None:
    def once(connection: socket.socket, _: bytes) -> bool:
        connection.sendall(YES)
        return False  # it closes what is idle, and has not said so

    with served(once) as server:
        poster = LinePoster(server.url, 5.0)
        for _ in range(4):
            assert poster.post("/write", {}, b"m v=1\n").status_code == 204
            time.sleep(0.1)

    assert len(server.connections) == 4


def test_a_server_that_says_it_will_close_is_taken_at_its_word() -> None:
    with served(says(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")) as server:
        poster = LinePoster(server.url, 5.0)
        assert [poster.post("/write", {}, b"m v=1\n").status_code for _ in range(3)] == [204] * 3

    assert len(server.connections) == 3


def test_a_redirect_is_not_followed_and_no_yes() -> None:
    elsewhere = b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:9/x\r\nContent-Length: 0\r\n\r\n"
    with served(says(elsewhere)) as server, pytest.raises(errors.StoreRefused, match=r"http://127\.0\.0\.1:9/x"):
        store_at(server.url).write([POINT])


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        pytest.param((b"",), "closed", id="hangs up"),
        pytest.param((b"220 mail.example ESMTP\r\n\r\n",), "220 mail", id="no HTTP"),
        pytest.param((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",), "", id="half an answer"),
    ],
)
def test_what_is_no_answer_is_an_outage_and_the_next_write_goes_on(answers: tuple[bytes, ...], told: str) -> None:
    def answer(connection: socket.socket, read: bytes) -> bool:
        if len(server.connections) > 1:
            return says(YES)(connection, read)
        connection.sendall(answers[0])
        return False

    with served(answer) as server:
        store = store_at(server.url)
        with pytest.raises(errors.StoreUnavailable, match=f"InfluxDB 1 at {server.url}: .*{told}"):
            store.write([POINT])

        assert store.write([POINT]).written == 1


def test_a_server_that_says_nothing_is_away_after_the_time_set() -> None:
    silent = threading.Event()
    with (
        served(lambda _connection, _read: silent.wait(2)) as server,
        pytest.raises(errors.StoreUnavailable, match="timed out"),
    ):
        store_at(server.url, timeout_s=0.2).write([POINT])


def posted_early(status: bytes) -> Posted:
    """Return what comes of a large body of which a server reads next to nothing before it answers and hangs up."""
    listening = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        connection = listening.accept()[0]
        connection.recv(1_000)
        connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        time.sleep(0.1)
        connection.close()  # with most of it not read: who still sends meets a broken pipe

    threading.Thread(target=answer, daemon=True).start()
    with listening:
        poster = LinePoster(f"http://127.0.0.1:{listening.getsockname()[1]}", 5.0)
        return poster.post("/write", {}, b"x" * 30_000_000)


def test_an_answer_that_comes_before_all_was_sent_is_read() -> None:
    assert posted_early(b"413 Too Large").status_code == 413


def test_a_yes_that_comes_before_all_was_sent_is_none() -> None:
    with pytest.raises(ConnectionError, match="before it had all"):
        posted_early(b"204 No Content")


def test_what_comes_behind_an_interim_answer_is_not_taken_for_that_of_the_next_write() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    with served(says(interim, YES)) as server:
        store = store_at(server.url)
        with pytest.raises(errors.StoreUnavailable):
            store.write([POINT])
        assert store.write([POINT]).written == 1
        assert len(server.connections) == 2


def test_threads_have_connections_of_their_own_while_both_are_under_way() -> None:
    both = threading.Barrier(2)

    def together(connection: socket.socket, _: bytes) -> bool:
        both.wait(5)
        connection.sendall(YES)
        return True

    with served(together) as server:
        poster = LinePoster(server.url, 5.0)
        answers: list[int] = []
        threads = [
            threading.Thread(target=lambda: answers.append(poster.post("/write", {}, b"m v=1\n").status_code))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)

    assert answers == [204, 204]
    assert len(server.connections) == 2


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://no-such-host.invalid:8086", "http://a..b:8086"])
def test_a_server_that_is_not_there_is_an_outage(url: str) -> None:
    with pytest.raises(POSTING_ERRORS):
        LinePoster(url, 2.0).post("/write", {}, b"")
    with pytest.raises(errors.StoreUnavailable, match=url.replace(".", r"\.")):
        store_at(url, timeout_s=2.0).write([POINT])


def test_a_path_before_the_api_stays() -> None:
    with served(says(YES)) as server:
        store_at(f"{server.url}/influx").write([POINT])

    assert server.requests[0].startswith(b"POST /influx/write?db=events")

"""The rules that the tests themselves are under: no sockets here, and nothing missing in silence."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.conftest import missing
from tests.servers import MissingServerError, find_program


@pytest.mark.parametrize("method", ["connect", "connect_ex", "bind"])
def test_a_unit_test_that_uses_a_socket_fails(method: str) -> None:
    with socket.socket() as one, pytest.raises(AssertionError, match="unit tests have no sockets"):
        getattr(one, method)(("127.0.0.1", 9))


def test_a_unit_test_may_run_an_event_loop() -> None:
    async def answer() -> int:
        return await asyncio.sleep(0, 42)

    assert asyncio.run(answer()) == 42


def test_what_is_missing_is_skipped_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)

    with pytest.raises(pytest.skip.Exception, match="no such server"):
        missing("no such server")


def test_what_is_missing_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")

    with pytest.raises(pytest.fail.Exception, match="no such server"):
        missing("no such server")


def test_a_program_that_is_missing_is_named_with_its_package() -> None:
    with pytest.raises(
        MissingServerError, match=r"nothing-like-it is not on this machine .*apt-get install its-package"
    ):
        find_program("nothing-like-it", "its-package")

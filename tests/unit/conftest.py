"""Keeps unit tests off the network: a test that opens a connection fails where it does so."""

from __future__ import annotations

import socket
from typing import NoReturn

import pytest


class NetworkInUnitTestError(AssertionError):
    """A unit test tried to use a socket."""


@pytest.fixture(autouse=True)
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse to connect and to listen; socket pairs stay, since event loops wake themselves with one."""

    def refuse(*_: object) -> NoReturn:
        raise NetworkInUnitTestError("unit tests have no sockets: move the test to tests/integration")

    for method in ("connect", "connect_ex", "bind", "sendto"):
        monkeypatch.setattr(socket.socket, method, refuse)

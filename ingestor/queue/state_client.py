"""A Redis client that sets a key of ours aside where it holds another type than ours; knows nothing of what is kept.

Somebody else (a person with a tool, another program, a forger) may have put a list where we keep a hash. Every command
on it would fail, for ever. It is renamed, not deleted: it may be worth a look. The call fails as if the server were
away, and the next one finds no such key.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Final

import redis
import structlog
from redis.client import Pipeline
from redis.exceptions import ResponseError

from ingestor import errors

#: Names that are ours begin so; no other key is touched.
_OURS: Final = b"ha_ingestor:"
ASIDE: Final = b"ha_ingestor:set_aside:"
_ASIDE_FOR_S: Final = 86_400
#: The first keys of a script are named in its call, others are made from them: of which type both are.
_SCRIPTS: Final = frozenset({"EVALSHA", "EVAL"})
_TYPE_IN_SCRIPTS: Final = b"hash"
_MOST_KEYS: Final = 100

_log: Final = structlog.get_logger(__name__)


class StateClient(redis.Redis):  # type: ignore[type-arg] # the stubs know no generic subclass of it
    """redis-py's client, and its pipelines."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Execute a command. Raises StateUnavailable where a key had to be set aside."""
        try:
            return super().execute_command(*args, **options)
        except ResponseError as error:
            _set_aside(self, [args], error)
            raise

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Any:
        """Return a pipeline of such a kind."""
        return _StatePipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


class _StatePipeline(Pipeline):  # type: ignore[type-arg] # as above
    def execute(self, raise_on_error: bool = True) -> Any:
        commands = [command[0] for command in self.command_stack]
        try:
            return super().execute(raise_on_error)
        except ResponseError as error:
            _set_aside(redis.Redis(connection_pool=self.connection_pool), commands, error)
            raise


def _set_aside(client: redis.Redis[Any], commands: Sequence[Sequence[Any]], error: ResponseError) -> None:
    """Rename the keys that one of these commands stumbled over, if that was it, and raise StateUnavailable."""
    if "WRONGTYPE" not in str(error):
        return
    moved = list(dict.fromkeys(key for command in commands for key in _wrong_keys(client, command)))
    for key in moved:
        aside = ASIDE + key.removeprefix(_OURS)[:200]
        with contextlib.suppress(ResponseError):  # another process was faster
            client.execute_command("RENAME", key, aside)
            client.expire(aside, _ASIDE_FOR_S)
        _log.error("state_key_set_aside", key=key[:200].decode("utf-8", "replace"))
    told = ", ".join(key[:100].decode("utf-8", "replace") for key in moved) or str(error)
    raise errors.StateUnavailable(f"a key in the state server was of another type, and set aside: {told}") from error


def _wrong_keys(client: redis.Redis[Any], command: Sequence[Any]) -> list[bytes]:
    name = _bytes(command[0]).decode("ascii", "replace").upper().split(" ")[0]
    if name in _SCRIPTS:
        named = [_bytes(key) for key in command[3 : 3 + int(command[2])]]
        made = [key for one in named for key in client.scan_iter(match=_glob(one) + b":*", count=1000)]
        return [key for key in (named + made)[:_MOST_KEYS] if _is_ours_and_not(client, key, _TYPE_IN_SCRIPTS)]
    wanted = _type_for(name)
    key = _bytes(command[1]) if len(command) > 1 else b""
    return [key] if wanted and _is_ours_and_not(client, key, wanted) else []


def _is_ours_and_not(client: redis.Redis[Any], key: bytes, wanted: bytes) -> bool:
    return key.startswith(_OURS) and client.execute_command("TYPE", key) not in (wanted, b"none")


def _type_for(name: str) -> bytes:
    """Return the type that a command needs; nothing for one that takes any."""
    if name in {"GET", "INCR", "INCRBY", "DECR", "GETSET", "GETDEL", "APPEND", "STRLEN"}:
        return b"string"
    if name in {"RPUSH", "LPUSH", "LPOP", "RPOP", "LRANGE", "LTRIM", "LLEN", "LINDEX", "LREM"}:
        return b"list"
    if name.startswith("H"):
        return b"hash"
    if name.startswith("Z"):
        return b"zset"
    return b"set" if name in {"SADD", "SREM", "SMEMBERS", "SISMEMBER", "SCARD", "SPOP"} else b""


def _glob(key: bytes) -> bytes:
    return b"".join(b"\\" + bytes([sign]) if sign in b"*?[]\\" else bytes([sign]) for sign in key)


def _bytes(word: Any) -> bytes:
    return word if isinstance(word, bytes) else str(word).encode("utf-8", "replace")

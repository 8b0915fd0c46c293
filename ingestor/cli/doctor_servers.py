"""What `doctor` tries of our own installation: data folder, broker, state server, store, database."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ingestor import bootstrap, errors
from ingestor.api.health_pauses import sentence
from ingestor.api.side_by_side import in_a_line
from ingestor.cli.finding import Finding
from ingestor.cli.running import supervisor_pid
from ingestor.queue.depths import Depths, redis_address
from ingestor.queue.pauses import Pauses
from ingestor.queue.state import connect_state, state_errors
from ingestor.settings import Settings
from ingestor.settings_faults import hide_in_url
from ingestor.wording import number_of

_SCARCE_BYTES: Final = 1024**3
_START_IT: Final = "start the installation (`ha-ingestor up`), or set {variable} to a server that runs"
_START_UP: Final = "`ha-ingestor up` (or `make run`) starts it; nothing else is to do"


def examine_servers(settings: Settings) -> Iterator[Finding]:
    """Yield what is found of each server that the settings name."""
    yield from _data_folder(settings)
    yield from _broker(settings)
    yield from _state(settings)
    yield _store(settings)
    yield from _database(settings)


def _data_folder(settings: Settings) -> Iterator[Finding]:
    folder = settings.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"probe")
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        advice = f"let user {_user_name()} write there, or set HA_INGESTOR_DATA_DIR to another folder"
        yield Finding("failed", "data folder", f"{folder} cannot be written: {error.strerror}", advice)
        return
    yield Finding("ok", "data folder", f"{folder} can be written")
    yield _disk_space(settings, folder)


def _user_name() -> str:
    return os.environ.get("USER") or str(os.getuid())


def _disk_space(settings: Settings, folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    says = f"{free / 1024**3:.1f} GiB free; a journal may take {settings.journal.max_bytes / 1024**3:.1f} GiB"
    if free < _SCARCE_BYTES:
        return Finding("failed", "disk space", says, "make room: a full disk stops the journal, and events are lost")
    if free < settings.journal.max_bytes:
        return Finding("warning", "disk space", says, "make room, or lower HA_INGESTOR_JOURNAL__MAX_BYTES")
    return Finding("ok", "disk space", says)


def _broker(settings: Settings) -> Iterator[Finding]:
    depths = Depths(settings.broker_url)
    try:
        waiting = sum(depths.read().values())
    except errors.AuthenticationRefused as error:
        yield Finding("failed", "broker", str(error), "correct user and password in HA_INGESTOR_BROKER__URL")
        return
    except errors.BrokerUnavailable as error:
        if settings.broker.url == "embedded" and supervisor_pid(settings.data_dir) is None:
            yield _not_started(settings, "broker", "it is the one in the data folder")
            return
        advice = _advice(error, "HA_INGESTOR_BROKER__URL")
        yield Finding("failed", "broker", f"{hide_in_url(settings.broker_url)} does not answer: {error}", advice)
        return
    finally:
        depths.close()
    yield Finding("ok", "broker", f"{hide_in_url(settings.broker_url)} answers; {waiting} messages wait")
    if settings.broker_url.startswith("redis"):
        yield from _redis_settings("broker", connect_state(redis_address(settings.broker_url)))


def _not_started(settings: Settings, subject: str, which: str) -> Finding:
    """Tell of a server that is ours to start: who asks before the first start has nothing to mend."""
    says = f"{which} and does not run: no `ha-ingestor up` holds {settings.data_dir.absolute()}"
    return Finding("warning", subject, says, _START_UP)


def _advice(error: Exception, variable: str) -> str:
    """Return what to do about a server that does not answer."""
    says = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in says:
        return (
            f"its certificate is not to be trusted as it is: name its authority in {variable} "
            "(`rediss://host:port/0?ssl_ca_certs=/path/ca.crt`, and the same for amqps://), and the server as its"
            " certificate does"
        )
    if "No master found" in says:
        return (
            f"see that the sentinels run, that they call the master as {variable} does, and with rediss+sentinel://"
            " that their certificates can be checked (`?ssl_ca_certs=/path/ca.crt`)"
        )
    return _START_IT.format(variable=variable)


def _redis_settings(subject: str, client: Any) -> Iterator[Finding]:
    """Check the two settings of a Redis that lose messages when they are wrong."""
    try:
        with state_errors():
            policy = _config(client, "maxmemory-policy")
            append_only = _config(client, "appendonly")
    except Exception as error:  # noqa: BLE001 -- a managed Redis may forbid CONFIG in its own words
        says = f"its settings cannot be read ({error})"
        yield Finding("unknown", subject, says, "see that maxmemory-policy is noeviction and appendonly is yes")
        return
    finally:
        client.close()
    if policy == "noeviction":
        yield Finding("ok", f"{subject}: eviction", "maxmemory-policy is noeviction")
    else:
        advice = "set maxmemory-policy noeviction: a full server must refuse batches, not drop them"
        yield Finding("failed", f"{subject}: eviction", f"maxmemory-policy is {policy}", advice)
    if append_only == "yes":
        yield Finding("ok", f"{subject}: persistence", "appendonly is yes")
    else:
        advice = "set appendonly yes; until then the journals send again what a restart loses, which takes longer"
        yield Finding("warning", f"{subject}: persistence", f"appendonly is {append_only}", advice)


def _config(client: Any, name: str) -> str:
    found = client.config_get(name)
    return str(next((_text(value) for key, value in found.items() if _text(key) == name), "unknown"))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _state(settings: Settings) -> Iterator[Finding]:
    where = hide_in_url(settings.state_url)
    client = bootstrap.open_state(settings)
    try:
        with state_errors():
            client.set("ha_ingestor:doctor", b"1", ex=5)
    except errors.AuthenticationRefused as error:
        yield Finding("failed", "state server", str(error), "correct user and password in HA_INGESTOR_STATE__URL")
        return
    except errors.StateUnavailable as error:
        if not settings.state.url and settings.broker.url == "embedded" and supervisor_pid(settings.data_dir) is None:
            yield _not_started(settings, "state server", "it is the broker in the data folder")
            return
        advice = _advice(error, "HA_INGESTOR_STATE__URL")
        yield Finding("failed", "state server", f"{where} does not answer: {error}", advice)
        return
    finally:
        client.close()
    yield Finding("ok", "state server", f"{where} answers and takes writes")
    yield from _pauses(settings)
    if redis_address(settings.broker_url) != settings.state_url:
        yield from _redis_settings("state server", bootstrap.open_state(settings))


def _pauses(settings: Settings) -> Iterator[Finding]:
    """Tell what somebody paused: batches that wait for it look like a fault."""
    client = bootstrap.open_state(settings)
    try:
        paused = Pauses(client).read()
    except errors.IngestorError:
        return  # it went away just now; the next look tells
    finally:
        client.close()
    if paused:
        advice = f"what comes waits and is not lost; `ha-ingestor resume {' '.join(paused)}` lets it go on"
        yield Finding("warning", "pauses", sentence(paused), advice)


def _store(settings: Settings) -> Finding:
    where = hide_in_url(settings.storage.url)
    try:
        store = bootstrap.open_store(settings)
        try:
            info = store.check(write=True)
        finally:
            store.close()
    except errors.StoreRefused as error:
        advice = "check the database in HA_INGESTOR_STORAGE__URL and that HA_INGESTOR_STORAGE__TOKEN may write to it"
        return Finding("failed", "store", f"{where} refuses: {error}", advice)
    except Exception as error:  # noqa: BLE001 -- each store's client has errors of its own
        advice = "start the store, or correct HA_INGESTOR_STORAGE__URL"
        return Finding("failed", "store", f"{where}: {in_a_line(error)}", advice)
    return Finding("ok", "store", f"{info.product} {info.version} at {where} takes points")


def _database(settings: Settings) -> Iterator[Finding]:
    where = hide_in_url(settings.database_url)
    try:
        pieces = bootstrap.open_quarantine(settings).count()
    except Exception as error:  # noqa: BLE001 -- each database driver has errors of its own
        advice = "start the database, or correct HA_INGESTOR_DATABASE__URL"
        yield Finding("failed", "database", f"{where}: {in_a_line(error)}", advice)
        return
    yield Finding("ok", "database", f"{where} answers; {number_of(pieces, 'piece')} in quarantine")
    hosts = {str(entry["host"]) for entry in bootstrap.open_status_board(settings).all().values() if entry.get("host")}
    if settings.database_url.startswith("sqlite") and len(hosts) > 1:
        says = f"SQLite, but processes run on {len(hosts)} hosts: {', '.join(sorted(hosts))}"
        advice = "set HA_INGESTOR_DATABASE__URL to a PostgreSQL: SQLite must not be shared between hosts"
        yield Finding("failed", "database: hosts", says, advice)

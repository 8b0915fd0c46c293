"""From a URL in the settings to a store; the adapters are loaded only when they are named."""
# ruff: noqa: PLC0415 -- influxdb-client alone takes 30 MB

from __future__ import annotations

import ipaddress
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from ingestor import errors
from ingestor.path_urls import path_of_url
from ingestor.settings import StorageSettings
from ingestor.storage.embedded import EmbeddedStore
from ingestor.storage.influx import Address
from ingestor.storage.port import Store

_FORMS = (
    "sqlite://, sqlite:///path, influxdb1://host:8086/database, influxdb2://host:8086/bucket?org=ORG"
    " or influxdb3://host:8181/database"
)
_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"0", "false", "no", "off"})


def open_store(settings: StorageSettings, data_dir: Path, read_timeout_s: float | None = None) -> Store:
    """Return the store that `storage.url` names; connects to nothing yet. Raises InvalidSettings.

    `read_timeout_s` is for the embedded one: a server is given `storage.timeout_s` for everything.
    """
    try:
        parts = urlsplit(settings.url)
    except ValueError as error:  # a bracket that is not closed, after sqlite://
        raise errors.InvalidSettings(f"storage.url cannot be read ({error}); write {_FORMS}") from error
    if parts.scheme == "sqlite":
        if parts.netloc:
            raise errors.InvalidSettings(f"storage.url: a path has three slashes: sqlite:///{parts.netloc}{parts.path}")
        path = path_of_url(parts.path.removeprefix("/"))
        file = Path(path).expanduser() if path else data_dir.absolute() / "events.sqlite"
        return EmbeddedStore(file, read_timeout_s)
    if parts.scheme not in ("influxdb1", "influxdb2", "influxdb3"):
        raise errors.InvalidSettings(f"storage.url: {settings.url!r} is none of {_FORMS}")
    return _open_influx(parts.scheme, _address(parts, settings))


def _open_influx(scheme: str, address: Address) -> Store:
    if scheme == "influxdb1":
        from ingestor.storage.influxdb1 import InfluxDB1Store

        return InfluxDB1Store(address)
    if scheme == "influxdb2":
        from ingestor.storage.influxdb2 import InfluxDB2Store

        return InfluxDB2Store(address)
    from ingestor.storage.influxdb3 import InfluxDB3Store

    return InfluxDB3Store(address)


def _address(parts: SplitResult, settings: StorageSettings) -> Address:
    database = unquote(parts.path.strip("/"))
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if parts.username or parts.password:  # before anything that tells the address
        raise errors.InvalidSettings("storage.url: user and password belong into storage.token, as user:password")
    if not parts.hostname or not database:
        raise errors.InvalidSettings(f"storage.url: {settings.url!r} names no host or no database; write {_FORMS}")
    if unknown := set(options) - {"org", "tls"}:
        raise errors.InvalidSettings(f"storage.url: unknown option {sorted(unknown)}; org and tls are known")
    if parts.scheme == "influxdb2" and "org" not in options:
        raise errors.InvalidSettings(
            "storage.url: InfluxDB 2 needs its organisation: influxdb2://host:8086/bucket?org=ORG"
        )
    tls = options.get("tls", "false").lower()
    if tls not in _YES | _NO:
        raise errors.InvalidSettings(f"storage.url: tls is {tls!r}, and must be true or false")
    port = parts.port or (8181 if parts.scheme == "influxdb3" else 8086)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Address(
        base_url=f"{'https' if tls in _YES else 'http'}://{host}:{port}",
        database=database,
        org=options.get("org", ""),
        token=settings.token.get_secret_value() if settings.token else "",
        timeout_s=settings.timeout_s,
        gzip=not _is_here(parts.hostname) if settings.gzip is None else settings.gzip,
        extra_tags=settings.extra_tags,
        siblings=settings.on_type_conflict == "sibling",
    )


def _is_here(host: str) -> bool:
    """Tell whether a host is this machine: compressing for it costs more than it saves."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

"""The Celery application, as both sides of the queue use it: settings from `celeryconfig`, the broker from ours."""

from __future__ import annotations

import ssl
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from celery import Celery
from redis.backoff import NoBackoff
from redis.retry import Retry

from ingestor import redis_sentinel
from ingestor.queue import transport

_TLS_FILES: Final = ("ca_certs", "certfile", "keyfile")
#: How long a sentinel may take: the next one is asked then.
_ASKING: Final = {"socket_timeout": 1.0, "socket_connect_timeout": 1.0, "retry": Retry(NoBackoff(), 0)}


def make_app(broker_url: str) -> Celery:
    """Return the application `ha-ingestor` for a broker; connects to nothing yet."""
    transport.register()
    app = Celery("ha-ingestor")
    app.config_from_object("celeryconfig", silent=True)
    behind = redis_sentinel.parse(broker_url)
    if broker_url.startswith("amqps://"):
        app.conf.update(_amqp_over_tls(broker_url))
    elif behind is None:
        app.conf.update(broker_url=_verifying(broker_url))
    else:
        asking = {**_ASKING, **behind.encryption()}
        options = {**app.conf.broker_transport_options, "master_name": behind.master, "sentinel_kwargs": asking}
        app.conf.update(broker_url=behind.for_kombu(), broker_transport_options=options, broker_use_ssl=behind.tls)
    return app


def _amqp_over_tls(broker_url: str) -> dict[str, Any]:
    """Return the settings of a broker with a certificate: py-amqp checks whose it is only where it is told the name.

    What is said in the address goes along as for Redis: `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`, `ssl_cert_reqs`.
    """
    parts = urlsplit(broker_url)
    said = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    options: dict[str, Any] = {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": parts.hostname}
    if said.pop("ssl_cert_reqs", "required").lower().removeprefix("cert_") == "none":
        options = {"cert_reqs": ssl.CERT_NONE}
    options |= {name: said.pop(f"ssl_{name}") for name in _TLS_FILES if f"ssl_{name}" in said}
    return {"broker_url": parts._replace(query=urlencode(said)).geturl(), "broker_use_ssl": options}


def _verifying(broker_url: str) -> str:
    """Return the URL with the word that certificates are checked: kombu takes any where it says nothing."""
    if not broker_url.startswith("rediss://") or "ssl_cert_reqs=" in broker_url:
        return broker_url
    return f"{broker_url}{'&' if '?' in broker_url else '?'}ssl_cert_reqs=required"

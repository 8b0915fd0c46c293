"""Secrets and signatures by the Standard Webhooks specification: whoever knows a secret can tell what is ours."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from typing import Final

PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = 32


def new_secret() -> str:
    """Return a new secret: `whsec_` and base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signed(keys: Iterable[str], delivery_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """Return the headers of a delivery; one signature for each secret, so that a receiver may change over in peace."""
    content = b"%s.%d.%s" % (delivery_id.encode(), timestamp_s, body)
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(f"v1,{_signature(key, content)}" for key in keys),
    }


def _signature(key: str, content: bytes) -> str:
    made = hmac.new(base64.b64decode(key.removeprefix(PREFIX)), content, hashlib.sha256)
    return base64.b64encode(made.digest()).decode()

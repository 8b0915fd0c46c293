"""The certificate that gRPC shows, checked before anything listens; makes none."""

from __future__ import annotations

import ssl

from ingestor import errors
from ingestor.settings_grpc import GrpcSettings


def certificate_pair(settings: GrpcSettings) -> tuple[bytes, bytes] | None:
    """Return private key and certificate (PEM); None where none is set. Raises InvalidSettings."""
    if settings.certificate is None or settings.private_key is None:
        return None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.certificate, settings.private_key)
        return settings.private_key.read_bytes(), settings.certificate.read_bytes()
    except (OSError, ssl.SSLError) as error:
        files = f"grpc.certificate {settings.certificate} and grpc.private_key {settings.private_key}"
        raise errors.InvalidSettings(f"{files} cannot be used: {error}") from error

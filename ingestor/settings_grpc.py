"""Settings of gRPC."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from ingestor.settings_types import Group


class GrpcSettings(Group):
    """gRPC, served by the API beside HTTP."""

    enabled: bool = Field(False, description="Serve gRPC; the API then takes some 15 MB more.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(50051, ge=0, le=65535, description="Port to listen on; 0: any that is free (the log tells it).")
    certificate: Path | None = Field(
        None,
        description="File with the certificate (PEM, with its chain) for TLS; default: none, so that keys go in clear.",
    )
    private_key: Path | None = Field(None, description="File with the private key of the certificate (PEM).")
    max_calls: int = Field(200, ge=1, le=10_000, description="Most calls at once, streams among them.")

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.certificate is None) != (self.private_key is None):
            raise ValueError("certificate and private_key go together")
        return self

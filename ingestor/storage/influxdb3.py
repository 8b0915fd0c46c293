"""InfluxDB 3: the v3 endpoint where it is there, which names the lines at fault; else `/api/v2/write`."""

from __future__ import annotations

from collections.abc import Mapping

from ingestor.storage.influx import Address, InfluxStore

_NOT_FOUND = 404


class InfluxDB3Store(InfluxStore):
    """A write is answered when it is on disk (by default after up to 1 s): `no_sync` would answer before that."""

    product = "InfluxDB 3"

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._path = "/api/v3/write_lp"

    def _credentials(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self._address.token}"} if self._address.token else {}

    def _send(self, body: bytes) -> tuple[int, bytes, Mapping[str, str]]:
        if self._path.startswith("/api/v3"):
            params = {"db": self._address.database, "precision": "nanosecond", "accept_partial": "true"}
        else:
            params = {"bucket": self._address.database, "org": self._address.org, "precision": "ns"}
        answer = self._post_lines(self._path, params, body)
        if answer.status_code == _NOT_FOUND and self._path.startswith("/api/v3") and b"database" not in answer.content:
            self._path = "/api/v2/write"
            return self._send(body)
        return answer.status_code, answer.content, answer.headers

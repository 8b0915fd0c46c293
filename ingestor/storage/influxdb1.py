"""InfluxDB 1.x: `/write` with a database; user and password where it wants them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime

from ingestor import errors
from ingestor.storage.influx import InfluxStore
from ingestor.storage.influx_errors import read_results

_NOT_FOUND = 404


class InfluxDB1Store(InfluxStore):
    """Makes its database when it is not there and we may."""

    product = "InfluxDB 1"

    def _credentials(self) -> Mapping[str, str]:
        if not self._address.token:
            return {}
        return {"Authorization": "Basic " + base64.b64encode(self._address.token.encode()).decode()}

    def _send(self, body: bytes) -> tuple[int, bytes, Mapping[str, str]]:
        params = {"db": self._address.database, "precision": "ns"}
        answer = self._post_lines("/write", params, body)
        if answer.status_code == _NOT_FOUND and b"database not found" in answer.content:
            self.create_database()
            answer = self._post_lines("/write", params, body)
        return answer.status_code, answer.content, answer.headers

    def _delete(self, measurement: str, since_ns: int, until_ns: int) -> None:
        statement = f'DELETE FROM "{measurement}" WHERE time >= {since_ns} AND time < {until_ns}'  # noqa: S608 -- our own names
        answer = self._request("POST", "/query", params={"db": self._address.database}, data={"q": statement})
        read_results(answer.status_code, answer.content, answer.headers)

    def _begin_ns(self) -> int | None:
        """Return when the first shard begins: nothing is earlier."""
        try:
            shards = [
                dict(zip(series["columns"], values, strict=True))
                for series in self._series("SHOW SHARDS")
                for values in series.get("values", ())
                if series["name"] == self._address.database
            ]
        except errors.IngestorError:
            return None  # only who administers the server may ask that
        return min((_ns_of(str(shard["start_time"])) for shard in shards), default=None)

    def create_database(self) -> None:
        """Make the database. Raises StoreRefused where we may not."""
        name = self._address.database.replace("\\", "\\\\").replace('"', '\\"')
        answer = self._request("POST", "/query", params={"q": f'CREATE DATABASE "{name}"'})
        read_results(answer.status_code, answer.content, answer.headers)


def _ns_of(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1_000_000_000

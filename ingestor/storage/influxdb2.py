"""InfluxDB 2.x: writes through `influxdb-client`, synchronously, with bytes that are lines already.

Its batching mode answers before it has sent and drops what fails; its asynchronous mode raises nothing: neither is
used.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from influxdb_client import InfluxDBClient, WritePrecision, WriteService
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from ingestor import errors
from ingestor.storage.influx import Address, InfluxStore
from ingestor.storage.influx_errors import in_words, read_answer


def rfc3339(time_ns: int) -> str:
    """Return a time (Unix ns) as the API of 2.x takes it."""
    seconds, rest = divmod(time_ns, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


class InfluxDB2Store(InfluxStore):
    """`database` of the address is the bucket. Reading needs a DBRP mapping, which 2.x makes by itself for a bucket."""

    product = "InfluxDB 2"

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._client: Any = InfluxDBClient(
            url=address.base_url,
            token=address.token,
            org=address.org,
            timeout=int(address.timeout_s * 1000),
            enable_gzip=address.gzip,
            retries=False,  # ours: it must know what failed
        )
        # The service below its `WriteApi`: that one says of a write that it raised nothing, not what was answered.
        self._writer: Any = WriteService(self._client.api_client)

    def _credentials(self) -> Mapping[str, str]:
        return {"Authorization": f"Token {self._address.token}"} if self._address.token else {}

    def _send(self, body: bytes) -> tuple[int, bytes, Mapping[str, str]]:
        try:
            _, status, headers = self._writer.post_write_with_http_info(
                org=self._address.org, bucket=self._address.database, body=body, precision=WritePrecision.NS
            )
        except ApiException as error:
            text = error.body if isinstance(error.body, bytes) else str(error.body or "").encode()
            return int(error.status or 0), text, dict(error.headers or {})
        except (HTTPError, OSError) as error:
            raise errors.StoreUnavailable(f"{self.product} at {self._address.base_url}: {in_words(error)}") from error
        return int(status), b"", dict(headers)

    def _delete(self, measurement: str, since_ns: int, until_ns: int) -> None:
        span = {"start": rfc3339(since_ns), "stop": rfc3339(until_ns - 1)}  # both ends are deleted
        answer = self._request(
            "POST",
            "/api/v2/delete",
            params={"org": self._address.org, "bucket": self._address.database},
            json={**span, "predicate": f'_measurement="{measurement}"'},
        )
        told = read_answer(answer.status_code, answer.content, answer.headers)
        if not told.stored:
            raise errors.StoreRefused(f"{self.product} does not delete: {told.doubt}"[:300])

    def close(self) -> None:
        """Give back connections."""
        self._client.close()
        super().close()

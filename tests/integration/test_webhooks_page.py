"""The receiver that the page on webhooks shows takes what is ours, and refuses what is not."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from ingestor.webhooks.signing import new_secret, signed
from tests.servers import accepts_connections, free_port, wait_until

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "webhooks.md"
SECRET = new_secret()


@pytest.fixture
def receiver() -> Iterator[tuple[int, subprocess.Popen[str]]]:
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    port = free_port()
    program = found.group(1).replace("whsec_…", SECRET).replace("8000", str(port))
    with subprocess.Popen(
        [sys.executable, "-u", "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            wait_until(lambda: accepts_connections(port), timeout_s=60, what="the receiver")
            yield port, process
        finally:
            process.kill()


def test_the_receiver_of_the_page_verifies(receiver: tuple[int, subprocess.Popen[str]]) -> None:
    port, process = receiver
    body = b'{"type": "event.new", "subject": "light.hall"}'
    headers = signed([SECRET], "msg_1", int(time.time()), body)

    statuses = [
        requests.post(f"http://127.0.0.1:{port}/", data=data, headers=headers, timeout=60).status_code
        for data in (body + b" ", body)
    ]

    assert statuses == [401, 204]
    assert process.stdout is not None
    assert process.stdout.readline() == "event.new light.hall\n"

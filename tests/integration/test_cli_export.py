"""`ha-ingestor export`: from a store to a file, on the embedded store and a real InfluxDB."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pyarrow.parquet as pq
import pytest
import zstandard
from typer.testing import CliRunner, Result

from ingestor import bootstrap, errors
from ingestor.cli.exit_codes import ExitCode
from ingestor.cli.main import build_app
from ingestor.cli.main import run as run_whole
from ingestor.events.point import Point
from ingestor.settings import Settings
from ingestor.storage.schema import OTHERS, STATES
from tests.servers_stores import InfluxDB

T0_NS = 1_795_000_000_000_000_000
STATE_COUNT = 25_000


@pytest.fixture(scope="module", params=["embedded", "influxdb1"])
def words(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("export")
    url = "sqlite://"
    if request.param == "influxdb1":
        server: InfluxDB = request.getfixturevalue("influxdb")
        url = f"influxdb1://127.0.0.1:{server.port}/export_{uuid4().hex[:8]}"
    settings = Settings.model_validate({"data_dir": folder, "storage": {"url": url}})
    store = bootstrap.open_store(settings)
    tags = {
        name: (("domain", "sensor"), ("home", "home"), ("series", f"sensor.{name}")) for name in ("kitchen", "garage")
    }
    points = [
        Point(
            STATES,
            tags["kitchen" if number % 5 else "garage"],
            {"available": True, "value": float(number), "state": str(number), "source": "websocket"},
            T0_NS + number * 1_000_000,
        )
        for number in range(STATE_COUNT)
    ]
    called = (("domain", "light"), ("home", "home"), ("series", "call_service:light.turn_on"))
    points.append(Point(OTHERS, called, {"event_type": "call_service", "data": "{}"}, T0_NS + 10**13))
    for first in range(0, len(points), 5000):
        store.write(points[first : first + 5000])
    store.close()
    return ["--set", f"data_dir={folder}", "--set", f"storage.url={url}", "export"]


def run(words: list[str], *more: str) -> Result:
    return CliRunner().invoke(build_app(), [*words, *more])


def test_all_of_a_store_becomes_a_file_in_the_order_of_time(words: list[str], tmp_path: Path) -> None:
    file = tmp_path / "all.parquet"

    result = run(words, "parquet", "--output", str(file))

    assert result.exit_code == 0, result.output
    assert f"25,001 events in {file}" in result.stderr
    table = pq.read_table(file)
    assert table.num_rows == STATE_COUNT + 1
    assert table.column("value").to_pylist() == [*(float(number) for number in range(STATE_COUNT)), None]
    assert table.column("kind").to_pylist()[-1] == "event"
    assert list(tmp_path.iterdir()) == [file]


def test_what_is_asked_for_goes_to_standard_output_packed(words: list[str]) -> None:
    asked = ["ndjson", "--entity", "sensor.gar*", "--until", "2026-11-18T11:06:50+00:00", "--compress", "zstd"]

    result = run(words, *asked)

    assert result.exit_code == 0, result.output
    data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(result.stdout_bytes)).read()
    found = [json.loads(line) for line in data.splitlines()]
    assert {one["series"] for one in found} == {"sensor.garage"}
    until_ns = 1_795_000_010 * 10**9
    assert [one["value"] for one in found] == [
        float(number) for number in range(0, STATE_COUNT, 5) if T0_NS + number * 1_000_000 < until_ns
    ]


def test_a_file_that_is_there_is_not_replaced_unasked(words: list[str], tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    file.write_text("mine")

    refused = run(words, "csv", "--output", str(file), "--limit", "1")
    assert (refused.exit_code, file.read_text()) == (2, "mine")
    assert "--force replaces it" in refused.stderr

    assert run(words, "csv", "--output", str(file), "--limit", "1", "--force").exit_code == 0
    assert len(file.read_text().splitlines()) == 2


def test_a_folder_that_is_not_there_is_said_in_words(words: list[str], tmp_path: Path) -> None:
    result = run(words, "csv", "--output", str(tmp_path / "no" / "events.csv"))

    assert isinstance(result.exception, errors.InvalidSettings)
    assert "No such file or directory" in str(result.exception)


def test_a_reader_that_has_enough_ends_it_without_a_complaint(words: list[str]) -> None:
    command = [sys.executable, "-m", "ingestor", *words, "csv"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ})
    assert process.stdout
    assert process.stderr
    head = process.stdout.readline()
    process.stdout.close()
    told = process.stderr.read().decode()

    assert process.wait(60) == 0, told
    assert head.startswith(b"time,event_id,kind")
    assert "Traceback" not in told


@pytest.mark.usefixtures("logging_stays_as_it_was")
def test_a_job_that_nobody_works_on_is_given_up_and_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--set", f"data_dir={tmp_path}"]

    ended = run_whole([*words, "export", "csv", "--job", "--name", "mine", "--patience", "1"])
    told = capsys.readouterr().err
    run_whole([*words, "exports", "--json"])

    (job,) = json.loads(capsys.readouterr().out)
    assert ended == ExitCode.UNAVAILABLE
    assert (job["name"], job["state"]) == ("mine", "waiting")
    assert "nothing has moved for 1 s" in told
    assert f"`ha-ingestor exports --remove {job['id']}`" in told

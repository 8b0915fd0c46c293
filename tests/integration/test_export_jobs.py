"""Export jobs: made in slices by workers that may die, fetched in parts, removed when they are old."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet
import pytest
import requests
import zstandard

from ingestor import bootstrap, errors
from ingestor.events.event import Event, Place
from ingestor.export.files import file_of
from ingestor.export.forms import FORMS
from ingestor.export.jobs import join as joining
from ingestor.export.jobs.job import ExportJob
from ingestor.export.jobs.shelf import ExportShelf
from ingestor.export.jobs.work import step
from ingestor.export.reading import portions
from ingestor.queue import names
from ingestor.queue.app import make_app
from ingestor.queue.asking import ask_for
from ingestor.queue.pauses import Pauses
from ingestor.settings import Settings, StorageSettings
from ingestor.settings_export import ExportSettings
from ingestor.storage.port import EventQuery
from ingestor.storage.schema import PointBuilder, point_time_ns
from tests.conftest import StartServer
from tests.integration.api_bench import KEY, T0_US, ApiBench, api_bench, served
from tests.integration.real_workers import Road
from tests.servers import wait_until
from tests.servers_brokers import RedisServer, ValkeyServer

EXPORTS = "/api/v1/exports"
ENVIRON = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
#: All of it is past, whenever the test runs.
BEGIN_US = T0_US - 60 * 86_400_000_000


def write(settings: Settings, count: int, apart_us: int = 1_200_000_000) -> None:
    """Write so many changes of state."""
    builder, store, place = PointBuilder(StorageSettings()), bootstrap.open_store(settings), Place("light.a", "light")
    given = ("state_changed", "light.a", "light.a")
    for start in range(0, count, 5000):
        events = [
            Event(0, "state", *given, BEGIN_US + number * apart_us, 1, "websocket", number % 999, f"{number}")
            for number in range(start, min(count, start + 5000))
        ]
        points = [one for event in events for one in builder.points(event, place, "home", point_time_ns(event))]
        assert store.write(points).rejected == []
    store.close()


def shelf_of(api: ApiBench) -> ExportShelf:
    found: ExportShelf = api.app.state.export_shelf
    return found


def begin(api: ApiBench, status: int = 202, **order: Any) -> Any:
    answer = api.client.post(EXPORTS, json={"format": "ndjson", **order})
    assert answer.status_code == status, answer.text
    if status == 202:
        assert answer.headers["location"] == f"{EXPORTS}/{answer.json()['id']}"
    return answer.json()


def work(api: ApiBench, job_id: str, for_s: float = 60) -> ExportJob:
    """Do what a worker does, until there is nothing more to do."""
    while step(shelf_of(api), job_id, lambda: bootstrap.open_store(api.settings), for_s=for_s):
        pass
    return shelf_of(api).read(job_id)


def made(api: ApiBench, **order: Any) -> Any:
    job = begin(api, **order)
    assert work(api, job["id"]).state == "ready"
    return api.get(f"{EXPORTS}/{job['id']}")


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ApiBench]:
    with api_bench(tmp_path) as bench:
        yield bench


@pytest.fixture
def address(api: ApiBench) -> Iterator[str]:
    write(api.settings, 3000)
    with served(api.app) as address:
        yield address


def fetch(address: str, job: dict[str, Any], **headers: str) -> requests.Response:
    return requests.get(address + job["file"], headers={"X-API-Key": KEY, **headers}, stream=True, timeout=60)


@pytest.mark.parametrize("form", list(FORMS))
def test_a_job_makes_the_file_that_the_stream_makes(api: ApiBench, form: str) -> None:
    write(api.settings, 700)
    job = made(api, format=form, name="my-events", domain=["light"], limit=600)

    store = bootstrap.open_store(api.settings)
    whole = b"".join(file_of(portions(store, EventQuery(limit=600)), FORMS[form]))
    store.close()
    found = api.client.get(job["file"])

    assert (job["rows"], job["progress"], job["bytes"], job["eta_s"]) == (600, 1.0, len(found.content), None)
    assert found.headers["content-disposition"] == f'attachment; filename="my-events.{FORMS[form].suffix}"'
    if form == "parquet":
        assert pyarrow.parquet.read_table(io.BytesIO(found.content)).num_rows == 600
    if form != "avro":  # its blocks are told apart by chance
        assert found.content == whole
    assert sorted(one.name for one in shelf_of(api).folder_of(job["id"]).iterdir()) == ["file", "job.json", "lock"]


def test_each_step_goes_on_behind_the_last_slice_and_progress_is_told(api: ApiBench) -> None:
    write(api.settings, 3000)
    job_id = begin(api, name="slow")["id"]
    told = api.get(f"{EXPORTS}/{job_id}")
    assert (told["state"], told["progress"], told["eta_s"], told["file"]) == ("waiting", 0.0, None, None)

    seen = []
    while (job := shelf_of(api).read(job_id)).state in ("waiting", "reading"):
        step(shelf_of(api), job_id, lambda: bootstrap.open_store(api.settings), for_s=0)
        told = api.get(f"{EXPORTS}/{job_id}")
        seen.append((told["slices"], told["rows"], told["progress"]))

    assert job.state in ("joining", "ready")
    assert len(seen) > 3
    assert seen == sorted(set(seen))
    assert work(api, job_id).rows == 3000
    lines = api.client.get(f"{EXPORTS}/{job_id}/file").text.splitlines()
    assert [json.loads(line)["state"] for line in lines] == [f"{number}" for number in range(3000)]


def test_a_download_that_was_cut_goes_on_where_it_was_and_never_with_another_file(api: ApiBench, address: str) -> None:
    job = made(api)
    whole = fetch(address, job).content
    cut = fetch(address, job)
    part = cut.raw.read(10_000)
    cut.close()

    rest = fetch(address, job, **{"Range": "bytes=10000-", "If-Range": cut.headers["etag"]})
    assert (rest.status_code, rest.headers["content-range"]) == (206, f"bytes 10000-{len(whole) - 1}/{len(whole)}")
    assert part + rest.content == whole
    other = fetch(address, job, **{"Range": "bytes=10000-", "If-Range": '"another"'})
    assert (other.status_code, other.content) == (200, whole)
    behind = fetch(address, job, Range=f"bytes={len(whole)}-")
    assert (behind.status_code, behind.headers["content-range"]) == (416, f"bytes */{len(whole)}")
    assert (behind.headers["content-type"], behind.json()["status"]) == ("application/problem+json", 416)
    some = fetch(address, job, Range=f"bytes={len(whole) + 1}-,0-1,{len(whole) + 5}-{len(whole) + 9}")
    assert (some.status_code, some.content) == (206, whole[:2])
    for strange in ("bytes=5-2", "lines=1-2", "bytes", "bytes=", "bytes=a-b"):
        ignored = fetch(address, job, Range=strange)
        assert (ignored.status_code, ignored.content) == (200, whole)


def test_who_asks_for_the_head_of_a_file_is_told_its_size_alone(api: ApiBench, address: str) -> None:
    job = made(api, name="all")
    url, headers = address + job["file"], {"X-API-Key": KEY, "Accept-Encoding": "identity"}
    whole = requests.get(url, headers=headers, timeout=60)

    head = requests.head(url, headers=headers, timeout=60)

    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "content-type", "content-disposition", "accept-ranges", "etag"):
        assert head.headers[name] == whole.headers[name]
    for asked in ("bytes=0-9", f"bytes={len(whole.content)}-"):  # parts are for GET alone
        part = requests.head(url, headers={**headers, "Range": asked, "If-Range": whole.headers["etag"]}, timeout=60)
        assert (part.status_code, part.headers["content-length"]) == (200, whole.headers["content-length"])
    assert requests.head(url, headers={"X-API-Key": "none of ours"}, timeout=60).status_code == 401
    assert requests.head(f"{address}{EXPORTS}/0123456789abcdef/file", headers=headers, timeout=60).status_code == 404


def test_a_packed_file_goes_out_as_content_encoding_to_who_takes_that(api: ApiBench, address: str) -> None:
    job = made(api, compression="zstd", name="all")
    plain = fetch(address, made(api)).content

    encoded = fetch(address, job, **{"Accept-Encoding": "zstd"})
    assert encoded.headers["content-encoding"] == "zstd"
    assert encoded.headers["content-disposition"] == 'attachment; filename="all.ndjson"'
    packed = encoded.raw.read(decode_content=False)
    as_file = fetch(address, job, **{"Accept-Encoding": "identity"})
    assert "content-encoding" not in as_file.headers
    assert as_file.headers["content-disposition"] == 'attachment; filename="all.ndjson.zst"'
    assert as_file.content == packed
    assert zstandard.ZstdDecompressor().decompressobj().decompress(packed) == plain
    assert as_file.headers["etag"] != encoded.headers["etag"]


def test_a_file_that_is_known_is_not_sent_again(api: ApiBench, address: str) -> None:
    job = made(api)
    tag = fetch(address, job).headers["etag"]

    known = fetch(address, job, **{"If-None-Match": f'"another", W/{tag}', "Range": "bytes=0-9"})
    other = fetch(address, job, **{"If-None-Match": '"another"'})

    assert (known.status_code, known.headers["etag"], known.content) == (304, tag, b"")
    assert other.status_code == 200


def test_what_is_not_ready_or_removed_says_so(api: ApiBench) -> None:
    write(api.settings, 10)
    job_id = begin(api)["id"]
    early = api.client.get(f"{EXPORTS}/{job_id}/file")
    assert (early.status_code, early.headers["retry-after"]) == (409, "2")

    job = work(api, job_id)
    assert shelf_of(api).expire(job.expires_us - 1) == []
    assert shelf_of(api).expire(job.expires_us) == [job_id]
    assert api.get(f"{EXPORTS}/{job_id}/file", 410)["type"].endswith(":gone")
    assert api.get(f"{EXPORTS}/{job_id}")["state"] == "expired"
    shelf_of(api).expire(job.expires_us + 8 * 86_400_000_000)
    api.get(f"{EXPORTS}/{job_id}", 404)
    for strange in ("0123456789abcdef", "..", "x" * 90):
        api.get(f"{EXPORTS}/{strange}/file", 404)


def test_a_job_that_waits_for_a_pause_to_end_says_so(tmp_path: Path, valkey_server: ValkeyServer) -> None:
    state = valkey_server.url.removesuffix("/0") + "/5"  # what is paused here must not stop the workers of other tests
    with api_bench(tmp_path, {"state": {"url": state}}) as api:
        pauses = Pauses(bootstrap.open_state(api.settings))
        pauses.pause([names.TaskType.HISTORY, names.TaskType.WRITE], "somebody")

        job = begin(api)

        assert "history is paused by somebody" in job["detail"]
        assert "write" not in job["detail"]
        assert [one["detail"] for one in api.get(EXPORTS)["items"]] == [job["detail"]]
        pauses.resume([names.TaskType.HISTORY, names.TaskType.WRITE])
        assert api.get(f"{EXPORTS}/{job['id']}")["detail"] is None


def test_what_was_removed_in_part_is_no_job_and_what_is_no_id_leads_nowhere(api: ApiBench, tmp_path: Path) -> None:
    shelf, job_id = shelf_of(api), begin(api)["id"]
    folder = shelf.folder_of(job_id)
    half = folder.rename(folder.with_name(f".{job_id}-0"))

    assert shelf.all() == []
    assert shelf.expire() == []
    assert not half.exists()
    (tmp_path / "elsewhere").mkdir()
    for strange in ("../elsewhere", "", ".", str(tmp_path / "elsewhere")):
        with pytest.raises(errors.NotFound):
            work(api, strange)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_job_that_is_removed_is_stopped_and_the_audit_knows_who_asked(api: ApiBench) -> None:
    write(api.settings, 10)
    job_id = begin(api)["id"]

    assert api.client.delete(f"{EXPORTS}/{job_id}").status_code == 204

    with pytest.raises(errors.NotFound):
        work(api, job_id)
    assert api.get(EXPORTS)["items"] == []
    assert not shelf_of(api).folder_of(job_id).exists()
    lines = [json.loads(line) for line in (api.settings.data_dir / "audit.jsonl").read_text().splitlines()]
    assert [(one["action"], one.get("begin"), one.get("remove")) for one in lines] == [
        ("data:export", job_id, None),
        ("data:export", None, job_id),
    ]


def test_where_there_is_no_room_nothing_is_begun_and_what_grows_too_large_fails(
    api: ApiBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(api.settings, 3000)
    shelf, given = shelf_of(api), ExportSettings()

    def limited(**limits: int) -> None:
        monkeypatch.setattr(shelf, "_settings", given.model_copy(update=limits))

    limited(keep_free_bytes=2**60)
    assert "export.keep_free_bytes" in begin(api, 409)["detail"]
    limited(max_bytes=2000)
    job_id = begin(api)["id"]
    monkeypatch.setattr("ingestor.export.jobs.work._LOOK_AT_ROOM", 1)
    job = work(api, job_id)
    assert (job.state, "export.max_bytes" in job.error) == ("failed", True)
    assert "export.max_bytes" in api.get(f"{EXPORTS}/{job_id}/file", 409)["detail"]
    assert shelf.used_bytes() < 2000
    limited(max_jobs=1)
    assert "export.max_jobs" in begin(api, 409)["detail"]


def test_bad_orders_are_refused(api: ApiBench) -> None:
    for order in ({"format": "xls"}, {"name": "../x"}, {"since": "yesterday"}, {"rows": 1}, {"compression": "rar"}):
        begin(api, 422, **order)
    assert api.client.post(EXPORTS, json={"format": "csv"}, headers={"X-API-Key": "none of ours"}).status_code == 401


def test_a_process_that_dies_while_it_joins_is_followed_by_another(
    api: ApiBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(api.settings, 10)
    job_id, begun = begin(api)["id"], joining.start
    starts: list[float] = []

    def dies_at_first(folder: Path) -> None:
        starts.append(time.monotonic())
        if len(starts) > 1:
            monkeypatch.setattr("ingestor.export.jobs.work._BEGINS_WITHIN_S", 60.0)
            begun(folder)

    monkeypatch.setattr(joining, "start", dies_at_first)
    monkeypatch.setattr("ingestor.export.jobs.work._BEGINS_WITHIN_S", 0.0)

    assert work(api, job_id).state == "ready"
    assert len(starts) >= 2


def test_memory_stays_flat_however_much_there_is(api: ApiBench) -> None:
    write(api.settings, 30_000, 1_000_000)
    job_id = begin(api, format="parquet")["id"]
    before, most, over = psutil.Process().memory_info().rss, 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not over.wait(0.05):
            most = max(most, psutil.Process().memory_info().rss)

    watching = threading.Thread(target=watch)
    watching.start()
    job = work(api, job_id)
    over.set()
    watching.join()

    assert (job.state, job.rows) == ("ready", 30_000)
    assert most - before < 150_000_000


@pytest.fixture
def road(start_server: StartServer, tmp_path: Path) -> Iterator[Road]:
    server = start_server(RedisServer)
    with ExitStack() as stack:
        yield Road(stack, tmp_path / "data", server.url, server.url)


def test_a_worker_that_is_killed_is_followed_by_one_that_goes_on_behind_the_last_slice(
    road: Road, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, gate = road.settings, tmp_path / "gate"
    write(settings, 3000)
    shelf = bootstrap.open_export_shelf(settings)
    query = EventQuery(limit=2**62, until_ns=time.time_ns())
    job = ExportJob(job_id="0123456789abcdef", name="n", form="ndjson", packed=None, query=query, by="t", created_us=1)
    shelf.add(job)
    monkeypatch.setenv("HA_INGESTOR_TEST_EXPORT_GATE", str(gate))
    node = road.start_workers(queues="history", fake="slow_export")

    look_for_exports(settings)
    wait_until(lambda: shelf.read(job.job_id).slices == 2, timeout_s=60, what="two slices")
    first = shelf.folder_of(job.job_id) / "000000.slice"
    written_ns = first.stat().st_mtime_ns
    road.end(node)
    wait_until(lambda: shelf.waiting() == [job.job_id], timeout_s=60, what="the lock is given back")

    gate.touch()
    road.start_workers(queues="history")
    bootstrap.open_state(settings).delete(f"ha_ingestor:export:{job.job_id}:queued")
    look_for_exports(settings)
    seen: set[int] = set()

    def is_ready() -> bool:
        if first.exists():
            seen.add(first.stat().st_mtime_ns)
        return shelf.read(job.job_id).state == "ready"

    wait_until(is_ready, timeout_s=60, what="the file")
    assert seen <= {written_ns}
    lines = (shelf.folder_of(job.job_id) / "file").read_text().splitlines()
    assert [json.loads(line)["state"] for line in lines] == [f"{number}" for number in range(3000)]

    five = tmp_path / "five.ndjson"
    said = run(settings, "export", "ndjson", "--job", "--limit", "5", "--name", "five", "--output", str(five))
    assert "5 events" in said
    assert len(five.read_text().splitlines()) == 5
    run(settings, "exports", "--remove", job.job_id)
    assert [one["name"] for one in json.loads(run(settings, "exports", "--json"))] == ["five"]


def run(settings: Settings, *words: str) -> str:
    """Run a command; return what it said and what it printed."""
    sets = (f"broker.url={settings.broker.url}", f"state.url={settings.state.url}")
    line = [sys.executable, "-m", "ingestor", "--data-dir", str(settings.data_dir)]
    line += [word for one in sets for word in ("--set", one)]
    how: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 60, "env": ENVIRON}
    done = subprocess.run([*line, *words], cwd=settings.data_dir, check=False, **how)
    assert done.returncode == 0, done.stderr
    return f"{done.stderr}{done.stdout}"


def look_for_exports(settings: Settings) -> None:
    """Do what beat does."""
    ask_for(make_app(settings.broker_url), names.LOOK_FOR_EXPORTS, names.TaskType.HISTORY)


def test_what_was_asked_for_is_kept_with_the_job(api: ApiBench) -> None:
    job_id = begin(api, entity="light.*", type="state_changed", limit=7)["id"]

    query = shelf_of(api).read(job_id).query

    assert (query.entity, query.event_type, query.limit) == ("light.*", "state_changed", 7)

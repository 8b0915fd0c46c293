"""The contract of the quarantine, on SQLite and PostgreSQL."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from ingestor import errors
from ingestor.storage.database import _MIGRATIONS, HEAD, _engine, open_database
from ingestor.storage.quarantine import MAX_PIECE_BYTES, Chosen, Quarantine, Quarantined, Replayed
from ingestor.storage.quarantine_sql import SqlQuarantine
from tests.servers import free_port


class Counted(Quarantine, Protocol):
    def evicted(self) -> int: ...


Make = Callable[..., Counted]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of its own for each test."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'folder' / 'metadata 100%.sqlite'}"
    server: Any = request.getfixturevalue("postgresql")
    return str(server.create_database(f"q{uuid.uuid4().hex[:12]}"))


@pytest.fixture(params=["sqlite", "postgresql"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    if request.param == "sqlite":
        engine = open_database(f"sqlite:///{tmp_path / 'metadata.sqlite'}")
    else:
        server: Any = request.getfixturevalue("postgresql")
        engine = open_database(server.create_database(f"q{uuid.uuid4().hex[:12]}"))
    yield lambda **limits: SqlQuarantine(engine, **limits)
    engine.dispose()


def piece(
    number: int, *, raw: bytes | None = None, slot: int = 0, detail: str = "no time", topic: str = ""
) -> Quarantined:
    return Quarantined(
        batch_id=f"{number:026d}",
        slot=slot,
        home="home",
        source="mqtt",
        reason="invalid_event",
        detail=detail,
        raw=b"raw %d" % (number * 10 + slot) if raw is None else raw,
        received_ns=1_795_229_244_886_998_000 + number,
        kind="statestream",
        topic=topic,
    )


def test_a_piece_comes_back_as_it_was_put(make: Make) -> None:
    quarantine = make()
    odd = piece(1, raw=bytes(range(256)) * 3, topic="homeassistant/sensor/käse/state")

    quarantine.put([odd])

    assert list(quarantine.list()) == [odd]
    assert quarantine.count() == 1


def test_pieces_are_listed_newest_first_up_to_the_limit(make: Make) -> None:
    quarantine = make()
    quarantine.put([piece(1), piece(2)])
    quarantine.put([piece(3)])

    assert [found.batch_id for found in quarantine.list(limit=2)] == [piece(3).batch_id, piece(2).batch_id]


def test_the_same_piece_twice_is_one_and_the_first_stays(make: Make) -> None:
    quarantine = make()
    quarantine.put([piece(1), piece(1), piece(1, slot=1)])

    quarantine.put([piece(1, raw=b"other"), piece(2)])

    assert quarantine.count() == 3
    assert quarantine.evicted() == 0
    assert next(found.raw for found in quarantine.list() if found.slot == 0 and found == piece(1)) == b"raw 10"


def test_the_same_bytes_for_the_same_reason_are_one_piece_counted_once_a_batch(make: Make) -> None:
    quarantine = make()

    for number in (1, 2, 3, 2, 1):
        quarantine.put([piece(number, raw=b"same"), piece(number, slot=1, raw=b"same")])
    quarantine.put([piece(4, raw=b"other")])

    other, same = quarantine.list()
    assert (other.count, same.count) == (1, 6)
    assert (same.received_ns, same.last_seen_ns) == (piece(1).received_ns, piece(3).received_ns)


def test_causes_tell_what_is_wrong_with_whom_and_one_that_is_noisy_does_not_push_out_the_others(make: Make) -> None:
    quarantine = make(max_pieces=5)

    quarantine.put([piece(1, topic="a/quiet")])
    quarantine.put([piece(number, topic="a/noisy", detail=f"{number}") for number in range(2, 20)])

    noisy, quiet = quarantine.causes()
    assert (noisy.subject, noisy.pieces, noisy.example) == ("a/noisy", 4, "19")
    assert (quiet.subject, quiet.pieces, quiet.reason) == ("a/quiet", 1, "invalid_event")
    assert quarantine.evicted() == 14
    assert quarantine.reasons() == {"invalid_event": 5}
    assert len(quarantine.list(chosen=Chosen(cause=noisy.cause))) == 4


def test_what_is_sent_again_leaves_when_stored_stays_when_refused_and_is_counted_once(make: Make) -> None:
    quarantine = make()
    quarantine.put([piece(1), piece(2)])
    ids = sorted(found.id for found in quarantine.list())

    first, second = quarantine.claim(ids)
    quarantine.put([again_of(first)])
    assert [found.replay_id for found in quarantine.claim(ids)] == [first.replay_id, second.replay_id]
    results = [
        Replayed(first.id, first.replay_id, "home", {"rejected": 1}, {}),
        Replayed(second.id, second.replay_id, "home", {"written": 1}, {3600: 1}),
    ]
    settled = [quarantine.settle(results, "run", page) for page in (1, 2)]

    assert settled == [{first.id, second.id}, set()]
    (kept,) = quarantine.list()
    assert (kept.id, kept.raw, kept.detail, kept.attempts) == (first.id, first.raw, "still no time", 1)
    assert kept.last_seen_ns > kept.received_ns
    assert quarantine.count() == 1
    assert quarantine.claim(ids)[0].replay_id != first.replay_id


def again_of(first: Quarantined) -> Quarantined:
    return dataclasses.replace(piece(1, detail="still no time"), batch_id=first.replay_id)


def test_what_was_not_seen_for_long_goes_and_is_counted(make: Make) -> None:
    quarantine = make()
    quarantine.put([piece(1), piece(2)])

    assert quarantine.expire(piece(2).received_ns) == 1
    assert (quarantine.count(), quarantine.evicted()) == (1, 1)
    assert quarantine.drop(Chosen(ids=tuple(found.id for found in quarantine.list()))) == 1
    assert quarantine.totals().bytes == 0


def test_putting_nothing_is_no_fault(make: Make) -> None:
    quarantine = make()

    quarantine.put([])

    assert (quarantine.count(), list(quarantine.list())) == (0, [])


def test_beyond_the_number_the_oldest_goes_and_is_counted(make: Make) -> None:
    quarantine = make(max_pieces=10)

    for start in range(0, 1500, 700):
        quarantine.put([piece(number) for number in range(start, start + 700)])

    assert (quarantine.count(), quarantine.evicted()) == (10, 2090)
    assert [found.batch_id for found in quarantine.list()] == [piece(n).batch_id for n in range(2099, 2089, -1)]


def test_beyond_the_bytes_the_oldest_goes_and_is_counted(make: Make) -> None:
    quarantine = make(max_bytes=1000)

    quarantine.put([piece(number, raw=bytes([number]) * 300) for number in range(4)])
    quarantine.put([piece(4, raw=b"x" * 350)])

    assert (quarantine.count(), quarantine.evicted()) == (3, 2)
    assert [len(found.raw) for found in quarantine.list()] == [350, 300, 300]


def test_an_oversize_payload_is_kept_by_its_beginning_and_its_hash(make: Make) -> None:
    quarantine = make()

    quarantine.put([piece(1, raw=b"ab" * MAX_PIECE_BYTES)])

    found = next(iter(quarantine.list()))
    assert found.raw == b"ab" * (MAX_PIECE_BYTES // 2)
    assert f"of {2 * MAX_PIECE_BYTES} bytes, sha256 " in found.detail


def test_what_somebody_else_chose_is_kept_within_limits_however_long_it_is(make: Make) -> None:
    quarantine = make()
    long = "x" * 65_000

    quarantine.put(
        [
            piece(1, topic=long, detail=long),
            dataclasses.replace(
                piece(2), home=long, source=long, kind=long, batch_id="\0" * 100, slot=2**63, received_ns=2**64 - 1
            ),
            piece(3, topic="a/b"),
        ]
    )

    last, of_message, of_topic = quarantine.list()
    assert (last.topic, last.whole) == ("a/b", True)
    assert not of_message.whole
    assert not of_topic.whole
    assert all(sum(map(len, texts(found))) < 6000 for found in quarantine.list())
    assert of_message.received_ns == 2**63 - 1


def texts(found: Quarantined) -> list[str]:
    return [value for value in dataclasses.astuple(found) if isinstance(value, str)]


def test_text_that_no_database_takes_is_made_readable(make: Make) -> None:
    quarantine = make()

    quarantine.put([piece(1, detail="NUL \x00 and \ud800", topic="a/\x00")])

    found = next(iter(quarantine.list()))
    assert (found.detail, found.topic) == ("NUL \\x00 and \\ud800", "a/\\x00")


def test_many_at_once_leave_each_piece_once_and_the_sums_right(make: Make) -> None:
    quarantine = make(max_pieces=50)

    def put_from(first: int) -> None:
        for number in range(first, 40):
            quarantine.put([piece(number)])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put_from, range(4)))
    quarantine.put([piece(number) for number in range(100, 130)])

    assert quarantine.count() == len(list(quarantine.list(1000))) == 50
    assert quarantine.evicted() == 20


def test_what_was_put_is_there_after_opening_again(url: str) -> None:
    first = open_database(url)
    SqlQuarantine(first).put([piece(1)])
    first.dispose()

    again = open_database(url)

    assert list(SqlQuarantine(again).list()) == [piece(1)]
    again.dispose()


def test_several_processes_may_open_a_new_database_at_once(url: str) -> None:
    program = "import sys; from ingestor.storage.database import open_database; open_database(sys.argv[1])"

    starting = [subprocess.Popen([sys.executable, "-c", program, url], stderr=subprocess.PIPE) for _ in range(3)]

    faults = [process.communicate(timeout=60)[1].decode() for process in starting]
    assert [process.returncode for process in starting] == [0, 0, 0], faults
    engine = open_database(url)
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalars().all() == [HEAD]
        assert connection.execute(sa.text("SELECT count(*) FROM quarantine_totals")).scalar() == 1
    engine.dispose()


def test_a_database_that_is_away_is_a_transient_error(tmp_path: Path) -> None:
    (tmp_path / "folder.sqlite").mkdir()

    with pytest.raises(errors.StoreUnavailable):
        open_database(f"postgresql://nobody@127.0.0.1:{free_port()}/nothing")
    with pytest.raises(errors.StoreUnavailable):
        open_database(f"sqlite:///{tmp_path / 'folder.sqlite'}")


@pytest.mark.parametrize("bad", ["mysql://host/name", "not a url", "oracle://x"])
def test_a_url_of_no_database_that_we_know_is_a_fault_in_the_settings(bad: str) -> None:
    with pytest.raises(errors.InvalidSettings, match="database"):
        open_database(bad)


def test_the_pieces_of_an_older_database_are_kept_and_get_their_cause(url: str) -> None:
    engine = _engine(url)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "0005")
        old = dataclasses.asdict(piece(1, raw=b'{"slot":0,"entity_id":"sensor.x"}', topic="a/b"))
        names = ("batch_id", "slot", "home", "source", "reason", "detail", "kind", "topic", "received_ns", "raw")
        columns = ", ".join((*names, "bytes"))
        values = ", ".join(f":{name}" for name in (*names, "bytes"))
        row = {name: old[name] for name in names} | {"bytes": 33}
        connection.execute(sa.text(f"INSERT INTO quarantine ({columns}) VALUES ({values})"), row)
        connection.execute(sa.text("UPDATE quarantine_totals SET pieces = 1, bytes = 33"))
    engine.dispose()

    upgraded = open_database(url)

    quarantine = SqlQuarantine(upgraded)
    (kept,) = quarantine.list()
    assert (kept.raw, kept.topic, kept.form, kept.subject) == (row["raw"], "a/b", "event", "sensor.x")
    assert (kept.count, kept.attempts, kept.whole, kept.last_seen_ns) == (1, 0, True, kept.received_ns)
    assert [(cause.cause, cause.pieces) for cause in quarantine.causes()] == [(kept.cause, 1)]
    quarantine.put([dataclasses.replace(kept, batch_id="later")])
    assert [found.count for found in quarantine.list()] == [2]
    upgraded.dispose()

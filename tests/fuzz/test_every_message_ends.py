"""Whatever stands in a queue, a journal or the state server: it is read as what it was, or refused by its name."""

from __future__ import annotations

import contextlib
import random
import time
from pathlib import Path

import msgspec
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestor import errors
from ingestor.events.event import Settled
from ingestor.events.frame import Frame, RawBatch
from ingestor.intake.journal.journal import Journal
from ingestor.intake.journal.record import Sealed
from ingestor.pipeline.validate import validate
from ingestor.queue import message
from ingestor.queue.done import DoneMark
from ingestor.queue.done_redis import read_mark
from ingestor.settings import JournalSettings
from tests.fuzz.road import NOW_NS, corpus

FRAMES = [Frame("websocket", NOW_NS, path.read_bytes()) for path in corpus("websocket")]
RAW = message.encode_raw(RawBatch("01KC", "home", "fuzz", "journal", NOW_NS, FRAMES))
EVENTS = message.encode_events(validate(message.decode_raw(RAW), frozenset({"attributes"})).batch)
MARK = msgspec.msgpack.encode(DoneMark("01KC", "store", 3, [Settled("written", [0, 1, 2])]))
#: What a pickle that runs a program looks like.
PICKLE = b"cos\nsystem\n(S'touch /tmp/never'\ntR."


def read(body: bytes) -> object:
    """Read a body as each of both kinds; return what it is, None where it was refused."""
    found = None
    for decode in (message.decode_raw, message.decode_events):
        with contextlib.suppress(errors.UnreadableMessage):
            found = decode(body)
    return found


def packed(head: bytes, body: bytes, version: int = message.VERSION) -> bytes:
    return head + bytes((version,)) + zstandard.ZstdCompressor().compress(body)


@given(st.binary(max_size=400))
def test_any_bytes_are_no_message(body: bytes) -> None:
    assert read(body) is None


@given(st.sampled_from([b"HAIr", b"HAIe"]), st.binary(max_size=300), st.integers(0, 255))
def test_any_content_under_a_right_head_is_refused_by_name(head: bytes, body: bytes, version: int) -> None:
    assert read(packed(head, body, version)) is None


@given(st.sampled_from([RAW, EVENTS]), st.data())
def test_a_damaged_message_is_refused(whole: bytes, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(whole) - 1))
    flipped = whole[position] ^ data.draw(st.integers(1, 255))

    found = read(whole[:position] + bytes((flipped,)) + whole[position + 1 :])

    # One byte of the head decides the version: the other that is read has the same layout.
    assert found is None or position == 4


@given(st.sampled_from([RAW, EVENTS]), st.data())
def test_a_message_with_anything_else_inside_is_read_or_refused(whole: bytes, data: st.DataObject) -> None:
    """The checksum is right here: somebody made it so."""
    body = bytearray(zstandard.ZstdDecompressor().decompress(whole[5:]))
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))

    found = read(packed(whole[:4], bytes(body)))

    if isinstance(found, RawBatch):
        validate(found, frozenset())


@pytest.mark.parametrize("head", [b"HAIr", b"HAIe"])
@pytest.mark.parametrize(
    "body",
    [b"\x91" * 100_000, b"\x81\xa1a" * 100_000, b"\xdd\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", PICKLE],
    ids=["lists in lists", "objects in objects", "a list without end", "bytes without end", "a pickle"],
)
def test_a_hostile_body_is_refused(head: bytes, body: bytes) -> None:
    assert read(packed(head, body)) is None
    assert read(PICKLE) is None


def test_events_that_hold_values_within_values_are_refused_or_read() -> None:
    """A forged message: no frame of ours decodes to so deep a thing."""
    body = zstandard.ZstdDecompressor().decompress(EVENTS[5:])
    deep = body.replace(b"\xa7written", b"\x91" * 100_000)

    assert read(packed(b"HAIe", deep + b"\x91" * 50_000)) is None


def test_a_message_that_unpacks_to_gigabytes_is_refused_before_it_does() -> None:
    compressor = zstandard.ZstdCompressor().compressobj()  # streamed: its head does not say how much it is
    nothing = bytes(1 << 20)
    bomb = b"".join(compressor.compress(nothing) for _ in range(1024)) + compressor.flush()
    started = time.thread_time()

    for head in (b"HAIr", b"HAIe"):
        assert read(head + bytes((message.VERSION,)) + bomb) is None

    assert len(bomb) < 1_000_000
    assert time.thread_time() - started < 5


@given(
    st.binary(max_size=200)
    | st.builds(lambda at, value: MARK[:at] + value + MARK[at:], st.integers(0, 20), st.binary())
)
def test_a_mark_that_is_none_is_passed_over(content: bytes) -> None:
    found = read_mark(content)

    assert found is None or isinstance(found, DoneMark)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_journal_whose_bytes_were_changed_gives_whole_batches_or_counts_them(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("journal") / "j"
    limits = JournalSettings(max_bytes=1024 * 1024, segment_bytes=64 * 1024)
    sent = {f"{number:026d}": random.Random(number).randbytes(200 * number) for number in range(1, 6)}
    journal = Journal(folder, limits)
    journal.append([Sealed(batch_id, 1, NOW_NS, body) for batch_id, body in sent.items()])
    journal.close()
    (file,) = folder.glob("*.segment")

    kind = harm(file, data)
    journal = Journal(folder, limits)
    given_out = {}
    while (one := journal.next_unsent()) is not None:
        given_out[one[0].batch_id] = one[1]
    status = journal.status()
    journal.close()

    assert given_out.items() <= sent.items()
    assert kind != "none" or given_out == sent
    # What is cut off was never synced, and a run of zeros at the end is what a power cut leaves.
    assert kind in {"cut", "zero"} or status.damaged_bytes or len(given_out) == len(sent)


def harm(file: Path, data: st.DataObject) -> str:
    """Change a file as a failing disk does, or somebody who can write to it; return how."""
    before = file.read_bytes()
    content = bytearray(before)
    position = data.draw(st.integers(0, len(content) - 1))
    kind = data.draw(st.sampled_from(["flip", "zero", "cut", "insert", "append"]))
    if kind == "flip":
        content[position] ^= data.draw(st.integers(1, 255))
    elif kind == "zero":
        content[position : position + 512] = bytes(len(content[position : position + 512]))
    elif kind == "cut":
        del content[position:]
    else:
        at = position if kind == "insert" else len(content)
        content[at:at] = data.draw(st.binary(max_size=600))
    file.write_bytes(content)
    return kind if bytes(content) != before else "none"

"""What blocks is asked in threads, so many at once; who waits too long is told so, and nobody's turn is lost."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from ingestor import errors
from ingestor.api.means import Means
from ingestor.settings import Settings
from ingestor.storage import embedded
from ingestor.storage.embedded import EmbeddedStore
from ingestor.storage.port import EventQuery, Store


def means(tmp_path: Path, **api: Any) -> Means:
    return Means(Settings.model_validate({"data_dir": tmp_path, "api": api}))


def test_questions_run_beside_the_loop_and_share_the_stores(tmp_path: Path) -> None:
    stores: list[Store] = []
    threads: list[int] = []

    def ask(store: Store) -> int:
        stores.append(store)
        threads.append(threading.get_ident())
        return len(list(store.read(EventQuery())))

    async def main() -> None:
        asked = means(tmp_path, store_connections=2)
        assert await asyncio.gather(*(asked.store(ask) for _ in range(9))) == [0] * 9
        asked.close()

    asyncio.run(main())

    assert len({id(store) for store in stores}) <= 2
    assert threading.get_ident() not in threads


def test_who_waits_too_long_for_a_turn_is_told_so_and_the_next_one_gets_it(tmp_path: Path) -> None:
    async def main() -> None:
        asked = means(tmp_path, store_connections=1, timeout_s=0.1)
        begun, release = threading.Event(), threading.Event()

        def hold(_: Store) -> str:
            begun.set()
            release.wait(60)
            return "held"

        first = asyncio.create_task(asked.store(hold))
        assert await asyncio.to_thread(begun.wait, 60)
        with pytest.raises(errors.Overloaded):
            await asked.store(lambda _: "never")
        # What is no store is not held up by it.
        assert await asked.other(lambda: "answered") == "answered"
        release.set()
        assert await first == "held"
        assert await asked.store(lambda _: "next") == "next"
        asked.close()

    asyncio.run(main())


def test_a_turn_is_given_back_where_a_question_fails(tmp_path: Path) -> None:
    def fail(_: Store) -> None:
        raise errors.StoreUnavailable

    async def main() -> None:
        asked = means(tmp_path, store_connections=1, timeout_s=5)
        for _ in range(3):
            with pytest.raises(errors.StoreUnavailable):
                await asked.store(fail)
        assert await asked.store(lambda _: "well") == "well"

    asyncio.run(main())


def test_a_question_to_the_embedded_store_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_STEPS_BETWEEN_LOOKS", 1)
    EmbeddedStore(tmp_path / "events.sqlite").check()
    hurried = EmbeddedStore(tmp_path / "events.sqlite", read_timeout_s=1e-9)

    with pytest.raises(errors.TookTooLong):
        list(hurried.read(EventQuery(entity="sensor.*")))

    assert hurried.check().product == "SQLite"
    assert list(EmbeddedStore(tmp_path / "events.sqlite", read_timeout_s=60).read(EventQuery())) == []

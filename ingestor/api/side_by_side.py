"""Asks several servers at once and waits for none longer than a limit; knows nothing of what is asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Any

from ingestor import errors


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question came to: a value, or an error in one line."""

    value: Any = None
    error: str | None = None
    took_ms: float = 0.0


class NotWell(Exception):
    """What was asked answers, but does not do its work; the message says what is missing."""


class SideBySide:
    """Questions by name, each in a thread of its own. One that hangs is not asked a second time meanwhile."""

    def __init__(self, questions: Mapping[str, Callable[[], Any]], *, timeout_s: float) -> None:
        self._questions = dict(questions)
        self._timeout_s = timeout_s
        self._pool = ThreadPoolExecutor(max_workers=max(1, len(self._questions)), thread_name_prefix="ask")
        self._pending: dict[str, Future[Answer]] = {}
        self._lock = threading.Lock()

    def ask(self) -> dict[str, Answer]:
        """Return the answers; what is not there in time is an error."""
        with self._lock:
            until = time.monotonic() + self._timeout_s
            for name, question in self._questions.items():
                if name not in self._pending:
                    self._pending[name] = self._pool.submit(_answer, question)
            return {name: self._wait(name, until) for name in self._questions}

    def _wait(self, name: str, until: float) -> Answer:
        try:
            answer = self._pending[name].result(max(0.0, until - time.monotonic()))
        except FutureTimeoutError:
            return Answer(error=f"no answer within {self._timeout_s:g} s", took_ms=self._timeout_s * 1000)
        del self._pending[name]
        return answer

    def close(self) -> None:
        """End the threads that wait; one that hangs ends with the process."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _answer(question: Callable[[], Any]) -> Answer:
    start = time.monotonic()
    try:
        value, error = question(), None
    except Exception as failure:  # noqa: BLE001 -- whatever a server does, the answer is that it does not work
        value, error = None, in_a_line(failure)
    return Answer(value, error, round((time.monotonic() - start) * 1000, 1))


def in_a_line(error: Exception) -> str:
    """Return an error's message on one line; of an error that nobody foresaw also its kind."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if isinstance(error, errors.IngestorError | NotWell) else f"{type(error).__name__}: {text}"[:300]

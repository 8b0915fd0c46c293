"""Finding the lines of a write that a store refuses, and them alone, whatever its version says of them; opens nothing.

Sending a good line again does no harm, so what an answer names is a hint, and halving finds the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from ingestor import errors
from ingestor.events.point import Point
from ingestor.storage.diagnosis import EXPIRED, conflict_of, may_be_meant, reason_of
from ingestor.storage.influx_errors import Answer
from ingestor.storage.siblings import sibling_name, with_sibling

#: A search in a slow store ends before the task's time does, and goes on where it was.
_LONGEST_S: Final = 10.0
_MAX_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Line:
    """A point as it is sent. `moved`: names of the siblings that took a value."""

    point: Point
    index: int
    text: bytes
    moved: frozenset[str] = frozenset()


@dataclass(slots=True)
class Found:
    """What became of lines: those refused, with the store's words, and how many were stored with a sibling field."""

    refused: list[tuple[Line, str]] = field(default_factory=list)
    repaired: int = 0


class LineSearch:
    """Writes lines. `ask` sends a body; `encode` makes a line's text; with `siblings` type conflicts are repaired."""

    def __init__(
        self,
        ask: Callable[[bytes], Answer],
        encode: Callable[[Point], bytes],
        *,
        siblings: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._encode = encode
        self._siblings = siblings
        self._clock = clock
        #: Lines that a search which ran out of time had found.
        self._known: dict[bytes, str] = {}

    def write(self, lines: Sequence[Line]) -> Found:
        """Write lines. Raises what `ask` raises, and StoreUnavailable where the search takes too long."""
        ends_s = self._clock() + _LONGEST_S
        found = Found()
        waiting = [self._without_known(lines, found)]
        while waiting:
            if not (part := waiting.pop()):
                continue
            answer = self._ask(b"\n".join(line.text for line in part))
            if answer.stored:
                found.repaired += sum(bool(line.moved) for line in part)
            elif blamed := _blamed(part, answer):
                # The others once more: not every server has kept them.
                again = [self._refuse(part[number], message, found) for number, message in blamed.items()]
                waiting += [[line for line in again if line], [x for n, x in enumerate(part) if n not in blamed]]
            else:
                waiting += _split(part, answer)
            if self._clock() > ends_s and waiting:
                self._give_up(found)
        return found

    def _refuse(self, line: Line, message: str, found: Found) -> Line | None:
        """Return the line with a sibling field where that can be tried; else note that it is refused."""
        conflict = conflict_of(message) if self._siblings else None
        if conflict is not None and conflict.field not in line.moved:
            point = with_sibling(line.point, conflict.field)
            if point is not None:
                name = sibling_name(conflict.field, line.point.all_fields()[conflict.field])
                return Line(point, line.index, self._encode(point), line.moved | {name})
        found.refused.append((line, message))
        return None

    def _without_known(self, lines: Sequence[Line], found: Found) -> Sequence[Line]:
        if not self._known:
            return lines
        known = {line.index: message for line in lines if (message := self._known.pop(line.text, None)) is not None}
        found.refused += [(line, known[line.index]) for line in lines if line.index in known]
        return [line for line in lines if line.index not in known]

    def _give_up(self, found: Found) -> None:
        if len(self._known) < _MAX_REMEMBERED:
            self._known.update({line.text: message for line, message in found.refused if not line.moved})
        raise errors.StoreUnavailable("the store takes too long to say which lines it refuses")


def _blamed(part: Sequence[Line], answer: Answer) -> dict[int, str]:
    """Return the lines that are certainly at fault, by their place."""
    if len(part) == 1:
        return {0: next((message for _, message in answer.bad_lines), "") or answer.doubt}
    # A line break within a text may count as one more line.
    known = all(0 <= number < len(part) for number, _ in answer.bad_lines)
    return dict(answer.bad_lines) if known and not any(b"\n" in line.text for line in part) else {}


def _split(part: Sequence[Line], answer: Answer) -> list[Sequence[Line]]:
    """Return two parts, such that the second one has the fault as likely as can be told."""
    hint = None if answer.too_large else may_be_meant(answer.doubt)
    if hint is not None:
        meant = [hint(line.point, line.text.decode("utf-8", "replace")) for line in part]
        if any(meant) and not all(meant):
            return [
                [line for line, is_meant in zip(part, meant, strict=True) if not is_meant],
                [line for line, is_meant in zip(part, meant, strict=True) if is_meant],
            ]
    if reason_of(answer.doubt) == EXPIRED:
        # All before some time are refused: side by side they are found in a few steps.
        part = sorted(part, key=lambda line: line.point.time_ns)
    middle = len(part) // 2
    return [part[middle:], part[:middle]]

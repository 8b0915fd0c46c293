"""The program that tries a batch which never came back: started by `tasks.poison` for one batch, opens no connection.

Reads a message from standard input, writes what it found to standard output as JSON.
"""

from __future__ import annotations

import math
import sys

import msgspec

from ingestor import bootstrap
from ingestor.pipeline.rehearsal import rehearse
from ingestor.pipeline.trial import attempt, find_harmful
from ingestor.queue import message
from tasks.poison import Found

#: The whole message may be large; a thousand frames take a tenth of a second.
_WHOLE_S = 4
_FRAMES_PER_S = 2000


def try_out(body: bytes) -> Found:
    """Try a message, then its frames by halves."""
    if harm := attempt(lambda: message.decode_raw(body), cpu_s=_WHOLE_S):
        return Found(unreadable=harm)
    raw = message.decode_raw(body)
    settings = bootstrap.settings()
    if attempt(lambda: rehearse(raw, [], settings), cpu_s=_WHOLE_S):
        return Found()  # the rehearsal itself is at fault: no frame is to blame
    cpu_s = max(1, math.ceil(len(raw.frames) / _FRAMES_PER_S))
    return Found(
        find_harmful(
            len(raw.frames), lambda part: rehearse(raw, [raw.frames[place] for place in part], settings), cpu_s=cpu_s
        )
    )


def main() -> None:
    """Try what comes; only what was found goes to standard output: what is logged meanwhile would spoil it."""
    answers, sys.stdout = sys.stdout, sys.stderr
    answers.buffer.write(msgspec.json.encode(try_out(sys.stdin.buffer.read())))
    answers.flush()


if __name__ == "__main__":
    main()

"""A listener to be killed: takes frames from standard input and says on standard output which are in its journal."""

from __future__ import annotations

import functools
import json
import sys
import threading

from ingestor import bootstrap
from ingestor.events.frame import Frame
from ingestor.intake.assemble import open_intake


def main(home: str, name: str) -> None:
    """Listen until standard input ends."""
    saying = threading.Lock()

    def say(number: int) -> None:
        with saying:
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()

    with open_intake(bootstrap.settings(), home, name, "mqtt") as intake:
        for line in sys.stdin:
            number, received_ns, payload, shadowed = json.loads(line)
            frame = Frame("statestream", received_ns, payload.encode(), shadowed=shadowed)
            intake.sink.add(frame, functools.partial(say, number))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""What the exit code of `ha-ingestor` says. The supervisor does not restart a process that ended with 2 or 4."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended."""

    OK = 0
    FAILED = 1
    BAD_SETTINGS = 2
    UNAVAILABLE = 3
    REFUSED = 4


#: For `--help` and the reference.
MEANINGS = {
    ExitCode.OK: "all is well",
    ExitCode.FAILED: "it ran, and something failed: a check of `doctor`, a process of `up` that had to be killed,"
    " a row of `ledger` that is not in balance or has lost events",
    ExitCode.BAD_SETTINGS: "settings or arguments are wrong; the message names each",
    ExitCode.UNAVAILABLE: "a server that the command needs is away, or a disk is full; trying again later may help",
    ExitCode.REFUSED: "a server refused our credentials; nothing tries again by itself, Home Assistant bans addresses",
}

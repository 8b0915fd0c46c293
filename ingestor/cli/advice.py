"""What the command line adds to an error that says too little to somebody who does not know our inside."""

from __future__ import annotations

from typing import Final

from ingestor import errors

_STATE_AWAY: Final = (
    "the state server does not answer ({error}): does `ha-ingestor up` run with this data folder?"
    " HA_INGESTOR_DATA_DIR and HA_INGESTOR_STATE__URL say where to look"
)


def told(error: errors.IngestorError) -> str:
    """Return what to print of an error: with what to do, where a server did not answer."""
    return _STATE_AWAY.format(error=error) if _is_state_away(error) else str(error)


def _is_state_away(error: errors.IngestorError) -> bool:
    """Tell whether the state server was not reached; one that answers "not now" speaks for itself."""
    import redis  # noqa: PLC0415 -- most errors are none of it

    if not isinstance(error, errors.StateUnavailable) or isinstance(error.__cause__, redis.BusyLoadingError):
        return False
    return isinstance(error.__cause__, redis.ConnectionError | redis.TimeoutError)

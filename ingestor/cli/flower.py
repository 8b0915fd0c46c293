"""How Flower is told its settings: by its environment, so that no password stands in a process list."""

from __future__ import annotations

from typing import Final

from ingestor.security.keys import kept_secret
from ingestor.settings import Settings

PASSWORD_FILE: Final = "flower-password"  # noqa: S105 -- the name of a file
#: Flower's default of 100,000 tasks takes 500 MB of memory, and all of them are written anew at each saving, which
#: takes 50 ms of processor time a thousand. A task is a batch here: these are the last minutes.
_MOST_TASKS: Final = 5_000
_SAVE_EVERY_MS: Final = 60_000


def flower_environment(settings: Settings) -> dict[str, str]:
    """Return Flower's environment; makes its folder and, at the first start, its password."""
    folder = settings.data_dir / "flower"
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "FLOWER_ADDRESS": settings.flower.host,
        "FLOWER_PORT": str(settings.flower.port),
        "FLOWER_BASIC_AUTH": f"{settings.flower.user}:{flower_password(settings)}",
        "FLOWER_PERSISTENT": "true",
        "FLOWER_DB": str(folder / "flower.db"),
        "FLOWER_STATE_SAVE_INTERVAL": str(_SAVE_EVERY_MS),
        "FLOWER_MAX_TASKS": str(_MOST_TASKS),
        "FLOWER_TASKS_COLUMNS": "name,args,state,received,started,runtime,worker,uuid",
        "FLOWER_PURGE_OFFLINE_WORKERS": "300",
    }


def flower_password(settings: Settings) -> str:
    """Return the password as set, else the one that is kept in the data folder; make it if there is none."""
    if settings.flower.password is not None:
        return settings.flower.password.get_secret_value()
    return kept_secret(settings.data_dir / PASSWORD_FILE)

"""HA-Ingestor: keeps every event of a home that runs Home Assistant."""

import sys
from typing import Any

__version__ = "0.1.0"


def _load_structlog() -> None:
    """Load structlog without rich, which it would load for tracebacks that we never print (logs.py): 4 MB a process."""
    modules: dict[str, Any] = sys.modules
    if "rich" in modules:
        return
    modules["rich"] = None
    try:
        import structlog.dev  # noqa: PLC0415, F401 -- see above
    finally:
        del modules["rich"]


_load_structlog()

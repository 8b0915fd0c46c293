"""Runs Home Assistant under a Python whose last digit is lower than the one it asks for; changes nothing else.

Executed by the Python of Home Assistant's own environment; the arguments are those of its command `hass`.
"""

from __future__ import annotations

import sys

import homeassistant.__main__ as program  # type: ignore[import-not-found]  # is in its own environment
from homeassistant import const

if __name__ == "__main__":
    allowed = min(const.REQUIRED_PYTHON_VER, tuple(sys.version_info[:3]))
    const.REQUIRED_PYTHON_VER = program.REQUIRED_PYTHON_VER = allowed
    sys.exit(program.main())

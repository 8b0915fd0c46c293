"""Reads the Compose file as Compose does: variables put in, services of the chosen profiles, commands as word lists."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parents[2] / "compose"
FILE = FOLDER / "docker-compose.yml"
OURS = "ha-ingestor:"
#: What Compose waits after SIGTERM where a service does not say.
GRACE_S = 10.0


def interpolated(text: str, variables: Mapping[str, str] | None = None) -> str:
    """Return the text as Compose reads it with these variables set."""
    given = variables or {}

    def value(found: re.Match[str]) -> str:
        return given.get(found.group(1)) or found.group(2) or ""

    return re.sub(r"\$\{(\w+)(?::-([^}]*))?\}", value, text)


def composition(variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the whole file."""
    found: dict[str, Any] = yaml.safe_load(interpolated(FILE.read_text("utf-8"), variables))
    return found


def services(profiles: Iterable[str], variables: Mapping[str, str] | None = None) -> dict[str, dict[str, Any]]:
    """Return the services that run with these profiles."""
    wanted = set(profiles)
    return {name: one for name, one in composition(variables)["services"].items() if wanted & set(one["profiles"])}


def is_ours(service: Mapping[str, Any]) -> bool:
    """Tell whether a service runs our image."""
    return str(service["image"]).startswith(OURS)


def command_of(service: Mapping[str, Any]) -> list[str]:
    """Return the words of a service's command."""
    return [str(word).replace("$$", "$") for word in service.get("command", [])]


def check_of(service: Mapping[str, Any]) -> list[str]:
    """Return the words of a service's health check, as an engine runs them."""
    kind, *words = [str(word).replace("$$", "$") for word in service["healthcheck"]["test"]]
    return ["/bin/sh", "-c", *words] if kind == "CMD-SHELL" else words


def grace_s(service: Mapping[str, Any]) -> float:
    """Return the seconds that a service is given to stop."""
    return float(str(service.get("stop_grace_period", GRACE_S)).removesuffix("s"))


def environment_of(service: Mapping[str, Any]) -> dict[str, str]:
    """Return a service's variables; Compose puts text in after it has read the file, so nothing is an empty text."""
    return {key: "" if value is None else str(value) for key, value in service.get("environment", {}).items()}

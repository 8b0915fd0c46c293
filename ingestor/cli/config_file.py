"""The text of a fully commented `ha-ingestor.toml`, made from the settings tree; writes nothing."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any, Final

from ingestor.settings import Settings
from ingestor.settings_keys import Key, all_keys
from ingestor.settings_types import Group

_HEAD: Final = """\
# Settings of HA-Ingestor. Each is commented out and shows its default; take the `#` away to change one.
# Stronger than this file: .env, then the environment (HA_INGESTOR_HOMEASSISTANT__URL), then the command line.
# A secret is better kept in a file of its own: HA_INGESTOR_HOMEASSISTANT__TOKEN_FILE=/run/secrets/token
# See what is in force with `ha-ingestor config show`, and try it with `ha-ingestor doctor`.
"""
_EXAMPLES: Final = {
    "homes": '[[homes]]\nname = "cabin"\n[homes.homeassistant]\nurl = "http://cabin.local:8123"\ntoken = "its-token"',
    "mqtt.topics": '[[mqtt.topics]]\ntopic = "heating/{room}/temp"\nentity_id = "sensor.heating_{room}"\nunit = "°C"',
    "quality.rules": '[[quality.rules]]\nname = "no-oven"\nkind = "bounds"\nentities = ["sensor.*"]\nmax = 60',
    "reports.alerts": '[[reports.alerts]]\nname = "poor-data"\non = "score"\nlimit = 80\nclear = 85',
}
_WIDTH: Final = 110


def commented_file() -> str:
    """Return the text of the file."""
    plain = [key for key in all_keys() if key.group_type is None]
    listed = [key for key in all_keys() if key.group_type is not None]
    parts = [_HEAD]
    parts += [_entry(key) for key in plain if len(key.path) == 1]
    for name, group in _groups():
        keys = [key for key in plain if key.path[0] == name and len(key.path) > 1]
        parts.append(f"\n# {(group.__doc__ or '').strip().splitlines()[0]}\n[{name}]\n")
        parts += [_entry(key) for key in keys]
    parts += [_list_entry(key) for key in listed]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _groups() -> Iterator[tuple[str, type[Group]]]:
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Group):
            yield name, field.annotation


def _entry(key: Key) -> str:
    shown = '"data"' if key.name == "data_dir" else '""' if key.default is None else as_toml(key.default)
    # A group within a group has dotted keys: TOML reads them as a table in the table.
    name = ".".join(key.path[1:] or key.path)
    return f"{_comment(key)}# {name} = {shown}\n"


def _list_entry(key: Key) -> str:
    example = "\n".join(f"# {line}" for line in _EXAMPLES[key.name].splitlines())
    return f"\n{_comment(key)}{example}\n"


def _comment(key: Key) -> str:
    text = f"{key.description} ({key.expected})"
    return "".join(f"# {line}\n" for line in textwrap.wrap(text, _WIDTH, break_on_hyphens=False))


def as_toml(value: Any) -> str:
    """Return a value as TOML writes it: for texts, numbers, booleans and lists of these it is as JSON does."""
    if isinstance(value, tuple | list):
        return "[" + ", ".join(as_toml(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)

"""Write the pages of docs/reference that are made from the code; `--check` only says which are not current."""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import typer.main

from ingestor.api import asyncapi
from ingestor.api.app import create_app
from ingestor.api.graphql.schema import sdl
from ingestor.api.reference import api_page
from ingestor.cli.config_file import as_toml
from ingestor.cli.exit_codes import MEANINGS
from ingestor.cli.main import build_app
from ingestor.events.context import CONTEXT_FIELDS
from ingestor.export.avro_form import SCHEMA as AVRO_SCHEMA
from ingestor.export.columns import COLUMNS
from ingestor.export.forms import FORMS
from ingestor.export.protobuf_form import proto_text
from ingestor.metrics_declared import DECLARED, Declared
from ingestor.metrics_gauges import GAUGES
from ingestor.quality.bounds import BOUNDS
from ingestor.quality.rules import RULES
from ingestor.reports.document import SCHEMA, Report
from ingestor.settings import HomeSettings, Settings, TopicMapping
from ingestor.settings_keys import Key, all_keys, keys_of
from ingestor.settings_quality import CHOICES, QualityRule
from ingestor.settings_reports import AlertSetting
from ingestor.settings_types import Group

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"
NOTE = "<!-- Made from the code by `make docs`; a change here is overwritten. -->\n"
SETTINGS_INTRODUCTION = """\
One tree, read from five places; the first that has a value wins:

1. the command line: `--data-dir`, `--log-format`, `--log-level`, and `--set KEY=VALUE` for any other;
2. the environment: the variable in the table. With `_FILE` at its end it names a file that holds the value,
   such as `HA_INGESTOR_HOMEASSISTANT__TOKEN_FILE=/run/secrets/token`;
3. `.env` in the working directory, with the same variables;
4. `ha-ingestor.toml` in the working directory, or the file that `HA_INGESTOR_CONFIG` names;
5. the default.

A list is JSON in a variable (`["light", "switch"]`), or words with commas between. An empty variable counts as not
set; where *empty* is among what is expected, it switches the thing off. What Kubernetes and Docker set for a service
of our name (`HA_INGESTOR_PORT`, `…_SERVICE_HOST`) is left alone; any other unknown name is a fault.

`ha-ingestor config init` writes a commented file, `config show` prints what is in force and where each value came
from, `config check` names every fault at once. A process with bad settings ends with code 2.

Where no data folder is set, it is `data/` below the working directory if that has the file `.ha-ingestor` in it
(`make run` makes it), else the platform's own.
"""
METRICS_INTRODUCTION = """\
`/metrics` of the API gives these to Prometheus, added up over all processes, living and dead: no counter falls when
a worker ends. An event is counted when its batch is done, once, however often the batch was sent.

received = written + duplicate + rejected + filtered, for batches that are done; what is under way is in
`ingestor_journal_batches`, and `ingestor_events_lost_total` must stay 0.
"""
CONTEXT_INTRODUCTION = """\
The fields that the steps of enrichment add to a point of our own schema ([schema](schema.md)), by the step's name in
`enrichment.steps`. A field is left out where nothing is known. None of them is a tag: they may differ where an event is
written again, and it is the same point all the same.
"""

QUALITY_INTRODUCTION = """\
What is asked about each event at the door, in this order ([why](../explanation/quality.md)). What follows:

- **note**: it is counted (`ingestor_quality_findings_total`), and nothing else;
- **repair**: the point has the value or unit that is meant; `repaired_by` names the rules, `raw_state` and `raw_unit`
  say what came. The field `state` itself, the time and the series are never changed;
- **reject**: the event goes to quarantine with the reason, and is counted as rejected in the ledger.

*Where*: while a frame is read (`frame`), of each event (`event`), while it gets its context (`enrich`), when it is
stored (`write`). The last column is what
`quality.severity` may make of a rule, besides `off`. Rules of your own (`quality.rules`,
[settings](settings.md#an-entry-of-qualityrules)) are asked after these.
"""
EXPORTS_INTRODUCTION = """\
`ha-ingestor export FORM` writes stored events as a file, oldest first, whichever store they are in; it reads them a
portion at a time, so that memory stays flat. All forms hold the same rows with the same columns (but line protocol,
which is the points as they are stored). `--compress zstd` or `gzip` packs a file on the way.

Over HTTP the same files are at `/api/v1/export/FORM` ([API](api.md)), with the filters of `/api/v1/events`;
`Accept-Encoding` says how they may be packed. A file that was cut off ends without the end of its chunks, so that no
client takes it for whole.

```sh
ha-ingestor export parquet --since 30d --output month.parquet
ha-ingestor export csv --entity 'sensor.*_temperature' --since 2026-11-01 | head
```

```sh
curl -H "X-API-Key: $(ha-ingestor key)" --compressed -OJ "http://127.0.0.1:8080/api/v1/export/csv?area=Kitchen&since=2026-11-01T00:00:00Z"
```

```python
import polars

polars.read_parquet("month.parquet").filter(polars.col("area") == "Kitchen")
```
"""
EXPORTS_COLUMNS = """\
## Columns

Version 1. A new column is added at the end; one that changed its meaning or type would be version 2. What is not known
is null (JSON leaves it out, CSV leaves it empty).
"""
EXPORTS_SCHEMAS = """\
## Schemas

Avro: [event.v1.avsc](schemas/event.v1.avsc); it is in the file, too. Protobuf:
[event.v1.proto](schemas/event.v1.proto), each message after its length as a varint (`parse_length_prefixed`,
`parseDelimitedFrom`).
"""
BOUNDS_INTRODUCTION = """\
What the rule `bounds` takes for possible. A device class or unit that is not listed has no bounds.
"""


def settings_page() -> str:
    """Return the page of every setting."""
    parts = [
        "# Settings\n",
        NOTE,
        SETTINGS_INTRODUCTION,
    ]
    plain = [key for key in all_keys() if len(key.path) == 1]
    parts += ["## General\n", _settings_table(plain)]
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Group):
            keys = [key for key in all_keys() if key.path[0] == name]
            parts += [f"## {name}\n", _first_line(field.annotation), _settings_table(keys)]
    parts += [
        "## An entry of `mqtt.topics`\n",
        _first_line(TopicMapping),
        _settings_table(keys_of(TopicMapping), entry=True),
    ]
    parts += [
        "## An entry of `quality.rules`\n",
        _first_line(QualityRule),
        _settings_table(keys_of(QualityRule), entry=True),
    ]
    parts += [
        "## An entry of `reports.alerts`\n",
        _first_line(AlertSetting),
        _settings_table(keys_of(AlertSetting), entry=True),
    ]
    parts += [
        "## An entry of `homes`\n",
        _first_line(HomeSettings),
        "Its keys are `name`, and all of [homeassistant](#homeassistant) and [mqtt](#mqtt) below it.\n",
    ]
    return "\n".join(parts)


def _first_line(group: type[Group]) -> str:
    return f"{(group.__doc__ or '').strip().splitlines()[0]}\n"


def _settings_table(keys: Iterable[Key], *, entry: bool = False) -> str:
    rows = [
        (
            f"`{key.name}`" + ("" if entry else f"<br>`{key.variable}`"),
            _plain(key.description),
            _plain(key.expected),
            "required" if key.required and key.name != "data_dir" else _default(key),
        )
        for key in keys
    ]
    return _table(("setting" if entry else "setting, variable", "what it is", "expected", "default"), rows)


def _plain(text: str) -> str:
    """Return a text that is not taken for HTML."""
    return text.replace("<", "&lt;")


def _default(key: Key) -> str:
    if key.name == "data_dir":
        return "see above"
    return "" if key.default in (None, ()) else f"`{as_toml(key.default)}`"


def metrics_page() -> str:
    """Return the page of every metric."""
    return "\n".join(
        [
            "# Metrics\n",
            NOTE,
            METRICS_INTRODUCTION,
            "## Counters and histograms\n",
            _metrics_table(DECLARED),
            "## Gauges\n",
            "Read when Prometheus asks.\n",
            _metrics_table(GAUGES),
        ]
    )


def _metrics_table(metrics: Iterable[Declared]) -> str:
    rows = [
        (f"`{one.name}`", one.kind, one.unit, ", ".join(f"`{label}`" for label in one.labels), one.help)
        for one in metrics
    ]
    return _table(("name", "kind", "unit", "labels", "what it says"), rows)


def context_page() -> str:
    """Return the page of every field that enrichment adds."""
    parts = ["# Context fields\n", NOTE, CONTEXT_INTRODUCTION]
    for step in dict.fromkeys(field.step for field in CONTEXT_FIELDS):
        rows = [(f"`{one.name}`", one.kind, one.unit, one.meaning) for one in CONTEXT_FIELDS if one.step == step]
        parts += [f"## `{step}`\n", _table(("field", "type", "unit", "what it says"), rows)]
    return "\n".join(parts)


def quality_page() -> str:
    """Return the page of the rules of quality."""
    rules = [
        (str(number), f"`{one.name}`", one.severity, one.stage, one.reason, ", ".join(CHOICES.get(one.name, ())))
        for number, one in enumerate(RULES, 1)
    ]
    bounds = [
        (f"`{name}`", unit or "any", f"{one.low:g}", f"{one.high:g}", one.why)
        for name, by_unit in BOUNDS.items()
        for unit, one in by_unit.items()
    ]
    return "\n".join(
        [
            "# Rules of data quality\n",
            NOTE,
            QUALITY_INTRODUCTION,
            "## Rules\n",
            _table(("", "rule", "severity", "where", "why", "can be"), rules),
            "## Bounds\n",
            BOUNDS_INTRODUCTION,
            _table(("device class", "unit", "from", "to", "why"), bounds),
        ]
    )


def report_schema() -> str:
    """Return the JSON Schema of a report as `--format json` writes it."""
    schema = msgspec.json.schema(Report)
    schema["title"], schema["$schema"] = SCHEMA, "https://json-schema.org/draft/2020-12/schema"
    target = schema["$defs"]["Target"]
    target["properties"]["met"] = {"anyOf": [{"type": "boolean"}, {"type": "null"}]}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def exports_page() -> str:
    """Return the page on exported files."""
    forms = [
        (f"`{form.name}`", f"`.{form.suffix}`", f"`{form.media_type}`", (form.open.__doc__ or "").strip())
        for form in FORMS.values()
    ]
    columns = [(f"`{column.name}`", column.type, column.says) for column in COLUMNS]
    parts = (
        f"# Exports\n\n{NOTE}\n{EXPORTS_INTRODUCTION}",
        "## Forms\n\n" + _table(("form", "files end in", "media type", "is"), forms),
        f"{EXPORTS_COLUMNS}\n" + _table(("column", "type", "is"), columns),
        EXPORTS_SCHEMAS,
    )
    return "\n".join(parts)


def avro_schema() -> str:
    """Return the Avro schema of an event."""
    return json.dumps(AVRO_SCHEMA, indent=1, ensure_ascii=False) + "\n"


def api_reference() -> str:
    """Return the page of every endpoint of the API, as it describes them itself."""
    settings = Settings.model_validate({"data_dir": Path("unused"), "broker": {"url": "redis://127.0.0.1:1/0"}})
    return api_page(create_app(settings).openapi(), NOTE)


def socket_description() -> str:
    """Return the description of the WebSocket."""
    return json.dumps(asyncapi.description(), indent=2, ensure_ascii=False) + "\n"


def cli_page() -> str:
    """Return the page of every command."""
    app: Any = typer.main.get_command(build_app())
    parts = ["# Command line\n", NOTE, "Data goes to standard output, talk to standard error.\n"]
    codes = [(str(code.value), text) for code, text in MEANINGS.items()]
    parts += ["## Exit codes\n", _table(("code", "meaning"), codes)]
    parts += ["## Options of every command\n", "They stand before the command: `ha-ingestor --log-level debug up`.\n"]
    parts += [_options_table(app)]
    for words, command in _commands(app, ("ha-ingestor",)):
        parts += [f"## {' '.join(words[1:])}\n", f"```\n{_usage(words, command)}\n```\n", f"{_help(command)}\n"]
        parts += [_options_table(command)] if _shown(command) else []
    return "\n".join(parts)


def _commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, below in command.commands.items():
        if hasattr(below, "commands"):
            yield from _commands(below, (*words, name))
        else:
            yield (*words, name), below


def _help(command: Any) -> str:
    return " ".join(str(text) for text in (command.help, command.epilog) if text)


def _shown(command: Any) -> list[Any]:
    return [param for param in command.params if param.name != "help"]


def _usage(words: tuple[str, ...], command: Any) -> str:
    arguments = [_metavar(param) for param in _shown(command) if param.param_type_name == "argument"]
    options = ["[OPTIONS]"] if any(param.param_type_name == "option" for param in _shown(command)) else []
    return " ".join([*words, *options, *arguments])


def _metavar(param: Any) -> str:
    name = param.metavar or param.name.upper()
    return str(name) if param.required else f"[{name}]"


def _options_table(command: Any) -> str:
    rows = []
    for param in _shown(command):
        what = "`, `".join(param.opts) if param.param_type_name == "option" else _metavar(param)
        if param.param_type_name == "option" and not getattr(param, "is_flag", False):
            what += f"` `{_value(param)}"
        default = "" if param.default in (None, False, ()) or callable(param.default) else f"`{param.default}`"
        rows.append((f"`{what}`", _plain(param.help or ""), default))
    return _table(("option", "what it does", "default"), rows)


def _value(param: Any) -> str:
    """Return what stands behind an option: the name it has there, the values to choose from, or what it is."""
    kind = param.type_descriptor.annotation
    among = get_args(kind) or getattr(kind, "__members__", {}).values()
    return param.metavar or "|".join(map(str, among)) or {int: "N", float: "N", Path: "FILE"}.get(kind, "TEXT")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


#: Each page and what makes it.
PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "cli.md": cli_page,
    "metrics.md": metrics_page,
    "context.md": context_page,
    "quality.md": quality_page,
    "quality-report.schema.json": report_schema,
    "exports.md": exports_page,
    "schemas/event.v1.avsc": avro_schema,
    "schemas/event.v1.proto": proto_text,
    "schemas/ingestor_v1.proto": (ROOT / "ingestor" / "api" / "rpc" / "ingestor.proto").read_text,
    "api.md": api_reference,
    "asyncapi.json": socket_description,
    "schema.graphql": lambda: sdl() + "\n",
}


def main() -> int:
    """Write the pages, or say which are not current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 if a page is not current")
    check = parser.parse_args().check
    stale = 0
    for name, make in PAGES.items():
        path = REFERENCE / name
        before, now = path.read_text("utf-8") if path.exists() else "", make()
        if before == now:
            continue
        stale += 1
        if check:
            old, new = before.splitlines(True), now.splitlines(True)
            sys.stderr.writelines(difflib.unified_diff(old, new, name, "code", n=0))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(now, "utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    if check and stale:
        print(f"{stale} pages are not current: `make docs` writes them anew")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())

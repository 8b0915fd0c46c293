"""The reference page of the API, made from its own description; serves nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

_METHODS: Final = ("get", "put", "post", "patch", "delete")
#: What holds for all of them is said once.
_EVERYWHERE: Final = ("304", "401", "503", "default")
_INTRODUCTION: Final = """\
Made from the description that the API serves at `/openapi.json` (OpenAPI 3.1), to which a test holds it with
schemathesis. Each example is asked by a test, too; `$KEY` is what `ha-ingestor key` prints. Why it is as it is:
[ADR 13](../adr/0013-api.md).

Any reading may be answered by 304 (`If-None-Match` names what would be answered), 401 (no key) or 503 (a server that
we need is away, or too much is asked at once).

"""


def api_page(told: dict[str, Any], note: str) -> str:
    """Return the page of every endpoint of a description (`/openapi.json`)."""
    parts = ["# API\n", note, _INTRODUCTION + told["info"]["description"] + "\n"]
    for tag in told["tags"]:
        parts += [f"## {tag['name'].capitalize()}\n", f"{tag['description']}\n"]
        for path, method, operation in _operations(told, tag["name"]):
            parts += _operation(path, method, operation)
    parts.append("## Shapes\n")
    for name, schema in sorted(told["components"]["schemas"].items()):
        parts += _shape(name, schema)
    return "\n".join(parts)


def _operations(told: dict[str, Any], tag: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in told["paths"].items():
        for method in _METHODS:
            if tag in methods.get(method, {}).get("tags", ()):
                yield path, method, methods[method]


def _operation(path: str, method: str, operation: dict[str, Any]) -> list[str]:
    parts = [f"### {method.upper()} {path}\n", f"{operation['description']}\n"]
    rows = [_parameter(one) for one in operation.get("parameters", ())]
    if rows:
        parts.append(_table(("parameter", "in", "type", "default", "what it is"), rows))
    if body := operation.get("requestBody"):
        parts.append(f"Body: {_type(_schema_of(body))}.\n")
    told = operation["responses"].items()
    answers = [f"{status}: {_answer(one)}" for status, one in told if status == "503" or status not in _EVERYWHERE]
    answers = [one for one in answers if one != "503: [Problem](#problem)"]
    parts.append("Answers: " + "; ".join(answers) + ".\n")
    return [*parts, f"```sh\n{_curl(method, operation)}\n```\n"]


def _parameter(one: dict[str, Any]) -> tuple[str, ...]:
    schema = one["schema"]
    default = "required" if one.get("required") else json.dumps(schema["default"]) if schema.get("default") else ""
    text = one.get("description") or schema.get("description") or ""
    return f"`{one['name']}`", one["in"], _type(schema), default, text


def _answer(response: dict[str, Any]) -> str:
    schema = _schema_of(response)
    return _type(schema) if schema else str(response["description"]).rstrip(".")


def _schema_of(told: dict[str, Any]) -> dict[str, Any]:
    contents: list[dict[str, Any]] = list(told.get("content", {}).values())
    found: dict[str, Any] = contents[0].get("schema", {}) if contents else {}
    return found


def _type(schema: dict[str, Any]) -> str:
    """Return a schema in words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if any_of := schema.get("anyOf"):
        return " or ".join(dict.fromkeys(_type(one) for one in any_of if one != {"type": "null"}))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    limits = [f"{schema[name]}" for name in ("minimum", "maximum") if name in schema]
    return str(schema.get("format") or schema.get("type", "any")) + (f" {' to '.join(limits)}" if limits else "")


def _curl(method: str, operation: dict[str, Any]) -> str:
    example = operation["x-example"]
    asked = "" if method == "get" else f" -X {method.upper()}"
    key = "" if operation.get("security") == [] else ' -H "X-API-Key: $KEY"'
    body = f" \\\n  -H 'Content-Type: application/json' -d '{example['body']}'" if "body" in example else ""
    return f"curl{asked}{key} 'http://127.0.0.1:8080{example['target']}'{body}"


def _shape(name: str, schema: dict[str, Any]) -> list[str]:
    rows = [
        (f"`{field}`", _type(one), one.get("description", "")) for field, one in schema.get("properties", {}).items()
    ]
    about = [f"{schema['description']}\n"] if schema.get("description") else []
    return [f"### {name}\n", *about, _table(("field", "type", "what it is"), rows) if rows else f"{_type(schema)}\n"]


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)

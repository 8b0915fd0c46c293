"""The forms of a report by name; each is a function from the report to bytes."""
# ruff: noqa: PLC0415 -- a PDF's library is loaded by who wants a PDF

from __future__ import annotations

from typing import Any, Final, Literal, get_args

import msgspec

from ingestor import errors
from ingestor.reports.document import SCHEMA, VERSION, Report

Form = Literal["html", "json", "md", "pdf"]
FORMS: Final[tuple[Form, ...]] = get_args(Form)
MEDIA_TYPES: Final[dict[Form, str]] = {
    "html": "text/html; charset=utf-8",
    "json": "application/json",
    "md": "text/markdown; charset=utf-8",
    "pdf": "application/pdf",
}


def rendered(report: Report, form: Form) -> bytes:
    """Return a report in a form."""
    if form == "json":
        return as_json(report)
    if form == "pdf":
        from ingestor.reports.pdf import as_pdf

        return as_pdf(report)
    from ingestor.reports.pages import as_html, as_markdown

    return as_html(report) if form == "html" else as_markdown(report)


def as_json(report: Report) -> bytes:
    """Return the report as JSON: its own fields, and of each target whether it is met."""
    plain: dict[str, Any] = msgspec.to_builtins(report)
    for shown, target in zip(plain["targets"], report.targets, strict=True):
        shown["met"] = target.met
    return msgspec.json.format(msgspec.json.encode(plain), indent=2)


def packed(report: Report) -> bytes:
    """Return a report as it is kept."""
    return msgspec.json.encode(report)


def unpacked(text: bytes) -> Report:
    """Return a report that was kept. Raises NotFound where a newer program kept it in a form of its own."""
    try:
        found = msgspec.json.decode(text, type=Report)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.NotFound(f"this report was not kept in a form that is known here: {error}") from error
    if (found.schema, found.version) != (SCHEMA, VERSION):
        raise errors.NotFound(f"this report is kept as {found.schema} {found.version}; known here: {VERSION}")
    return found

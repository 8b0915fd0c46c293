"""`/quality/…`: scores, problems, rules and reports, as they were found; judges nothing."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, Field

from ingestor import bootstrap_quality, errors
from ingestor.api.accepting import preferred
from ingestor.api.answers import (
    NOT_FOUND,
    UNANSWERABLE,
    Asking,
    Limit,
    Moment,
    Question,
    Text,
    as_json,
    json_answer,
    may_read,
)
from ingestor.api.means import Means
from ingestor.quality.model import Problem, Scope
from ingestor.reading.homes import check_home, home_name
from ingestor.reading.quality import report_object, rule_objects, score_object
from ingestor.reading.times import rfc3339_of_us
from ingestor.reports.render import MEDIA_TYPES, Form, rendered

router: Final = APIRouter(prefix="/api/v1/quality", tags=["quality"], dependencies=[Depends(may_read)])
_NS_PER_US: Final = 1000
_DAY_NS: Final = 86_400 * 10**9
_MOST_NS: Final = 400 * _DAY_NS
#: By media type, the one that is given to who says nothing first.
_FORMS: Final[dict[str, Form]] = {
    MEDIA_TYPES[form].partition(";")[0]: form for form in sorted(MEDIA_TYPES, key=lambda form: form != "json")
}
_REPORT: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The report, in the form that `Accept` likes best.",
        "content": {**{name: {} for name in _FORMS}, "application/json": {"schema": {"type": "object"}}},
    },
    **NOT_FOUND,
}
#: As the page says itself; here for who shows it in a frame, too.
_PAGE_POLICY: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"


class Span(Question):
    """Of which home, from when to when."""

    home: Text | None = Field(None, description="Default: the first home of the settings.")
    since: Moment | None = Field(None, description="From this time on; default: a day before `until`.")
    until: Moment | None = Field(None, description="Before this time; default: now.")
    limit: Limit = 1000

    def times_us(self) -> tuple[int, int]:
        """Return both times (Unix, microseconds). Raises Unanswerable."""
        until = self.until if self.until is not None else time.time_ns()
        since = self.since if self.since is not None else max(0, until - _DAY_NS)
        if since >= until:
            raise errors.Unanswerable("since must be before until")
        if until - since > _MOST_NS:
            raise errors.Unanswerable("more than 400 days are asked for")
        return since // _NS_PER_US, until // _NS_PER_US


class ScoreSpan(Span):
    """Scores of what."""

    scope: Scope | None = Field(None, description="Only of these.")


class ReportList(Question):
    """Which reports."""

    home: Text | None = None
    limit: Limit = 100


class ScoreShape(BaseModel):
    """How good the data of a subject is."""

    scope: str
    subject: str
    name: str
    score: float | None = Field(description="0 to 100; null where no part could be judged.")
    parts: list[dict[str, Any]] = Field(description="Each part with its score, weight, reason and measures.")


class ScoreItems(BaseModel):
    """Scores, the worst first."""

    judged_until: str | None = Field(json_schema_extra={"format": "date-time"}, description="Null: no hour is judged.")
    items: list[ScoreShape]


class ProblemShape(BaseModel):
    """Something wrong with a subject."""

    kind: str
    scope: str
    subject: str
    since: str = Field(json_schema_extra={"format": "date-time"})
    until: str | None = Field(json_schema_extra={"format": "date-time"}, description="Null: it still is.")
    count: int
    evidence: str
    advice: str


class ProblemItems(BaseModel):
    """Problems, the worst first."""

    items: list[ProblemShape]


class RuleShape(BaseModel):
    """A rule that events are held against."""

    number: int
    rule: str
    severity: str
    where: str
    fired: int = Field(description="How often it has spoken, over all processes.")
    why: str


class RuleItems(BaseModel):
    """Rules, in the order in which they are asked."""

    items: list[RuleShape]


class ReportShape(BaseModel):
    """The head of a report."""

    id: str
    home: str
    period: str
    start: str = Field(json_schema_extra={"format": "date-time"})
    end: str = Field(json_schema_extra={"format": "date-time"})
    made: str = Field(json_schema_extra={"format": "date-time"})
    figures: dict[str, float | None]


class ReportItems(BaseModel):
    """Reports, that with the newest end first."""

    items: list[ReportShape]


def scores_of(means: Means, asked: ScoreSpan) -> ScoreItems:
    """Return scores; blocks. Raises Unanswerable, NotFound, StoreUnavailable."""
    span = asked.times_us()
    home = home_name(means.settings, asked.home)
    book = bootstrap_quality.open_quality_book(means.settings, means.metadata())
    found = [one for one in book.scores(home, *span) if asked.scope in (None, one.scope)]
    found.sort(key=lambda one: (one.score is None, one.score or 0.0, one.scope, one.subject))
    until_us = book.homes().get(home)
    items = [ScoreShape.model_validate(score_object(one)) for one in found[: asked.limit]]
    return ScoreItems(judged_until=rfc3339_of_us(until_us) if until_us else None, items=items)


def problems_of(means: Means, asked: Span) -> ProblemItems:
    """Return problems; blocks. Raises Unanswerable, NotFound, StoreUnavailable."""
    span = asked.times_us()
    home = home_name(means.settings, asked.home)
    found = bootstrap_quality.open_quality_book(means.settings, means.metadata()).problems(home, *span)
    return ProblemItems(items=[_problem(one) for one in found[: asked.limit]])


def _problem(problem: Problem) -> ProblemShape:
    until = None if problem.until_us is None else rfc3339_of_us(problem.until_us)
    return ProblemShape.model_validate({**asdict(problem), "since": rfc3339_of_us(problem.since_us), "until": until})


def rules_of(means: Means) -> RuleItems:
    """Return the rules; blocks."""
    return RuleItems(items=[RuleShape.model_validate(one) for one in rule_objects(means.settings)])


def reports_of(means: Means, asked: ReportList) -> ReportItems:
    """Return the heads of reports; blocks. Raises NotFound, StoreUnavailable."""
    check_home(means.settings, asked.home, means.metadata)
    shelf = bootstrap_quality.open_report_shelf(means.settings, means.metadata())
    found = [report_object(one) for one in shelf.list(home=asked.home, limit=asked.limit)]
    return ReportItems(items=[_report(one) for one in found])


def _report(told: dict[str, Any]) -> ReportShape:
    times = {name: rfc3339_of_us(told[f"{name}_us"]) for name in ("start", "end", "made")}
    return ReportShape.model_validate({**told, **times})


def report_of(means: Means, report_id: str, form: Form = "json") -> bytes:
    """Return a whole report in a form; blocks. Raises NotFound, StoreUnavailable."""
    shelf = bootstrap_quality.open_report_shelf(means.settings, means.metadata())
    return rendered(shelf.find(report_id), form)


@router.get("/metrics", response_model=ScoreItems, responses=UNANSWERABLE | NOT_FOUND)
async def list_scores(asked: Annotated[ScoreSpan, Query()], means: Asking) -> Response:
    """Return the scores of the home, its areas, integrations, devices and entities, part by part, the worst first."""
    return json_answer(await means.other(lambda: as_json(scores_of(means, asked))))


@router.get("/errors", response_model=ProblemItems, responses=UNANSWERABLE | NOT_FOUND)
async def list_problems(asked: Annotated[Span, Query()], means: Asking) -> Response:
    """Return the problems that were there in this time: what is wrong, since when, what to do."""
    return json_answer(await means.other(lambda: as_json(problems_of(means, asked))))


@router.get("/validation", response_model=RuleItems)
async def list_rules(means: Asking) -> Response:
    """Return the rules in the order in which they are asked, with how often each has spoken."""
    return json_answer(await means.other(lambda: as_json(rules_of(means))))


@router.get("/reports", response_model=ReportItems, responses=NOT_FOUND)
async def list_reports(asked: Annotated[ReportList, Query()], means: Asking) -> Response:
    """Return the reports that were made by schedule, the newest first."""
    return json_answer(await means.other(lambda: as_json(reports_of(means, asked))))


@router.get("/reports/{report_id}", responses=_REPORT)
async def read_report(
    request: Request, report_id: Annotated[str, Path(description="As `/quality/reports` names it.")], means: Asking
) -> Response:
    """Return a whole report as JSON ([its schema](quality-report.schema.json)), as a page, as Markdown or as PDF."""
    form = _FORMS[preferred(request, _FORMS)]
    body = await means.other(lambda: report_of(means, report_id, form))
    headers = {"Vary": "Accept", "Content-Security-Policy": _PAGE_POLICY}
    return Response(body, media_type=MEDIA_TYPES[form], headers=headers)

"""How good the data is; as `/api/v1/quality` answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import strawberry

from ingestor.api.graphql.context import Asked
from ingestor.api.graphql.fields import told
from ingestor.api.graphql.pages import FIRST, First, checked
from ingestor.api.graphql.scalars import JSON, Time
from ingestor.api.graphql.shapes import shaped
from ingestor.api.v1.quality import (
    ProblemShape,
    ReportList,
    ReportShape,
    RuleShape,
    ScoreItems,
    ScoreSpan,
    Span,
    problems_of,
    report_of,
    reports_of,
    rules_of,
    scores_of,
)
from ingestor.quality.model import Scope

if TYPE_CHECKING:
    Scores = ScoreItems
    Problem = ProblemShape
    Rule = RuleShape
    Report = ReportShape
    QualityScope = Scope
else:
    QualityScope = strawberry.enum(Scope, name="QualityScope", description="What a score is of.")
    Scores = shaped(ScoreItems, "QualityScores")
    Problem = shaped(ProblemShape, "QualityProblem")
    Rule = shaped(RuleShape, "QualityRule")
    Report = shaped(ReportShape, "QualityReport")


@strawberry.type
class QualityQueries:
    """What can be asked of quality."""

    @told("Scores, the worst first. Default: of the last day.")
    async def quality_scores(
        self,
        info: Asked,
        home: str | None = None,
        since: Time | None = None,
        until: Time | None = None,
        scope: QualityScope | None = None,
        first: First = FIRST,
    ) -> Scores:
        """Return scores."""
        named = {"home": info.context.home(home), "scope": scope, "limit": checked(first)}
        asked = ScoreSpan.model_validate({**named, "since": since, "until": until})
        return await info.context.other(lambda: scores_of(info.context.means, asked))

    @told("Problems, the worst first. Default: of the last day.")
    async def quality_problems(
        self,
        info: Asked,
        home: str | None = None,
        since: Time | None = None,
        until: Time | None = None,
        first: First = FIRST,
    ) -> list[Problem]:
        """Return problems."""
        named = {"home": info.context.home(home), "limit": checked(first)}
        asked = Span.model_validate({**named, "since": since, "until": until})
        return (await info.context.other(lambda: problems_of(info.context.means, asked))).items

    @told("The rules that events are held against, in the order in which they are asked.")
    async def quality_rules(self, info: Asked) -> list[Rule]:
        """Return rules."""
        info.context.allow(None)
        return (await info.context.other(lambda: rules_of(info.context.means))).items

    @told("The heads of reports, that with the newest end first.")
    async def quality_reports(self, info: Asked, home: str | None = None, first: First = FIRST) -> list[Report]:
        """Return heads."""
        info.context.allow(home)
        asked = ReportList.model_validate({"home": home, "limit": checked(first)})
        return (await info.context.other(lambda: reports_of(info.context.means, asked))).items

    @told("A whole report.")
    async def quality_report(self, info: Asked, id: str) -> JSON | None:  # noqa: A002 -- its name in the schema
        """Return it."""
        info.context.allow(None)
        return JSON(orjson.loads(await info.context.other(lambda: report_of(info.context.means, id))))

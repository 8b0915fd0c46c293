"""Settings of GraphQL."""

from __future__ import annotations

from pydantic import Field

from ingestor.settings_types import Group


class GraphQLSettings(Group):
    """GraphQL, at `/graphql` of the API."""

    enabled: bool = Field(True, description="Answer GraphQL; what it needs is loaded at the first question.")
    max_depth: int = Field(16, ge=3, le=100, description="Most fields within each other that a question may have.")
    max_cost: int = Field(
        100_000,
        ge=100,
        description="Most fields that an answer may have, as far as can be said beforehand: what stands in a list "
        "counts as often as its `first` says.",
    )

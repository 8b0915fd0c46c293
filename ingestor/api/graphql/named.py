"""Which of the operations of a document is meant: where there are more, it must be said."""

from __future__ import annotations

from collections.abc import Iterator

from graphql import GraphQLError, OperationDefinitionNode
from strawberry.extensions import SchemaExtension


class Named(SchemaExtension):
    """Refuses a document of more than one operation without `operationName`: the first of them would be answered."""

    def on_validate(self) -> Iterator[None]:
        """Count the operations."""
        context = self.execution_context
        found = context.graphql_document.definitions if context.graphql_document is not None else ()
        count = sum(isinstance(one, OperationDefinitionNode) for one in found)
        # What was asked for, not what stands first, which `operation_name` is in its place.
        if count > 1 and context._provided_operation_name is None:  # noqa: SLF001 -- no other way
            said = f"operationName must say which of {count} operations is meant"
            context.pre_execution_errors = [GraphQLError(said)]
        yield

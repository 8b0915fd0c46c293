"""What a question may cost: how deep it goes, how much it may bring, how long it is. Found before it is validated.

The cost of a field is 1, or what stands below it as often as its list is long: `first`, or `LIST` where a list has no
length that is asked for. A fragment is looked at once, however often it is named: else thirty of them, each naming the
next one twice, would take an hour.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    TokenKind,
    VariableNode,
    get_named_type,
)
from strawberry.extensions import SchemaExtension

from ingestor.api.answers import MAX_PAGE

#: Words and signs, fields as they are written, and other names for fields, in one document.
MAX_TOKENS: Final = 4000
MAX_FIELDS: Final = 500
MAX_ALIASES: Final = 30
#: How long a list is taken to be whose length cannot be asked for.
LIST: Final = 10
_COUNTS: Final = "first"
_SCHEMA: Final = 5_000
#: No number that is asked for has more (64 bits); Python makes none of thousands of them.
_MAX_DIGITS: Final = 20


@dataclass(frozen=True, slots=True)
class Size:
    """How deep a part of a question goes, and what it may bring at most."""

    depth: int = 0
    cost: int = 0


class Limits(SchemaExtension):
    """Refuses a question that is too much."""

    def __init__(self, *, max_depth: int, max_cost: int) -> None:
        self._max_depth = max_depth
        self._max_cost = max_cost

    def on_operation(self) -> Iterator[None]:
        """Have the parser stop where a document goes on and on."""
        self.execution_context.parse_options["max_tokens"] = MAX_TOKENS
        yield

    def on_validate(self) -> Iterator[None]:
        """Measure the document."""
        document = self.execution_context.graphql_document
        if document is not None and (error := self._fault(document)):
            self.execution_context.pre_execution_errors = [error]
        yield

    def _fault(self, document: DocumentNode) -> GraphQLError | None:
        fields, aliases = _written(document)
        if fields > MAX_FIELDS:
            return _error("too-long", f"{fields} fields are written, at most {MAX_FIELDS} may be")
        if aliases > MAX_ALIASES:
            return _error("too-long", f"{aliases} fields have another name, at most {MAX_ALIASES} may have one")
        if _has_endless_number(document):
            return _error("invalid", f"a number has more than {_MAX_DIGITS} digits")
        schema: GraphQLSchema = self.execution_context.schema._schema  # noqa: SLF001 -- no other way
        size = Measure(schema, document, self.execution_context.variables or {}).largest()
        if size.depth > self._max_depth:
            return _error("too-deep", f"it is {size.depth} fields deep, at most {self._max_depth} are answered")
        if size.cost > self._max_cost:
            said = f"it may bring {size.cost:,} fields, at most {self._max_cost:,} are answered"
            return _error("too-costly", f"{said}: ask for fewer items by `first`, or for fewer fields")
        return None


def _error(code: str, message: str) -> GraphQLError:
    return GraphQLError(f"this is too much: {message}", extensions={"code": code})


def _written(document: DocumentNode) -> tuple[int, int]:
    fields = aliases = 0
    waiting = [one.selection_set for one in document.definitions if isinstance(one, _WITH_FIELDS)]
    while waiting:
        for one in waiting.pop().selections:
            if isinstance(one, FieldNode):
                fields += 1
                aliases += one.alias is not None
            if isinstance(one, FieldNode | InlineFragmentNode) and one.selection_set is not None:
                waiting.append(one.selection_set)
    return fields, aliases


def _has_endless_number(document: DocumentNode) -> bool:
    token = document.loc.start_token if document.loc else None
    while token is not None:
        if token.kind is TokenKind.INT and len(token.value or "") > _MAX_DIGITS:
            return True
        token = token.next
    return False


_WITH_FIELDS: Final = (OperationDefinitionNode, FragmentDefinitionNode)


class Measure:
    """Measures the operations of one document."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self._schema = schema
        self._given = variables
        self._variables: dict[str, Any] = {}
        self._operations = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
        named = (one for one in document.definitions if isinstance(one, FragmentDefinitionNode))
        self._fragments = {one.name.value: one for one in named}
        self._known: dict[tuple[str, bool], Size] = {}

    def largest(self) -> Size:
        """Return the size of the largest operation."""
        sizes = [self._of_operation(one) for one in self._operations]
        return Size(max((one.depth for one in sizes), default=0), max((one.cost for one in sizes), default=0))

    def _of_operation(self, operation: OperationDefinitionNode) -> Size:
        """Return the size of an operation, by its own defaults: another one may call its variables the same."""
        defaults = {
            one.variable.name.value: int(one.default_value.value)
            for one in operation.variable_definitions or ()
            if isinstance(one.default_value, IntValueNode)
        }
        self._variables = {**defaults, **self._given}
        self._known.clear()  # what fragments come to goes by the variables
        return self._of(operation.selection_set, self._schema.get_root_type(operation.operation))

    def _of(self, selected: SelectionSetNode | None, kind: Any, *, counted: bool = False) -> Size:
        """Return the size of what is selected of a type; `counted`: it is in a list whose length is known."""
        depth = cost = 0
        for one in selected.selections if selected else ():
            if isinstance(one, FieldNode):
                size = self._field(one, kind, counted=counted)
            elif isinstance(one, InlineFragmentNode):
                size = self._of(one.selection_set, self._type(one.type_condition, kind), counted=counted)
            elif isinstance(one, FragmentSpreadNode):
                size = self._fragment(one.name.value, counted=counted)
            else:
                continue
            depth, cost = max(depth, size.depth), cost + size.cost
        return Size(depth, cost)

    def _type(self, condition: Any, otherwise: Any) -> Any:
        return otherwise if condition is None else self._schema.get_type(condition.name.value)

    def _fragment(self, name: str, *, counted: bool) -> Size:
        fragment = self._fragments.get(name)
        if fragment is None:
            return Size()
        key = (name, counted)
        if key not in self._known:
            self._known[key] = Size()  # one that names itself is refused later, by GraphQL's own rules
            kind = self._type(fragment.type_condition, None)
            self._known[key] = self._of(fragment.selection_set, kind, counted=counted)
        return self._known[key]

    def _field(self, node: FieldNode, kind: Any, *, counted: bool) -> Size:
        if node.name.value.startswith("__"):
            # What the schema tells of itself has a rule of its own; all of it is some thousand fields.
            return Size(0, 1 if node.selection_set is None else _SCHEMA)
        field = kind.fields.get(node.name.value) if isinstance(kind, GraphQLObjectType) else None
        first = self._first(node, field)
        is_list = field is not None and _is_list(field.type)
        below = self._of(
            node.selection_set, get_named_type(field.type) if field else None, counted=first is not None and not is_list
        )
        times = first or (LIST if is_list and not counted else 1)
        return Size(below.depth + 1, 1 + below.cost * times)

    def _first(self, node: FieldNode, field: Any) -> int | None:
        """Return how many items are asked for; None where that cannot be said of this field."""
        argument = field.args.get(_COUNTS) if field else None
        if argument is None:
            return None
        found: Any = argument.default_value
        for one in node.arguments or ():
            if one.name.value == _COUNTS:
                found = one.value
        if isinstance(found, VariableNode):
            found = self._variables.get(found.name.value, MAX_PAGE)
        elif isinstance(found, IntValueNode):
            found = int(found.value)
        return max(1, min(found, MAX_PAGE)) if isinstance(found, int) else MAX_PAGE


def _is_list(kind: Any) -> bool:
    return isinstance(kind.of_type if isinstance(kind, GraphQLNonNull) else kind, GraphQLList)

"""What a document may cost, judged once per document text and kept with it.

Parsed, measured and validated documents live in one bounded cache: a document that comes again costs nothing. The
measure is one iterative walk before the validator runs, which is what keeps hostile documents cheap (security.md 1.5).
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    parse,
    validate,
)
from strawberry.extensions import SchemaExtension

from app.graphql.cost import Term, terms_of

MAX_TOKENS = 2000
MAX_DEPTH = 12
MAX_INTROSPECTION_DEPTH = 20
MAX_ALIASES = 30
MAX_DIRECTIVES = 20
MAX_ROOT_FIELDS = 20
MAX_SELECTIONS = 500
MAX_NODES = 10_000
MAX_INTROSPECTION_NODES = 100_000
MAX_DOCUMENT_CHARACTERS = 100_000
MAX_MESSAGE = 500
ONCE = frozenset(
    {"signIn", "signUp", "requestPasswordReset", "resetPassword", "acceptInvitation", "changePassword"}
)
"""Root fields a document may name once: aliases would make one request many attempts."""

INTROSPECTION = frozenset({"__schema", "__type", "__typename"})


def too_complex(message: str, **told: int) -> GraphQLError:
    return GraphQLError(message, extensions={"code": "QUERY_TOO_COMPLEX", **told})


@dataclass
class Cost:
    """What one walk over a document's operations counted, fragments expanded."""

    aliases: int = 0
    directives: int = 0
    selections: int = 0
    depth: int = 0
    introspection_depth: int = 0
    root_fields: list[str] = field(default_factory=list)

    def refusal(self) -> GraphQLError | None:
        repeated = next((name for name in ONCE if self.root_fields.count(name) > 1), None)
        for counted, limit, what in (
            (self.selections, MAX_SELECTIONS, "fields"),
            (self.aliases, MAX_ALIASES, "aliases"),
            (self.directives, MAX_DIRECTIVES, "directives"),
            (len(self.root_fields), MAX_ROOT_FIELDS, "root fields"),
            (self.depth, MAX_DEPTH, "levels"),
            (self.introspection_depth, MAX_INTROSPECTION_DEPTH, "levels of introspection"),
        ):
            if counted > limit:
                return too_complex(f"This document has more than {limit} {what}: ask for less at once.")
        return too_complex(f"A document may name {repeated} once.") if repeated else None


def measure(document: DocumentNode) -> Cost:
    """Stops counting soon after a limit is passed, so fragments that spread each other cannot blow it up."""
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    cost = Cost()
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            cost.directives += len(definition.directives or ())
            _measure_selections(definition.selection_set, fragments, cost)
    return cost


def _measure_selections(
    root: SelectionSetNode, fragments: dict[str, FragmentDefinitionNode], cost: Cost
) -> None:
    pending: list[tuple[SelectionSetNode, int, bool]] = [(root, 1, False)]
    while pending and cost.selections <= MAX_SELECTIONS:
        selection_set, depth, is_introspection = pending.pop()
        for selection in selection_set.selections:
            cost.selections += 1
            cost.directives += len(selection.directives or ())
            if isinstance(selection, FieldNode):
                below_introspection = is_introspection or (
                    depth == 1 and selection.name.value in INTROSPECTION
                )
                _count_field(selection, depth, cost, is_introspection=below_introspection)
                if selection.selection_set:
                    pending.append((selection.selection_set, depth + 1, below_introspection))
            elif isinstance(selection, InlineFragmentNode):
                pending.append((selection.selection_set, depth, is_introspection))
            elif isinstance(selection, FragmentSpreadNode) and selection.name.value in fragments:
                pending.append((fragments[selection.name.value].selection_set, depth, is_introspection))


def _count_field(selection: FieldNode, depth: int, cost: Cost, *, is_introspection: bool) -> None:
    cost.aliases += selection.alias is not None
    if depth == 1:
        cost.root_fields.append(selection.name.value)
    if is_introspection:
        cost.introspection_depth = max(cost.introspection_depth, depth)
    else:
        cost.depth = max(cost.depth, depth)


@dataclass(frozen=True)
class Checked:
    """A document that parses, with what is wrong with it otherwise."""

    document: DocumentNode
    errors: tuple[GraphQLError, ...]
    root_fields: frozenset[str]
    terms: dict[str, Term]
    """Of its operations by name, where nothing is wrong with it."""

    def refusals(
        self, variables: Mapping[str, object] | None, operation_name: str | None
    ) -> list[GraphQLError]:
        """Why this document is not executed with these variables."""
        if self.errors:
            return list(self.errors)
        if operation_name is None and len(self.terms) > 1:
            # Strawberry would run the first one; the specification wants it said.
            return [GraphQLError("Say which operation to run: send operationName.")]
        term = next(iter(self.terms.values())) if operation_name is None else self.terms.get(operation_name)
        nodes = term.count(variables or {}) if term else 0
        if nodes <= self.max_nodes:
            return []
        return [
            too_complex(
                f"This asks for up to {nodes:,} objects; {self.max_nodes:,} may be asked for at once. "
                "Ask for fewer per page (first, last).",
                cost=nodes,
                limit=self.max_nodes,
            )
        ]

    @property
    def max_nodes(self) -> int:
        """The schema is in memory, and GraphiQL asks for all of it."""
        return MAX_INTROSPECTION_NODES if self.root_fields <= INTROSPECTION else MAX_NODES


class Documents:
    """The bounded cache of checked documents of one schema."""

    def __init__(self, schema: GraphQLSchema, *, size: int = 512) -> None:
        self._schema, self._size = schema, size
        self._checked: OrderedDict[str, Checked] = OrderedDict()

    def check(self, text: str) -> Checked:
        """Raises GraphQLSyntaxError, or GraphQLError for a text that is too long to look at."""
        if (known := self._checked.get(text)) is not None:
            self._checked.move_to_end(text)
            return known
        if len(text) > MAX_DOCUMENT_CHARACTERS:
            raise too_complex(
                f"A document may have {MAX_DOCUMENT_CHARACTERS:,} characters at most: use variables."
            )
        document = parse(text, max_tokens=MAX_TOKENS)
        cost = measure(document)
        refusal = cost.refusal()
        errors = [refusal] if refusal else [_short(error) for error in validate(self._schema, document)]
        terms = {} if errors else terms_of(self._schema, document)
        checked = Checked(document, tuple(errors), frozenset(cost.root_fields), terms)
        self._checked[text] = checked
        if len(self._checked) > self._size:
            self._checked.popitem(last=False)
        return checked


def _short(error: GraphQLError) -> GraphQLError:
    """Of a rule that a document breaks; it may quote a large part of the document."""
    message = error.message if len(error.message) <= MAX_MESSAGE else f"{error.message[:MAX_MESSAGE]}…"
    return GraphQLError(message, error.nodes, extensions={"code": "GRAPHQL_VALIDATION_FAILED"})


@lru_cache(maxsize=4)
def documents_of(schema: GraphQLSchema) -> Documents:
    return Documents(schema)


class CheckedDocuments(SchemaExtension):
    """Hands the cached document and its verdict to Strawberry, which then neither parses nor validates."""

    def on_parse(self) -> Iterator[None]:
        context = self.execution_context
        context.parse_options["max_tokens"] = MAX_TOKENS
        if context.query:
            # On a syntax error Strawberry parses again, and reports it in its own way.
            context.graphql_document = _document_or_none(context.schema._schema, context.query)
        yield

    def on_validate(self) -> Iterator[None]:
        context = self.execution_context
        if context.query:
            context.pre_execution_errors = self._refusals()
        yield

    def _refusals(self) -> list[GraphQLError]:
        context = self.execution_context
        try:
            checked = documents_of(context.schema._schema).check(context.query or "")
        except GraphQLError as error:
            return [error]
        return checked.refusals(context.variables, context._provided_operation_name)


def _document_or_none(schema: GraphQLSchema, text: str) -> DocumentNode | None:
    try:
        return documents_of(schema).check(text).document
    except GraphQLError:
        return None

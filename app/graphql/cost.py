"""How many objects a document may bring: the static product of the sizes of its pages and lists.

A page counts what it was asked for, a plain list a constant; the wrappers of a page (edges, pageInfo) count nothing.
The formula is made once per document; where a page's size is a variable it is filled in at each execution.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
)
from graphql.type import SchemaMetaFieldDef, TypeMetaFieldDef, introspection_types

from app.common.paging import PAGE_MAX

PLAIN_LIST = 4
"""What a list without a page size holds: an object's tags, addresses, attachments."""
PAGE_ARGUMENTS = ("first", "last")
PAGE_WRAPPERS = ("Connection", "Edge")
META_FIELDS: dict[str, GraphQLField] = {"__schema": SchemaMetaFieldDef, "__type": TypeMetaFieldDef}
ALL_TYPES = introspection_types["__Schema"].fields["types"]  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class PageSize:
    """A page size that a variable says; `default` where it is left out."""

    variable: str
    default: int

    def of(self, variables: Mapping[str, object]) -> int:
        return page_size(variables[self.variable]) if self.variable in variables else self.default


@dataclass(frozen=True, slots=True)
class Term:
    """`size` objects, each with `each` others below it that are known and `below` that variables decide."""

    size: int | PageSize
    each: int
    below: "tuple[Term, ...]"

    def count(self, variables: Mapping[str, object]) -> int:
        size = self.size if isinstance(self.size, int) else self.size.of(variables)
        return size * (self.each + sum(term.count(variables) for term in self.below))


def page_size(asked: object) -> int:
    """One that is no page size is refused later; till then it counts as the largest."""
    is_size = isinstance(asked, int) and not isinstance(asked, bool) and 1 <= asked <= PAGE_MAX
    return asked if is_size else PAGE_MAX  # type: ignore[return-value]


def terms_of(schema: GraphQLSchema, document: DocumentNode) -> dict[str, Term]:
    """Of a valid document's operations, by name ("" of one without). Measured before, so that it is neither deep nor
    wide."""
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    return {
        one.name.value if one.name else "": _Reading(schema, fragments, one).term()
        for one in document.definitions
        if isinstance(one, OperationDefinitionNode)
    }


class _Reading:
    """One operation on its way to a formula."""

    def __init__(
        self,
        schema: GraphQLSchema,
        fragments: Mapping[str, FragmentDefinitionNode],
        operation: OperationDefinitionNode,
    ) -> None:
        self._schema, self._fragments, self._operation = schema, fragments, operation
        self._defaults = {
            one.variable.name.value: one.default_value for one in operation.variable_definitions or ()
        }

    def term(self) -> Term:
        root = self._schema.get_root_type(self._operation.operation)
        return _fold(1, 0, self._terms(self._operation.selection_set, root))

    def _terms(self, selections: SelectionSetNode, parent: Any) -> list[Term]:
        terms: list[Term] = []
        for node, type_ in self._fields(selections, parent):
            if node.selection_set is None:
                continue
            field = META_FIELDS.get(node.name.value) or type_.fields[node.name.value]
            below = self._terms(node.selection_set, get_named_type(field.type))
            is_wrapper = type_.name.endswith(PAGE_WRAPPERS)
            size = len(self._schema.type_map) if field is ALL_TYPES else self._size(node, field)
            terms += below if is_wrapper else [_fold(size, 1, below)]
        return terms

    def _fields(self, selections: SelectionSetNode, parent: Any) -> Iterator[tuple[FieldNode, Any]]:
        """Each with the type it stands on, fragments expanded."""
        pending: list[tuple[SelectionSetNode, GraphQLNamedType | None]] = [(selections, parent)]
        while pending:
            selection_set, type_ = pending.pop()
            for one in selection_set.selections:
                if isinstance(one, FieldNode):
                    yield one, type_
                    continue
                fragment = self._fragments[one.name.value] if isinstance(one, FragmentSpreadNode) else one
                assert isinstance(fragment, FragmentDefinitionNode | InlineFragmentNode)
                condition = fragment.type_condition
                narrowed = self._schema.get_type(condition.name.value) if condition else type_
                pending.append((fragment.selection_set, narrowed))

    def _size(self, node: FieldNode, field: GraphQLField) -> int | PageSize:
        for name in PAGE_ARGUMENTS:
            if (argument := field.args.get(name)) is not None:
                given = next((one.value for one in node.arguments or () if one.name.value == name), None)
                default = page_size(argument.default_value)
                return default if given is None else self._given_size(given, default)
        return PLAIN_LIST if is_list_type(get_nullable_type(field.type)) else 1

    def _given_size(self, given: object, default: int) -> int | PageSize:
        if isinstance(given, IntValueNode):
            return page_size(int(given.value))
        if not isinstance(given, VariableNode):
            return PAGE_MAX
        told = self._defaults.get(given.name.value)
        return PageSize(given.name.value, default if told is None else int(self._constant(told)))

    @staticmethod
    def _constant(told: object) -> int:
        return page_size(int(told.value)) if isinstance(told, IntValueNode) else PAGE_MAX


def _fold(size: int | PageSize, own: int, below: Sequence[Term]) -> Term:
    """What is known already becomes a number."""
    each = own + sum(term.count({}) for term in below if _is_known(term))
    return Term(size, each, tuple(term for term in below if not _is_known(term)))


def _is_known(term: Term) -> bool:
    return isinstance(term.size, int) and not term.below

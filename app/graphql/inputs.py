"""Inputs that come another way than in a document: coerced as one in a document would be."""

from typing import TypeVar, cast

from graphql import GraphQLError, GraphQLInputObjectType, coerce_input_value, validate_input_value
from strawberry.types.arguments import convert_argument

from app.common.domain import Invalid
from app.graphql.schema import schema
from app.leads.presentation.types import LeadFilter

Input = TypeVar("Input")


def lead_filter(value: object) -> LeadFilter:
    """Raises Invalid at the field that is wrong."""
    return coerce_input(LeadFilter, value)


def coerce_input(input_type: type[Input], value: object) -> Input:
    """An object of this input type from parsed JSON. Raises Invalid at the field that is wrong."""
    name = input_type.__strawberry_definition__.name  # type: ignore[attr-defined]
    type_ = cast("GraphQLInputObjectType", schema._schema.type_map[name])
    wrong: list[Invalid] = []

    def note(error: GraphQLError, at: list[str | int]) -> None:
        if not wrong:
            wrong.append(Invalid(error.message[:300], path=tuple(map(str, at))))

    validate_input_value(value, type_, note)
    if value is None or wrong:
        raise wrong[0] if wrong else Invalid(f"Give an object of the type {name}.")
    coerced = coerce_input_value(value, type_)
    converted = convert_argument(coerced, input_type, schema.schema_converter.scalar_registry, schema.config)
    return cast("Input", converted)

"""GraphQL's form of the enums that several modules share; a module's own stand with its types."""

from enum import StrEnum
from typing import TypeVar

import strawberry

from app.common.domain import ActorKind, Channel, ClientKind, Direction, ErrorCode, Role

Enumeration = TypeVar("Enumeration", bound=StrEnum)


def enum_type(
    enum: type[Enumeration], description: str, *, name: str | None = None, **values: str
) -> type[Enumeration]:
    """Makes a domain's enum a GraphQL type (`name` where it has another there), with a description for each value. The
    domain itself imports nothing."""
    if not hasattr(enum, "__strawberry_definition__"):  # a field that names it may have come first
        strawberry.enum(enum, name=name)
    definition = enum.__strawberry_definition__  # type: ignore[attr-defined]
    definition.description = description
    for value in definition.values:
        value.description = values[value.name]
    return enum


enum_type(
    ErrorCode,
    "Why a mutation was refused.",
    INVALID="The value at `path` is not acceptable; `message` says what is.",
    NOT_FOUND="No such thing in this workspace.",
    FORBIDDEN="Your role or session may not do this.",
    CONFLICT="It exists already, or it changed meanwhile; the payload holds the present state where there is one.",
    LIMIT_REACHED="A limit of the installation or plan is reached.",
    THROTTLED="Too many attempts; try again at `retryAt`.",
    UNAUTHENTICATED="The credentials are wrong, expired or revoked.",
    UNAVAILABLE="Something this needs is away for the moment; try again.",
)
enum_type(
    Role,
    "A member's role in a workspace; each includes the ones after it.",
    OWNER="May do everything, the workspace itself included.",
    ADMIN="May also manage members, stages, channels and automations.",
    MEMBER="Works with leads, conversations and sends.",
    VIEWER="Reads.",
)
enum_type(
    ClientKind,
    "What a session is opened from.",
    WEB="The web app.",
    EXTENSION="The browser extension: it may import and little else.",
    API="A script or another program.",
)
enum_type(Channel, "A way to reach a person.", EMAIL="E-mail.")
enum_type(
    Direction,
    "Which way a message went.",
    INBOUND="From the lead to us.",
    OUTBOUND="From us to the lead.",
)
enum_type(
    ActorKind,
    "Who is behind a message or a change.",
    name="AuthorKind",
    CONTACT="The lead.",
    HUMAN="A member of the workspace.",
    AUTOMATION="An automation.",
    AI="A language model.",
    SYSTEM="SalesPad itself.",
)

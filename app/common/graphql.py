"""What every module's presentation shares: context, root-field rules, scalars, payloads, connections.

Root fields are made with `query`, `mutation` and `subscription` below, which take the rule of words.md's role table.
Refusals are data in a payload; top-level errors (`ClientError`) are for what a client did wrong as a client.
"""

import functools
import inspect
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Protocol, Self, TypeVar, get_type_hints
from uuid import UUID

import strawberry
from graphql import GraphQLError
from strawberry.dataloader import DataLoader

from app.common.domain import (
    Actor,
    ClientKind,
    ErrorCode,
    Forbidden,
    Refusals,
    Role,
    SalesPadError,
)
from app.common.enums import enum_type as enum_type
from app.common.feed.channel import Tap
from app.common.feed.hub import Hub
from app.common.paging import PAGE_MAX, Page
from app.common.sharing import SharedItem, Shares
from app.common.work import Doors
from app.settings import Settings


# ── top-level errors ──────────────────────────────────────────────────────────────────────────────────────────────────
class ClientError(GraphQLError):
    """A top-level error with a code; its message is meant to be read by the client's developer."""

    def __init__(self, message: str, code: str, **extensions: object) -> None:
        super().__init__(message, extensions={"code": code, **extensions})


def bad_user_input(message: str) -> ClientError:
    return ClientError(message, "BAD_USER_INPUT")


def unauthenticated(message: str = "Sign in first: send a bearer token.") -> ClientError:
    return ClientError(message, "UNAUTHENTICATED")


# ── context ───────────────────────────────────────────────────────────────────────────────────────────────────────────
class BatchFunction(Protocol):
    """Loads something for many keys at once: the answers stand in the order of the keys."""

    def __call__(self, context: "Context", keys: list[Any], /) -> Awaitable[Sequence[Any]]: ...


@dataclass
class Context:
    """What a resolver may reach. Over a websocket one context serves the whole connection: nothing here may belong to
    one operation, so loaders batch but do not cache."""

    settings: Settings
    doors: Doors
    hub: Hub
    services: Mapping[str, Any]
    """The process's long-lived services by module name (accounts: its token and password services)."""
    batches: Mapping[str, BatchFunction]
    """What a lower module's type asks of an upper module (`app/graphql/schema.py` fills it)."""
    shares: Shares
    """What this process keeps of recent events, for all their subscribers."""
    actor: Actor | None = None
    ip: str = ""
    user_agent: str = ""
    origin: str | None = None
    response: Any = None
    connection_params: dict[str, Any] = field(default_factory=dict)
    _loaders: dict[str, DataLoader[Any, Any]] = field(default_factory=dict)

    @property
    def signed_in(self) -> Actor:
        """Raises the top-level UNAUTHENTICATED."""
        if self.actor is None:
            raise unauthenticated()
        return self.actor

    def loader(self, name: str) -> DataLoader[Any, Any]:
        if name not in self._loaders:
            batch = functools.partial(self.batches[name], self)
            self._loaders[name] = DataLoader(load_fn=batch, cache=False)
        return self._loaders[name]


Info = strawberry.Info[Context, None]

Id = Annotated[strawberry.ID, strawberry.argument(description="The id; an unknown one gives null.")]
First = Annotated[int, strawberry.argument(description="How many at most: 1 to 100.")]
After = Annotated[str | None, strawberry.argument(description="Go on after this cursor.")]


# ── root fields and their rules ───────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Rule:
    """Who may use a root field: the least role (None: anybody, signed in or not), whether an extension may, and whether
    it is a person's own matter, which no API key may touch."""

    role: Role | None
    extension: bool
    personal: bool = False

    def check(self, context: Context) -> None:
        """Raises Forbidden, or the top-level UNAUTHENTICATED."""
        if self.role is None:
            return
        actor = context.signed_in
        if not actor.role.includes(self.role):
            helper = "an owner" if self.role is Role.OWNER else "an admin"
            raise Forbidden(
                f"This needs the role {self.role}; you are {actor.role}. Ask {helper} of the workspace."
            )
        if actor.client is ClientKind.EXTENSION and not self.extension:
            raise Forbidden("A browser extension's session may not do this: use the web app.")
        if actor.is_api_key and self.personal:
            raise Forbidden("An API key may not do this: it is for a person who is signed in.")


RULE = "rule"
Resolver = TypeVar("Resolver", bound=Callable[..., Any])
Found = TypeVar("Found")


def query(
    *, requires: Role | None, description: str, extension: bool = False, personal: bool = False
) -> Callable[[Resolver], Any]:
    rule = Rule(requires, extension, personal)

    def wrap(resolver: Resolver) -> Any:
        @functools.wraps(resolver)
        async def guarded(self: Any, info: Info, **arguments: Any) -> Any:
            _check_top_level(rule, info.context)
            return await resolver(self, info, **arguments)

        return strawberry.field(resolver=guarded, description=description, metadata={RULE: rule})

    return wrap


def mutation(
    *, requires: Role | None, description: str, extension: bool = False, personal: bool = False
) -> Callable[[Resolver], Any]:
    """A refusal raised inside becomes the payload's `errors`; nothing else is caught."""
    rule = Rule(requires, extension, personal)

    def wrap(resolver: Resolver) -> Any:
        payload: type[Payload] = get_type_hints(resolver)["return"]

        @functools.wraps(resolver)
        async def guarded(self: Any, info: Info, **arguments: Any) -> Any:
            try:
                rule.check(info.context)
                return await resolver(self, info, **arguments)
            except SalesPadError as refusal:
                if refusal.code is ErrorCode.THROTTLED:
                    _ask_to_wait(info.context, refusal.retry_at)
                return payload.refused(refusal)

        guarded.__signature__ = _described(resolver)  # type: ignore[attr-defined]
        return strawberry.mutation(resolver=guarded, description=description, metadata={RULE: rule})

    return wrap


def subscription(
    *, requires: Role, description: str, extension: bool = False, personal: bool = False
) -> Callable[[Resolver], Any]:
    rule = Rule(requires, extension, personal)

    def wrap(resolver: Resolver) -> Any:
        @functools.wraps(resolver)
        async def guarded(self: Any, info: Info, **arguments: Any) -> AsyncIterator[Any]:
            _check_top_level(rule, info.context)
            stream = resolver(self, info, **arguments)
            try:
                async for item in stream:
                    if info.context.shares.is_on:
                        yield item
                    elif (own := await _own(item, info.context)) is not None:
                        yield own
            finally:
                await stream.aclose()

        assert inspect.isasyncgenfunction(resolver)
        return strawberry.subscription(resolver=guarded, description=description, metadata={RULE: rule})

    return wrap


def _ask_to_wait(context: Context, retry_at: datetime | None) -> None:
    """Over HTTP the answer is 429, with the payload in it; of several refusals in a document, until the last one."""
    if context.response is None:
        return
    wait_s = max(1, math.ceil((retry_at - datetime.now(UTC)).total_seconds())) if retry_at else 1
    headers = context.response.headers
    wait_s = max(wait_s, int(headers.get("Retry-After", 0)))
    context.response.status_code = 429
    headers["Retry-After"] = str(wait_s)
    headers["RateLimit"] = f'"attempts";r=0;t={wait_s}'


async def _own(item: Any, context: Context) -> Any:
    """What sharing would have made of it, for this subscriber alone; None: nothing."""
    if isinstance(item, SharedItem):
        return await item.load((context.signed_in.user_id,))
    return None if isinstance(item, Tap) else item


def _described(resolver: Callable[..., Any]) -> inspect.Signature:
    """A resolver's signature, its `input` with a description."""
    signature = inspect.signature(resolver)
    parameters = dict(signature.parameters)
    if "input" in parameters:
        described: Any = Annotated[
            get_type_hints(resolver)["input"], strawberry.argument(description="What to do, and to what.")
        ]
        parameters["input"] = parameters["input"].replace(annotation=described)
    return signature.replace(parameters=list(parameters.values()))


def still_there(found: Found | None) -> Found:
    """What a thing belongs to. The two are read one after the other: between them somebody may erase both."""
    if found is None:
        raise ClientError("This was erased a moment ago: fetch again.", "UNAVAILABLE")
    return found


def nested(*, description: str, metadata: Mapping[str, object] | None = None) -> Callable[[Resolver], Any]:
    """A field of a type that loads by itself: it must batch (`Context.loader`)."""
    return lambda resolver: strawberry.field(
        resolver=resolver, description=description, metadata=metadata or {}
    )


def _check_top_level(rule: Rule, context: Context) -> None:
    try:
        rule.check(context)
    except Forbidden as refusal:
        raise ClientError(refusal.message, "FORBIDDEN") from None


# ── payloads ──────────────────────────────────────────────────────────────────────────────────────────────────────────
@strawberry.type(description="One refusal of a mutation, placed at the field it concerns.")
class UserError:
    code: ErrorCode = strawberry.field(description="What kind of refusal it is.")
    message: str = strawberry.field(description="What to do, for a person.")
    path: list[str] = strawberry.field(description='Where in the input, such as ["leads", "3", "email"].')
    retry_at: datetime | None = strawberry.field(description="When it may be tried again.", default=None)


@strawberry.type(description="The outcome of a mutation.")
class Payload:
    errors: list[UserError] = strawberry.field(
        description="Why it was refused; empty when it was done.", default_factory=list
    )

    @classmethod
    def refused(cls, refusal: SalesPadError) -> Self:
        refusals = refusal.refusals if isinstance(refusal, Refusals) else (refusal,)
        return cls(errors=[user_error(one) for one in refusals])


def user_error(refusal: SalesPadError) -> UserError:
    return UserError(
        code=refusal.code, message=refusal.message, path=list(refusal.path), retry_at=refusal.retry_at
    )


@strawberry.type(description="Whether something was done.")
class OkPayload(Payload):
    ok: bool = strawberry.field(description="True when it was done.", default=False)


@strawberry.type(description="What was deleted.")
class DeletedPayload(Payload):
    deleted_ids: list[strawberry.ID] = strawberry.field(
        description="The ids that are gone.", default_factory=list
    )


# ── ids and connections ───────────────────────────────────────────────────────────────────────────────────────────────
def parse_id(value: str) -> UUID | None:
    """None for what cannot be an id: it is answered like an unknown one."""
    try:
        return UUID(value) if len(value) == 36 else None
    except ValueError:
        return None


NO_ID = UUID(int=0)
"""Stands for a malformed id in a statement: matches nothing."""


def given(input: object, *fields: str) -> dict[str, Any]:
    """The fields of an input that were sent: absent means keep, null means clear."""
    return {name: getattr(input, name) for name in fields if getattr(input, name) is not strawberry.UNSET}


Input = TypeVar("Input")


def handed_as_sent(input_type: type[Input]) -> type[Input]:
    """An input of leaves that reaches the resolver as the mapping that was sent, nulls left out.

    For inputs that come by the thousand: coerced and validated by graphql-core like any other, but not built as
    objects, which takes Strawberry some 0.1 ms each.
    """
    definition = input_type.__strawberry_definition__  # type: ignore[attr-defined]
    definition.from_input = lambda _type, sent, _context: {
        name: value for name, value in sent.items() if value is not None
    }
    return input_type


def page_size(first: int) -> int:
    if not 1 <= first <= PAGE_MAX:
        raise bad_user_input(f"`first` is 1 to {PAGE_MAX}.")
    return first


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether more follow.")
    has_previous_page: bool = strawberry.field(description="Whether some come before.")
    start_cursor: str | None = strawberry.field(description="The first edge's cursor.")
    end_cursor: str | None = strawberry.field(description="The last edge's cursor: give it as `after`.")


def page_info(page: Page[Any], cursors: Sequence[str], *, after: str | None) -> PageInfo:
    return PageInfo(
        has_next_page=page.has_next,
        has_previous_page=after is not None,
        start_cursor=cursors[0] if cursors else None,
        end_cursor=cursors[-1] if cursors else None,
    )


def selects(info: Info, *path: str) -> bool:
    """Whether the operation asks for this path below the root field, fragments included (names as in the schema)."""
    wanted = info.selected_fields[0].selections
    for name in path:
        below = [found for found in _flat(wanted) if found.name == name]
        if not below:
            return False
        wanted = [inner for found in below for inner in found.selections]
    return True


def _flat(selections: Sequence[Any]) -> list[Any]:
    """Fields, with those of fragments lifted out of them."""
    flat: list[Any] = []
    for selection in selections:
        flat.extend([selection] if hasattr(selection, "arguments") else _flat(selection.selections))
    return flat

"""Execute once, send to all: a subscription's item is executed and encoded once a process for all who would get the
same text (docs/decisions/0009).

Two subscribers share when document, operation, viewer scope and the variables below the root field are equal; the root
field's own arguments (`after`, `kinds`) only choose the events. The scope is workspace and role, or the user where the
document selects a field that reads the viewer. Leans on graphql-core's pipeline of `Executor.build`,
`create_source_event_stream` and `execute_subscription_event`: pinned, with a contract test, and switched off by
SALESPAD_SHARE_EXECUTION=false, which leaves the whole operation to Strawberry.
"""

import inspect
import json
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, cast

from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    TypeInfo,
    TypeInfoVisitor,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    VisitorAction,
    visit,
)
from graphql.execution import Executor, create_source_event_stream, execute_subscription_event
from strawberry import Schema
from strawberry.schema.schema_converter import GraphQLCoreConverter

from app.common.domain import Actor
from app.common.feed.channel import Tap
from app.common.graphql import Context
from app.common.sharing import Frame, Scope, SharedItem, reads_viewer
from app.common.work import Unavailable
from app.graphql.errors import present_errors
from app.graphql.limits import Checked, documents_of


class Sending(Protocol):
    """One operation on a socket or a stream, as the pipeline sees it."""

    query: str
    operation_name: str | None
    variables: dict[str, Any] | None

    async def send_initial_errors(self, errors: list[GraphQLError]) -> None: ...
    async def send_next(self, execution_result: Any) -> None: ...
    async def send_frame(self, frame: Frame) -> None: ...
    @property
    def frame_head(self) -> bytes: ...
    @property
    def write_text(self) -> Callable[[bytes, bytes], bool] | None: ...


# ── who shares with whom ──────────────────────────────────────────────────────────────────────────────────────────────
class _Reading(Visitor):
    """What a valid document's items depend on besides the event."""

    def __init__(self, schema: GraphQLSchema, types: TypeInfo) -> None:
        super().__init__()
        self._root, self._types = schema.subscription_type, types
        self.reads_viewer = False
        self.variables: set[str] = set()

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        field = self._types.get_field_def()
        definition = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF) if field else None
        if definition is not None and reads_viewer(definition.metadata):
            self.reads_viewer = True

    def enter_variable_definition(self, node: VariableDefinitionNode, *_: Any) -> VisitorAction:
        return self.SKIP

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        chooses_events = (
            self._types.get_parent_type() is self._root
            and self._types.get_argument() is not None
            and self._types.get_directive() is None
        )
        if not chooses_events:
            self.variables.add(node.name.value)


@lru_cache(maxsize=512)
def read_document(schema: GraphQLSchema, document: DocumentNode) -> tuple[bool, frozenset[str]]:
    """Whether it reads the viewer, and the variables its items depend on."""
    types = TypeInfo(schema)
    reading = _Reading(schema, types)
    visit(document, TypeInfoVisitor(types, reading))
    return reading.reads_viewer, frozenset(reading.variables)


def share_key(schema: GraphQLSchema, checked: Checked, operation: Sending, actor: Actor) -> tuple[str, Scope]:
    """What two operations must have in common to share a frame; and the scope, which their loads must."""
    is_viewers_own, names = read_document(schema, checked.document)
    scope: Scope = (*actor.scope, actor.user_id, actor.client) if is_viewers_own else actor.scope
    variables = {name: text for name, text in (operation.variables or {}).items() if name in names}
    key = [operation.query, operation.operation_name, variables, [str(part) for part in scope]]
    return sys.intern(json.dumps(key, sort_keys=True)), scope


def shareable(operation: Sending, schema: Schema, context: Context) -> Checked | None:
    """The document, where its items may be shared. One that is refused goes to Strawberry, which tells it."""
    if not context.shares.is_on:
        return None
    try:
        checked = documents_of(schema._schema).check(operation.query)
    except GraphQLError:
        return None
    return None if checked.refusals(operation.variables, operation.operation_name) else checked


# ── the pipeline ──────────────────────────────────────────────────────────────────────────────────────────────────────
async def run_shared(
    operation: Sending,
    schema: Schema,
    checked: Checked,
    context: Context,
    encode: Callable[[object], str],
) -> None:
    """Runs a checked subscription until it ends; the caller completes it."""
    executor = schema.execution_context_class.build(
        schema._schema, checked.document, None, context, operation.variables, operation.operation_name
    )
    if isinstance(executor, list):
        await operation.send_initial_errors(executor)
        return
    stream = create_source_event_stream(executor)
    if inspect.isawaitable(stream):
        stream = await stream
    if isinstance(stream, ExecutionResult):
        await operation.send_initial_errors(stream.errors or [])
        return
    key, scope = share_key(schema._schema, checked, operation, context.signed_in)

    def frame_of(item: SharedItem) -> Awaitable[Frame]:
        return context.shares.once(
            item.event, key, lambda: _make_frame(executor, item, scope, encode), size=_size
        )

    items = cast("AsyncGenerator[object, None]", stream)
    async with aclosing(items):
        await _send_items(operation, items, executor, _Group(key, frame_of))


@dataclass(frozen=True, slots=True)
class _Group:
    """Who share frames, and how one is made."""

    key: str
    frame_of: Callable[[SharedItem], Awaitable[Frame]]


async def _send_items(
    operation: Sending,
    items: AsyncIterator[object],
    executor: Executor[Any],
    group: _Group,
) -> None:
    while True:
        try:
            item = await anext(items)
        except StopAsyncIteration:
            return
        except Exception as error:  # noqa: BLE001 - whatever ends the stream is told, masked where it is ours
            await operation.send_next(ExecutionResult(None, [_as_graphql_error(error)]))
            return
        if isinstance(item, Tap):
            item.group, item.make = group.key, group.frame_of
            item.head, item.write = operation.frame_head, operation.write_text
        elif isinstance(item, SharedItem):
            frame = await group.frame_of(item)
            if frame.payload:
                await operation.send_frame(frame)
            if frame.is_last:
                return
        else:
            await operation.send_next(await _execute(executor, item))


async def _make_frame(
    executor: Executor[Any], item: SharedItem, scope: Scope, encode: Callable[[object], str]
) -> Frame:
    """Raises Unavailable where the database was away: then it is done again. What else goes wrong is in the frame, so
    that it is logged once however many get it."""
    try:
        loaded = await item.load(scope)
        if loaded is None:
            return Frame("")
        result = await _execute(executor, loaded)
    except Unavailable:
        raise
    except Exception as error:  # noqa: BLE001 - told, masked where it is ours
        errors = present_errors([_as_graphql_error(error)], is_request_error=False)
        return _frame(encode({"data": None, "errors": errors}), is_last=True)
    for failed in result.errors or ():
        if isinstance(failed.original_error, Unavailable):
            raise failed.original_error
    return _frame(encode(payload_of(result)))


def _frame(payload: str, *, is_last: bool = False) -> Frame:
    return Frame(payload, payload.encode() + b"}", is_last)


async def _execute(executor: Executor[Any], item: object) -> ExecutionResult:
    result = execute_subscription_event(executor.build_per_event_executor(item))
    return await result if inspect.isawaitable(result) else result


def payload_of(result: Any) -> dict[str, Any]:
    """Of a `next` message; errors in the door's form."""
    payload: dict[str, Any] = {"data": result.data}
    if result.errors:
        payload["errors"] = present_errors(result.errors, is_request_error=False)
    return payload


def _as_graphql_error(error: Exception) -> GraphQLError:
    return error if isinstance(error, GraphQLError) else GraphQLError(str(error), original_error=error)


def _size(frame: Frame) -> int:
    return len(frame.payload) + len(frame.data) + 200

"""A field whose value depends on who asks is marked, or execute-once would tell one member another's.

Two members of one role ask for all that a subscription can tell. What differs must be marked `VIEWERS_OWN`, and what is
marked must differ here: a field that neither reads is a field that this test does not try.
"""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from graphql import GraphQLField, GraphQLObjectType, get_named_type, is_required_argument
from sqlalchemy import text

from app.common.domain import Role
from app.common.sharing import reads_viewer
from app.common.work import Doors
from app.graphql.schema import schema
from app.imports.domain.imports import ImportProgressed
from app.outreach.domain.events import BulkSendProgressed
from app.settings import Settings
from tests.factories.accounts import Person, add_member
from tests.factories.conversations import inbound, open_conversation
from tests.fixtures.feed import feed_cursor
from tests.fixtures.graphql import open_socket
from tests.fixtures.tenants import in_process

DEPTH = 5
READ = text(
    "INSERT INTO conversation_read (workspace_id, conversation_id, user_id, inbound_count_read) "
    "VALUES (:workspace_id, :conversation_id, :user_id, 1)"
)
DRAFT = text(
    "INSERT INTO draft (workspace_id, conversation_id, user_id, body) "
    "VALUES (:workspace_id, :conversation_id, :user_id, 'To be continued')"
)
STOP = text(
    "INSERT INTO suppression (workspace_id, value, reason) VALUES (:workspace_id, '@example.com', 'OPT_OUT')"
)
PAUSED = text(
    """
    WITH written AS (
        INSERT INTO template (workspace_id, name) VALUES (:workspace_id, 'Offer') RETURNING workspace_id, id
    ), worded AS (
        INSERT INTO template_version (workspace_id, template_id, number, body, variables, required)
        SELECT workspace_id, id, 1, 'Hello', '{}', '{}' FROM written
    )
    INSERT INTO bulk_send (workspace_id, name, state, pause_reason, template_id, account_id, status)
    SELECT w.workspace_id, 'Offer', 'PAUSED', 'ERROR_RATE|5|20', w.id, a.id, 'idle'
    FROM written w JOIN channel_account a ON a.workspace_id = w.workspace_id LIMIT 1 RETURNING id
    """
)
FAILED = text(
    """
    WITH failed AS (
        INSERT INTO import_job (workspace_id, id, status, source, policy, tag_ids, counts, processed_rows, error)
        VALUES (:workspace_id, gen_random_uuid(), 'FAILED', 'CSV', 'UPSERT', '{}', '{"REJECTED": 1}', 1, 'OPEN_QUOTE|2')
        RETURNING workspace_id, id
    ), refused AS (
        INSERT INTO import_row (workspace_id, import_id, row, outcome, code)
        SELECT workspace_id, id, 1, 'REJECTED', 'NO_IDENTITY' FROM failed
    )
    SELECT id FROM failed
    """
)
CLOSE = "mutation ($input: ConversationIdInput!) { closeConversation(input: $input) { errors { code } } }"
SPEAK = "mutation ($input: UpdateProfileInput!) { updateProfile(input: $input) { errors { code } } }"


def is_marked(field: GraphQLField) -> bool:
    definition = field.extensions.get("strawberry-definition")
    return definition is not None and reads_viewer(definition.metadata)


def told_types() -> Iterator[GraphQLObjectType]:
    """What subscriptions can reach."""
    pending, seen = [schema._schema.subscription_type], set()
    while pending:
        type_ = pending.pop()
        if isinstance(type_, GraphQLObjectType) and type_.name not in seen:
            seen.add(type_.name)
            if type_ is not schema._schema.subscription_type:
                yield type_
            pending.extend(get_named_type(field.type) for field in type_.fields.values())


def selection(type_: GraphQLObjectType, *, marked: bool, depth: int = DEPTH) -> str:
    """All fields that need no argument; those that read the viewer only where `marked`."""
    parts = []
    for name, field in type_.fields.items():
        inner = get_named_type(field.type)
        if any(is_required_argument(one) for one in field.args.values()) or (is_marked(field) and not marked):
            continue
        if not isinstance(inner, GraphQLObjectType):
            parts.append(name)
        elif depth > 1 and (below := selection(inner, marked=marked, depth=depth - 1)):
            parts.append(f"{name} {{ {below} }}")
    return " ".join(parts)


async def told(ws_url: str, person: Person, document: str, after: str, count: int) -> list[dict[str, Any]]:
    """The items after a cursor, executed for this person alone."""
    items: list[dict[str, Any]] = []
    async with asyncio.timeout(20), open_socket(ws_url, person.token) as socket:
        async for payload in socket.subscribe(document, {"after": after}):
            assert "errors" not in payload, payload
            items.append(payload["data"]["feed"])
            if len(items) == count + 1:
                return items[1:]
    raise AssertionError("unreachable")


@pytest.mark.parametrize("marked", [False, True])
async def test_only_what_is_marked_differs_between_two_members(
    ana: Person, doors: Doors, settings: Settings, marked: bool
) -> None:
    bruno = await add_member(doors, ana, role=Role.OWNER)
    await ana.run(SPEAK, {"input": {"locale": "en"}})
    await bruno.run(SPEAK, {"input": {"locale": "pt-BR"}})
    after = await feed_cursor(ana)
    opened = await open_conversation(ana, doors)
    await inbound(ana, doors, opened.id)
    of_ana = {"workspace_id": ana.workspace_id, "conversation_id": opened.id, "user_id": ana.user_id}
    async with doors.open_work(ana.workspace_id) as work:
        await work.execute(READ, of_ana)
        await work.execute(DRAFT, of_ana)
        await work.execute(STOP, {"workspace_id": ana.workspace_id})
        paused = (await work.execute(PAUSED, {"workspace_id": ana.workspace_id})).scalar_one()
        work.announce(BulkSendProgressed(entity_ids=[paused]))
        failed = (await work.execute(FAILED, {"workspace_id": ana.workspace_id})).scalar_one()
        work.announce(ImportProgressed(entity_ids=[failed]))
    await ana.run(CLOSE, {"input": {"id": str(opened.id)}})
    item = schema._schema.type_map["FeedItem"]
    assert isinstance(item, GraphQLObjectType)
    # Three levels hold a message's conversation and its fields; more would pass the limit of a document.
    fields = selection(item, marked=marked, depth=3)
    document = f"subscription ($after: String) {{ feed(after: $after) {{ {fields} }} }}"
    async with in_process(settings.model_copy(update={"share_execution": False})) as server:
        # The lead, the message, the bulk send that tells why it is paused, the import that tells why it failed, and the
        # conversation, whose canSend does.
        count = 5
        anas = await told(server.ws_url, ana, document, after, count)
        brunos = await told(server.ws_url, bruno, document, after, count)
    assert '"Ol' in json.dumps(anas, ensure_ascii=False), "the message is there"
    own = {"unreadCount", "draft", "reason", "pauseReason", "failure", "message", "errorReportUrl"}
    assert differing(anas, brunos) == (own if marked else set())


def differing(one: Any, other: Any, name: str = "") -> set[str]:
    """The fields that two answers differ in."""
    if isinstance(one, dict) and isinstance(other, dict):
        assert one.keys() == other.keys()
        return {found for key in one for found in differing(one[key], other[key], key)}
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return {found for pair in zip(one, other, strict=True) for found in differing(*pair, name)}
    return set() if one == other else {name}


def test_what_is_marked_is_tried() -> None:
    """A newly marked field needs a row above that makes two members differ in it."""
    marked = {name for type_ in told_types() for name, field in type_.fields.items() if is_marked(field)}
    assert marked == {
        *("unreadCount", "draft", "canSend", "pauseReason"),
        *("failure", "rowErrors", "errorReportUrl"),
    }


def test_a_resolver_that_reads_the_viewer_is_marked() -> None:
    """What loads by itself may take the workspace of the actor, which all who share have in common, and no more."""
    unmarked = []
    for type_ in told_types():
        for name, field in type_.fields.items():
            definition = field.extensions.get("strawberry-definition")
            resolver = getattr(definition, "base_resolver", None)
            code = getattr(getattr(resolver, "wrapped_func", None), "__code__", None)
            if (
                code is not None
                and not is_marked(field)
                and {"user_id", "session_id", "client"} & set(code.co_names)
            ):
                unmarked.append(f"{type_.name}.{name}")
    assert unmarked == []

"""Searching the inbox: words in messages, however common, within one workspace."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.common.paging import Keyset
from app.common.work import Doors
from app.conversations.infrastructure import list_reads
from app.conversations.wiring import ConversationConditions, list_conversations
from tests.factories.accounts import Person, sign_up
from tests.factories.conversations import inbound, make_lead, open_account, open_conversation, outbound

PAGE = """query ($filter: ConversationFilter, $first: Int! = 20, $after: String) {
  conversations(filter: $filter, first: $first, after: $after) {
    edges { node { id } } pageInfo { hasNextPage endCursor } } }"""


async def search_for(person: Person, search: str, **filter: Any) -> list[str]:
    answer = await person.run(PAGE, {"filter": {"search": search, **filter}, "first": 100})
    return [edge["node"]["id"] for edge in answer["conversations"]["edges"]]


async def test_words_are_found_without_case_and_accents_and_in_their_forms(ana: Person, doors: Doors) -> None:
    opened = await open_conversation(ana, doors)
    await inbound(ana, doors, opened.id, subject="Reuniões", body="Olá! Falamos das PROPOSTAS amanhã às 10h?")
    other = await open_conversation(ana, doors)
    await inbound(ana, doors, other.id, body="Nada disso.")
    for search in (
        "propostas",
        "proposta",
        "REUNIAO",
        "reunião",
        "amanha",
        "ama",
        "falamos das pro",
        "10h",
        "as",
    ):
        assert await search_for(ana, search) == [str(opened.id)], search
    for search in ("propostas nada", "contrato", "ropostas"):
        assert await search_for(ana, search) == [], search


async def test_words_may_stand_in_one_message_only(ana: Person, doors: Doors) -> None:
    """All of them in the same one."""
    opened = await open_conversation(ana, doors)
    await inbound(ana, doors, opened.id, body="preço")
    await outbound(ana, doors, opened.id, body="desconto")
    assert await search_for(ana, "preço desconto") == []
    assert await search_for(ana, "desconto") == [str(opened.id)]


async def test_an_english_workspace_is_searched_in_english(http: Any, doors: Doors) -> None:
    bob = await sign_up(http, name="Bob", locale="en")
    opened = await open_conversation(bob, doors)
    await inbound(bob, doors, opened.id, body="We were negotiating the contracts")
    assert await search_for(bob, "negotiate contract") == [str(opened.id)]


@pytest.mark.parametrize(
    "search",
    [
        "%%",
        "__",
        "\\\\",
        "'; drop table message; --",
        "a & b | !c",
        "((",
        "a:*",
        "<->",
        "'' ''",
        "x'y",
        "🙂🙂",
        "ﷺﷺ",
    ],
)
async def test_operators_are_harmless(ana: Person, doors: Doors, search: str) -> None:
    opened = await open_conversation(ana, doors)
    await inbound(ana, doors, opened.id, body="Nothing of the kind.")
    assert await search_for(ana, search) == []
    await inbound(ana, doors, opened.id, body=f"so: {search} drop")
    assert await search_for(ana, "drop") == [str(opened.id)]


@pytest.mark.parametrize("search", ["", "a", " a ", "a" * 101, "x" * 10_000, "ab\x00"])
async def test_too_short_and_too_long_searches_are_refused(ana: Person, search: str) -> None:
    assert await ana.refused(PAGE, {"filter": {"search": search}}) == "BAD_USER_INPUT"


async def test_another_workspaces_messages_are_not_found(ana: Person, eve: Person, doors: Doors) -> None:
    theirs = await open_conversation(eve, doors)
    await inbound(eve, doors, theirs.id, body="segredo")
    assert await search_for(ana, "segredo") == []
    assert await search_for(eve, "segredo") == [str(theirs.id)]


@pytest.mark.parametrize("hits_max", [0, 3, 5000])
async def test_pages_are_the_same_whether_a_word_is_rare_or_common(
    ana: Person, doors: Doors, hits_max: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two plans of `_found`: with few hits allowed the conversations are walked."""
    lead_id, account_id = await make_lead(ana), await open_account(ana, doors)
    opened = []
    for n in range(9):
        one = await open_conversation(ana, doors, lead_id=lead_id, account_id=account_id)
        await inbound(ana, doors, one.id, body=f"número {n} {'comum' if n % 3 else 'outro'}")
        opened.append(one)
    expected = [one.id for n, one in enumerate(opened) if n % 3][::-1]
    seen: list[UUID] = []
    after = None
    original = list_reads._list_statement
    monkeypatch.setattr(
        list_reads, "WALK_MAX", 4
    )  # the walk ends before the page is full, and all is looked up
    original.cache_clear()
    monkeypatch.setattr(
        list_reads,
        "_list_statement",
        lambda *shape, hits_max=hits_max: original(*shape, hits_max=hits_max),
    )
    async with doors.open_reads(ana.workspace_id) as tenant:
        while True:
            found = await list_conversations(
                tenant,
                ana.workspace_id,
                ana.user_id,
                ConversationConditions(terms=["comum"]),
                first=2,
                after=after,
                with_identities=False,
                with_attachments=False,
            )
            seen += [row["key"] for row in found.page.rows]
            if not found.page.has_next:
                break
            after = Keyset(found.page.rows[-1]["activity_at"], found.page.rows[-1]["key"])
    original.cache_clear()
    assert seen == expected


async def test_what_looks_up_as_another_role_runs_nothing_of_the_callers(ana: Person, doors: Doors) -> None:
    """Temporary objects are looked up first where a search_path does not say otherwise."""
    async with doors.open_work(ana.workspace_id) as work:
        for statement in (
            "CREATE FUNCTION pg_temp.who() RETURNS uuid LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'runs as %', current_user; END $$",
            "CREATE TEMP VIEW message AS SELECT pg_temp.who() AS conversation_id, w.id AS workspace_id, "
            "'a'::tsvector AS lexemes FROM (SELECT current_setting('app.workspace_id')::uuid AS id) AS w",
            "GRANT SELECT ON pg_temp.message TO PUBLIC",
        ):
            await work.execute(text(statement))
        looked_up = await work.execute(text("SELECT search_conversations('a', 10)"))
        assert looked_up.scalar_one() == []
        await work.execute(text("DROP VIEW pg_temp.message"))
        await work.execute(text("DROP FUNCTION pg_temp.who()"))

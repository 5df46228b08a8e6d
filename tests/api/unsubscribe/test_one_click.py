"""What mail programs POST (RFC 8058), and what it does to what is sent."""

import asyncio
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from app.conversations.wiring import unsubscribe_url
from tests.factories.people import Known, created
from tests.factories.sending import Outlet, accepted, until_status
from tests.factories.unsubscribing import (
    is_out,
    link_to,
    one_click,
    opt_outs,
    path_of,
    told_on_timeline,
    tomorrow,
)
from tests.fixtures.processes import eventually

MULTIPART = {"data": None, "files": {"List-Unsubscribe": (None, "One-Click")}}


@pytest.mark.parametrize("options", [{}, MULTIPART], ids=["urlencoded", "multipart"])
async def test_one_post_is_enough(
    outlet: Outlet, http: httpx.AsyncClient, options: dict[str, object]
) -> None:
    opened = await outlet.conversation()
    path = await link_to(outlet, opened)
    answer = await one_click(http, path, **options)
    assert (answer.status_code, answer.history) == (200, [])
    assert "set-cookie" not in answer.headers
    (row,) = await opt_outs(outlet.doors, outlet.person)
    assert (row.value, row.channel, row.reason) == (opened.address, "EMAIL", "OPT_OUT")
    told = await told_on_timeline(outlet.person, opened.lead_id)
    assert told == [
        {
            "type": "UPDATED",
            "channel": "EMAIL",
            "direction": "INBOUND",
            "content": "unsubscribed",
            "actorKind": "CONTACT",
        }
    ]


async def test_twenty_at_once_are_one(outlet: Outlet, http: httpx.AsyncClient) -> None:
    opened = await outlet.conversation()
    path = await link_to(outlet, opened)
    answers = await asyncio.gather(*(one_click(http, path) for _ in range(20)))
    assert [answer.status_code for answer in answers] == [200] * 20
    assert len(await opt_outs(outlet.doors, outlet.person)) == 1
    assert len(await told_on_timeline(outlet.person, opened.lead_id)) == 1


async def test_a_link_that_is_used_too_often_waits(outlet: Outlet, http: httpx.AsyncClient) -> None:
    opened = await outlet.conversation()
    path = await link_to(outlet, opened)
    answers = await asyncio.gather(*(one_click(http, path) for _ in range(40)))
    codes = sorted(answer.status_code for answer in answers)
    assert (codes[0], codes[-1], set(codes)) == (200, 429, {200, 429})
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert int(refused.headers["retry-after"]) > 0
    other = await link_to(outlet, await outlet.conversation())
    assert (await one_click(http, other)).status_code == 200, "each link apart"


async def test_what_waits_is_not_sent_any_more(outlet: Outlet, http: httpx.AsyncClient) -> None:
    opened, other = await outlet.conversation(), await outlet.conversation()
    path = await link_to(outlet, opened)
    message = await accepted(outlet.person, opened.id, notBefore=tomorrow())
    assert (await one_click(http, path)).status_code == 200
    await outlet.sql(
        "UPDATE delivery SET run_at = now() WHERE workspace_id = :workspace_id AND message_id = :id",
        id=message["id"],
    )
    canceled = await until_status(outlet.person, message, "CANCELED")
    assert canceled["error"] == "SUPPRESSED"
    await until_status(outlet.person, await accepted(outlet.person, other.id), "SENT")
    assert outlet.arrived(opened) == []


async def test_the_link_of_a_mail_that_left(outlet: Outlet, http: httpx.AsyncClient) -> None:
    opened = await outlet.conversation()
    path = await link_to(outlet, opened, notBefore=None)
    await outlet.mails(opened)
    assert (await one_click(http, path)).status_code == 200
    assert await is_out(outlet, opened)


@pytest.mark.parametrize(
    "body",
    [b"", b"List-Unsubscribe=", b"List-Unsubscribe=one-click", b"x=1", b"\xff\xfe%%%", b"{}", b"&" * 5000],
    ids=["empty", "no-value", "case", "other", "bytes", "json", "ands"],
)
async def test_a_post_that_says_something_else_changes_nothing(
    outlet: Outlet, http: httpx.AsyncClient, body: bytes
) -> None:
    opened = await outlet.conversation()
    path = await link_to(outlet, opened)
    kinds = (
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "multipart/form-data",
        "",
    )
    for kind in kinds:
        answer = await http.post(path, content=body, headers={"Content-Type": kind})
        assert answer.status_code == 400
        assert "<form" in answer.text
    assert await opt_outs(outlet.doors, outlet.person) == []


async def test_a_body_beyond_measure(outlet: Outlet, http: httpx.AsyncClient) -> None:
    path = await link_to(outlet, await outlet.conversation())
    answer = await http.post(path, content=b"List-Unsubscribe=One-Click&x=" + b"y" * 20_000)
    assert answer.status_code == 413
    assert await opt_outs(outlet.doors, outlet.person) == []


async def test_foreign_and_broken_links(outlet: Outlet, http: httpx.AsyncClient) -> None:
    """A token of our signing for what is not there is done; any other is no link."""
    opened = await outlet.conversation()
    path = await link_to(outlet, opened)
    broken = [
        path[:-1],
        path + "A",
        path[:60] + ("A" if path[60] != "A" else "B") + path[61:],
        "/unsubscribe/",
    ]
    broken += [f"{path}/x", "/unsubscribe/" + "A" * 3000, "/unsubscribe/%00", "/unsubscribe/..%2Fgraphql"]
    foreign = outlet.settings.model_copy(update={"credential_keys": ("k" * 40,)})
    broken.append(path_of(foreign, outlet.person.workspace_id, uuid4()))
    for one in broken:
        for answer in (await http.get(one), await one_click(http, one)):
            assert answer.status_code == 404, one
    for workspace_id in (outlet.person.workspace_id, uuid4()):
        answer = await one_click(http, path_of(outlet.settings, workspace_id, uuid4()))
        assert answer.status_code == 200
    assert await opt_outs(outlet.doors, outlet.person) == []


async def test_it_reaches_its_own_workspace(outlet: Outlet, eve: object, http: httpx.AsyncClient) -> None:
    """Another workspace's id beside this delivery's finds nothing."""
    opened = await outlet.conversation()
    message = await accepted(outlet.person, opened.id, notBefore=tomorrow())
    delivery_id = await outlet.sql(
        "SELECT id FROM delivery WHERE workspace_id = :workspace_id AND message_id = :id", id=message["id"]
    )
    crossed = urlsplit(unsubscribe_url(outlet.settings, eve.workspace_id, delivery_id)).path  # type: ignore[attr-defined]
    assert (await one_click(http, crossed)).status_code == 200
    assert not await is_out(outlet, opened)


async def test_of_a_lead_in_the_trash_the_address_is_suppressed(
    outlet: Outlet, http: httpx.AsyncClient
) -> None:
    opened = await outlet.conversation()
    path = await link_to(outlet, opened)
    delete = "mutation ($ids: [ID!]!) { deleteLeads(input: {ids: $ids}) { deletedIds errors { code } } }"
    answer = await outlet.person.run(delete, {"ids": [str(opened.lead_id)]})
    assert answer["deleteLeads"]["errors"] == []
    assert (await one_click(http, path)).status_code == 200
    assert await is_out(outlet, opened)


async def test_of_an_erased_lead_nothing_is_told_and_nothing_written(
    outlet: Outlet, http: httpx.AsyncClient
) -> None:
    known = Known.somebody()
    lead_id = await created(outlet.person, known)
    opened = await outlet.conversation(lead_id=lead_id, address=known.email)
    path = await link_to(outlet, opened)
    before = await one_click(http, path_of(outlet.settings, outlet.person.workspace_id, uuid4()))
    erase = (
        """mutation ($input: EraseLeadInput!) { eraseLead(input: $input) { deletedIds errors { code } } }"""
    )
    answer = await outlet.person.run(
        erase, {"input": {"id": str(lead_id), "confirmEmailOrName": known.email}}
    )
    assert answer["eraseLead"]["errors"] == []
    after = await one_click(http, path)
    assert (after.status_code, after.text) == (200, before.text)
    assert not any(known.word in row.value for row in await opt_outs(outlet.doors, outlet.person))


async def test_a_merged_leads_address_and_timeline(outlet: Outlet, http: httpx.AsyncClient) -> None:
    kept, merged = await outlet.conversation(), await outlet.conversation()
    path = await link_to(outlet, merged)
    merge = (
        """mutation ($input: MergeLeadsInput!) { mergeLeads(input: $input) { errors { code message } } }"""
    )
    input = {"keepId": str(kept.lead_id), "mergeIds": [str(merged.lead_id)]}
    answer = await outlet.person.run(merge, {"input": input})
    assert answer["mergeLeads"]["errors"] == []
    assert (await one_click(http, path)).status_code == 200
    assert await is_out(outlet, merged)
    assert not await is_out(outlet, kept)
    told = await told_on_timeline(outlet.person, kept.lead_id)
    assert [one["content"] for one in told] == ["unsubscribed"]


async def test_the_feed_tells_it(outlet: Outlet, http: httpx.AsyncClient) -> None:
    opened = await outlet.conversation()
    await one_click(http, await link_to(outlet, opened))

    async def told() -> object:
        return await outlet.sql(
            "SELECT count(*) FROM feed_event WHERE workspace_id = :workspace_id AND kind = 'lead.updated' "
            "AND 'unsubscribed' = ANY (changed) AND entity_ids = ARRAY[cast(:id as uuid)] AND actor_kind = 'SYSTEM'",
            id=opened.lead_id,
        )

    await eventually(told, what="the event")

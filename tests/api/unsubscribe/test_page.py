"""The page behind the link: it changes nothing, runs nothing, tells nothing, and speaks the person's language."""

import re
from html.parser import HTMLParser

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from app.common.domain import Channel
from app.conversations.presentation.pages import WORDS, FormTooLarge, read_form
from app.leads.domain.contact import SuppressionReason
from app.leads.wiring import suppress
from tests.api.leads.test_suppress import suppressed
from tests.factories.sending import Outlet
from tests.factories.unsubscribing import is_out, link_to, opt_outs, told_on_timeline

PAGES = ("bad", "ask", "done", "back", "late", "wait")


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


async def test_looking_changes_nothing(outlet: Outlet, http: httpx.AsyncClient) -> None:
    opened = await outlet.conversation()
    path = await link_to(outlet, opened)
    for answer in (await http.get(path), await http.head(path), await http.get(path)):
        assert answer.status_code == 200
    assert await opt_outs(outlet.doors, outlet.person) == []
    assert opened.address not in answer.text


async def test_it_may_do_nothing_but_ask(outlet: Outlet, http: httpx.AsyncClient) -> None:
    answer = await http.get(await link_to(outlet, await outlet.conversation()))
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "form-action 'self'" in policy
    assert "unsafe" not in policy
    assert "script" not in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-robots-tag"] == "noindex"
    tags = Tags(answer.text)
    assert tags.of("script") == []
    assert not re.search(r'\bon[a-z]+="', answer.text)
    assert not any("style" in attributes for _, attributes in tags.found)
    assert [one["href"] for one in tags.of("a")] == ["?lang=en"]


async def test_the_button_and_the_way_back(outlet: Outlet, http: httpx.AsyncClient) -> None:
    opened = await outlet.conversation()
    path = await link_to(outlet, opened)
    (button,) = Tags((await http.get(path)).text).of("button")
    done = await http.post(path, data={button["name"]: button["value"]})
    assert done.status_code == 200
    assert await is_out(outlet, opened)
    (mistake,) = Tags(done.text).of("button")
    back = await http.post(path, data={mistake["name"]: mistake["value"]})
    assert back.status_code == 200
    assert not await is_out(outlet, opened)
    told = await told_on_timeline(outlet.person, opened.lead_id)
    assert [one["content"] for one in told] == ["unsubscribed", "subscribed"]
    late = await http.post(path, data={mistake["name"]: mistake["value"]})
    assert WORDS["pt-BR"]["late_title"] in late.text


@pytest.mark.parametrize(
    "change",
    [
        "created_at = now() - interval '61 minutes'",
        "reason = 'COMPLAINT'",
        "reason = 'HARD_BOUNCE'",
        "created_by = (SELECT user_id FROM member WHERE workspace_id = :workspace_id)",
    ],
    ids=["late", "complaint", "bounce", "member"],
)
async def test_what_the_link_did_not_just_do_it_does_not_take_back(
    outlet: Outlet, http: httpx.AsyncClient, change: str
) -> None:
    opened = await outlet.conversation()
    path = await link_to(outlet, opened)
    await http.post(path, data={"unsubscribe": "1"})
    await outlet.sql(f"UPDATE suppression SET {change} WHERE workspace_id = :workspace_id")
    assert Tags((await http.post(path, data={"unsubscribe": "1"})).text).of("button") == []
    answer = await http.post(path, data={"subscribe": "1"})
    assert (answer.status_code, WORDS["pt-BR"]["late_title"] in answer.text) == (200, True)
    assert await is_out(outlet, opened)


async def _suppress(outlet: Outlet, address: str, reason: str) -> None:
    if reason == "MANUAL":
        await suppressed(outlet.person, value=address, channel="EMAIL")
        return
    async with outlet.doors.open_work(outlet.person.workspace_id) as work:
        await suppress(
            work,
            outlet.person.workspace_id,
            value=address,
            channel=Channel.EMAIL,
            reason=SuppressionReason(reason),
        )


@pytest.mark.parametrize("reason", ["HARD_BOUNCE", "COMPLAINT", "MANUAL"])
@pytest.mark.parametrize("is_first", [True, False], ids=["before", "after"])
async def test_beside_another_reason_both_stay(
    outlet: Outlet, http: httpx.AsyncClient, reason: str, is_first: bool
) -> None:
    """Nobody lifts a bounce without reading that the person opted out, and the link takes back nothing of others'."""
    opened = await outlet.conversation()
    path = await link_to(outlet, opened)
    acts = [
        lambda: _suppress(outlet, opened.address, reason),
        lambda: http.post(path, data={"unsubscribe": "1"}),
    ]
    for act in acts if is_first else reversed(acts):
        await act()
    assert Tags((await http.post(path, data={"unsubscribe": "1"})).text).of("button") == []
    assert WORDS["pt-BR"]["late_title"] in (await http.post(path, data={"subscribe": "1"})).text
    (row,) = await opt_outs(outlet.doors, outlet.person)
    assert row.reason == ", ".join([reason, "OPT_OUT"] if is_first else ["OPT_OUT", reason])
    told = await told_on_timeline(outlet.person, opened.lead_id)
    assert [one["content"] for one in told] == ["unsubscribed"]


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        ("pt-BR,pt;q=0.9", "pt-BR"),
        ("en-GB,en;q=0.8", "en"),
        ("fr, pt;q=0.5", "pt-BR"),
        ("fr,de", None),
        ("", None),
    ],
    ids=["pt", "en", "third", "others", "none"],
)
@pytest.mark.parametrize("locale", ["pt-BR", "en"])
async def test_the_persons_language_else_the_workspaces(
    outlet: Outlet, http: httpx.AsyncClient, asked: str, language: str | None, locale: str
) -> None:
    path = await link_to(outlet, await outlet.conversation())
    await outlet.sql("UPDATE workspace SET locale = :locale WHERE id = :workspace_id", locale=locale)
    answer = await http.get(path, headers={"Accept-Language": asked})
    assert f'<html lang="{language or locale}">' in answer.text
    other = await http.get(f"{path}?lang=en", headers={"Accept-Language": "pt"})
    assert '<html lang="en">' in other.text
    assert answer.headers["vary"] == "Accept-Language"


@pytest.mark.parametrize("language", ["en", "pt-BR"])
async def test_a_broken_link_is_told_so_in_words(http: httpx.AsyncClient, language: str) -> None:
    answer = await http.get("/unsubscribe/broken", headers={"Accept-Language": language})
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert WORDS[language]["bad_title"] in answer.text


def test_each_language_has_every_word() -> None:
    assert WORDS["en"].keys() == WORDS["pt-BR"].keys()
    assert {name.partition("_")[0] for name in WORDS["en"]} == set(PAGES)


BOUNDARIES = st.sampled_from(["x", '"x"', "", "x; charset=zz", "\xff", "a" * 300])
PIECES = st.sampled_from(
    [
        *(b"--x\r\n", b"--x--", b"=\xff", b"\r\n", b"\r\n\r\n", b"One-Click\r\n", b"begin 644 x\n"),
        b'Content-Disposition: form-data; name="List-Unsubscribe"\r\n\r\n',
        b"Content-Disposition: form-data; name*=utf-9''%ff; name*0*=x\r\n\r\n",
        b"Content-Transfer-Encoding: base64\r\n",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n",
    ]
)


@settings(max_examples=200, deadline=None)
@given(BOUNDARIES, st.lists(PIECES | st.binary(max_size=40), max_size=30), st.booleans())
async def test_no_form_is_an_error_of_ours(boundary: str, pieces: list[bytes], is_multipart: bool) -> None:
    kind = (
        f"multipart/form-data; boundary={boundary}" if is_multipart else "application/x-www-form-urlencoded"
    )
    chunks = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages = iter([*chunks, {"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> dict[str, object]:
        return next(messages)

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", kind.encode("latin-1"))]}
    form = await read_form(Request(scope, receive))
    assert all(isinstance(name, str) and isinstance(value, str) for name, value in form.items())


async def test_a_form_is_small() -> None:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"x" * 4000, "more_body": True}

    with pytest.raises(FormTooLarge):
        await read_form(Request({"type": "http", "method": "POST", "headers": []}, receive))

"""One cookie, which the app's own pages alone can use: where it is set, where it is read, and what it says."""

import re
from pathlib import Path

import pytest

from app.accounts.presentation.http import COOKIE
from tests.api.accounts.visitor import PASSWORD, SIGN_IN, VIEWER, Visitor

ROOT = Path(__file__).resolve().parents[3]
TOUCHES_COOKIES = re.compile(r"\.cookies\b|set_cookie|delete_cookie|[\"'](set-)?cookie[\"']", re.IGNORECASE)
HANDLES_COOKIES = {"app/accounts/presentation/http.py": "the two routes under /auth, and how it is set"}
SWITCH = """
mutation ($input: SwitchWorkspaceInput!) {
  switchWorkspace(input: $input) { session { refreshToken } errors { code } }
}
"""


def test_cookies_are_read_and_written_in_one_file() -> None:
    found = {
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "app").rglob("*.py"))
        if TOUCHES_COOKIES.search(path.read_text())
    }
    assert found - {name for name in found if only_asks(name)} == set(HANDLES_COOKIES)


def only_asks(name: str) -> bool:
    """Whether all it does is call `set_refresh_cookie`, or name the input's field."""
    text = (ROOT / name).read_text().replace("set_refresh_cookie", "").replace('path=("cookie",)', "")
    return not TOUCHES_COOKIES.search(text)


async def test_it_is_bound_to_this_host_hidden_from_scripts_and_from_other_sites(visitor: Visitor) -> None:
    session = await visitor.sign_up()
    email = session["viewer"]["user"]["email"]
    answer = await visitor.post(SIGN_IN, email=email, password=PASSWORD, cookie=True)
    (set_cookie,) = answer.headers.get_list("set-cookie")
    name, *attributes = (part.strip() for part in set_cookie.split(";"))
    assert name.startswith(f"{COOKIE}=")
    assert COOKIE.startswith("__Host-")
    kept = {
        attribute.lower()
        for attribute in attributes
        if not attribute.lower().startswith(("max-age", "expires"))
    }
    assert kept == {"httponly", "path=/", "samesite=strict", "secure"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/graphql?query={viewer{role}}"),
        ("POST", "/graphql"),
        ("POST", "/uploads"),
        ("GET", "/health/ready"),
        ("GET", "/files/x"),
        ("GET", "/nowhere"),
    ],
)
async def test_no_other_route_takes_the_cookie_for_somebody(visitor: Visitor, method: str, path: str) -> None:
    """Byte for byte the answer of somebody who brings none, and no cookie goes out."""
    await visitor.sign_up(cookie=True)
    held = visitor.client.cookies[COOKIE]
    visitor.client.cookies.clear()
    body = {"json": {"query": VIEWER}} if method == "POST" and path == "/graphql" else {}
    answers = [
        await visitor.client.request(method, path, headers=headers, **body)  # type: ignore[arg-type]
        for headers in ({"Cookie": f"{COOKIE}={held}"}, {})
    ]
    assert answers[0].status_code == answers[1].status_code
    assert answers[0].content == answers[1].content
    assert not any("set-cookie" in answer.headers for answer in answers)


async def test_a_refused_sign_in_and_a_mutation_without_asking_set_none(visitor: Visitor) -> None:
    session = await visitor.sign_up()
    email, workspace_id = session["viewer"]["user"]["email"], session["viewer"]["workspace"]["id"]
    wrong = await visitor.post(SIGN_IN, email=email, password="not the password", cookie=True)
    assert wrong.json()["data"]["signIn"]["session"] is None
    switched = await visitor.post(SWITCH, session["accessToken"], workspaceId=workspace_id)
    assert switched.json()["data"]["switchWorkspace"]["session"]  # goes on under the refresh token it has
    assert not any("set-cookie" in answer.headers for answer in (wrong, switched))

"""One spelling for each e-mail address, phone number and profile."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.leads.domain.identity import (
    Identity,
    IdentityKind,
    NotAnIdentity,
    email_identity,
    kind_of_address,
    phone_identity,
    profile_identity,
    web_address,
)

INSTAGRAM, FACEBOOK, LINKEDIN = IdentityKind.INSTAGRAM, IdentityKind.FACEBOOK, IdentityKind.LINKEDIN
HANDLES = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9._]{0,20}[a-zA-Z0-9]", fullmatch=True).filter(
    lambda handle: handle.lower() not in ("reel", "reels", "stories", "explore", "accounts", "groups", "events",
                                          "pages", "watch", "marketplace", "login", "share", "sharer", "feed",
                                          "jobs", "search", "people", "home.php", "profile.php", "sharer.php")
)  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "text", "handle"),
    [
        (INSTAGRAM, "https://www.instagram.com/Ana.Souza/?hl=pt#x", "ana.souza"),
        (INSTAGRAM, "instagram.com/ana.souza", "ana.souza"),
        (INSTAGRAM, "http://m.instagram.com/ana_souza/reels/", "ana_souza"),
        (INSTAGRAM, " @Ana.Souza ", "ana.souza"),
        (FACEBOOK, "https://www.facebook.com/profile.php?id=100012345&ref=x", "100012345"),
        (FACEBOOK, "https://m.facebook.com/Ana.Souza.7", "ana.souza.7"),
        (FACEBOOK, "https://www.facebook.com/people/Ana-Souza/100012345/", "100012345"),
        (FACEBOOK, "https://fb.com/ana.souza", "ana.souza"),
        (LINKEDIN, "https://br.linkedin.com/in/Ana-Souza-1a2b?trk=x", "ana-souza-1a2b"),
        (LINKEDIN, "https://www.linkedin.com/company/Acme/about/", "company/acme"),
        (LINKEDIN, "https://www.linkedin.com/in/jo%C3%A3o-silva", "joão-silva"),
        (LINKEDIN, "https://www.linkedin.com/in/joa\u0303o-silva", "joão-silva"),
    ],
)
def test_a_profile_has_one_spelling(kind: IdentityKind, text: str, handle: str) -> None:
    assert profile_identity(kind, text) == Identity(kind, handle)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (INSTAGRAM, "https://instagram.com.evil.example/ana"),
        (INSTAGRAM, "https://evilinstagram.com/ana"),
        (INSTAGRAM, "https://www.instagram.com/"),
        (INSTAGRAM, "https://www.instagram.com/p/Cxyz/"),
        (INSTAGRAM, "https://www.instagram.com/explore/"),
        (INSTAGRAM, "javascript:alert(1)//instagram.com/ana"),
        (INSTAGRAM, "ana souza"),
        (INSTAGRAM, "a" * 31),
        (INSTAGRAM, "ana\n"[::-1] + "?"),
        (FACEBOOK, "https://www.facebook.com/profile.php"),
        (FACEBOOK, "https://www.facebook.com/groups/acme"),
        (LINKEDIN, "https://www.linkedin.com/in/"),
        (LINKEDIN, "https://www.linkedin.com/feed/"),
        (LINKEDIN, ""),
        (LINKEDIN, "https://[::1"),
    ],
)
def test_what_is_no_profile_is_refused(kind: IdentityKind, text: str) -> None:
    with pytest.raises(NotAnIdentity):
        profile_identity(kind, text)


@given(handle=HANDLES)
def test_an_address_and_its_handle_are_the_same_person(handle: str) -> None:
    for kind, address in (
        (INSTAGRAM, f"https://www.instagram.com/{handle}/"),
        (LINKEDIN, f"https://www.linkedin.com/in/{handle}?trk=y"),
    ):
        assert (
            profile_identity(kind, address)
            == profile_identity(kind, handle)
            == profile_identity(kind, "@" + handle)
        )


@given(kind=st.sampled_from([INSTAGRAM, FACEBOOK, LINKEDIN]), text=st.text(max_size=60))
def test_a_profile_normalised_again_stays_as_it_is(kind: IdentityKind, text: str) -> None:
    """Whatever the text: it is refused, or its normal form is stable."""
    try:
        once = profile_identity(kind, text)
    except NotAnIdentity:
        return
    assert profile_identity(kind, _as_given(once)) == once


def _as_given(identity: Identity) -> str:
    """A company's handle holds a slash: it is given as an address."""
    if identity.value.startswith("company/"):
        return f"https://www.linkedin.com/{identity.value}"
    return identity.value


@given(text=st.emails())
def test_an_e_mail_normalised_again_stays_as_it_is(text: str) -> None:
    try:
        once = email_identity(text)
    except NotAnIdentity:
        return
    assert once.value == once.value.lower()
    assert email_identity(once.value) == once
    assert email_identity(f" {once.value.upper()} ") == once or not once.value.isascii()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ana",
        "ana@",
        "@example.com",
        "a b@example.com",
        f"{'l' * 65}@example.com",
        "a@b",
        "ana@example.com\nBcc: x@y.com",
    ],
)
def test_what_is_no_e_mail_is_refused(text: str) -> None:
    with pytest.raises(NotAnIdentity):
        email_identity(text)


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("(11) 98765-4321", "BR", "+5511987654321"),
        ("+55 11 98765-4321", "US", "+5511987654321"),
        ("+1 (650) 253-0000", "BR", "+16502530000"),
        ("020 7946 0018", "GB", "+442079460018"),
    ],
)
def test_a_phone_number_becomes_e164(text: str, region: str, number: str) -> None:
    once = phone_identity(text, region=region)
    assert once == Identity(IdentityKind.PHONE, number)
    assert phone_identity(once.value, region="BR") == once


@pytest.mark.parametrize("text", ["", "123", "abc", "+55 00 0000", "9" * 51])
def test_what_is_no_phone_number_is_refused(text: str) -> None:
    with pytest.raises(NotAnIdentity):
        phone_identity(text, region="BR")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("https://www.instagram.com/ana", INSTAGRAM),
        ("https://BR.LinkedIn.com/in/ana", LINKEDIN),
        ("https://example.com/ana", None),
        ("https://notfacebook.com/ana", None),
    ],
)
def test_the_network_of_an_address(text: str, kind: IdentityKind | None) -> None:
    assert kind_of_address(text) is kind


@pytest.mark.parametrize(
    "text",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//example.com",
        "https://",
        "https:///x",
        "https://a b",
        "https://x:99999/",
        "https://" + "x" * 2000,
    ],
)
def test_only_web_addresses_get_in(text: str) -> None:
    with pytest.raises(NotAnIdentity):
        web_address(text)


def test_the_strongest_identity_comes_first() -> None:
    assert [kind.strength for kind in IdentityKind] == list(range(6))
    assert IdentityKind.EMAIL.strength < IdentityKind.PHONE.strength < INSTAGRAM.strength

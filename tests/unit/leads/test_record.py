"""What of a change to a lead is a change, and what becomes of its identities."""

from dataclasses import replace
from uuid import UUID

import pytest

from app.common.domain import Invalid, LimitReached, Refusals
from app.leads.domain.identity import Identity, IdentityKind, identity_from
from app.leads.domain.record import (
    MAX_IDENTITIES,
    HeldIdentity,
    HeldLead,
    LeadChanges,
    check_ids,
    check_tags,
    lead_changes,
)

FIRST, SECOND = (Identity(IdentityKind.EMAIL, f"{name}@example.com") for name in "ab")
OWNER = UUID(int=7)
LEAD = HeldLead(
    id=UUID(int=1),
    version=3,
    name="Bia",
    company="Acme",
    time_zone=None,
    title=None,
    owner_id=OWNER,
    has_other_metadata=False,
    identities=[HeldIdentity(UUID(int=2), FIRST, True), HeldIdentity(UUID(int=3), SECOND, False)],
)


def changes(**given: object) -> LeadChanges:
    return lead_changes(given, region="BR")


def test_only_what_differs_is_changed() -> None:
    same = changes(name=" Bia ", company="Acme", title="", email="A@example.com", phone=None, owner_id=OWNER)
    assert LEAD.changed_by(same) == []
    other = changes(name="B", title="CEO", email="c@example.com", owner_id=None, metadata={})
    assert LEAD.changed_by(other) == ["name", "title", "email", "owner"]
    assert replace(LEAD, has_other_metadata=True).changed_by(other)[-1] == "metadata"


def test_every_wrong_field_is_told() -> None:
    with pytest.raises(Refusals) as refused:
        changes(name=None, email="x", phone="1")
    assert [one.path for one in refused.value.refusals] == [("name",), ("email",), ("phone",)]


@pytest.mark.parametrize(
    ("email", "removed", "added"),
    [
        ("c@example.com", [UUID(int=2)], ["c@example.com"]),
        ("b@example.com", [], ["b@example.com"]),
        (None, [UUID(int=2)], []),
        ("a@example.com", [], []),
    ],
)
def test_a_new_address_replaces_and_a_known_one_is_preferred(
    email: str | None, removed: list[UUID], added: list[str]
) -> None:
    wanted = changes(email=email)
    gone, new = LEAD.exchange(wanted, LEAD.changed_by(wanted))
    assert (gone, [one.value for one in new.values()]) == (removed, added)


def test_a_full_lead_takes_no_more_but_replaces() -> None:
    many = [
        HeldIdentity(UUID(int=n), Identity(IdentityKind.EMAIL, f"{n}@example.com"), n == 1)
        for n in range(1, MAX_IDENTITIES + 1)
    ]
    full = replace(LEAD, identities=many)
    full.exchange(changes(email="new@example.com"), ["email"])
    with pytest.raises(LimitReached) as refused:
        full.exchange(changes(linkedin="bia"), ["linkedin"])
    assert refused.value.path == ("linkedin",)


def test_a_whatsapp_number_has_a_phones_form() -> None:
    assert identity_from(IdentityKind.WHATSAPP, "11 98765-4321", region="BR") == Identity(
        IdentityKind.WHATSAPP, "+5511987654321"
    )


def test_lists_are_short_and_a_tag_stands_in_one() -> None:
    ids = [UUID(int=n) for n in range(101)]
    assert check_ids(ids[:100], "ids") == ids[:100]
    with pytest.raises(Invalid):
        check_ids(ids, "ids")
    with pytest.raises(Invalid) as refused:
        check_tags(ids[:2], ids[1:3])
    assert refused.value.path == ("removeTagIds", "0")

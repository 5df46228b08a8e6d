"""What messages make of a lead."""

import pytest

from app.common.domain import Direction
from app.leads.domain.contact import ENGAGEMENT_MOVES, name_of, suppressed_values
from app.leads.domain.lead import Engagement


@pytest.mark.parametrize(
    ("email", "name", "expected"),
    [
        ("bia@example.com", "Bia Souza", "Bia Souza"),
        ("bia.souza@example.com", None, "bia.souza"),
        ("bia@example.com", "  ", "bia"),
        ("bia@example.com", "B" * 300, "B" * 200),
        ("bia@example.com", "Ac\u0327a\u0303o", "Ação"),
        ("@example.com", None, "@example.com"),
    ],
)
def test_somebody_who_wrote_in_has_a_name(email: str, name: str | None, expected: str) -> None:
    assert name_of(email, name) == expected


def test_engagement_goes_one_way() -> None:
    order = list(Engagement)
    for moves in ENGAGEMENT_MOVES.values():
        assert all(order.index(before) < order.index(after) for before, after in moves.items())
    inbound = ENGAGEMENT_MOVES[Direction.INBOUND]
    assert inbound[inbound[Engagement.NEW]] is Engagement.ENGAGED


def test_an_address_is_suppressed_by_itself_or_its_domain() -> None:
    assert suppressed_values("Bia@Example.com ") == ("bia@example.com", "@example.com")

import pytest

from app.accounts.domain.member import LastOwner, OwnersOnly, Standing, lesser
from app.common.domain import Forbidden, Role, SalesPadError

OWNER, ADMIN, MEMBER, VIEWER = Role


def refusal_of(standing: Standing, role: Role | None) -> type[SalesPadError] | None:
    """Of a change to this role; None: of the removal."""
    try:
        standing.check_removal() if role is None else standing.check_change(role)
    except SalesPadError as refusal:
        return type(refusal)
    return None


@pytest.mark.parametrize(
    ("acting", "theirs", "to", "refusal"),
    [
        (OWNER, MEMBER, OWNER, None),
        (OWNER, OWNER, VIEWER, None),
        (OWNER, OWNER, None, None),
        (ADMIN, MEMBER, ADMIN, None),
        (ADMIN, ADMIN, VIEWER, None),
        (ADMIN, ADMIN, None, None),
        (ADMIN, MEMBER, OWNER, OwnersOnly),
        (ADMIN, OWNER, ADMIN, OwnersOnly),
        (ADMIN, OWNER, None, OwnersOnly),
        (MEMBER, VIEWER, MEMBER, Forbidden),
        (MEMBER, VIEWER, None, Forbidden),
        (VIEWER, OWNER, None, Forbidden),
    ],
)
def test_who_may_change_and_remove_whom(
    acting: Role, theirs: Role, to: Role | None, refusal: type[SalesPadError] | None
) -> None:
    assert refusal_of(Standing(acting=acting, role=theirs, owners=2), to) is refusal


@pytest.mark.parametrize(("owners", "refusal"), [(1, LastOwner), (2, None)])
def test_the_last_owner_stays(owners: int, refusal: type[SalesPadError] | None) -> None:
    own = Standing(acting=OWNER, role=OWNER, owners=owners, is_own=True)
    assert refusal_of(own, ADMIN) is refusal
    assert refusal_of(own, None) is refusal
    if refusal:
        with pytest.raises(LastOwner):
            own.check_leaving()
    else:
        own.check_leaving()


def test_anybody_but_the_last_owner_may_go() -> None:
    for role in (ADMIN, MEMBER, VIEWER):
        own = Standing(acting=role, role=role, owners=1, is_own=True)
        own.check_leaving()
        assert refusal_of(own, None) is None


def test_the_lesser_of_two_roles() -> None:
    assert [lesser(OWNER, VIEWER), lesser(VIEWER, OWNER), lesser(ADMIN, ADMIN)] == [VIEWER, VIEWER, ADMIN]

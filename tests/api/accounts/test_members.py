"""The query `members`."""

from app.common.domain import Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member

MEMBERS = "{ members { user { id name email } role joinedAt } }"


async def test_the_workspaces_members_by_name(ana: Person, eve: Person, doors: Doors) -> None:
    viewer = await add_member(doors, ana, role=Role.VIEWER, name="Zoe")
    for person in (ana, viewer):
        found = (await person.run(MEMBERS))["members"]
        assert [(one["user"]["id"], one["role"]) for one in found] == [
            (str(ana.user_id), "OWNER"),
            (str(viewer.user_id), "VIEWER"),
        ]
    assert [one["user"]["id"] for one in (await eve.run(MEMBERS))["members"]] == [str(eve.user_id)]

"""Who joins, has another role or leaves is told to the people of the workspace."""

from app.accounts.domain.events import MemberChanged
from app.common.domain import ClientKind, Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member
from tests.fixtures.feed import create_tags, feed_cursor, take
from tests.fixtures.processes import Api


async def tell(doors: Doors, of: Person, *changes: str) -> None:
    for change in changes:
        async with doors.open_work(of.workspace_id) as work:
            work.announce(MemberChanged(entity_ids=[of.user_id], changed=[change]))


async def test_the_feed_tells_of_members(ana: Person, doors: Doors, api_server: Api) -> None:
    bruno = await add_member(doors, ana, role=Role.VIEWER)
    cursor = await feed_cursor(ana)
    await tell(doors, bruno, "joined", "role", "profile", "removed")
    for viewer in (ana, bruno):
        items = await take(api_server, viewer, 4, after=cursor)
        assert [(item["kind"], item["ids"]) for item in items] == [
            ("MEMBER_CHANGED", [str(bruno.user_id)])
        ] * 4
    (item,) = await take(api_server, ana, 1, after=items[2]["cursor"], kinds=["MEMBER_CHANGED"])
    assert item == items[3]


async def test_an_extension_is_told_nothing_of_members(ana: Person, doors: Doors, api_server: Api) -> None:
    bruno = await add_member(doors, ana, role=Role.MEMBER, client=ClientKind.EXTENSION)
    cursor = await feed_cursor(ana)
    await tell(doors, bruno, "joined", "role")
    (tag_id,) = await create_tags(ana, ["One"])
    (item,) = await take(api_server, bruno, 1, after=cursor)
    assert (item["kind"], item["ids"]) == ("TAG_CHANGED", [tag_id])

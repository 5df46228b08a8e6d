"""What a tenant's own connection may see of people."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.common.work import Doors
from tests.api.accounts.visitor import Visitor, ids


async def test_a_workspace_sees_its_own_people_without_their_password(visitor: Visitor, doors: Doors) -> None:
    mine, theirs = ids(await visitor.sign_up()), ids(await visitor.sign_up())
    async with doors.open_work(mine["workspace_id"]) as work:
        people = await work.execute(text("SELECT id FROM app_user"))
        workspaces = await work.execute(text("SELECT id FROM workspace"))
        members = await work.execute(text("SELECT user_id FROM member"))
    assert people.scalars().all() == members.scalars().all() == [mine["user_id"]]
    assert workspaces.scalars().all() == [mine["workspace_id"]]
    assert theirs["user_id"] != mine["user_id"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT password_hash FROM app_user",
        "UPDATE app_user SET name = ''",
        "DELETE FROM workspace",
        "SELECT token_hash FROM session",
        "SELECT family_hash, prev_hash FROM session",
        "UPDATE session SET user_id = user_id",
        "SELECT FROM revocation",
        "SELECT FROM login_attempt",
    ],
)
async def test_secrets_are_out_of_its_reach(visitor: Visitor, doors: Doors, sql: str) -> None:
    mine = ids(await visitor.sign_up())
    with pytest.raises(DBAPIError, match="permission denied"):
        async with doors.open_work(mine["workspace_id"]) as work:
            await work.execute(text(sql))

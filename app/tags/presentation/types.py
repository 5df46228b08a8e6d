"""GraphQL types and inputs of tags."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
import strawberry

from app.common.database import Joined
from app.common.graphql import Payload
from app.common.work import Reads
from app.tags.wiring import list_tags


@strawberry.type(description="A colored label of the workspace.")
class Tag:
    id: strawberry.ID = strawberry.field(description="Its id.")
    name: str = strawberry.field(description="Unique in the workspace, without regard to case and accents.")
    color: str = strawberry.field(description="#rrggbb.")

    @classmethod
    def of(cls, row: asyncpg.Record) -> "Tag":
        return cls(id=row["id"], name=row["name"], color=row["color"])


@strawberry.input(description="A new tag.")
class CreateTagInput:
    name: str = strawberry.field(description="1 to 50 characters.")
    color: str | None = strawberry.field(
        description="#rrggbb; left out, one is chosen by the name.", default=None
    )


@strawberry.input(description="What to change of a tag; what is left out stays.")
class UpdateTagInput:
    id: strawberry.ID = strawberry.field(description="The tag.")
    name: str | None = strawberry.field(description="1 to 50 characters.", default=strawberry.UNSET)
    color: str | None = strawberry.field(
        description="#rrggbb; null gives back the one chosen by the name.", default=strawberry.UNSET
    )


@strawberry.input(description="The tag to delete.")
class DeleteTagInput:
    id: strawberry.ID = strawberry.field(description="The tag.")


@strawberry.type(description="The tag as it is now.")
class TagPayload(Payload):
    tag: Tag | None = strawberry.field(description="Null when it was refused.", default=None)


async def tag_map(
    reads: Reads, workspace_id: UUID, rows: Sequence[asyncpg.Record | Joined]
) -> dict[str, Tag]:
    """The workspace's tags by id, in the order of their names; not read when no row has one (`tag_ids`)."""
    if not any(row["tag_ids"] for row in rows):
        return {}
    return {row["id"]: Tag.of(row) for row in await list_tags(reads, workspace_id)}

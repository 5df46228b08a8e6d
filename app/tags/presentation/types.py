"""GraphQL types and inputs of tags."""

import asyncpg
import strawberry

from app.common.graphql import Payload


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

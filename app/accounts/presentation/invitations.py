"""Inviting people into a workspace, and coming in: types, query and mutations."""

from datetime import datetime
from typing import Self

import asyncpg
import strawberry

from app.accounts.presentation.types import SessionPayload, accounts, caller, check_cookie
from app.accounts.wiring import list_invitations
from app.common.domain import Role
from app.common.graphql import NO_ID, Info, OkPayload, Payload, mutation, parse_id, query


@strawberry.type(description="An open invitation into the workspace.")
class Invitation:
    id: strawberry.ID = strawberry.field(description="Id.")
    email: str = strawberry.field(description="Whom it went to.")
    role: Role = strawberry.field(description="What they may do once they have accepted.")
    expires_at: datetime = strawberry.field(description="Until when it may be accepted.")

    @classmethod
    def of(cls, row: asyncpg.Record) -> Self:
        return cls(id=row["id"], email=row["email"], role=Role(row["role"]), expires_at=row["expires_at"])


@strawberry.type(description="An invitation, or why there is none.")
class InvitationPayload(Payload):
    invitation: Invitation | None = strawberry.field(
        description="The invitation; null when refused.", default=None
    )
    accept_url: str | None = strawberry.field(
        description="The link that its mail has; shown once. Whoever has it can accept.", default=None
    )


@strawberry.input(description="Whom to invite.")
class InviteMemberInput:
    email: str = strawberry.field(
        description="Where the invitation goes; the account is to have this address."
    )
    role: Role = strawberry.field(description="At most the role of who invites.")


@strawberry.input(description="An invitation.")
class RevokeInvitationInput:
    id: strawberry.ID = strawberry.field(description="Its id.")


@strawberry.input(description="An invitation's link, and who comes.")
class AcceptInvitationInput:
    token: str = strawberry.field(description="What stands after the # of the link.")
    name: str | None = strawberry.field(
        description="What colleagues will see. Only for an address that has no account yet.", default=None
    )
    password: str | None = strawberry.field(
        description="Of the address's account; for a new one, 8 to 1,000 characters of any kind.",
        default=None,
    )
    cookie: bool = strawberry.field(
        description="Put the refresh token into a cookie for POST /auth/refresh: for browsers.", default=False
    )


@strawberry.type
class InvitationsQuery:
    @query(requires=Role.ADMIN, description="Invitations that may still be accepted, by address.")
    async def invitations(self, info: Info) -> list[Invitation]:
        workspace_id = info.context.signed_in.workspace_id
        async with info.context.doors.open_reads(workspace_id) as reads:
            return [Invitation.of(row) for row in await list_invitations(reads, workspace_id)]


@strawberry.type
class InvitationsMutation:
    @mutation(
        requires=Role.ADMIN,
        description="Sends an invitation, good for seven days. Again to the same address: the old link is dead.",
    )
    async def invite_member(self, info: Info, input: InviteMemberInput) -> InvitationPayload:
        invited = await accounts(info.context).invitations.invite_member(
            info.context.signed_in, caller(info.context), email=input.email, role=input.role
        )
        made = invited.invitation
        return InvitationPayload(
            invitation=Invitation(
                id=strawberry.ID(str(made.id)), email=made.email, role=made.role, expires_at=made.expires_at
            ),
            accept_url=f"{info.context.settings.base_url}/invitation#{invited.secret}",
        )

    @mutation(requires=Role.ADMIN, description="Takes an invitation back: its link is dead.")
    async def revoke_invitation(self, info: Info, input: RevokeInvitationInput) -> OkPayload:
        use_cases = accounts(info.context).invitations
        await use_cases.revoke_invitation(info.context.signed_in, parse_id(input.id) or NO_ID)
        return OkPayload(ok=True)

    @mutation(
        requires=None,
        description="Joins the workspace of an invitation and opens a session there. Once; an address that has no "
        "account gets one.",
    )
    async def accept_invitation(self, info: Info, input: AcceptInvitationInput) -> SessionPayload:
        check_cookie(info.context, input.cookie)
        opened = await accounts(info.context).invitations.accept_invitation(
            input.token, caller(info.context), name=input.name, password=input.password
        )
        return await SessionPayload.of(info.context, opened, cookie=input.cookie)

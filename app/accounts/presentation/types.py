"""GraphQL types and inputs of accounts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self
from uuid import UUID

import asyncpg
import strawberry
from starlette.responses import Response

from app.accounts.domain.session import Caller, MovedSession, OpenedSession
from app.accounts.infrastructure.reads import read_memberships
from app.accounts.presentation.http import set_refresh_cookie
from app.accounts.wiring import AccountsServices
from app.common.domain import ClientKind, Invalid, Role, Unauthenticated
from app.common.graphql import Context, PageInfo, Payload
from app.common.scalars import JSON


@strawberry.type(description="A person who signs in.")
class User:
    id: strawberry.ID = strawberry.field(description="Id.")
    name: str = strawberry.field(description="What colleagues see.")
    email: str = strawberry.field(description="The address they sign in with, lower-cased.")
    locale: str = strawberry.field(description="Language: pt-BR or en.")


@strawberry.type(
    description="When nothing is sent in bulk or by itself, and people are asked to wait: by the recipient's clock."
)
class QuietHours:
    from_: str = strawberry.field(name="from", description="When they begin, HH:MM.")
    to: str = strawberry.field(description="When they end, HH:MM: before `from` where they span midnight.")
    weekdays: list[int] = strawberry.field(
        description="ISO weekdays (Monday is 1) on which sending is allowed outside these hours."
    )

    @classmethod
    def of(cls, row: asyncpg.Record) -> Self | None:
        if row["quiet_weekdays"] is None:
            return None
        return cls(
            from_=f"{row['quiet_from']:%H:%M}",
            to=f"{row['quiet_to']:%H:%M}",
            weekdays=list(row["quiet_weekdays"]),
        )


@strawberry.type(description="A company's own leads, conversations and members, apart from every other's.")
class Workspace:
    id: strawberry.ID = strawberry.field(description="Id.")
    name: str = strawberry.field(description="What members see.")
    locale: str = strawberry.field(description="Language of what the system writes here: pt-BR or en.")
    time_zone: str = strawberry.field(description="IANA name, such as America/Sao_Paulo.")
    phone_region: str = strawberry.field(description="Country of phone numbers without a prefix, such as BR.")
    quiet_hours: QuietHours | None = strawberry.field(description="Null: it sends at any hour.")

    @classmethod
    def of(cls, row: asyncpg.Record) -> Self:
        return cls(
            id=row["workspace_id"],
            name=row["workspace_name"],
            locale=row["locale"],
            time_zone=row["time_zone"],
            phone_region=row["phone_region"],
            quiet_hours=QuietHours.of(row),
        )


@strawberry.type(description="A workspace somebody belongs to.")
class Membership:
    workspace: Workspace = strawberry.field(description="Where.")
    role: Role = strawberry.field(description="What they may do there.")


@strawberry.type(description="Somebody who belongs to the workspace.")
class Member:
    user: User = strawberry.field(description="The person.")
    role: Role = strawberry.field(description="What they may do here.")
    joined_at: datetime = strawberry.field(description="When they joined.")

    @classmethod
    def of(cls, row: asyncpg.Record) -> Self:
        user = User(id=row["id"], name=row["name"], email=row["email"], locale=row["locale"])
        return cls(user=user, role=Role(row["role"]), joined_at=row["joined_at"])


@strawberry.type(description="Who is signed in, and in which workspace.")
class Viewer:
    user: User = strawberry.field(description="The person.")
    workspace: Workspace = strawberry.field(description="The workspace of this session.")
    role: Role = strawberry.field(description="Their role in it.")
    memberships: list[Membership] = strawberry.field(description="Every workspace they belong to, by name.")

    @classmethod
    def of(cls, rows: Sequence[asyncpg.Record], workspace_id: UUID) -> Self | None:
        """None for somebody who belongs to that workspace no more."""
        memberships = [Membership(workspace=Workspace.of(row), role=Role(row["role"])) for row in rows]
        for row, here in zip(rows, memberships, strict=True):
            if here.workspace.id == str(workspace_id):
                return cls(user=_user(row), workspace=here.workspace, role=here.role, memberships=memberships)
        return None


def _user(row: asyncpg.Record) -> User:
    return User(id=row["user_id"], name=row["user_name"], email=row["email"], locale=row["user_locale"])


@strawberry.type(
    description="Something that was done to the workspace, its people or its accounts. Never changes."
)
class AuditEvent:
    id: strawberry.ID = strawberry.field(description="Id.")
    at: datetime = strawberry.field(description="When.")
    action: str = strawberry.field(description="What, such as member.removed or session.opened.")
    object_id: strawberry.ID | None = strawberry.field(description="To what: a user, a session, an account.")
    actor_id: strawberry.ID | None = strawberry.field(
        description="Who did it, also when they are gone; null: the system."
    )
    actor: User | None = strawberry.field(description="The same, as long as they are a member.")
    client: ClientKind | None = strawberry.field(description="What it was done from, where that is known.")
    session_id: strawberry.ID | None = strawberry.field(
        description="The session or API key it was done with."
    )
    ip_prefix: str = strawberry.field(
        description="The address range it came from; empty where that is unknown."
    )
    before: JSON = strawberry.field(description="What it was: ids, states and numbers, never a text.")
    after: JSON = strawberry.field(description="What it became, likewise.")

    @classmethod
    def of(cls, row: asyncpg.Record) -> Self:
        names = ("id", "at", "action", "object_id", "actor_id", "session_id", "ip_prefix")
        return cls(
            **{name: row[name] for name in names},
            actor=_user(row) if row["user_id"] else None,
            client=ClientKind(row["client"]) if row["client"] else None,
            before=row["before"],
            after=row["after"],
        )


@strawberry.type(description="An audit event in a list.")
class AuditEventEdge:
    cursor: str = strawberry.field(description="Its position: give it as `after`.")
    node: AuditEvent = strawberry.field(description="The event.")


@strawberry.type(description="A page of the audit log.")
class AuditEventConnection:
    edges: list[AuditEventEdge] = strawberry.field(description="The page's events.")
    page_info: PageInfo = strawberry.field(description="Where the page stands.")


@strawberry.input(description="Which audit events; what is left out or null does not filter.")
class AuditEventFilter:
    actor_id: strawberry.ID | None = strawberry.field(description="Done by this user.", default=None)
    action: str | None = strawberry.field(description="This action, such as member.removed.", default=None)
    from_: datetime | None = strawberry.field(
        name="from", description="At this moment or later.", default=None
    )
    to: datetime | None = strawberry.field(description="Before this moment.", default=None)


@strawberry.type(description="A session as it was just opened or refreshed.")
class Session:
    access_token: str = strawberry.field(
        description="Send it as `Authorization: Bearer …`; lives ten minutes."
    )
    expires_at: datetime = strawberry.field(description="When the access token expires: refresh before.")
    refresh_token: str | None = strawberry.field(
        description="Good for one refreshSession; null when it went into a cookie, or the one at hand goes on."
    )
    viewer: Viewer = strawberry.field(description="Who is signed in.")


@strawberry.type(description="A session, or why there is none.")
class SessionPayload(Payload):
    session: Session | None = strawberry.field(description="The session; null when refused.", default=None)

    @classmethod
    async def of(cls, context: Context, opened: MovedSession, *, cookie: bool = False) -> Self:
        """Read after the commit. With `cookie` the refresh token goes into the response's cookie only. Raises
        Unauthenticated.
        """
        member = opened.live.member
        viewer = Viewer.of(await read_memberships(context.doors, member.user_id), member.workspace_id)
        if viewer is None:  # removed since the commit
            raise Unauthenticated("You are no member of this workspace any more: sign in again.")
        refresh_token = opened.refresh.text if isinstance(opened, OpenedSession) else None
        if cookie and refresh_token:
            set_refresh_cookie(context.response, refresh_token, context.settings)
        return cls(
            session=Session(
                access_token=opened.access.text,
                expires_at=opened.access.expires_at,
                refresh_token=None if cookie else refresh_token,
                viewer=viewer,
            )
        )


def check_cookie(context: Context, cookie: bool) -> None:
    """Raises Invalid where no cookie can be set: a websocket has no response."""
    if cookie and not isinstance(context.response, Response):
        raise Invalid(
            "A cookie needs an HTTP request: send this by POST, not over a websocket.", path=("cookie",)
        )


def caller(context: Context) -> Caller:
    return Caller.of(context.ip, context.user_agent)


def accounts(context: Context) -> AccountsServices:
    services: AccountsServices = context.services["accounts"]
    return services


@strawberry.input(description="Credentials.")
class SignInInput:
    email: str = strawberry.field(description="The address of the account, in any case.")
    password: str = strawberry.field(description="The password.")
    workspace_id: strawberry.ID | None = strawberry.field(
        description="Where to work; left out, the workspace used or joined last.", default=strawberry.UNSET
    )
    client: ClientKind = strawberry.field(description="What the session is for.", default=ClientKind.WEB)
    cookie: bool = strawberry.field(
        description="Put the refresh token into a cookie for POST /auth/refresh: for browsers.", default=False
    )


@strawberry.input(description="A session to go on with.")
class RefreshSessionInput:
    refresh_token: str = strawberry.field(description="The one got last; each is good for one use.")


@strawberry.input(description="A session to end.")
class SignOutInput:
    refresh_token: str = strawberry.field(description="Any refresh token the session has had.")


@strawberry.type(description="A member as they are after the change.")
class MemberPayload(Payload):
    member: Member | None = strawberry.field(description="Null when refused.", default=None)


@strawberry.type(description="A session of the viewer's that is going on.")
class SessionInfo:
    id: strawberry.ID = strawberry.field(description="Id.")
    client: ClientKind = strawberry.field(description="What it was opened from.")
    user_agent: str = strawberry.field(
        description="What the browser or program called itself, at most 300 characters."
    )
    ip_prefix: str = strawberry.field(description="The /24 or /64 it was last used from; may be empty.")
    workspace: Workspace = strawberry.field(description="Where.")
    created_at: datetime = strawberry.field(description="When it was opened.")
    last_used_at: datetime = strawberry.field(description="When it was opened or refreshed last.")
    current: bool = strawberry.field(description="Whether it is the one that asks.")

    @classmethod
    def of(cls, row: asyncpg.Record, current_id: UUID) -> Self:
        return cls(
            id=row["id"],
            client=ClientKind(row["client"]),
            user_agent=row["user_agent"],
            ip_prefix=row["ip_prefix"],
            workspace=Workspace.of(row),
            created_at=row["created_at"],
            last_used_at=row["last_used_at"],
            current=row["id"] == str(current_id),
        )


@strawberry.type(description="The viewer as they are after the change.")
class UserPayload(Payload):
    user: User | None = strawberry.field(description="Null when refused.", default=None)


@strawberry.type(description="A workspace as it is after the change.")
class WorkspacePayload(Payload):
    workspace: Workspace | None = strawberry.field(description="Null when refused.", default=None)


@strawberry.input(description="A workspace of the viewer's.")
class SwitchWorkspaceInput:
    workspace_id: strawberry.ID = strawberry.field(description="One they belong to.")


@strawberry.input(description="A session of the viewer's.")
class SessionInput:
    id: strawberry.ID = strawberry.field(description="Which.")


@strawberry.input(description="What to change of oneself; what is left out stays.")
class UpdateProfileInput:
    name: str | None = strawberry.field(description="What colleagues see.", default=strawberry.UNSET)
    locale: str | None = strawberry.field(description="Language: pt-BR or en.", default=strawberry.UNSET)


@strawberry.input(description="A new password.")
class ChangePasswordInput:
    current_password: str = strawberry.field(description="The one until now.")
    new_password: str = strawberry.field(description="8 to 1,000 characters of any kind.")


@strawberry.input(description="When nothing is to be sent in bulk or by itself.")
class QuietHoursInput:
    from_: str = strawberry.field(name="from", description="When they begin by the recipient's clock: HH:MM.")
    to: str = strawberry.field(
        description="When they end: HH:MM, before `from` where they span midnight. The same as `from`: only the other "
        "weekdays are quiet."
    )
    weekdays: list[int] = strawberry.field(
        description="ISO weekdays (Monday is 1) on which sending is allowed outside these hours; at least one."
    )


@strawberry.input(description="What to change of the workspace; what is left out stays.")
class UpdateWorkspaceInput:
    name: str | None = strawberry.field(description="What members see.", default=strawberry.UNSET)
    locale: str | None = strawberry.field(
        description="Language of what the system writes here: pt-BR or en.", default=strawberry.UNSET
    )
    time_zone: str | None = strawberry.field(
        description="IANA name, such as America/Sao_Paulo.", default=strawberry.UNSET
    )
    phone_region: str | None = strawberry.field(
        description="Country of phone numbers without a prefix, such as BR.", default=strawberry.UNSET
    )
    quiet_hours: QuietHoursInput | None = strawberry.field(
        description="They bind what leaves from now on; what was put off till their end stays so. Null removes them.",
        default=strawberry.UNSET,
    )


@strawberry.input(description="What a member may do from now on.")
class ChangeMemberRoleInput:
    user_id: strawberry.ID = strawberry.field(description="Who.")
    role: Role = strawberry.field(description="As what. Only an owner may make or unmake an owner.")


@strawberry.input(description="A member of the workspace.")
class MemberInput:
    user_id: strawberry.ID = strawberry.field(description="Who.")

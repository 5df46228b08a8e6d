"""Invitations: stored and renewed in the workspace's door, looked up and used up by their token in the system's."""

from sqlalchemy import ColumnElement, and_, exists, func, or_

from app.accounts.infrastructure.tables import invitation, member
from app.common.domain import Role

c = invitation.c


def is_good() -> ColumnElement[bool]:
    """Not run out, and who sent it might send it today: what somebody left behind who was removed opens no door."""
    may_invite = or_(member.c.role == Role.OWNER, and_(member.c.role == Role.ADMIN, c.role != Role.OWNER))
    return and_(
        c.expires_at > func.now(),
        exists()
        .where(member.c.workspace_id == c.workspace_id, member.c.user_id == c.invited_by, may_invite)
        .correlate(invitation),
    )

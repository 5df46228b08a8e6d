"""Mails of SalesPad's own: invitations, resets, warnings. What they say is made when they are sent (`mails` of this
module), in the recipient's language.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

NO_WORKSPACE = UUID(int=0)
"""Stands in a mail's row where it concerns a person and no workspace."""


class SystemMailKind(StrEnum):
    INVITATION = "INVITATION"
    """words: workspace, inviter; token."""
    PASSWORD_RESET = "PASSWORD_RESET"  # noqa: S105 - a kind, no password
    """No words: whether the address has an account, and the token, are found out when it is sent."""
    PASSWORD_CHANGED = "PASSWORD_CHANGED"  # noqa: S105 - the same
    """words: at (RFC 3339)."""
    NEW_SIGN_IN = "NEW_SIGN_IN"
    """words: at (RFC 3339), user_agent, ip_prefix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemMail:
    kind: SystemMailKind
    to: str
    locale: str
    words: Mapping[str, str] = field(default_factory=dict)

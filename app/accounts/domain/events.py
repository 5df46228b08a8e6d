"""What happened to the people of a workspace."""

from dataclasses import dataclass
from typing import ClassVar

from app.common.domain import Event


@dataclass(frozen=True, kw_only=True)
class MemberChanged(Event):
    """`entity_ids` is the user; `changed` says what: `joined`, `removed`, `role`, `profile`; roles in before and
    after.
    """

    name: ClassVar[str] = "member.changed"

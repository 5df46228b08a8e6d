"""The refusals a user may meet in the inbox."""

from app.common.domain import NotFound


class ConversationNotFound(NotFound):
    def __init__(self, *path: str) -> None:
        super().__init__("No such conversation in this workspace.", path=path or ("id",))


class MessageNotFound(NotFound):
    def __init__(self, *path: str) -> None:
        super().__init__("No such message in this conversation.", path=path or ("id",))


class MemberNotFound(NotFound):
    def __init__(self) -> None:
        super().__init__("No such member: pick one of this workspace's members.", path=("userId",))


class AccountNotFound(NotFound):
    def __init__(self) -> None:
        super().__init__("No such account: pick one of this workspace's accounts.", path=("accountId",))

"""The refusals a user may meet in the inbox."""

from app.common.domain import NotFound


class ConversationNotFound(NotFound):
    def __init__(self, *path: str) -> None:
        super().__init__("No such conversation in this workspace.", path=path or ("id",))

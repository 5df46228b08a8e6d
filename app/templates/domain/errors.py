"""The refusals a user may meet about templates and snippets."""

from uuid import UUID

from app.common.domain import Conflict, LimitReached, NotFound

MAX_TEMPLATES = 1_000
MAX_SNIPPETS = 1_000


class TemplateNotFound(NotFound):
    def __init__(self, *path: str) -> None:
        super().__init__(
            "No such template: it may be deleted by now. Pick one of this workspace's templates.",
            path=path or ("id",),
        )


class TemplateNameTaken(Conflict):
    def __init__(self) -> None:
        super().__init__("A template of this name exists already (case does not count).", path=("name",))


class TemplateStale(Conflict):
    """The payload shows the template as it is now."""

    def __init__(self, template_id: UUID) -> None:
        super().__init__(
            "Somebody changed this template meanwhile: look at it as it is now, then try again.",
            path=("version",),
        )
        self.template_id = template_id


class TooManyTemplates(LimitReached):
    def __init__(self) -> None:
        super().__init__(
            f"A workspace has at most {MAX_TEMPLATES:,} templates: delete some you no longer use."
        )


class SnippetNotFound(NotFound):
    def __init__(self) -> None:
        super().__init__(
            "No such snippet: it may be deleted by now. Pick one of this workspace's snippets.", path=("id",)
        )


class ShortcutTaken(Conflict):
    def __init__(self) -> None:
        super().__init__("A snippet of this shortcut exists already.", path=("shortcut",))


class SnippetStale(Conflict):
    """The payload shows the snippet as it is now."""

    def __init__(self, snippet_id: UUID) -> None:
        super().__init__(
            "Somebody changed this snippet meanwhile: look at it as it is now, then try again.",
            path=("version",),
        )
        self.snippet_id = snippet_id


class TooManySnippets(LimitReached):
    def __init__(self) -> None:
        super().__init__(f"A workspace has at most {MAX_SNIPPETS:,} snippets: delete some you no longer use.")

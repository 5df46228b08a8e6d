"""What a member has begun to write: kept as they left it, spaces and all."""

from app.common.domain import Invalid, TextProblem, composed, text_message, text_problem
from app.conversations.domain.message import MAX_BODY


def clean_draft(body: str) -> str | None:
    """None for one without a word: it is dropped. Raises Invalid at `body`."""
    problem = text_problem(body, max_length=MAX_BODY, required=False)
    if problem is None and len(body) > MAX_BODY:
        problem = TextProblem.TOO_LONG
    if problem:
        raise Invalid(text_message(problem, MAX_BODY), path=("body",))
    return composed(body) if body.strip() else None

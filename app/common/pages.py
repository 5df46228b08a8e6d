"""What pages that mails link to share: the languages there are, and which one a reader gets."""

from starlette.requests import Request

LANGUAGES = {"en": "English", "pt-BR": "Português"}


def language_of(request: Request, default: str = "en") -> str:
    """The one that was clicked, else the first that the browser asks for, else the default."""
    asked = request.query_params.get("lang", "")
    if asked in LANGUAGES:
        return asked
    for part in request.headers.get("accept-language", "").lower().split(","):
        if (name := part.strip()[:2]) in ("pt", "en"):
            return "pt-BR" if name == "pt" else "en"
    return default

"""`/unsubscribe/{token}`: the page behind the link below a mail, and what mail programs POST to it (RFC 8058).

GET changes nothing: scanners and previews open every link. A POST that says so suppresses the address, whoever sends
it, without cookies or a page between; again changes nothing. The page needs no script, and tells nobody anything: not
the address, nor whether the person is still known.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from app.common.pages import LANGUAGES, language_of
from app.common.work import Doors, Unavailable
from app.conversations.wiring import (
    UNSUBSCRIBE_PATH,
    UnsubscribeToken,
    read_unsubscribe_token,
    subscribe_again,
    unsubscribe,
    workspace_locale,
)
from app.settings import Settings

if TYPE_CHECKING:
    from app.common.ratelimit import RateLimiter

MAX_FORM = 10_000
BOUNDARY = re.compile(r"""boundary="?([^\s";]{1,200})""", re.IGNORECASE)
FIELD = re.compile(
    r"""^content-disposition:[^\r\n]*;[ \t]*name="?([\w-]{1,100})""", re.IGNORECASE | re.MULTILINE
)
ONE_CLICK = ("List-Unsubscribe", "One-Click")
BY_PAGE, TAKE_BACK = "unsubscribe", "subscribe"
"""Names of the page's own buttons."""
STYLE = """
:root { color-scheme: light dark; --accent: #0b6b8a; --on-accent: #fff; }
@media (prefers-color-scheme: dark) { :root { --accent: #6cc5e3; --on-accent: #06222c; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 28rem; margin: 0 auto; padding: 3rem 1rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .75rem; }
button {
  font: inherit; font-weight: 600; padding: .65rem 1.2rem; border: 0; border-radius: .4rem; background: var(--accent);
  color: var(--on-accent); cursor: pointer;
}
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
footer { margin-top: 2.5rem; font-size: .875rem; }
"""
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; img-src data:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Language",
    "X-Robots-Tag": "noindex",
}
WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "ask_title": "No more mails?",
        "ask": "At the click of the button, nothing more is sent to the address this mail went to. That includes what "
        "is being sent right now.",
        "ask_button": "Unsubscribe",
        "done_title": "You are unsubscribed",
        "done": "Nothing more is sent to your address by whoever wrote to you. You may close this page.",
        "done_button": "That was a mistake: go on writing to me",
        "back_title": "You are subscribed again",
        "back": "They may write to you again, as before.",
        "back_button": "Unsubscribe",
        "late_title": "It stays as it is",
        "late": "There is nothing to take back any more. If you want to hear from them again, answer their mail.",
        "bad_title": "This link does not work",
        "bad": "It is not whole, or not from here. Open it once more from the mail, from its first to its last letter; "
        "or answer the mail, and say that you want no more.",
        "wait_title": "One moment, please",
        "wait": "Nothing has been changed yet. Try again in a minute.",
    },
    "pt-BR": {
        "ask_title": "Não quer mais receber e-mails?",
        "ask": "Ao clicar no botão, nada mais será enviado ao endereço que recebeu este e-mail. Isso inclui o que está "
        "sendo enviado agora.",
        "ask_button": "Cancelar a inscrição",
        "done_title": "Sua inscrição foi cancelada",
        "done": "Quem escreveu a você não envia mais nada ao seu endereço. Você pode fechar esta página.",
        "done_button": "Foi um engano: quero continuar recebendo",
        "back_title": "Sua inscrição voltou a valer",
        "back": "Eles podem voltar a escrever a você, como antes.",
        "back_button": "Cancelar a inscrição",
        "late_title": "Fica como está",
        "late": "Não há mais o que desfazer. Se quiser voltar a receber notícias, responda ao e-mail deles.",
        "bad_title": "Este link não funciona",
        "bad": "Ele não está inteiro, ou não é daqui. Abra-o de novo a partir do e-mail, da primeira à última letra; "
        "ou responda ao e-mail e diga que não quer mais receber.",
        "wait_title": "Um momento, por favor",
        "wait": "Nada foi alterado ainda. Tente de novo em um minuto.",
    },
}
BUTTONS = {"ask": BY_PAGE, "done": TAKE_BACK, "back": BY_PAGE}


class FormTooLarge(Exception):
    """Nobody's button sends so much."""


def unsubscribe_routes(settings: Settings, doors: Doors, limiter: "Callable[[], RateLimiter]") -> list[Route]:
    pages = UnsubscribePages(settings, doors, limiter)
    return [Route(f"{UNSUBSCRIBE_PATH}/{{token:path}}", pages.answer, methods=["GET", "POST"])]


class UnsubscribePages:
    """A link of another's making costs one hash, and nothing else is asked for it."""

    def __init__(self, settings: Settings, doors: Doors, limiter: "Callable[[], RateLimiter]") -> None:
        self._settings, self._doors, self._limiter = settings, doors, limiter

    async def answer(self, request: Request) -> Response:
        token = read_unsubscribe_token(self._settings, request.path_params["token"])
        if token is None:
            return page("bad", language_of(request), status=404)
        allowance = await self._limiter().hit_link(str(token.delivery_id))
        if not allowance.is_allowed:
            return page(
                "wait", language_of(request), status=429, headers={"Retry-After": str(allowance.reset_s)}
            )
        try:
            language = await self._language(request, token)
            if request.method != "POST":
                return page("ask", language)
            return await self._act(token, await read_form(request), language)
        except Unavailable:
            return page("wait", language_of(request), status=503, headers={"Retry-After": "5"})
        except FormTooLarge:
            return page("ask", language_of(request), status=413)
        except ClientDisconnect:
            return page("ask", language_of(request), status=400)

    async def _act(self, token: UnsubscribeToken, form: Mapping[str, str], language: str) -> Response:
        if TAKE_BACK in form:
            return page("back" if await subscribe_again(self._doors, token) else "late", language)
        if ONE_CLICK in form.items() or BY_PAGE in form:
            may_take_back = await unsubscribe(self._doors, token)
            return page("done", language, has_button=may_take_back)
        return page("ask", language, status=400)

    async def _language(self, request: Request, token: UnsubscribeToken) -> str:
        """The browser's, else the workspace's."""
        if language := language_of(request, ""):
            return language
        async with self._doors.open_reads(token.workspace_id) as reads:
            locale = await workspace_locale(reads, token.workspace_id)
        return locale if locale in LANGUAGES else "en"


async def read_form(request: Request) -> Mapping[str, str]:
    """The fields of a small form, urlencoded or multipart; none of anything else. Raises FormTooLarge."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM:
            raise FormTooLarge
    content_type = request.headers.get("content-type", "")
    if content_type.strip().lower().startswith("multipart/form-data"):
        return _multipart(content_type, bytes(body))
    fields = parse_qs(bytes(body).decode("latin-1"), keep_blank_values=True)
    return {name: values[0] for name, values in fields.items()}


def _multipart(content_type: str, body: bytes) -> Mapping[str, str]:
    boundary = BOUNDARY.search(content_type)
    if boundary is None:
        return {}
    fields: dict[str, str] = {}
    for part in body.split(b"--" + boundary[1].encode("latin-1")):
        head, separator, value = part.partition(b"\r\n\r\n")
        if separator and (name := FIELD.search(head.decode("latin-1"))):
            fields.setdefault(name[1], value.decode("latin-1").strip())
    return fields


def page(
    what: str,
    language: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    has_button: bool = True,
) -> Response:
    words = WORDS[language]
    button = ""
    if has_button and what in BUTTONS:
        button = (
            f'<form method="post"><button name="{BUTTONS[what]}" value="1">{words[f"{what}_button"]}'
            "</button></form>"
        )
    others = " ".join(
        f'<a href="?lang={code}" hreflang="{code}" lang="{code}">{name}</a>'
        for code, name in LANGUAGES.items()
        if code != language
    )
    html = f"""<!doctype html>
<html lang="{language}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><link rel="icon" href="data:,">
<title>{words[f"{what}_title"]}</title>
<style>{STYLE}</style></head>
<body>
<main>
<h1>{words[f"{what}_title"]}</h1>
<p>{words[what]}</p>
{button}
</main>
<footer>{others}</footer>
</body>
</html>
"""
    return HTMLResponse(html, status_code=status, headers={**HEADERS, **(headers or {})})

"""The pages that SalesPad's mails link to: accepting an invitation, asking for a new password, choosing it.

They need no web app: HTML from here, one script and one style sheet of this origin, nothing else. The link's token
stands in the fragment, so it is in no log and no Referer.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from app.common.pages import LANGUAGES, language_of
from app.settings import Settings

ASSETS = Path(__file__).with_name("assets")
MEDIA_TYPES = {"people.js": "text/javascript; charset=utf-8", "people.css": "text/css; charset=utf-8"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Language",
    "X-Robots-Tag": "noindex",
}
ASSET_HEADERS = {"Cache-Control": "public, max-age=31536000, immutable"}
"""Their address holds the hash of their content."""

ACCEPT = """mutation ($input: AcceptInvitationInput!) { acceptInvitation(input: $input) {
  session { viewer { workspace { name } } } errors { code path message } } }"""
RESET = (
    "mutation ($input: ResetPasswordInput!) { resetPassword(input: $input) { errors { code path message } } }"
)
ASK = """mutation ($input: RequestPasswordResetInput!) { requestPasswordReset(input: $input) {
  errors { code path message } } }"""

Words = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    autocomplete: str
    type: str
    is_optional: bool = False
    """Left out of the input while it is empty."""


@dataclass(frozen=True, slots=True)
class Page:
    path: str
    operation: str
    document: str
    fields: tuple[Field, ...]
    words: Mapping[str, Words]
    """By language. What has a capital letter is for the script: by an error's field and code, or its code alone."""
    needs_token: bool = True


SHARED: Mapping[str, Words] = {
    "en": {
        "show": "Show the password",
        "no_script": "This page needs JavaScript.",
        "next": "Go on to SalesPad",
        "close": "You may close this page.",
        "THROTTLED": "Too many attempts: wait a little, then try again.",
        "UNREACHABLE": "SalesPad does not answer: try again in a moment.",
    },
    "pt-BR": {
        "show": "Mostrar a senha",
        "no_script": "Esta página precisa de JavaScript.",
        "next": "Continuar no SalesPad",
        "close": "Você pode fechar esta página.",
        "THROTTLED": "Tentativas demais: espere um pouco e tente de novo.",
        "UNREACHABLE": "O SalesPad não responde: tente de novo daqui a pouco.",
    },
}
INVITATION = Page(
    "/invitation",
    "acceptInvitation",
    ACCEPT,
    (
        Field("name", "name", "text", is_optional=True),
        Field("password", "current-password", "password", is_optional=True),
    ),
    {
        "en": {
            "title": "Accept the invitation",
            "intro": "Somebody invites you to work with them in SalesPad.",
            "name": "Your name",
            "name_hint": "Only if you are new to SalesPad. It is what colleagues will see.",
            "password": "Password",
            "password_hint": "If this address has an account, its password; if not, choose one of at least 8 "
            "characters.",
            "send": "Accept",
            "forgot": "Forgot your password? Ask for a new one.",
            "token.MISSING": "The link is not whole: open it from the mail once more.",
            "token.INVALID": "This link is no longer good. If you have accepted it already, sign in; if not, ask "
            "whoever invited you for a new one.",
            "name.INVALID": "Write your name, in at most 200 characters.",
            "password.INVALID": "Choose 8 to 1,000 characters, or give the password of your account.",
            "password.UNAUTHENTICATED": "This address has an account with another password.",
            "password.CONFLICT": "This address has got an account by now: give its password.",
            "DONE_TITLE": "Welcome!",
            "DONE": "You now belong to “{workspace}”. From now on, sign in with your e-mail address and this password.",
        },
        "pt-BR": {
            "title": "Aceitar o convite",
            "intro": "Alguém convida você para trabalhar no SalesPad.",
            "name": "Seu nome",
            "name_hint": "Só se você é novo no SalesPad. É o que os colegas verão.",
            "password": "Senha",
            "password_hint": "Se este endereço já tem uma conta, a senha dela; se não, escolha uma de pelo menos 8 "
            "caracteres.",
            "send": "Aceitar",
            "forgot": "Esqueceu sua senha? Peça uma nova.",
            "token.MISSING": "O link não está inteiro: abra-o de novo a partir do e-mail.",
            "token.INVALID": "Este link não vale mais. Se você já aceitou o convite, entre com sua senha; se não, peça "
            "um novo link a quem convidou você.",
            "name.INVALID": "Escreva seu nome, com no máximo 200 caracteres.",
            "password.INVALID": "Escolha de 8 a 1.000 caracteres, ou dê a senha da sua conta.",
            "password.UNAUTHENTICATED": "Este endereço tem uma conta com outra senha.",
            "password.CONFLICT": "Este endereço acaba de ganhar uma conta: dê a senha dela.",
            "DONE_TITLE": "Boas-vindas!",
            "DONE": "Agora você faz parte de “{workspace}”. A partir de agora, entre com seu e-mail e esta senha.",
        },
    },
)
PASSWORD_RESET = Page(
    "/password-reset",
    "resetPassword",
    RESET,
    (Field("newPassword", "new-password", "password"),),
    {
        "en": {
            "title": "Choose a new password",
            "intro": "It ends every session: afterwards, sign in again wherever you work.",
            "newPassword": "New password",
            "newPassword_hint": "8 to 1,000 characters of any kind.",
            "send": "Save the password",
            "forgot": "Ask for a new link",
            "token.MISSING": "The link is not whole: open it from the mail once more.",
            "token.INVALID": "This link is no longer good: ask for a new one below.",
            "newPassword.INVALID": "Choose 8 to 1,000 characters.",
            "DONE_TITLE": "Your password is changed",
            "DONE": "Sign in with the new one.",
        },
        "pt-BR": {
            "title": "Escolha uma nova senha",
            "intro": "Ela encerra todas as sessões: depois, entre de novo onde você trabalha.",
            "newPassword": "Nova senha",
            "newPassword_hint": "De 8 a 1.000 caracteres de qualquer tipo.",
            "send": "Salvar a senha",
            "forgot": "Pedir um novo link",
            "token.MISSING": "O link não está inteiro: abra-o de novo a partir do e-mail.",
            "token.INVALID": "Este link não vale mais: peça um novo abaixo.",
            "newPassword.INVALID": "Escolha de 8 a 1.000 caracteres.",
            "DONE_TITLE": "Sua senha foi alterada",
            "DONE": "Entre com a nova senha.",
        },
    },
)
FORGOT_PASSWORD = Page(
    "/forgot-password",
    "requestPasswordReset",
    ASK,
    (Field("email", "email", "email"),),
    {
        "en": {
            "title": "Ask for a new password",
            "intro": "We send you a link with which you choose it.",
            "email": "E-mail",
            "email_hint": "The address of your account.",
            "send": "Send the link",
            "email.INVALID": "Write a whole e-mail address, such as ana@example.com.",
            "DONE_TITLE": "Look into your mail",
            "DONE": "If this address has an account, a link is on its way. It is good for one hour.",
        },
        "pt-BR": {
            "title": "Pedir uma nova senha",
            "intro": "Enviamos a você um link para escolhê-la.",
            "email": "E-mail",
            "email_hint": "O endereço da sua conta.",
            "send": "Enviar o link",
            "email.INVALID": "Escreva um e-mail completo, como ana@example.com.",
            "DONE_TITLE": "Veja seu e-mail",
            "DONE": "Se este endereço tem uma conta, um link está a caminho. Ele vale por uma hora.",
        },
    },
    needs_token=False,
)
PAGES = (INVITATION, PASSWORD_RESET, FORGOT_PASSWORD)


def people_pages(settings: Settings) -> list[Route]:
    contents = {name: (ASSETS / name).read_bytes() for name in MEDIA_TYPES}
    urls = {
        name: f"/people/{hashlib.sha256(content).hexdigest()[:12]}/{name}"
        for name, content in contents.items()
    }
    return [
        *(_page_route(page, settings, urls) for page in PAGES),
        *(_asset_route(urls[name], content, MEDIA_TYPES[name]) for name, content in contents.items()),
    ]


def _page_route(page: Page, settings: Settings, urls: Mapping[str, str]) -> Route:
    def show(request: Request) -> Response:
        return HTMLResponse(_html(page, language_of(request), settings, urls), headers=HEADERS)

    return Route(page.path, show)


def _asset_route(url: str, content: bytes, media_type: str) -> Route:
    def serve(_: Request) -> Response:
        return Response(content, media_type=media_type, headers=ASSET_HEADERS)

    return Route(url, serve)


def _html(page: Page, language: str, settings: Settings, urls: Mapping[str, str]) -> str:
    words = {**SHARED[language], **page.words[language]}
    says = json.dumps({name: text for name, text in words.items() if not name.islower()})
    fields = "\n".join(_field(field, words) for field in page.fields)
    others = " ".join(
        f'<a href="?lang={code}" hreflang="{code}" lang="{code}">{name}</a>'
        for code, name in LANGUAGES.items()
        if code != language
    )
    forgot = (
        f'<p id="forgot"><a href="{FORGOT_PASSWORD.path}?lang={language}">{words["forgot"]}</a></p>'
        if "forgot" in words
        else ""
    )
    way_on = f'<a href="/">{words["next"]}</a>' if settings.serves_graphiql else words["close"]
    return f"""<!doctype html>
<html lang="{language}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><link rel="icon" href="data:,">
<title>{words["title"]} – SalesPad</title>
<link rel="stylesheet" href="{urls["people.css"]}"><script src="{urls["people.js"]}" defer></script></head>
<body>
<main>
<h1 tabindex="-1">{words["title"]}</h1>
<p id="intro">{words["intro"]}</p>
<noscript><p class="error">{words["no_script"]}</p></noscript>
<p id="problem" class="error" role="alert" hidden></p>
<form hidden novalidate data-operation="{page.operation}" data-document="{escape(page.document)}"
 data-says="{escape(says)}"{" data-needs-token" if page.needs_token else ""}>
{fields}
<button type="submit">{words["send"]}</button>
</form>
{forgot}
<div id="done" hidden><p id="done-text"></p><p>{way_on}</p></div>
</main>
<footer>{others}</footer>
</body>
</html>
"""


def _field(field: Field, words: Words) -> str:
    name = field.name
    is_secret = field.type == "password"
    show = f'<label class="show"><input type="checkbox" id="show"> {words["show"]}</label>'
    return f"""<div class="field">
<label for="{name}">{words[name]}</label>
<p class="hint" id="{name}-hint">{words[f"{name}_hint"]}</p>
<input id="{name}" name="{name}" type="{field.type}" autocomplete="{field.autocomplete}"
 aria-describedby="{name}-hint {name}-error"{" data-secret" if is_secret else ""}
{" data-optional" if field.is_optional else ""}>
<p class="error" id="{name}-error" hidden></p>
{show if is_secret else ""}
</div>"""

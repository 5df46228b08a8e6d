"""What SalesPad's own mails say, as text and as HTML, in each language.

Workspaces, people and browsers are named by whoever likes to: in a mail such a name is one short line without links,
so that nobody can have SalesPad send an advertisement. Values are escaped before they come into the HTML.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from app.accounts.domain.system_mail import SystemMailKind
from app.common.domain import composed

MAX_NAME = 60
MAX_DEVICE = 160
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]+")
_LINK_DOT = re.compile(r"(?<=\w)[.\u2024\u3002\uff0e\uff61](?=\w{2})")
"""A dot that would make a mail program take a name for an address on the web."""


@dataclass(frozen=True, slots=True)
class MailText:
    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    subject: str
    paragraphs: tuple[str, ...]
    action: str
    """On the link."""
    after: str


K = SystemMailKind
TEMPLATES: Mapping[tuple[SystemMailKind, str], Template] = {
    (K.INVITATION, "en"): Template(
        subject="Invitation to “{workspace}” on SalesPad",
        paragraphs=("“{inviter}” invites you to work in “{workspace}” on SalesPad.",),
        action="Accept the invitation",
        after="The link is good for seven days and for one use. Did you not expect it? Then ignore this mail: nothing "
        "happens.",
    ),
    (K.INVITATION, "pt-BR"): Template(
        subject="Convite para “{workspace}” no SalesPad",
        paragraphs=("“{inviter}” convida você para trabalhar em “{workspace}” no SalesPad.",),
        action="Aceitar o convite",
        after="O link vale por sete dias e por um só uso. Não esperava este convite? Ignore este e-mail: "
        "nada acontece.",
    ),
    (K.PASSWORD_RESET, "en"): Template(
        subject="Choose a new SalesPad password",
        paragraphs=("Somebody asked for a new password for this address.",),
        action="Choose a new password",
        after="The link is good for one hour and for one use; only the newest one works. Was it not you? Then ignore "
        "this mail: your password stays as it is.",
    ),
    (K.PASSWORD_RESET, "pt-BR"): Template(
        subject="Escolha uma nova senha do SalesPad",
        paragraphs=("Alguém pediu uma nova senha para este endereço.",),
        action="Escolher uma nova senha",
        after="O link vale por uma hora e por um só uso; só o mais novo funciona. Não foi você? Ignore este e-mail: "
        "sua senha continua a mesma.",
    ),
    (K.PASSWORD_CHANGED, "en"): Template(
        subject="Your SalesPad password was changed",
        paragraphs=(
            "The password of your account was changed on {at}.",
            "Was it not you? Then ask for a new password at once, and tell whoever looks after your workspace.",
        ),
        action="Ask for a new password",
        after="Was it you? Then there is nothing to do.",
    ),
    (K.PASSWORD_CHANGED, "pt-BR"): Template(
        subject="Sua senha do SalesPad foi alterada",
        paragraphs=(
            "A senha da sua conta foi alterada em {at}.",
            "Não foi você? Peça já uma nova senha e avise quem cuida do seu espaço de trabalho.",
        ),
        action="Pedir uma nova senha",
        after="Foi você? Então não é preciso fazer nada.",
    ),
    (K.NEW_SIGN_IN, "en"): Template(
        subject="New sign-in to your SalesPad account",
        paragraphs=(
            "Your account was signed in to from a device or a network that is new to us.",
            "When: {at}",
            "Device: {user_agent}",
            "Network: {ip_prefix}",
            "Was it not you? Then ask for a new password at once: choosing it ends every session.",
        ),
        action="Ask for a new password",
        after="Was it you? Then there is nothing to do.",
    ),
    (K.NEW_SIGN_IN, "pt-BR"): Template(
        subject="Novo acesso à sua conta do SalesPad",
        paragraphs=(
            "Sua conta foi acessada de um dispositivo ou de uma rede que ainda não conhecíamos.",
            "Quando: {at}",
            "Dispositivo: {user_agent}",
            "Rede: {ip_prefix}",
            "Não foi você? Peça já uma nova senha: escolhê-la encerra todas as sessões.",
        ),
        action="Pedir uma nova senha",
        after="Foi você? Então não é preciso fazer nada.",
    ),
}
DEFAULT_LOCALE = "en"
LIMITS = {"workspace": MAX_NAME, "inviter": MAX_NAME, "user_agent": MAX_DEVICE}
"""Of what others wrote; any other word is ours."""

STYLE = (
    "font:16px/1.5 system-ui,sans-serif;color:#1b2430;max-width:34em;margin:0 auto;padding:24px;"
    "overflow-wrap:anywhere"
)
BUTTON = "display:inline-block;padding:10px 18px;border-radius:6px;background:#0b6b8a;color:#fff;text-decoration:none"


def write_mail(kind: SystemMailKind, locale: str, words: Mapping[str, str], link: str) -> MailText:
    template = TEMPLATES.get((kind, locale)) or TEMPLATES[kind, DEFAULT_LOCALE]
    shown = {name: shown_word(name, value) for name, value in words.items()}
    paragraphs = [paragraph.format_map(shown) for paragraph in template.paragraphs]
    text = [
        *paragraphs,
        f"{template.action}:\n{link}",
        template.after,
        "SalesPad",
    ]
    subject = template.subject.format_map(shown)
    return MailText(subject, "\n\n".join(text) + "\n", _html(template, shown, subject, link, locale))


def _html(template: Template, shown: Mapping[str, str], subject: str, link: str, locale: str) -> str:
    safe = {name: escape(value) for name, value in shown.items()}
    href = escape(link)
    button = f'<p><a href="{href}" style="{BUTTON}">{template.action}</a></p>\n<p><a href="{href}">{href}</a></p>\n'
    paragraphs = "".join(f"<p>{paragraph.format_map(safe)}</p>\n" for paragraph in template.paragraphs)
    return (
        f'<!DOCTYPE html>\n<html lang="{escape(locale)}">\n<head><meta charset="utf-8">'
        f"<title>{escape(subject)}</title></head>\n"
        f'<body style="{STYLE}">\n{paragraphs}{button}<p>{template.after}</p>\n<p>SalesPad</p>\n</body>\n</html>\n'
    )


def shown_word(name: str, value: str) -> str:
    """One line; of what others wrote, so many characters and no link."""
    line = " ".join(_UNSEEN.sub(" ", value).split())
    if name not in LIMITS:
        return line
    broken = _LINK_DOT.sub(". ", composed(line.replace("://", " ")))
    return broken if len(broken) <= LIMITS[name] else broken[: LIMITS[name] - 1].rstrip() + "…"

"""`GET /mailbox`: what the local mailbox kept, as pages that need no script. Embedded only, never in production.

Whoever wrote a mail may be hostile, and so may the site that the reader's browser shows beside it: all text is escaped,
HTML is shown in a frame without any right, nothing is loaded from anywhere, and only this machine's own names are
answered to (a foreign name that points here would let a foreign page read along).
"""

import re
from collections.abc import Callable
from datetime import datetime
from html import escape
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from app.embedded.mail_view import MailView, read_headers, read_view
from app.embedded.maildir import HEAD_BYTES, Kept, Maildir
from app.settings import Settings

PAGE_SIZE = 50
LOOPBACK_NAMES = {"127.0.0.1", "localhost", "::1"}
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Vary": "Accept-Language",
}

ENGLISH = {
    "lang": "en",
    "title": "Local mailbox",
    "intro": "Mail that SalesPad sends without a provider ends here; nothing leaves this machine.",
    "answer": "To write to a connected address, send to",
    "empty": "Nothing has been sent yet.",
    "no_page": "There is nothing on this page.",
    "count": "{count} mails",
    "one": "1 mail",
    "from": "From",
    "to": "To",
    "subject": "Subject",
    "at": "Received",
    "no_subject": "(no subject)",
    "nobody": "(nobody)",
    "newer": "Newer",
    "older": "Older",
    "page": "Page {page} of {pages}",
    "back": "All mails",
    "raw": "Download the raw mail",
    "text": "Text",
    "html": "HTML",
    "attachments": "Attachments",
    "no_body": "This mail has no text.",
    "partly": "Parts of this mail cannot be read; the raw mail has all of it.",
    "not_found": "There is no such mail.",
    "time": "%d %b %Y, %H:%M",
}
PORTUGUESE = {
    "lang": "pt-BR",
    "title": "Caixa de correio local",
    "intro": "Os e-mails que o SalesPad envia sem um provedor ficam aqui; nada sai desta máquina.",
    "answer": "Para escrever a um endereço conectado, envie a",
    "empty": "Nada foi enviado ainda.",
    "no_page": "Não há nada nesta página.",
    "count": "{count} e-mails",
    "one": "1 e-mail",
    "from": "De",
    "to": "Para",
    "subject": "Assunto",
    "at": "Recebido",
    "no_subject": "(sem assunto)",
    "nobody": "(ninguém)",
    "newer": "Mais recentes",
    "older": "Mais antigos",
    "page": "Página {page} de {pages}",
    "back": "Todos os e-mails",
    "raw": "Baixar o e-mail original",
    "text": "Texto",
    "html": "HTML",
    "attachments": "Anexos",
    "no_body": "Este e-mail não tem texto.",
    "partly": "Partes deste e-mail não podem ser lidas; o original tem tudo.",
    "not_found": "Este e-mail não existe.",
    "time": "%d/%m/%Y, %H:%M",
}

STYLE = """
:root{color-scheme:light dark;--line:#d9dde3;--soft:#5b6572;--accent:#0b6b8a;--tint:#f4f6f8}
@media(prefers-color-scheme:dark){:root{--line:#3a414b;--soft:#a2adba;--accent:#6cc5e3;--tint:#1d2229}}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:0 auto;padding:2rem 1rem 4rem;overflow-wrap:anywhere}
h1{font-size:1.5rem;margin:0 0 .25rem}h2{font-size:1rem;margin:1.75rem 0 .5rem}
p{margin:.25rem 0}.soft{color:var(--soft)}
a{color:var(--accent)}a:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
nav{display:flex;gap:1.25rem;flex-wrap:wrap;margin:1.25rem 0;align-items:baseline}
table{border-collapse:collapse;width:100%;table-layout:fixed;margin-top:1.5rem}
th,td{text-align:left;padding:.55rem .5rem;border-bottom:1px solid var(--line);vertical-align:top}
th{font-size:.8125rem;color:var(--soft);font-weight:600}
td.one-line{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
th:nth-child(1),th:nth-child(2){width:25%}th:nth-child(4){width:11rem}
td:nth-child(4){white-space:nowrap;color:var(--soft)}tbody tr:hover{background:var(--tint)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem;margin:1.25rem 0}
dt{color:var(--soft)}dd{margin:0}
pre{white-space:pre-wrap;background:var(--tint);border:1px solid var(--line);border-radius:.5rem;padding:1rem;margin:0;
font:inherit}
iframe{width:100%;height:24rem;border:1px solid var(--line);border-radius:.5rem;background:#fff;resize:vertical}
code{background:var(--tint);padding:.1rem .35rem;border-radius:.25rem}
@media(max-width:40rem){table,tbody,tr,td{display:block}thead{display:none}td{border:0;padding:.1rem 0}
tr{padding:.6rem 0;border-bottom:1px solid var(--line);display:block}td.one-line{white-space:normal}
dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}}
"""

Words = dict[str, str]
Endpoint = Callable[[Request], Response]


def mailbox_routes(settings: Settings) -> list[Route]:
    """None in production, and none where `run` did not start the mailbox."""
    if settings.is_production or not settings.mailbox_smtp_url:
        return []
    kept, smtp = Maildir(settings.home / "mailbox"), urlsplit(settings.mailbox_smtp_url).netloc
    names = LOOPBACK_NAMES | {urlsplit(settings.base_url).hostname or ""}

    def own_names_only(endpoint: Endpoint) -> Endpoint:
        def guarded(request: Request) -> Response:
            if request.url.hostname not in names:
                return PlainTextResponse(f"Open it at {settings.base_url}/mailbox", 403, HEADERS)
            return endpoint(request)

        return guarded

    def show_list(request: Request) -> Response:
        words, text = words_of(request), request.query_params.get("page", "1")
        page = max(1, int(text)) if text.isascii() and text.isdecimal() and len(text) < 9 else 1
        mails, count = kept.newest(skip=(page - 1) * PAGE_SIZE, limit=PAGE_SIZE)
        return html_page(words["title"], list_body(words, kept, mails, page, count, smtp), words)

    def show_mail(request: Request) -> Response:
        words, found = words_of(request), kept.read(request.path_params["id"])
        if found is None:
            return html_page(words["not_found"], not_found_body(words), words, status=404)
        body = mail_body(words, *found, view := read_view(found[1]), own=settings.base_url)
        return html_page(view.header("Subject") or words["no_subject"], body, words)

    def download(request: Request) -> Response:
        found = kept.read(request.path_params["id"])
        if found is None:
            return PlainTextResponse(words_of(request)["not_found"], 404, HEADERS)
        name = {"Content-Disposition": f'attachment; filename="{found[0].id}.eml"'}
        return Response(found[1], headers=HEADERS | name, media_type="message/rfc822")

    return [
        Route("/mailbox", own_names_only(show_list)),
        Route("/mailbox/{id}", own_names_only(show_mail)),
        Route("/mailbox/{id}/raw", own_names_only(download)),
    ]


def words_of(request: Request) -> Words:
    """Portuguese where the browser asks for it before English."""
    for part in request.headers.get("accept-language", "").lower().split(","):
        name = part.strip()[:2]
        if name in ("pt", "en"):
            return PORTUGUESE if name == "pt" else ENGLISH
    return ENGLISH


def html_page(title: str, body: str, words: Words, *, status: int = 200) -> Response:
    return HTMLResponse(
        f'<!doctype html>\n<html lang="{words["lang"]}">\n<head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{escape(title)} – SalesPad</title><style>{STYLE}</style></head>\n'
        f"<body>\n{body}\n</body>\n</html>\n",
        status,
        HEADERS,
    )


def list_body(words: Words, kept: Maildir, mails: list[Kept], page: int, count: int, smtp: str) -> str:
    rows = "\n".join(list_row(words, mail, heads_of(kept, mail)) for mail in mails)
    heads = "".join(f'<th scope="col">{words[name]}</th>' for name in ("from", "to", "subject", "at"))
    table = f"<table><thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>"
    nothing = f"<p><strong>{words['no_page' if count else 'empty']}</strong></p>"
    counted = words["one"] if count == 1 else words["count"].format(count=count)
    return (
        f'<header><h1>{words["title"]}</h1>\n<p class="soft">{words["intro"]}</p>\n'
        f'<p class="soft">{words["answer"]} <code>{escape(smtp)}</code> (SMTP).</p></header>\n<main>\n'
        f"{f'<nav><span>{counted}</span></nav>' if count else ''}"
        f"{table if mails else nothing}\n{pager(words, page, count)}</main>"
    )


def heads_of(kept: Maildir, mail: Kept) -> MailView:
    found = kept.read(mail.id, limit=HEAD_BYTES)
    return read_headers(found[1]) if found else MailView()


def list_row(words: Words, mail: Kept, view: MailView) -> str:
    sender = escape(view.header("From") or words["nobody"])
    to = escape(view.header("To") or view.header("Delivered-To") or words["nobody"])
    subject = escape(view.header("Subject") or words["no_subject"])
    return (
        f'<tr><td class="one-line">{sender}</td><td class="one-line">{to}</td>'
        f'<td><a href="/mailbox/{mail.id}">{subject}</a></td><td>{time_of(words, mail.at)}</td></tr>'
    )


def time_of(words: Words, at: datetime) -> str:
    """In this machine's time zone, which is the reader's."""
    shown = at.astimezone().strftime(words["time"])
    return f'<time datetime="{at.isoformat(timespec="seconds")}">{shown}</time>'


def pager(words: Words, page: int, count: int) -> str:
    pages = max(1, -(-count // PAGE_SIZE))
    if pages == 1 and page == 1:
        return ""
    newer = (
        f'<a href="/mailbox?page={min(page - 1, pages)}" rel="prev">{words["newer"]}</a>' if page > 1 else ""
    )
    older = f'<a href="/mailbox?page={page + 1}" rel="next">{words["older"]}</a>' if page < pages else ""
    place = words["page"].format(page=page, pages=pages)
    return f'<nav aria-label="{place}">{newer}<span class="soft">{place}</span>{older}</nav>\n'


def mail_body(words: Words, mail: Kept, raw: bytes, view: MailView, *, own: str) -> str:
    pairs = "\n".join(
        f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in view.headers if name != "Subject"
    )
    parts = [] if view.is_whole else [f"<p><strong>{words['partly']}</strong></p>"]
    if view.text is not None:
        parts.append(f"<h2>{words['text']}</h2>\n<pre>{linked(escape(view.text), own)}</pre>")
    if view.html is not None:
        parts.append(f"<h2>{words['html']}</h2>\n{html_frame(view.html)}")
    if view.attachments:
        names = "".join(f"<li>{escape(name)}</li>" for name in view.attachments)
        parts.append(f"<h2>{words['attachments']}</h2>\n<ul>{names}</ul>")
    if view.text is None and view.html is None:
        parts.append(f'<p class="soft">{words["no_body"]}</p>')
    body = "\n".join(parts)
    return (
        f'<nav><a href="/mailbox">← {words["back"]}</a>'
        f'<a href="/mailbox/{mail.id}/raw">{words["raw"]}</a></nav>\n<main>\n'
        f"<h1>{escape(view.header('Subject') or words['no_subject'])}</h1>\n"
        f'<p class="soft">{words["at"]} {time_of(words, mail.at)}</p>\n<dl>\n{pairs}\n</dl>\n{body}\n</main>'
    )


def linked(text: str, own: str) -> str:
    """With the links into this very installation, and no others: so one goes on from SalesPad's own mails."""
    return re.sub(
        rf"(?m)^{re.escape(escape(own))}/[^\s<>]*$", r'<a href="\g<0>" rel="noreferrer">\g<0></a>', text
    )


def html_frame(html: str) -> str:
    """Without scripts, forms, links out of the frame or an origin (sandbox); the page's own policy holds in it too."""
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY.partition("; form-action")[0]}">'
    return f'<iframe sandbox title="HTML" srcdoc="{escape(policy + html)}"></iframe>'


def not_found_body(words: Words) -> str:
    return f'<main><h1>{words["not_found"]}</h1>\n<nav><a href="/mailbox">← {words["back"]}</a></nav></main>'

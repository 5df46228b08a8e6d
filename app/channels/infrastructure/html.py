"""HTML of mails: sanitised for the screen, and turned into text.

nh3 decides what is safe. Its parser takes the square of the depth and of some other things
(servo/html5ever#788: 500 kB of "<ul><li>" take a minute), so it is given HTML that was written anew here: tags
balanced, at most MAX_DEPTH deep, only those of the list. Time grows with the length.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape, unescape

import nh3

MAX_HTML = 500_000
"""Characters; of longer HTML only the text is kept."""
MAX_REFERENCES = 50_000
"""Escaped characters; nh3 takes the square of their number."""
MAX_DEPTH = 60
MAX_TAG_ATTRIBUTES = 8_192
MAX_URL = 2_000

TAGS = frozenset({
    "a", "abbr", "b", "blockquote", "br", "caption", "center", "cite", "code", "dd", "del", "div", "dl", "dt", "em",
    "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "ins", "kbd", "li", "ol", "p", "pre", "q", "s", "samp", "small",
    "span", "strike", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "u", "ul",
    "var",
})  # fmt: skip
"""No img: it tells the sender that and where a mail was read. No style, class or id: they reach out of the mail."""
ATTRIBUTES = {
    "a": {"href", "title"},
    "td": {"colspan", "rowspan", "align"},
    "th": {"colspan", "rowspan", "align"},
    "ol": {"start"},
}
SCHEMES = {"http", "https", "mailto"}
REL = "noopener noreferrer nofollow"

_VOID = frozenset({"br", "hr"})
_UNREAD = frozenset({
    "script", "style", "title", "textarea", "iframe", "noembed", "noframes", "noscript", "xmp", "svg", "math",
    "object", "applet", "template", "select", "audio", "video", "canvas",
})  # fmt: skip
"""Left out with all they hold."""
_ENDED_BY = {
    "li": {"li", "p"}, "p": {"p"}, "td": {"td", "th", "p"}, "th": {"td", "th", "p"}, "tr": {"td", "th", "tr", "p"},
    "dd": {"dd", "dt", "p"}, "dt": {"dd", "dt", "p"},
}  # fmt: skip
"""Tags that end an open one of these kinds: not everybody closes them."""
_BLOCKS = frozenset({
    "address", "article", "blockquote", "center", "dd", "div", "dl", "dt", "footer", "h1", "h2", "h3", "h4", "h5",
    "h6", "header", "hr", "li", "main", "ol", "p", "pre", "section", "table", "tr", "ul",
})  # fmt: skip
_PARAGRAPHS = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "blockquote", "pre"})
_QUOTE_CLASSES = frozenset({
    "gmail_quote", "yahoo_quoted", "moz-cite-prefix", "protonmail_quote", "zmail_extra", "tutanota_quote",
})  # fmt: skip
_QUOTED_FROM_HERE = frozenset({"divrplyfwdmsg", "appendonsend", "olk_src_body_section", "reply-intro"})
"""Outlook's marks: they stand beside what is quoted, which goes on to the end."""

_OPENING = re.compile(r"<(?=[a-zA-Z/!?])")
_TAG_OPENS = re.compile(r"</?[a-zA-Z]")
_TAG = re.compile(
    r"<(/?)([a-zA-Z][^\s/>]*+)"
    r"((?:[\s/]++|[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+'|[^\s\"'>][^\s>]*+)?+)?+)*+)>"
)
_ATTRIBUTE = re.compile(
    r"([^\s/>][^\s/>=]*+)(?:\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s\"'>][^\s>]*+))?+)?+"
)
_ADDRESS = re.compile(r"\s*(https?://|mailto:)", re.IGNORECASE)
_LINK = re.compile(r"https?://[^\s<>\"']{1,1900}[^\s<>\"'.,;:!?)\]}]")


@dataclass(frozen=True, slots=True)
class Token:
    """A tag, or a text between tags (`name` is "" then)."""

    name: str
    text: str = ""
    attributes: str = ""
    is_end: bool = False

    def attribute(self, name: str) -> str:
        for found in _ATTRIBUTE.finditer(self.attributes[:MAX_TAG_ATTRIBUTES]):
            if found[1].lower() == name:
                return _unescaped(found[2] or found[3] or found[4] or "")
        return ""


def sanitized(html: str) -> str:
    """Safe to show; "" where nothing of it is to be seen, or it is too much."""
    rewritten = _rewritten(html) if len(html) <= MAX_HTML else ""
    if rewritten.count("&") > MAX_REFERENCES:
        return ""
    clean = nh3.clean(
        rewritten,
        tags=set(TAGS),
        attributes=ATTRIBUTES,
        url_schemes=SCHEMES,
        link_rel=REL,
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )
    return clean.strip() if len(clean) <= 4 * MAX_HTML and re.sub(r"<[^>]*+>|\s", "", clean) else ""


def text_to_html(text: str) -> str:
    """Paragraphs, line breaks and links; everything else is shown as it was written."""
    paragraphs = re.split(r"\n[ \t]*\n\s*", text.strip("\n"))
    return "\n".join(f"<p>{_linked(paragraph)}</p>" for paragraph in paragraphs if paragraph.strip())


def _linked(paragraph: str) -> str:
    pieces, position = [], 0
    for link in _LINK.finditer(paragraph):
        address = escape(link[0])
        pieces += [escape(paragraph[position : link.start()]), f'<a href="{address}">{address}</a>']
        position = link.end()
    pieces.append(escape(paragraph[position:]))
    return "".join(pieces).replace("\n", "<br>\n")


def tokens(html: str) -> Iterator[Token]:
    """Tags and texts in order. Comments, declarations and what _UNREAD names are passed over."""
    position = 0
    unclosed: set[str] = set()
    while opening := _OPENING.search(html, position):
        if opening.start() > position:
            yield Token("", _unescaped(html[position : opening.start()]))
        if not _TAG_OPENS.match(html, opening.start()):
            position = _behind_comment(html, opening.start())
            continue
        tag = _TAG.match(html, opening.start())
        if tag is None:
            return  # it never closes: browsers show nothing of it either
        name, is_end = tag[2].lower(), bool(tag[1])
        if name not in _UNREAD:
            yield Token(name, attributes=tag[3], is_end=is_end)
        position = tag.end() if name not in _UNREAD or is_end else _behind(html, name, tag.end(), unclosed)
    if position < len(html):
        yield Token("", _unescaped(html[position:]))


def _behind_comment(html: str, opening: int) -> int:
    """Comments, declarations and what browsers take for one; an open one goes on to the end."""
    is_comment = html.startswith("<!--", opening)
    mark = "-->" if is_comment else ">"
    end = html.find(mark, opening + 2)
    return end + len(mark) if end >= 0 else len(html)


def _behind(html: str, name: str, position: int, unclosed: set[str]) -> int:
    """Behind the end of an element that is left out; `unclosed` keeps from looking for the same end in vain."""
    end = None
    if name not in unclosed:
        end = re.compile(rf"</{name}(?=[\s/>])[^>]*+>?", re.IGNORECASE).search(html, position)
    if end is not None:
        return end.end()
    unclosed.add(name)
    return len(html) if name in ("script", "style") else position


def _unescaped(text: str) -> str:
    try:
        return unescape(text)
    except ValueError:  # a number of thousands of digits
        return text


def _rewritten(html: str) -> str:
    """The same, of known tags only, each closed, none too deep."""
    out: list[str] = []
    stack: list[str] = []
    for token in tokens(html):
        if not token.name:
            out.append(escape(token.text, quote=False))
        elif token.name not in TAGS:
            continue
        elif token.name in _VOID:
            out.append(f"<{token.name}>")
        elif token.is_end:
            _close(out, stack, token.name)
        else:
            ended = _ENDED_BY.get(token.name, {"p"} if token.name in _BLOCKS else set())
            while stack and stack[-1] in ended:
                out.append(f"</{stack.pop()}>")
            if len(stack) < MAX_DEPTH:
                stack.append(token.name)
                out.append(_opened(token))
    out.extend(f"</{name}>" for name in reversed(stack))
    return "".join(out)


def _close(out: list[str], stack: list[str], name: str) -> None:
    while name in stack:
        out.append(f"</{stack[-1]}>")
        if stack.pop() == name:
            return


def _opened(token: Token) -> str:
    kept = [
        f' {name}="{escape(value[:MAX_URL])}"'
        for name in sorted(ATTRIBUTES.get(token.name, ()))
        if (value := token.attribute(name)) and (name != "href" or _ADDRESS.match(value))
    ]
    return f"<{token.name}{''.join(kept)}>"


def text_from_html(html: str) -> str:
    """Paragraphs, lists, links as "text (address)"; what is quoted has ">" before its lines."""
    writer = _TextWriter()
    for token in tokens(html[:MAX_HTML]):
        writer.take(token)
    return writer.text()


class _TextWriter:
    """Lines as they grow, with how deep each is quoted."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line: list[str] = []
        self._depth = 0
        self._open: list[tuple[str, bool]] = []
        self._links: list[tuple[str, int]] = []
        self._is_rest_quoted = False
        self._preformatted = 0

    def take(self, token: Token) -> None:
        if not token.name:
            self._write(token.text)
        elif token.name == "br":
            self._end_line()
        elif token.name == "hr":
            self._break()
            self._line.append("---")
            self._end_line()
        elif token.is_end:
            self._end(token.name)
        else:
            self._start(token)

    def text(self) -> str:
        self._break()
        return "\n".join(self._lines).strip("\n")

    def _start(self, token: Token) -> None:
        if token.name in _BLOCKS:
            self._break(is_paragraph=token.name in _PARAGRAPHS)
        if token.name == "pre":
            self._preformatted += 1
        if token.name == "a":
            self._links.append((token.attribute("href"), len(self._line)))
        elif token.name == "li":
            self._line.append("- ")
        elif token.name in ("td", "th") and self._line:
            self._line.append(" ")
        elif token.name in ("blockquote", "div"):
            self._open_quote(token)

    def _open_quote(self, token: Token) -> None:
        if not self._is_rest_quoted and token.attribute("id").lower().removeprefix("x_") in _QUOTED_FROM_HERE:
            self._is_rest_quoted = True
            self._depth += 1
        classes = set(token.attribute("class").lower().split())
        is_quote = token.name == "blockquote" or bool(classes & _QUOTE_CLASSES)
        if len(self._open) < 1000:
            self._open.append((token.name, is_quote))
            self._depth += is_quote

    def _end(self, name: str) -> None:
        if name in _BLOCKS:
            self._break()
        if name == "pre":
            self._preformatted = max(0, self._preformatted - 1)
        elif name == "a" and self._links:
            self._end_link(*self._links.pop())
        elif (
            name in ("blockquote", "div") and self._open and any(open[0] == name for open in self._open[-50:])
        ):
            while self._open:
                opened, is_quote = self._open.pop()
                self._depth -= is_quote
                if opened == name:
                    break
        if name in _PARAGRAPHS:
            self._break(is_paragraph=True)

    def _end_link(self, address: str, start: int) -> None:
        label = "".join(self._line[start:]).strip()
        address = address.strip()[:MAX_URL]
        if label and address.startswith(("http://", "https://")) and address.rstrip("/") != label.rstrip("/"):
            self._line.append(f" ({address})")

    def _write(self, text: str) -> None:
        if self._preformatted:
            first, *others = text.split("\n")
            self._line.append(first)
            for other in others:
                self._end_line()
                self._line.append(other)
            return
        words = " ".join(text.split())
        if not words:
            self._line.append(" ")
            return
        self._line.append(f"{' ' if text[0].isspace() else ''}{words}{' ' if text[-1].isspace() else ''}")

    def _end_line(self) -> None:
        line = "".join(self._line)
        line = line.rstrip() if self._preformatted else re.sub(r" {2,}", " ", line).strip()
        depth = min(self._depth, 20)
        self._lines.append(f"{'>' * depth} {line}".rstrip() if depth else line)
        self._line, self._links = [], [(address, 0) for address, _ in self._links[-3:]]

    def _break(self, *, is_paragraph: bool = False) -> None:
        """Ends the line if there is one; a paragraph has an empty line before it."""
        if "".join(self._line).strip():
            self._end_line()
        self._line = []
        if is_paragraph and self._lines and self._lines[-1].strip("> "):
            self._end_line()

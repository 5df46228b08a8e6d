"""HTML of mails: nothing of it runs, loads, submits or reaches out; its text can be read."""

import re

import pytest

from app.channels.infrastructure.html import sanitized, text_from_html, text_to_html

ALLOWED = re.compile(
    r"</?(p|div|b|i|a|br|span|table|tbody|tr|td|blockquote|pre|ul|li|h1|center)"
    r'(?: (?:href="(?:https?://|mailto:)[^"<>]*"|title="[^"<>]*"|rel="noopener noreferrer nofollow"|target="_blank"'
    r'|colspan="\d+"))*>'
)

ATTACKS = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<img src=x onerror=alert(1)>",
    "<img src='https://evil.example/pixel.gif'>",
    "<img src=cid:logo>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<svg></p><style><a id='</style><img src=1 onerror=alert(1)>'>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<math><mi//xlink:href='data:x,<script>alert(1)</script>'>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href=' java\tscript:alert(1)'>x</a>",
    "<a href='&#106;avascript:alert(1)'>x</a>",
    "<a href='JaVaScRiPt&colon;alert(1)'>x</a>",
    "<a href='\x01javascript:alert(1)'>x</a>",
    "<a href='vbscript:msgbox(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='//evil.example'>x</a>",
    "<a href='file:///etc/passwd'>x</a>",
    "<a href=https://a.example onclick=alert(1)>x</a>",
    "<a href=https://a.example target=_self rel=opener>x</a>",
    '<a href="https://a.example/&quot; onmouseover=&quot;alert(1)">x</a>',
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<object data=x.swf></object><embed src=x.swf>",
    "<form action=https://evil.example><input name=p><button>go</button></form>",
    "<base href=https://evil.example/>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<link rel=stylesheet href=https://evil.example/x.css>",
    "<style>body{background:url(https://evil.example)}</style>",
    "<style>@import 'https://evil.example/x.css';</style>",
    "<div style='background:url(javascript:alert(1))'>x</div>",
    "<p style='position:fixed;top:0'>x</p>",
    "<div id=app class=admin>x</div>",
    "<table background=https://evil.example/x><tr><td background=x colspan=2>x</table>",
    "<body onload=alert(1) background=x>x</body>",
    "<video src=x onerror=alert(1)><source onerror=alert(1)></video>",
    "<details open ontoggle=alert(1)>x</details>",
    "<marquee onstart=alert(1)>x</marquee>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<textarea><img src=x onerror=alert(1)></textarea>",
    "<title><img src=x onerror=alert(1)></title>",
    "<xmp><img src=x onerror=alert(1)></xmp>",
    "<template><img src=x onerror=alert(1)></template>",
    "<select><style><img src=x onerror=alert(1)></style></select>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<!--[if gte mso 9]><script>alert(1)</script><![endif]-->",
    "<![CDATA[<img src=x onerror=alert(1)>]]>",
    "<?xml version='1.0'?><img src=x onerror=alert(1)>",
    '<p title="</p><script>alert(1)</script>">x</p>',
    "<a title='\"><img src=x onerror=alert(1)>' href=https://a.example>x</a>",
    "<p/onclick=alert(1)>x",
    "<p\x0conclick=alert(1)>x",
    "<<p onclick=alert(1)>script>alert(1)<</p>/script>",
    "<img src=x onerror=alert(1) ",
    "\x00<\x00script>alert(1)</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<plaintext><script>alert(1)</script>",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_but_the_listed_tags_and_attributes_is_left(attack: str) -> None:
    for html in (attack, f"<p>before</p>{attack}<p>after</p>", f"<table><tr><td>{attack}</td></tr></table>"):
        left = sanitized(html)
        assert "<" not in ALLOWED.sub("", left), left
        assert "javascript:" not in "".join(re.findall(r'="[^"]*"', left)).lower()


def test_what_is_harmless_stays() -> None:
    html = "<p>Olá <b>Ana</b> &amp; <a href='https://a.example/?x=1&amp;y=2'>aqui</a><br>5 &lt; 6</p>"
    assert sanitized(html) == (
        '<p>Olá <b>Ana</b> &amp; <a href="https://a.example/?x=1&amp;y=2" target="_blank" '
        'rel="noopener noreferrer nofollow">aqui</a><br>5 &lt; 6</p>'
    )


@pytest.mark.parametrize("html", ["", "<p> </p><br>", "<img src=x>", "x" * 500_001, "&" * 50_001])
def test_where_nothing_is_to_be_seen_there_is_no_html(html: str) -> None:
    assert sanitized(html) == ""


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>Two<br>three</p>", "One\n\nTwo\nthree"),
        ("<div>a</div><div>b</div>", "a\nb"),
        ("<ul><li>a<li>b</ul>c", "- a\n- b\n\nc"),
        ("a <a href='https://x.example'>b</a> c", "a b (https://x.example) c"),
        ("<a href='https://x.example/'>https://x.example</a>", "https://x.example"),
        ("<a href='mailto:a@x.example'>a@x.example</a>", "a@x.example"),
        ("<blockquote>a<blockquote>b</blockquote></blockquote>c", "> a\n>\n>> b\n>\nc"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("<pre>a\n  b</pre>", "a\n  b"),
        ("a\n   b&nbsp;&eacute; &#8212; &lt;c>", "a b é — <c>"),
        ("<style>p{}</style><!-- no -->a<script>no</script>", "a"),
        ("1 < 2 && 3 > 2", "1 < 2 && 3 > 2"),
        ("&#" + "9" * 5000 + ";", "&#" + "9" * 5000 + ";"),
        ("a<b", "a"),
    ],
)
def test_html_becomes_text(html: str, text: str) -> None:
    assert text_from_html(html) == text


def test_text_becomes_html() -> None:
    assert text_to_html("Oi <b>\n\nveja https://x.example/a?b=1&c=2.\nfim") == (
        '<p>Oi &lt;b&gt;</p>\n<p>veja <a href="https://x.example/a?b=1&amp;c=2">'
        "https://x.example/a?b=1&amp;c=2</a>.<br>\nfim</p>"
    )

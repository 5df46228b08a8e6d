"""Raw requests that no client of ours sends, numbered as the table of hostile inputs the API was designed against."""

import gzip
import json
from dataclasses import dataclass

from tests.api.hostile.raw import KEEP, chunked, graphql, request

TINY = {"query": "{ __typename }"}
TAG = 'mutation { createTag(input: {name: "x"}) { tag { id } } }'
BOUNDARY = "multipart/form-data; boundary=x"
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Case:
    row: int
    what: str
    sent: bytes
    statuses: tuple[int, ...]
    code: str | None = None
    """Of the first error."""

    def __str__(self) -> str:
        return f"{self.row}: {self.what}"


def query(row: int, what: str, document: str, code: str = "QUERY_TOO_COMPLEX") -> Case:
    accept = "Accept: application/graphql-response+json"
    return Case(row, what, graphql({"query": document}, accept), (400,), code)


def nest(text: str, times: int, inner: str = "", end: str = "}") -> str:
    return text * times + inner + end * times


BODIES = [
    Case(1, f"body {body[:20]!r}", graphql(body), (400,), "BAD_REQUEST")
    for body in (
        "1",
        '"x"',
        "null",
        "[]",
        "",
        "true",
        "{",
        "{}",
        "1e999",
        "NaN",
        '{"query": null}',
        '{"query": ""}',
    )
] + [
    Case(1, "query of another type", graphql({"query": ["{ __typename }"]}), (400,), "BAD_REQUEST"),
    Case(1, "operationName of another type", graphql({**TINY, "operationName": {}}), (400,), "BAD_REQUEST"),
    Case(1, "variables of another type", graphql({**TINY, "variables": "{}"}), (400,), "BAD_REQUEST"),
    Case(1, "extensions of another type", graphql({**TINY, "extensions": [1]}), (400,), "BAD_REQUEST"),
    Case(2, "100,000 nested [", graphql("[" * 100_000), (400,), "BAD_REQUEST"),
    Case(2, "100,000 nested [ that are closed", graphql(nest("[", 100_000, end="]")), (400,), "BAD_REQUEST"),
    Case(2, "100,000 nested objects", graphql(nest('{"a":', 100_000, "1")), (400,), "BAD_REQUEST"),
    Case(
        2,
        "100,000 nested [ in variables",
        graphql('{"query": "{ __typename }", "variables": {"a": ' + nest("[", 100_000, end="]") + "}}"),
        (400,),
    ),
    Case(3, "bad UTF-8", graphql(b'{"query": "\xff\xfe"}'), (400,), "BAD_REQUEST"),
    Case(3, "UTF-16", graphql(json.dumps(TINY).encode("utf-16")), (400,), "BAD_REQUEST"),
    Case(3, "half an emoji in the document", graphql(b'{"query": "{ \\ud800 }"}'), (200, 400)),
    Case(3, "NUL in the document", graphql({"query": "{ \0 }"}), (200,), "GRAPHQL_PARSE_FAILED"),
    Case(4, "6 MB", graphql(b'{"query": "' + b"x" * 6 * MEGABYTE + b'"}', KEEP), (413,), "PAYLOAD_TOO_LARGE"),
    Case(
        4,
        "6 MB that are only told",
        graphql(b"{", f"Content-Length: {6 * MEGABYTE}"),
        (413,),
        "PAYLOAD_TOO_LARGE",
    ),
    Case(4, "6 MB in chunks", chunked([b"x" * 50_000] * 120, KEEP), (413,), "PAYLOAD_TOO_LARGE"),
    Case(4, "6 MB in chunks of a byte", chunked([b"x"] * 100_000), (400,), "BAD_REQUEST"),
    Case(
        4,
        "2 MB that import nothing",
        graphql({**TINY, "variables": {"x": "y" * 2 * MEGABYTE}}),
        (413,),
        "PAYLOAD_TOO_LARGE",
    ),
    Case(
        4,
        "2 MB with importLeads beside another",
        graphql(
            {"query": "mutation { importLeads { a } signOut { b } }", "variables": {"x": "y" * 2 * MEGABYTE}}
        ),
        (413,),
        "PAYLOAD_TOO_LARGE",
    ),
    Case(5, "a gzip bomb", graphql(gzip.compress(b" " * 30 * MEGABYTE), "Content-Encoding: gzip"), (415,)),
    *(
        Case(5, f"Content-Encoding: {name}", graphql(b"x", f"Content-Encoding: {name}"), (415,))
        for name in ("br", "deflate", "identity, gzip", "GZIP", "x")
    ),
    *(
        Case(
            6,
            f"Content-Type: {kind}",
            request("POST", "/graphql", f"Content-Type: {kind}", body=json.dumps(TINY).encode()),
            (415,),
        )
        for kind in (
            "text/plain",
            "text/plain;application/json",
            "application/x-www-form-urlencoded",
            BOUNDARY,
            "application/graphql",
            "application/jsonp",
            "",
        )
    ),
    Case(6, "no Content-Type", request("POST", "/graphql", body=json.dumps(TINY).encode()), (415,)),
    Case(8, "a batch of ten", graphql([TINY] * 10), (400,), "BAD_REQUEST"),
]

METHODS = [
    Case(
        7,
        "a mutation by GET",
        request("GET", f"/graphql?query={TAG.replace(' ', '%20')}"),
        (405,),
        "METHOD_NOT_ALLOWED",
    ),
    Case(
        7,
        "a query by GET with a cookie only",
        request("GET", "/graphql?query={tags{id}}", "Cookie: __Host-sp_rt=x; access_token=x"),
        (200,),
        "UNAUTHENTICATED",
    ),
    Case(7, "a query by GET of 60 kB", request("GET", "/graphql?query={" + "a," * 30_000 + "}"), (200, 400)),
    *(
        Case(
            7,
            f"variables {text} by GET",
            request("GET", f"/graphql?query={{__typename}}&variables={text}"),
            (400,),
            "BAD_REQUEST",
        )
        for text in ("{", "[]", "7", "[" * 20_000)
    ),
    *(
        Case(7, method, request(method, "/graphql"), (405,), "METHOD_NOT_ALLOWED")
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND")
    ),
]

DOCUMENTS = [
    query(9, "2,000 aliases", nest("{ ", 1, " ".join(f"a{n}: x" for n in range(600)))),
    query(
        9, "10,000 aliases", "{ " + " ".join(f"a{n}: x" for n in range(10_000)) + " }", "GRAPHQL_PARSE_FAILED"
    ),
    query(9, "the same field 900 times", "{ viewer { " + "role " * 900 + "} }"),
    query(
        9, "10,000 directives", "{ __typename " + "@skip(if: false) " * 10_000 + "}", "GRAPHQL_PARSE_FAILED"
    ),
    query(9, "200 directives", "{ __typename " + "@skip(if: false) " * 200 + "}"),
    query(9, "unknown directives", "{ __typename " + "@a " * 900 + "}"),
    query(9, "2,000 unknown fields", "{ " + " ".join(f"f{n}" for n in range(1_900)) + " }"),
    query(
        9,
        "500 unknown fields below one",
        "{ viewer { " + " ".join(f"f{n}" for n in range(490)) + " } }",
        "GRAPHQL_VALIDATION_FAILED",
    ),
    query(9, "a comment of 200 kB", "{ __typename } #" + "x" * 200_000),
    query(
        9,
        "a string of 90 kB",
        '{ __type(name: "' + "x" * 90_000 + '") { name } tags(a: 1) }',
        "GRAPHQL_VALIDATION_FAILED",
    ),
    query(10, "depth 5,000", nest("{ a ", 5_000), "GRAPHQL_PARSE_FAILED"),
    query(10, "depth 30", nest("{ a ", 30)),
    query(10, "fragments in fragments, 600 deep", nest("{ ... ", 600, "{ a }"), "GRAPHQL_PARSE_FAILED"),
    query(10, "fragments in fragments, 90 deep", nest("{ ... ", 90, "{ a }"), "GRAPHQL_VALIDATION_FAILED"),
    query(10, "a cycle", "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }"),
    query(10, "a fragment in itself", "{ ...a } fragment a on Query { viewer { role } ...a }"),
    query(
        10,
        "60 fragments that spread each other",
        "{ ...f0 } "
        + " ".join(
            f"fragment f{n} on Query {{ {' '.join(f'...f{m}' for m in range(8))} }}" for n in range(60)
        ),
    ),
    query(
        10,
        "fragments that double",
        "{ ...f0 } "
        + " ".join(f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }}" for n in range(60))
        + " fragment f60 on Query { __typename }",
    ),
    query(
        10,
        "a list 20,000 deep",
        "{ leads(filter: {tagIds: " + nest("[", 20_000, end="]") + "}) { totalCount } }",
        "GRAPHQL_PARSE_FAILED",
    ),
    query(
        10,
        "an object 150 deep",
        "{ leads(filter: " + nest("{a: ", 150, "1") + ") { totalCount } }",
        "GRAPHQL_VALIDATION_FAILED",
    ),
    query(
        10,
        "fields that conflict in pairs",
        "{ " + " ".join(f"... on Query {{ x: lead(id: {n}) {{ id }} }}" for n in range(20)) + " }",
        "GRAPHQL_VALIDATION_FAILED",
    ),
    query(
        10,
        "2,000 variables",
        "query (" + " ".join(f"$v{n}: Int" for n in range(450)) + ") { __typename }",
        "GRAPHQL_VALIDATION_FAILED",
    ),
    query(10, "400 operations", " ".join(f"query q{n} {{ __typename }}" for n in range(400))),
    query(
        11, "first: 99999999999", "{ leads(first: 99999999999) { totalCount } }", "GRAPHQL_VALIDATION_FAILED"
    ),
    query(11, "first: a float", "{ leads(first: 1e99) { totalCount } }", "GRAPHQL_VALIDATION_FAILED"),
    query(
        21,
        "30 sign-ins at once",
        "mutation { "
        + " ".join(
            f's{n}: signIn(input: {{email: "a@b.co", password: "{n}"}}) {{ errors {{ code }} }}'
            for n in range(30)
        )
        + " }",
    ),
    query(
        21,
        "two sign-ins in fragments",
        'mutation { ...a ...b } fragment a on Mutation { signIn(input: {email: "a", password: "b"}) '
        '{ ok: __typename } } fragment b on Mutation { x: signIn(input: {email: "a", password: "c"}) '
        "{ ok: __typename } }",
    ),
]

FRAMING = [
    Case(4, "a header of 3 MB", request("GET", "/health/live", "X: " + "x" * 3 * MEGABYTE), (400,)),
    Case(4, "a path of 3 MB", request("GET", "/" + "x" * 3 * MEGABYTE), (400,)),
    Case(4, "100,000 headers", request("GET", "/health/live", *["X-Header: x" * 3] * 100_000), (400,)),
    Case(4, "headers without an end", b"GET / HTTP/1.1\r\n" + b"X-Header: y\r\n" * 200_000, (400,)),
    Case(4, "a length that is none", graphql(b"{}", "Content-Length: 1e3"), (400,)),
    Case(4, "a negative length", graphql(b"{}", "Content-Length: -1"), (400,)),
    Case(4, "two lengths", graphql(b"{}", "Content-Length: 2", "Content-Length: 50"), (400,)),
    Case(4, "a length and chunks", chunked([b"{}"], "Content-Length: 2"), (400,)),
    Case(4, "chunks of no size", graphql(b"zz\r\n", "Transfer-Encoding: chunked"), (400,)),
    Case(
        4, "a chunk of 2**64 bytes", graphql(b"fffffffffffffffff\r\n", "Transfer-Encoding: chunked"), (400,)
    ),
    Case(4, "no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10 + b"\r\n\r\n", (400,)),
    Case(4, "a header without a name", request("GET", "/graphql", ": x"), (400,)),
    Case(4, "NUL in a header", request("GET", "/health/live", "X: a\0b"), (400,)),
    Case(4, "a line feed in the path", request("GET", "/health\nlive"), (400,)),
]

PATHS = [
    *(
        Case(13, f"path {path[:40]}", request("GET", path), statuses)
        for path, statuses in {
            "/graphiql/assets/../../../../../../etc/passwd": (404,),
            "/graphiql/assets/%2e%2e/%2e%2e/%2e%2e/etc/passwd": (404,),
            "/graphiql/assets/..%2f..%2f..%2fetc%2fpasswd": (404,),
            "/graphiql/assets/%00": (404,),
            "/graphiql/assets/" + "a" * 5_000: (404,),
            "/files/%00": (404,),
            "/files/..%2f..%2fetc": (404,),
            "/files/" + "a" * 50_000: (404,),
            "/files/%ff%fe": (404,),
            "/mailbox/..%2f..": (404,),
            "//evil.example/": (404,),
            "/%0d%0aSet-Cookie:%20x=1": (404,),
            "/é": (400, 404),
            "/" + "%" * 100: (404,),
        }.items()
    ),
    *(
        Case(13, f"mail to {token!r}", request("POST", f"/webhooks/email/{token}", body=b"x"), (404,))
        for token in ("%00", "%ff", "..%2f..", "a" * 20_000)
    ),
]

ACCEPTS = [
    Case(1, f"Accept: {accept[:30]}", graphql(TINY, f"Accept: {accept}"), statuses)
    for accept, statuses in {
        "image/png": (406,),
        "application/json;q=nan": (200, 406),
        "application/json;q=inf, */*": (200,),
        "," * 5_000: (200, 406),
        "*/*;q=0": (406,),
        "a/b;q=" + "9" * 400: (406,),
    }.items()
]

"""Traces as a collector gets them: what was done is there by name, and nobody's words, address or token are."""

import gzip
import http.server
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app.common import tracing
from app.common.domain import Role
from app.settings import Settings
from tests.factories.accounts import PASSWORD, add_member, sign_up
from tests.factories.conversations import open_conversation
from tests.factories.imports import import_leads, profile
from tests.factories.sending import accepted, smtp_account, until_status
from tests.fixtures.databases import own_database
from tests.fixtures.logs import leaks
from tests.fixtures.processes import ROOT, eventually
from tests.fixtures.smtp import ScriptedSmtp

REMOVE = "mutation ($input: MemberInput!) { removeMember(input: $input) { ok } }"
TRACE_ID = re.compile(r"trace_id=(\w{32})")


class Collector:
    """Takes OTLP over HTTP, and keeps it as it came."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        bodies = self.bodies

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                is_packed = self.headers.get("Content-Encoding") == "gzip"
                bodies.append(gzip.decompress(body) if is_packed else body)
                self.send_response(200 if self.path == "/v1/traces" else 404)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def spans(self) -> list[tuple[str, Any]]:
        """Each with its process's name."""
        found = []
        for body in list(self.bodies):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                named = {one.key: one.value.string_value for one in resource.resource.attributes}
                for scope in resource.scope_spans:
                    found += [(named["service.name"], span) for span in scope.spans]
        return found

    def names(self) -> set[tuple[str, str]]:
        return {(process, span.name) for process, span in self.spans()}


@pytest.fixture
def collector() -> Iterator[Collector]:
    one = Collector()
    threading.Thread(target=one.server.serve_forever, daemon=True).start()
    yield one
    one.server.shutdown()
    one.server.server_close()


EXPECTED = {
    ("salespad-api", "http request"),
    ("salespad-api", "graphql query"),
    ("salespad-api", "graphql mutation"),
    ("salespad-api", "graphql unknown"),
    ("salespad-api", "transaction reads"),
    ("salespad-api", "transaction work"),
    ("salespad-worker", "due row"),
    ("salespad-worker", "transaction system"),
    ("salespad-worker", "smtp send"),
    ("salespad-worker", "reaction"),
}


async def test_what_was_done_is_there_and_nobody_s_words(settings: Settings, collector: Collector) -> None:
    where = f"http://127.0.0.1:{collector.server.server_port}"
    environment = {
        "SALESPAD_OTEL": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": where,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    with ScriptedSmtp.started() as smtp:
        async with own_database(settings, **environment) as own:
            ana = await sign_up(own.http)
            await ana.run("query Marker_of_a_client { viewer { user { id email name } } }")
            await ana.post("query { viewer { markerOfAField } }")
            await ana.post("{ markerInAText(")
            await import_leads(ana, [profile("marker.of.a.lead")])
            bruno = await add_member(own.doors, ana, role=Role.MEMBER)
            await ana.run(REMOVE, {"input": {"userId": str(bruno.user_id)}})
            account_id = await smtp_account(ana, own.doors, own.settings, smtp.url)
            opened = await open_conversation(ana, own.doors, account_id=account_id)
            message = await accepted(ana, opened.id, body="A marker of a text", subject="A marker of a text")
            await until_status(ana, message, "SENT")
            await eventually(lambda: collector.names() >= EXPECTED, what="every kind of span")
            traces = {span.trace_id.hex() for _, span in collector.spans()}
            logged = set(TRACE_ID.findall(own.api.log()))
            assert logged
            await eventually(
                lambda: logged <= {span.trace_id.hex() for _, span in collector.spans()}, what="its traces"
            )
        assert traces
    sent = b"".join(collector.bodies)
    for marker in (PASSWORD, ana.email, ana.token, ana.refresh_token, opened.address, "marker", "Marker"):
        assert marker.encode() not in sent, marker
    assert leaks(sent.decode(errors="replace")) == []
    check_whole(collector)


def check_whole(collector: Collector) -> None:
    """A request's spans hang together, and an attribute is one of the list."""
    spans = {span.span_id: span for _, span in collector.spans()}
    parents = {
        spans[span.parent_span_id].name if span.parent_span_id else ""
        for span in spans.values()
        if span.name.startswith("graphql ")
    }
    assert parents == {"http request"}
    for span in spans.values():
        assert {one.key for one in span.attributes} <= {f"salespad.{name}" for name in tracing.ATTRIBUTES}
        assert not span.events


WITHOUT = """
import sys
sys.modules["opentelemetry"] = None
from app.common.tracing import configure_tracing
from app.settings import Settings
configure_tracing(Settings(otel=False), "api")
configure_tracing(Settings(otel=True), "api")
"""


def test_without_the_extra_it_is_refused() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert "pip install 'salespad[otel]'" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_off_a_span_is_nothing() -> None:
    assert tracing.span("graphql query", type="query") is tracing.leaf("transaction work") is tracing.NOTHING
    assert tracing.trace_id() == ""
    assert not tracing.is_on()

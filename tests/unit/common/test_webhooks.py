"""Addresses that may be called, and the signature, by the specification's own example."""

import base64
import ipaddress
import socket

import pytest

from app.common.egress import Egress, EgressProblem, EgressRefused
from app.common.webhooks import Target, check_target, new_secret, signed_headers

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)


async def problem_of(url: str, egress: Egress | None = None) -> EgressProblem | None:
    try:
        await check_target(url, egress or Egress(True))
    except EgressRefused as refused:
        return refused.problem
    return None


def resolves_to(*addresses: str) -> Egress:
    return Egress(True, resolver=lambda host, port: addresses)


def test_the_signature_of_the_specification() -> None:
    """The example that the libraries of Standard Webhooks are tested with."""
    headers = signed_headers(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_secret_is_long_and_another_each_time() -> None:
    secret = new_secret()
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert secret != new_secret()


@pytest.mark.parametrize(
    ("url", "authority", "path"),
    [
        ("https://hooks.example.com", "hooks.example.com", "/"),
        ("https://hooks.example.com:443/a/b?c=d&e#f", "hooks.example.com", "/a/b?c=d&e"),
        ("HTTPS://Hooks.Example.COM/A", "hooks.example.com", "/A"),
        ("https://hooks.example.com:8443/", "hooks.example.com:8443", "/"),
        ("http://[::1]:8080/x", "[::1]:8080", "/x"),
        ("https://münchen.example/", "xn--mnchen-3ya.example", "/"),
    ],
)
def test_an_address_is_taken_apart_once(url: str, authority: str, path: str) -> None:
    target = Target.of(url)
    assert (target.authority, target.path) == (authority, path)


@pytest.mark.parametrize(
    "url",
    [
        "", "nonsense", "hooks.example.com/x", "//hooks.example.com", "https://", "https:///x", "ftp://example.com",
        "file:///etc/passwd", "gopher://example.com", "javascript:alert(1)", "https://example.com:0x1bb/",
        "https://example.com:99999/", "https://[::1/", "https://user:secret@example.com/", "https://user@example.com",
        "https://example.com\\@10.0.0.1/", "https://exam ple.com/", "https://example.com/a b",
        "https://example.com/\r\nHost: 10.0.0.1", "https://exa\tmple.com/", "https://example.com/caf\u00e9",
        "https://" + "a" * 254 + "/",
    ],
)  # fmt: skip
async def test_what_is_no_address(url: str) -> None:
    assert await problem_of(url, resolves_to("93.184.215.14")) is EgressProblem.NO_ADDRESS


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "2130706433", "0x7f.1", "017700000001", "127.1", "[::1]", "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]", "169.254.169.254", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "0.0.0.0",
        "[::]", "[fe80::1]", "[fd00::1]", "[2002:7f00:1::]", "①②⑦.0.0.1",
    ],
)  # fmt: skip
async def test_every_spelling_of_a_private_address_is_refused(host: str) -> None:
    """By the system's own resolver, outside of production too."""
    assert await problem_of(f"https://{host}/") is EgressProblem.PRIVATE_ADDRESS


async def test_public_ones_go_by_https_alone() -> None:
    public = resolves_to("93.184.215.14", "2606:4700::1111")
    assert await problem_of("https://hooks.example.com/x", public) is None
    for url in (
        "http://hooks.example.com/",
        "https://hooks.example.com:8443/",
        "http://hooks.example.com:443/",
    ):
        assert await problem_of(url, public) is EgressProblem.PORT_NOT_ALLOWED
    mixed = resolves_to("93.184.215.14", "10.0.0.1")
    assert await problem_of("https://hooks.example.com/", mixed) is EgressProblem.PRIVATE_ADDRESS


async def test_a_name_that_is_nobodys() -> None:
    def fail(host: str, port: int) -> list[str]:
        raise socket.gaierror("no such host")

    egress = Egress(True, resolver=fail)
    assert await problem_of("https://gone.example.com/", egress) is EgressProblem.HOST_NOT_FOUND


async def test_networks_that_are_allowed_by_themselves() -> None:
    """Any port, with TLS and without; what lies outside of them is judged as ever."""
    egress = Egress(True, networks=LOOPBACK)
    for url in ("http://127.0.0.1:8080/", "https://127.0.0.1:8443/", "http://localhost.example.test/"):
        allowed = Egress(True, resolver=lambda host, port: ["127.0.0.1"], networks=LOOPBACK)
        assert await problem_of(url, allowed) is None
    assert await problem_of("https://10.0.0.1/", egress) is EgressProblem.PRIVATE_ADDRESS
    assert await problem_of("https://[::ffff:127.0.0.1]/", egress) is EgressProblem.PRIVATE_ADDRESS
    assert await problem_of("http://93.184.215.14/", egress) is EgressProblem.PORT_NOT_ALLOWED
    both = Egress(True, resolver=lambda host, port: ["127.0.0.1", "10.0.0.1"], networks=LOOPBACK)
    assert await problem_of("https://both.example.com/", both) is EgressProblem.PRIVATE_ADDRESS

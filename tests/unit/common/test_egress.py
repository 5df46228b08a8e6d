"""Where an installation may connect to: what is judged is the resolved address, never its spelling."""

import socket

import pytest

from app.common.egress import Egress, EgressProblem, EgressRefused, is_loopback, is_public

PORTS = frozenset({587})


@pytest.mark.parametrize("address", ["93.184.215.14", "8.8.8.8", "2606:4700::1111", "2001:4860:4860::8888"])
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254",
        "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::808:808",
        "64:ff9b:1::1", "2002:7f00:1::", "2002:808:808::", "2001::1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1",
        "fd12:3456::1", "ff02::1", "2001:db8::1", "", "nonsense", "2130706433", "192.0.0.192", "192.88.99.1", "3fff::1",
    ],
)  # fmt: skip
def test_other_addresses(address: str) -> None:
    assert not is_public(address)


def test_loopback() -> None:
    assert all(is_loopback(address) for address in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"))
    assert not any(is_loopback(address) for address in ("10.0.0.1", "0.0.0.0", "::", "localhost", ""))


async def problem_of(egress: Egress, host: str, port: int = 587) -> EgressProblem | None:
    try:
        await egress.addresses(host, port, ports=PORTS)
    except EgressRefused as refused:
        return refused.problem
    return None


@pytest.mark.parametrize("spelling", ["2130706433", "0x7f.1", "017700000001", "127.1", "localhost"])
async def test_every_spelling_of_loopback_is_refused(spelling: str) -> None:
    """By the system's own resolver, which makes them all the same address."""
    assert await problem_of(Egress(True), spelling) is EgressProblem.PRIVATE_ADDRESS
    assert await problem_of(Egress(False), spelling) is None


async def test_one_private_address_among_public_ones_is_one_too_many() -> None:
    mixed = Egress(True, resolver=lambda host, port: ["93.184.215.14", "10.0.0.1"])
    assert await problem_of(mixed, "mixed.example.com") is EgressProblem.PRIVATE_ADDRESS


async def test_hosts_and_ports_that_will_not_do() -> None:
    def fail(host: str, port: int) -> list[str]:
        raise socket.gaierror("no such host")

    assert await problem_of(Egress(True, resolver=fail), "gone.example.com") is EgressProblem.HOST_NOT_FOUND
    public = Egress(True, resolver=lambda host, port: ["93.184.215.14"])
    assert await problem_of(public, "a.example.com", 22) is EgressProblem.PORT_NOT_ALLOWED
    assert await problem_of(public, "a.example.com") is None
    assert await problem_of(Egress(False, resolver=public.resolver), "a.example.com", 22) is None


async def test_a_name_that_changes_its_mind_is_asked_once() -> None:
    """DNS rebinding: the connection goes to the address that was judged."""
    answers, asked = [["93.184.215.14"], ["127.0.0.1"]], []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def resolver(host: str, port: int) -> list[str]:
            return answers[len(asked)]

        def connector(address: str, _port: int) -> tuple[str, int]:
            asked.append(address)
            return "127.0.0.1", port

        egress = Egress(True, resolver=resolver, connector=connector)
        connection, address = await egress.connect("rebinds.example.com", 587, ports=PORTS, timeout_s=2)
        connection.close()
    assert asked == [address] == ["93.184.215.14"]


async def test_the_next_address_is_tried_where_one_takes_no_connections() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        egress = Egress(False, resolver=lambda host, port: ["127.0.0.2", "127.0.0.1"])
        connection, address = await egress.connect("two.example.com", port, ports=PORTS, timeout_s=2)
        connection.close()
    assert address == "127.0.0.1"


async def test_a_resolver_that_hangs_is_waited_for_no_longer_than_the_rest() -> None:
    def hang(host: str, port: int) -> list[str]:
        socket.create_connection(("127.0.0.1", port)).recv(1)  # ends with the listener
        return []

    with socket.create_server(("127.0.0.1", 0)) as listener:
        egress = Egress(False, resolver=hang)
        with pytest.raises(TimeoutError):
            await egress.connect("slow.example.com", listener.getsockname()[1], ports=PORTS, timeout_s=0.1)

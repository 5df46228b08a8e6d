"""Where this installation may connect to on somebody's behalf, and the connecting.

A name is resolved once, every address it has is judged, and the connection goes to one of those addresses: a name that
answers otherwise the second time gains nothing (DNS rebinding), and no spelling of an address matters, since what is
judged is what the resolver made of it. No proxy of the environment is asked. In production only public addresses will
do; elsewhere any, so that the embedded default reaches its own mailbox.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from app.settings import Settings

IpAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver: TypeAlias = Callable[[str, int], Sequence[str]]

# Addresses that stand for others, or that `is_global` of some Python versions takes for public: NAT64 (both
# prefixes), 6to4 and its relays, Teredo, IPv4-mapped and -compatible ones, site-local ones, those of protocols and of
# documentation.
NOT_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in (
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2002::/16",
        "2001::/32",
        "::ffff:0:0/96",
        "::/96",
        "fec0::/10",
        "3fff::/20",
        "192.0.0.0/24",
        "192.88.99.0/24",
    )
)


STRANGERS_NAMES = ThreadPoolExecutor(64, "strangers-names")
"""A name server of somebody's own may take its time, longer than anybody waits for it: what it holds up is a thread, of
which there are many more than calls at once."""


class EgressProblem(StrEnum):
    HOST_NOT_FOUND = "HOST_NOT_FOUND"
    PRIVATE_ADDRESS = "PRIVATE_ADDRESS"
    PORT_NOT_ALLOWED = "PORT_NOT_ALLOWED"
    NO_ADDRESS = "NO_ADDRESS"
    """What was given is no address that can be called."""


class EgressRefused(Exception):
    """Nothing was connected to."""

    def __init__(self, problem: EgressProblem) -> None:
        super().__init__(problem)
        self.problem = problem


def is_public(address: str) -> bool:
    ip = _parsed(address)
    if ip is None or is_within(address, NOT_PUBLIC):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def is_loopback(address: str) -> bool:
    ip = _parsed(address)
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return ip is not None and (ip.is_loopback or (mapped is not None and mapped.is_loopback))


def is_within(address: str, networks: Sequence[IpNetwork]) -> bool:
    ip = _parsed(address)
    return ip is not None and any(ip in network for network in networks if network.version == ip.version)


def _parsed(address: str) -> IpAddress | None:
    try:
        return ipaddress.ip_address(address.partition("%")[0])  # without an IPv6 zone
    except ValueError:
        return None


def resolve(host: str, port: int) -> Sequence[str]:
    """The host's addresses in the system's order. Blocks. Raises OSError, UnicodeError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@dataclass(frozen=True, slots=True)
class Egress:
    """`ports`: those that may be connected to in production; elsewhere any."""

    is_production: bool
    """Only public addresses, and only the ports that are asked for."""
    resolver: Resolver = field(default=resolve)
    connector: "Callable[[str, int], tuple[str, int]]" = field(default=lambda address, port: (address, port))
    """Tests lead public addresses to a server of theirs."""
    networks: Sequence[IpNetwork] = ()
    """Whose addresses are allowed all the same, at any port."""
    threads: Executor | None = None
    """Where names are resolved; None: where everything else that blocks is done."""

    @classmethod
    def of(cls, settings: Settings) -> "Egress":
        return cls(settings.is_production)

    @classmethod
    def to_public(cls, settings: Settings) -> "Egress":
        """For what people have called: as in production, wherever this is, but for SALESPAD_WEBHOOK_NETWORKS."""
        return cls(True, networks=settings.webhook_networks, threads=STRANGERS_NAMES)

    async def addresses(self, host: str, port: int, *, ports: Collection[int]) -> Sequence[str]:
        """Every address of the host, all of them allowed. Raises EgressRefused."""
        if self.is_production and port not in ports and not self.networks:
            raise EgressRefused(EgressProblem.PORT_NOT_ALLOWED)
        try:
            resolving = asyncio.get_running_loop().run_in_executor(self.threads, self.resolver, host, port)
            found = await resolving
        except (OSError, UnicodeError):
            found = ()
        if not found:
            raise EgressRefused(EgressProblem.HOST_NOT_FOUND)
        judged = [one for one in found if not is_within(one, self.networks)] if self.is_production else []
        if not all(is_public(address) for address in judged):
            raise EgressRefused(EgressProblem.PRIVATE_ADDRESS)
        if judged and port not in ports:
            raise EgressRefused(EgressProblem.PORT_NOT_ALLOWED)
        return found

    async def connect(
        self, host: str, port: int, *, ports: Collection[int], timeout_s: float
    ) -> tuple[socket.socket, str]:
        """A connected, non-blocking socket, and the address it is connected to.

        The addresses are tried in turn, each for its share of the time. Raises EgressRefused, OSError, TimeoutError.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        async with asyncio.timeout_at(deadline):
            addresses = await self.addresses(host, port, ports=ports)
        failure: OSError = TimeoutError()
        for number, address in enumerate(addresses):
            share_s = (deadline - loop.time()) / (len(addresses) - number)
            try:
                return await _connected(*self.connector(address, port), timeout_s=share_s), address
            except OSError as error:  # TimeoutError is one
                failure = error
        raise failure


async def _connected(address: str, port: int, *, timeout_s: float) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        async with asyncio.timeout(timeout_s):
            await asyncio.get_running_loop().sock_connect(connection, (address, port))
    except BaseException:
        connection.close()
        raise
    return connection

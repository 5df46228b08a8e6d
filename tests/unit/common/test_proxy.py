"""The tests' own TCP proxy does what its modes say."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from tests.fixtures.proxy import Mode, Proxy


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, Proxy.started("127.0.0.1", server.sockets[0].getsockname()[1]) as proxy:
        yield proxy


async def connect(proxy: Proxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", proxy.own_port)


async def echoed(ends: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> bytes:
    ends[1].write(b"hello\n")
    async with asyncio.timeout(5):
        return await ends[0].readline()


async def test_it_passes(proxy: Proxy) -> None:
    ends = await connect(proxy)
    assert await echoed(ends) == b"hello\n"
    ends[1].write_eof()
    assert await ends[0].read() == b""


async def test_it_hangs_and_goes_on(proxy: Proxy) -> None:
    ends = await connect(proxy)
    assert await echoed(ends) == b"hello\n"
    proxy.switch(Mode.HANG)
    late = asyncio.create_task(echoed(ends)), asyncio.create_task(echoed(await connect(proxy)))
    done, _ = await asyncio.wait(late, timeout=0.2)
    assert not done
    proxy.switch(Mode.PASS)
    assert await asyncio.gather(*late) == [b"hello\n"] * 2


async def test_it_resets(proxy: Proxy) -> None:
    ends = await connect(proxy)
    assert await echoed(ends) == b"hello\n"
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        await ends[0].readline()


async def test_it_delays(proxy: Proxy) -> None:
    ends = await connect(proxy)
    assert await echoed(ends) == b"hello\n"
    proxy.switch(Mode.DELAY)
    started = time.monotonic()
    assert await echoed(ends) == b"hello\n"
    assert time.monotonic() - started >= 2 * proxy.delay_s


async def test_it_ends_one_direction(proxy: Proxy) -> None:
    ends = await connect(proxy)
    assert await echoed(ends) == b"hello\n"
    proxy.switch(Mode.HALF_CLOSE)
    assert await echoed(ends) == b""

"""Password hashes: bcrypt over base64(sha384(password)), in threads of their own and behind a short queue.

bcrypt 5 refuses more than 72 bytes; the digest is 64, so every byte of a long password counts. A hash takes
0.2 s of a core at cost 12: two threads bound what sign-ins may take from the machine, and what cannot wait is
refused.
"""

import asyncio
import base64
import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import bcrypt

from app.common.domain import Throttled, composed
from app.settings import Settings

SCHEME = "b2s1$"
"""Stands before each stored hash, so that another scheme may be added beside this one."""
THREADS = 2
WAITING_MAX = 8
RETRY_AFTER = timedelta(seconds=2)

Answer = TypeVar("Answer")


class PasswordService:
    def __init__(self, settings: Settings) -> None:
        self._cost = settings.bcrypt_cost
        self._nobody = SCHEME + bcrypt.gensalt(self._cost).decode() + "." * 31
        """A hash no password has, as dear to check as a real one."""
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="password")
        self._places = threading.BoundedSemaphore(THREADS + WAITING_MAX)

    async def hash(self, password: str) -> str:
        return await self._run(lambda: hash_password(password, self._cost))

    async def verify(self, password: str, password_hash: str | None) -> bool:
        return await self._run(lambda: is_password(password, password_hash or self._nobody))

    def stop(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, task: Callable[[], Answer]) -> Answer:
        if not self._places.acquire(blocking=False):
            raise Throttled(
                "Too many people sign in at this moment: try again in a few seconds.",
                retry_at=datetime.now(UTC) + RETRY_AFTER,
            )
        try:
            future = self._threads.submit(task)
        except RuntimeError:  # stopped
            self._places.release()
            raise
        future.add_done_callback(lambda _: self._places.release())  # also when the caller gives up waiting
        return await asyncio.wrap_future(future)


def hash_password(password: str, cost: int) -> str:
    return SCHEME + bcrypt.hashpw(digest(password), bcrypt.gensalt(cost)).decode()


def is_password(password: str, password_hash: str) -> bool:
    return bcrypt.checkpw(digest(password), password_hash.removeprefix(SCHEME).encode())


def digest(password: str) -> bytes:
    """NFC first: the same accents are typed as other code points on another keyboard."""
    typed = composed(password).encode("utf-8", "surrogatepass")
    return base64.b64encode(hashlib.sha384(typed).digest())

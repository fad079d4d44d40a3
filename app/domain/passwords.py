"""Password hashing, behind one small class so that the library can be replaced."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from threading import Thread
from typing import ParamSpec, TypeVar

import anyio
from passlib.context import CryptContext

P = ParamSpec("P")
T = TypeVar("T")

# What Linux gives a thread of a core that the others fill: a tenth where it is nicer by 10, and a seventieth at 19.
_NICER = 10
_NICEST = 19
_CROWD = 10  # waiting for the hashes, of 0.2 s each, of one worker


class PasswordHasher:
    """bcrypt over SHA-256 (no 72-byte limit), each hash about 0.2 s of one core at 12 rounds.

    At most `workers` run at once, beside as many that were given up, in threads that give way to all others: a rush of
    logins must take neither the threads nor the cores that serve everything else. The others wait for `limiter`. A hash
    makes do with what is left over of the cores, and is done once more with a tenth of one when that was less
    (docs/decisions/0018). `begin` is called first in each of the threads in which `run` calls.
    """

    def __init__(self, *, rounds: int, workers: int, begin: Callable[[], None] = lambda: None) -> None:
        self._context = CryptContext(
            schemes=["bcrypt_sha256", "bcrypt"],
            deprecated=["bcrypt"],  # hashes of older systems verify, and are replaced at the next login
            bcrypt_sha256__rounds=rounds,
            bcrypt__rounds=rounds,
        )
        # Of no known password, and as costly as the hashes made here. Made in advance: nobody's first login may take
        # longer than that of somebody.
        self._nobodys = f"$bcrypt-sha256$v=2,t=2b,r={rounds}$x3kUlT1yytkiOhrELTNa5e$eBouHdoxgCVVQ2wZC76b0ysQqbZ3hyO"

        def begin_gently() -> None:
            _give_way(_NICER)
            begin()

        self._threads = ThreadPoolExecutor(workers, "password", begin_gently)
        self._left_over = threading.Semaphore(workers)
        self._patience = 2.0 ** max(1, rounds - 11)  # seconds; as long as a hash takes with that tenth
        self.limiter = anyio.CapacityLimiter(workers)

    @property
    def crowded(self) -> bool:
        """Whether so many wait for a turn that who comes now has to wait for long."""
        return self.limiter.statistics().tasks_waiting >= _CROWD

    async def hash(self, password: str) -> str:
        return await self.run(self.hash_blocking, password)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call what hashes, or verifies, in one of those threads, when its turn has come."""
        async with self.limiter:
            work = partial(copy_context().run, function, *args, **kwargs)  # what it logs is the request's
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def hash_blocking(self, password: str) -> str:
        """As `hash`, where no event loop runs."""
        return str(self._gently(self._context.hash, password))

    def verify_blocking(self, password: str, password_hash: str | None) -> tuple[bool, str | None]:
        """Whether the password fits, and a new hash to store when the old one's scheme or cost is outdated.

        Without a hash (no such account, or none set) it takes as long and says no.
        """
        fits, replacement = self._gently(self._context.verify_and_update, password, password_hash or self._nobodys)
        return bool(fits) and password_hash is not None, replacement

    def _gently(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call what hashes in a thread that gives way most; here, when that takes too long.

        What has begun there cannot be stopped, and goes on with next to nothing, but keeps no process from ending.
        While `workers` of them do, nothing is left over, and who comes next begins here.
        """
        if not self._left_over.acquire(blocking=False):
            return function(*args, **kwargs)
        outcome: Future[T] = Future()

        def leisurely() -> None:
            try:
                _give_way(_NICEST)
                outcome.set_result(function(*args, **kwargs))
            except Exception as error:  # noqa: BLE001 - who waits hears of it
                outcome.set_exception(error)
            finally:
                self._left_over.release()

        Thread(target=leisurely, name="nicest password", daemon=True).start()
        with suppress(TimeoutError):
            return outcome.result(self._patience)
        return function(*args, **kwargs)


def _give_way(by: int) -> None:
    """Lower the priority of this thread; only Linux has one for each."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        # Of a process that gives way itself, a thread must not ask for less: that is refused, and no login succeeds.
        niceness = min(os.getpriority(os.PRIO_PROCESS, thread) + by, _NICEST)
        os.setpriority(os.PRIO_PROCESS, thread, niceness)

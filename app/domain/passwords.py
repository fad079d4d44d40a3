"""Password hashing, behind one small class so that the library can be replaced."""

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

import anyio
from anyio.to_thread import run_sync
from passlib.context import CryptContext

P = ParamSpec("P")
T = TypeVar("T")


class PasswordHasher:
    """bcrypt over SHA-256 (no 72-byte limit), each hash about 0.2 s of one core at 12 rounds.

    At most `workers` run at once, in threads of their own: a rush of logins must not take the threads that serve
    everything else.
    """

    def __init__(self, *, rounds: int, workers: int) -> None:
        self._context = CryptContext(
            schemes=["bcrypt_sha256", "bcrypt"],
            deprecated=["bcrypt"],  # hashes of older systems verify, and are replaced at the next login
            bcrypt_sha256__rounds=rounds,
            bcrypt__rounds=rounds,
        )
        self._limiter = anyio.CapacityLimiter(workers)

    async def hash(self, password: str) -> str:
        return await self._run(self.hash_blocking, password)

    def hash_blocking(self, password: str) -> str:
        """As `hash`, where no event loop runs."""
        return str(self._context.hash(password))

    async def verify(self, password: str, password_hash: str | None) -> tuple[bool, str | None]:
        """Whether the password fits, and a new hash to store when the old one's scheme or cost is outdated.

        Without a hash (no such account, or none set) it takes as long and says no.
        """
        return await self._run(self._verify, password, password_hash)

    def _verify(self, password: str, password_hash: str | None) -> tuple[bool, str | None]:
        if password_hash is None:
            self._context.dummy_verify()
            return False, None
        fits, replacement = self._context.verify_and_update(password, password_hash)
        return bool(fits), replacement

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await run_sync(partial(function, *args, **kwargs), limiter=self._limiter)

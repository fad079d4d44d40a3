"""Signing up, logging in and changing a password.

These hash, which takes long: each flow looks up, hashes while no transaction is open, and only then writes. What
is counted is written in the thread that hashes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from app.db import Connection, Database, retried
from app.domain import errors, sessions, users
from app.domain.passwords import PasswordHasher
from app.domain.sessions import Login
from app.domain.throttling import Throttle, change_of, login_of
from app.domain.tokens import Claims
from app.domain.users import Credentials, UserView
from app.threads import in_thread


@dataclass(frozen=True)
class Verified:
    """Whose password it was, by which hash, and the hash to store where that one is outdated."""

    user_id: int
    password_hash: str | None
    new_hash: str | None


@dataclass(frozen=True)
class Accounts:
    database: Database
    hasher: PasswordHasher
    throttle: Throttle

    async def sign_up(self, *, email: str, password: str) -> UserView:
        """DomainError CONFLICT `email-taken`."""

        @retried
        def create(password_hash: str) -> UserView:
            with self.database.write() as connection:
                return users.create(connection, email=email, password_hash=password_hash)

        return await in_thread(create, await self.hasher.hash(password))

    async def log_in(
        self,
        *,
        email: str,
        password: str,
        lifetime: timedelta,
        refreshable: bool = False,
        client_id: str | None = None,
        administrators_only: bool = False,
    ) -> Login:
        """Begin a session of this `lifetime`, with a refresh token if wanted. DomainError as `verify`."""
        verified = await self.verify(email=email, password=password, administrators_only=administrators_only)

        @retried
        def begin() -> Login:
            with self.database.write() as connection:
                return self.begin(connection, verified, lifetime, refreshable=refreshable, client_id=client_id)

        return await in_thread(begin)

    async def verify(self, *, email: str, password: str, administrators_only: bool = False) -> Verified:
        """Who may log in with this password.

        DomainError FORBIDDEN `invalid-credentials`: the same, and after the same time, for an unknown e-mail, a
        wrong password, an account without one, and whoever is no administrator where only they may. DomainError
        THROTTLED for any of them after too many failures.
        """
        target = login_of(email)
        if target is None:  # nobody has it: there is nothing to guess at, and nothing to count
            await self.hasher.run(self.hasher.verify_blocking, password, None)
            raise errors.invalid_credentials()

        def look_up(connection: Connection) -> Credentials | None:
            known = users.credentials(connection, email)
            if known is not None and administrators_only and not users.is_administrator(connection, known.user_id):
                return None
            return known

        return await self._attempt(target, look_up, password)

    @staticmethod
    def begin(
        connection: Connection,
        verified: Verified,
        lifetime: timedelta,
        *,
        refreshable: bool = False,
        client_id: str | None = None,
    ) -> Login:
        """Begin the session of somebody who was verified. DomainError as `verify`, when that holds no more."""
        if users.lock_password_hash(connection, verified.user_id) != verified.password_hash:
            raise errors.invalid_credentials()  # changed, or the account deleted, while this one was hashing
        if verified.new_hash is not None:
            users.set_password_hash(connection, verified.user_id, verified.new_hash)
        return sessions.begin(connection, verified.user_id, lifetime, refreshable=refreshable, client_id=client_id)

    async def change_password(self, claims: Claims, *, current: str, new: str) -> None:
        """Set a new password and end every token of the account but this one.

        DomainError UNAUTHENTICATED for an ended session, FORBIDDEN `invalid-credentials` for a wrong `current`,
        THROTTLED after too many of those.
        """

        def look_up(connection: Connection) -> Credentials:
            return users.credentials_of(connection, sessions.authenticate(connection, claims))

        @retried
        def store(password_hash: str) -> None:
            with self.database.write() as connection:
                current_hash = users.lock_password_hash(connection, claims.user_id)
                sessions.authenticate(connection, claims)
                if current_hash != verified.password_hash:
                    raise errors.invalid_credentials()
                users.set_password_hash(connection, claims.user_id, password_hash)
                sessions.end_all_but(connection, claims)

        verified = await self._attempt(change_of(claims.user_id), look_up, current)
        await in_thread(store, await self.hasher.hash(new))

    async def _attempt(
        self, target: str, look_up: Callable[[Connection], Credentials | None], password: str
    ) -> Verified:
        """Whose password it is, when it fits what `look_up` finds; the attempt counts. DomainError as `verify`.

        It is entered when its turn to be hashed has come, and taken back before the next one's: attempts that wait
        would fill up the count, and lock out somebody who logs in often at once.
        """

        def refuse_if_locked() -> None:
            with self.database.read() as connection:
                self.throttle.require_unlocked(connection, target)

        @retried
        def enter() -> Credentials | None:
            with self.database.autocommit() as connection:
                found = look_up(connection)
                self.throttle.reserve(connection, target)
                return found

        @retried
        def settle(*, fits: bool) -> None:
            with self.database.autocommit() as connection:
                if fits:
                    self.throttle.forgive(connection, target)
                else:
                    self.throttle.clear(connection)

        def attempt() -> Verified:
            found = enter()
            fits, new_hash = self.hasher.verify_blocking(password, found.password_hash if found else None)
            settle(fits=fits and found is not None)
            if found is None or not fits:
                raise errors.invalid_credentials()
            return Verified(found.user_id, found.password_hash, new_hash)

        if self.hasher.crowded:
            await in_thread(refuse_if_locked)  # rather than let them wait in vain
        return await self.hasher.run(attempt)

"""Signing up, logging in and changing a password.

These hash, which takes long: each flow looks up, lets go of its connection, hashes, and only then writes.
"""

from dataclasses import dataclass
from datetime import timedelta

from anyio.to_thread import run_sync
from sqlalchemy.orm import Session

from app.db import Database, retried
from app.domain import errors, sessions, users
from app.domain.passwords import PasswordHasher
from app.domain.sessions import Login
from app.domain.throttling import Throttle, change_of, login_of
from app.domain.tokens import Claims
from app.domain.users import Credentials, UserView


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
            with self.database.write() as session:
                return users.create(session, email=email, password_hash=password_hash)

        return await run_sync(create, await self.hasher.hash(password))

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
            with self.database.write() as session:
                return self.begin(session, verified, lifetime, refreshable=refreshable, client_id=client_id)

        return await run_sync(begin)

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

        def look_up() -> Credentials | None:
            with self.database.read() as connection:
                self.throttle.require_unlocked(connection, target)
                known = users.credentials(connection, email)
                if known is not None and administrators_only and not users.is_administrator(connection, known.user_id):
                    return None
                return known

        found = await run_sync(look_up)
        fits, new_hash = await self._verify(target, password, found.password_hash if found else None)
        if found is None or not fits:
            raise errors.invalid_credentials()
        return Verified(found.user_id, found.password_hash, new_hash)

    @staticmethod
    def begin(
        session: Session,
        verified: Verified,
        lifetime: timedelta,
        *,
        refreshable: bool = False,
        client_id: str | None = None,
    ) -> Login:
        """Begin the session of somebody who was verified. DomainError as `verify`, when that holds no more."""
        if users.lock_password_hash(session, verified.user_id) != verified.password_hash:
            raise errors.invalid_credentials()  # changed, or the account deleted, while this one was hashing
        if verified.new_hash is not None:
            users.set_password_hash(session, verified.user_id, verified.new_hash)
        return sessions.begin(session, verified.user_id, lifetime, refreshable=refreshable, client_id=client_id)

    async def change_password(self, claims: Claims, *, current: str, new: str) -> None:
        """Set a new password and end every token of the account but this one.

        DomainError UNAUTHENTICATED for an ended session, FORBIDDEN `invalid-credentials` for a wrong `current`,
        THROTTLED after too many of those.
        """
        target = change_of(claims.user_id)

        def look_up() -> Credentials:
            with self.database.read() as connection:
                user_id = sessions.authenticate(connection, claims)
                self.throttle.require_unlocked(connection, target)
                return users.credentials_of(connection, user_id)

        @retried
        def store(password_hash: str) -> None:
            with self.database.write() as session:
                current_hash = users.lock_password_hash(session, claims.user_id)
                sessions.authenticate(session.connection(), claims)
                if current_hash != found.password_hash:
                    raise errors.invalid_credentials()
                users.set_password_hash(session, claims.user_id, password_hash)
                sessions.end_all_but(session, claims)

        found = await run_sync(look_up)
        fits, _ = await self._verify(target, current, found.password_hash)
        if not fits:
            raise errors.invalid_credentials()
        await run_sync(store, await self.hasher.hash(new))

    async def _verify(self, target: str, password: str, password_hash: str | None) -> tuple[bool, str | None]:
        """As `PasswordHasher.verify_blocking`, for an attempt that counts. DomainError THROTTLED when none is left.

        It is entered when its turn to be hashed has come, and taken back before the next one's: attempts that wait
        would fill up the count, and lock out somebody who logs in often at once.
        """

        @retried
        def enter() -> None:
            with self.database.write() as session:
                self.throttle.reserve(session, target)

        @retried
        def take_back() -> None:
            with self.database.write() as session:
                self.throttle.forgive(session, target)

        def attempt() -> tuple[bool, str | None]:
            enter()
            fits, new_hash = self.hasher.verify_blocking(password, password_hash)
            if fits:
                take_back()
            return fits, new_hash

        return await self.hasher.run(attempt)

"""How often a password may be guessed: counted in the database, so that all workers together allow no guess more.

An attempt is entered as a failure before the password is looked at, and taken back when it fits: of any number at
once, no more are evaluated than are allowed. Who is guessed at need not exist; unknown people are locked alike.
"""

import hashlib
import math
from dataclasses import dataclass
from datetime import timedelta

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import bindparam, case, delete, literal, or_, select
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from app.db.types import UtcDateTime, insert
from app.domain import errors
from app.domain.clock import now
from app.domain.expiry import clearing
from app.domain.fields import Email
from app.domain.models import login_failures
from app.domain.text import folded

FORGOTTEN_AFTER = timedelta(minutes=15)  # failures count together from the first one on
_CLEAR = clearing(login_failures)
_EMAIL = TypeAdapter(Email)

_LOCKED_UNTIL = select(login_failures.c.expires_at).where(
    login_failures.c.target_hash == bindparam("target"),
    login_failures.c.failures >= bindparam("allowed"),
    login_failures.c.expires_at > bindparam("moment"),
)


def login_of(email: str) -> str | None:
    """What is guessed at by logging in with this e-mail, whether anybody has it or not; None for what is none."""
    try:
        return f"login {_EMAIL.validate_python(folded(email))}"
    except ValidationError:
        return None


def change_of(user_id: int) -> str:
    """What is guessed at by changing the password of somebody whose token one has.

    Counted by itself: strangers who keep a login locked must not keep its owner, who is signed in, from a new password.
    """
    return f"change {user_id}"


@dataclass(frozen=True)
class Throttle:
    """So many failures are `allowed`; then nothing is evaluated for the length of `lock`."""

    allowed: int
    lock: timedelta

    def require_unlocked(self, connection: Connection, target: str) -> None:
        """DomainError THROTTLED while locked. It spares waiting in vain; `reserve` is what decides."""
        moment = now()
        values = {"target": _hash(target), "allowed": self.allowed, "moment": moment}
        until = connection.execute(_LOCKED_UNTIL, values).scalar()
        if until is not None:
            raise errors.too_many_attempts(_seconds(until - moment))

    def reserve(self, session: Session, target: str) -> None:
        """Enter an attempt as failed, in one statement. DomainError THROTTLED when no more are allowed."""
        moment = now()
        columns = login_failures.c
        first_until = moment + (self.lock if self.allowed == 1 else FORGOTTEN_AFTER)
        ran_out = columns.expires_at <= moment
        entry = insert(session.connection(), login_failures).values(
            target_hash=_hash(target), failures=1, expires_at=first_until
        )
        entered = session.execute(
            entry.on_conflict_do_update(
                index_elements=[columns.target_hash],
                set_={
                    "failures": case((ran_out, 1), else_=columns.failures + 1),
                    "expires_at": case(
                        (ran_out, literal(first_until, UtcDateTime)),
                        (columns.failures + 1 >= self.allowed, literal(moment + self.lock, UtcDateTime)),
                        else_=columns.expires_at,
                    ),
                },
                where=or_(ran_out, columns.failures < self.allowed),
            ).returning(columns.failures)
        ).first()
        if entered is None:
            self.require_unlocked(session.connection(), target)
            raise errors.too_many_attempts(1)  # unlocked between the two statements
        session.execute(_CLEAR, {"moment": moment})

    @staticmethod
    def forgive(session: Session, target: str) -> None:
        """Take all failures back: the password was right."""
        session.execute(delete(login_failures).where(login_failures.c.target_hash == _hash(target)))


def _hash(target: str) -> str:
    return hashlib.sha256(target.encode(errors="surrogatepass")).hexdigest()


def _seconds(left: timedelta) -> int:
    return max(1, math.ceil(left.total_seconds()))

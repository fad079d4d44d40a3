"""How often a password may be guessed: counted in the database, so that all workers together allow no guess more.

An attempt is entered as a failure before the password is looked at, and taken back when it fits: of any number at
once, no more are evaluated than are allowed. Who is guessed at need not exist; unknown people are locked alike.
"""

import hashlib
import math
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import bindparam, case, delete, or_, select
from sqlalchemy.engine import Connection

from app.db import Query
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

_OF_TARGET = login_failures.c.target_hash == bindparam("target")
_LOCKED_UNTIL = Query(
    select(login_failures.c.expires_at).where(
        _OF_TARGET,
        login_failures.c.failures >= bindparam("allowed"),
        login_failures.c.expires_at > bindparam("moment"),
    )
)
_FORGIVE = Query(delete(login_failures).where(_OF_TARGET))


@lru_cache
def _reserve(dialect: str) -> Query:
    """Enter an attempt as failed, unless no more are allowed; gives a row when it was."""
    columns = login_failures.c
    ran_out = columns.expires_at <= bindparam("moment", type_=UtcDateTime)
    first_until, locked_until = (bindparam(name, type_=UtcDateTime) for name in ("first_until", "locked_until"))
    entry = insert(dialect, login_failures).values(target_hash=bindparam("target"), failures=1, expires_at=first_until)
    return Query(
        entry.on_conflict_do_update(
            index_elements=[columns.target_hash],
            set_={
                "failures": case((ran_out, 1), else_=columns.failures + 1),
                "expires_at": case(
                    (ran_out, first_until),
                    (columns.failures + 1 >= bindparam("allowed"), locked_until),
                    else_=columns.expires_at,
                ),
            },
            where=or_(ran_out, columns.failures < bindparam("allowed")),
        ).returning(columns.failures)
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
        until = _LOCKED_UNTIL.scalar(connection, values)
        if until is not None:
            raise errors.too_many_attempts(_seconds(until - moment))

    def reserve(self, connection: Connection, target: str) -> None:
        """Enter an attempt as failed, in one statement. DomainError THROTTLED when no more are allowed."""
        moment = now()
        values = {
            "target": _hash(target),
            "allowed": self.allowed,
            "moment": moment,
            "first_until": moment + (self.lock if self.allowed == 1 else FORGOTTEN_AFTER),
            "locked_until": moment + self.lock,
        }
        if _reserve(connection.dialect.name).first(connection, values) is None:
            self.require_unlocked(connection, target)
            raise errors.too_many_attempts(1)  # unlocked between the two statements

    @staticmethod
    def forgive(connection: Connection, target: str) -> None:
        """Take all failures back: the password was right."""
        _FORGIVE.rows(connection, {"target": _hash(target)})

    @staticmethod
    def clear(connection: Connection) -> None:
        """Clear some failures away that count no more: for whoever has added one."""
        _CLEAR.rows(connection, {"moment": now()})


def _hash(target: str) -> str:
    return hashlib.sha256(target.encode(errors="surrogatepass")).hexdigest()


def _seconds(left: timedelta) -> int:
    return max(1, math.ceil(left.total_seconds()))

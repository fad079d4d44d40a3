"""Requests that are sent again and done once, by the key that they bear.

What `Idempotency-Key` means: draft-ietf-httpapi-idempotency-key-header-07. The row is written in the transaction of the
work, so it is there when, and only when, the work is: no crash comes between the two.
"""

import hashlib
import hmac
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox
from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError

from app.db import Query, is_lock_timeout
from app.db.types import insert
from app.domain import errors
from app.domain.clock import now
from app.domain.expiry import clearing
from app.domain.models import idempotency_keys as keys

KEPT = timedelta(hours=24)

_REPLY = select(keys.c.reply).where(keys.c.id == bindparam("key_id"), keys.c.expires_at > bindparam("moment"))
_KEEP = Query(update(keys).where(keys.c.id == bindparam("key_id")).values(reply=bindparam("sealed")))
_CLEAR = clearing(keys)


@lru_cache
def _claim(dialect: str) -> Query:
    """Take a key that is free, or wait for whoever has it; gives a row when it was taken."""
    claim = insert(dialect, keys).values(id=bindparam("key_id"), expires_at=bindparam("until"))
    free = or_(keys.c.reply.is_(None), keys.c.expires_at <= bindparam("moment"))
    return Query(
        claim.on_conflict_do_update(
            index_elements=[keys.c.id], set_={"reply": None, "expires_at": claim.excluded.expires_at}, where=free
        ).returning(keys.c.id)
    )


@dataclass(frozen=True)
class KeyedRequest:
    """A request with a key. `operation` is what is asked for, `body` all that was sent with it.

    An account's keys are its own; None stands for whoever has none. The reply is kept sealed with the first of
    `secrets`, each of which opens it, and with the request itself: only who sends the same again can have it opened,
    and whoever reads the table learns nothing.
    """

    operation: str
    key: str
    body: bytes
    secrets: Sequence[bytes]

    def stored(self, connection: Connection, account: int | None) -> bytes | None:
        """The reply to the request when it was done before. DomainError MISUSED when another one had the key."""
        values = {"key_id": self._id(account), "moment": now()}
        sealed = connection.execute(_REPLY, values).scalar()
        if sealed is None:
            return None
        for secret in self.secrets:
            with suppress(CryptoError):
                return self._seal(secret, account).decrypt(sealed)
        raise errors.idempotency_key_reused()

    def claim(self, connection: Connection, account: int | None) -> bytes | None:
        """Let nobody else do the request until the transaction ends; or the reply, when it was done before.

        Whoever comes meanwhile waits here. DomainError MISUSED as in `stored`; CONFLICT when the first request took
        longer than a transaction waits for a lock. What was claimed and not kept may be claimed again.
        """
        moment = now()
        values = {"key_id": self._id(account), "moment": moment, "until": moment + KEPT}
        try:
            claimed = _claim(connection.dialect.name).first(connection, values)
        except OperationalError as error:
            if is_lock_timeout(error):
                raise errors.idempotency_key_in_use() from None
            raise
        if claimed is not None:
            _CLEAR.rows(connection, {"moment": moment})
            return None
        reply = self.stored(connection, account)
        if reply is None:  # it has expired in this very moment
            raise errors.idempotency_key_in_use()
        return reply

    def keep(self, connection: Connection, account: int | None, reply: bytes) -> None:
        """Keep the reply to a request that was claimed, for 24 hours from the claim."""
        sealed = bytes(self._seal(self.secrets[0], account).encrypt(reply))
        _KEEP.rows(connection, {"key_id": self._id(account), "sealed": sealed})

    def _id(self, account: int | None) -> str:
        name = f"{'' if account is None else account}\n{self.operation}\n{self.key}"
        return hashlib.sha256(name.encode()).hexdigest()

    def _seal(self, secret: bytes, account: int | None) -> SecretBox:
        return SecretBox(hmac.digest(secret, self._id(account).encode() + self.body, hashlib.sha256))

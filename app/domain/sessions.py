"""Login sessions: every token belongs to one, and ends with it (RFC 6749, 7009, 9700)."""

import hashlib
import secrets
from collections.abc import Collection
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, insert, or_, select, update
from sqlalchemy.engine import Connection

from app.db import ONE, Query
from app.domain import errors
from app.domain.clock import now
from app.domain.models import refresh_tokens, sessions
from app.domain.tokens import Claims

# A client whose reply was lost, or that refreshes from two threads, is refused but not taken for a thief.
REUSE_TOLERANCE = timedelta(seconds=10)

_LIVING = Query(
    select(sessions.c.user_id)
    .where(
        sessions.c.id == bindparam("session_id"),
        sessions.c.user_id == bindparam("user_id"),
        or_(sessions.c.only_token.is_(None), sessions.c.only_token == bindparam("token_id")),
    )
    .limit(ONE),
    at_once=64,
)
_CLEAR = Query(
    delete(sessions).where(sessions.c.user_id == bindparam("of_user"), sessions.c.expires_at < bindparam("moment"))
)
_BEGIN = Query(
    insert(sessions).values(
        {name: bindparam(name) for name in ("id", "user_id", "client_id", "created_at", "expires_at")}
    )
)
_ISSUE = Query(
    insert(refresh_tokens).values(
        {name: bindparam(name) for name in ("token_hash", "session_id", "created_at", "expires_at")}
    )
)


class Login(NamedTuple):
    """What tokens are issued for."""

    user_id: int
    session_id: str
    client_id: str | None  # the registered client it was opened with
    refresh_token: str | None


def authenticate(connection: Connection, claims: Claims) -> int:
    """The id of the user, when the token's session has not ended. One look-up by primary key.

    DomainError UNAUTHENTICATED after a logout, a password change elsewhere, or the account's deletion.
    """
    row = _LIVING.first(connection, _named(claims))
    if row is None:
        raise errors.unauthenticated()
    return int(row[0])


def living(connection: Connection, claims: Collection[Claims]) -> set[Claims]:
    """Those of the claims that `authenticate` takes."""
    asked = [*claims]
    found = _LIVING.rows_of_each(connection, [_named(each) for each in asked])
    return {each for each, rows in zip(asked, found, strict=True) if rows}


def _named(claims: Claims) -> dict[str, Any]:
    return {"session_id": claims.session_id, "user_id": claims.user_id, "token_id": claims.token_id}


def begin(
    connection: Connection, user_id: int, lifetime: timedelta, *, refreshable: bool, client_id: str | None = None
) -> Login:
    """Open a session that ends by itself after `lifetime`; the user's sessions that ran out are cleared away."""
    moment, session_id = now(), secrets.token_hex(16)
    _CLEAR.rows(connection, {"of_user": user_id, "moment": moment})
    opened = {"id": session_id, "user_id": user_id, "client_id": client_id}
    _BEGIN.rows(connection, {**opened, "created_at": moment, "expires_at": moment + lifetime})
    refresh_token = _issue_refresh_token(connection, session_id, lifetime) if refreshable else None
    return Login(user_id, session_id, client_id, refresh_token)


def _issue_refresh_token(connection: Connection, session_id: str, lifetime: timedelta) -> str:
    """An opaque token that can be exchanged once; only its hash is kept."""
    token, moment = secrets.token_urlsafe(32), now()
    issued = {"token_hash": _hash(token), "session_id": session_id}
    _ISSUE.rows(connection, {**issued, "created_at": moment, "expires_at": moment + lifetime})
    return token


def refresh(connection: Connection, session_id: str, token: str, lifetime: timedelta) -> Login | None:
    """Exchange a refresh token of this session for the next one; the session lives on for `lifetime`.

    None for an expired or used one. One used before, longer ago than `REUSE_TOLERANCE`, was stolen from somebody: its
    session ends (RFC 9700, section 4.14.2). The caller must let the transaction commit.
    """
    moment = now()
    # The session's row first, as whatever ends it does.
    opened = connection.execute(
        select(sessions.c.user_id, sessions.c.client_id).where(sessions.c.id == session_id).with_for_update()
    ).first()
    by_hash = refresh_tokens.c.token_hash == _hash(token)
    found = connection.execute(select(refresh_tokens.c.used_at, refresh_tokens.c.expires_at).where(by_hash)).first()
    if opened is None or found is None:
        return None
    if found.used_at is not None:
        if moment - found.used_at > REUSE_TOLERANCE:
            end(connection, session_id)
        return None
    if found.expires_at < moment:
        return None
    connection.execute(update(refresh_tokens).where(by_hash).values(used_at=moment))
    connection.execute(
        delete(refresh_tokens).where(refresh_tokens.c.session_id == session_id, refresh_tokens.c.expires_at < moment)
    )
    connection.execute(update(sessions).where(sessions.c.id == session_id).values(expires_at=moment + lifetime))
    return Login(opened.user_id, session_id, opened.client_id, _issue_refresh_token(connection, session_id, lifetime))


def session_of_refresh_token(connection: Connection, token: str) -> str | None:
    """The id of the session the token belongs to, used or not; None for an unknown token."""
    by_hash = select(refresh_tokens.c.session_id).where(refresh_tokens.c.token_hash == _hash(token))
    return connection.execute(by_hash).scalar()


def end(connection: Connection, session_id: str) -> None:
    """End a session and with it all its tokens; one that has ended already is no error."""
    connection.execute(delete(sessions).where(sessions.c.id == session_id))


def forget_client(connection: Connection, client_id: str) -> None:
    """Let sessions live on without the client they were opened with: tokens issued from now on do not name it."""
    connection.execute(update(sessions).where(sessions.c.client_id == client_id).values(client_id=None))


def end_all_but(connection: Connection, claims: Claims) -> None:
    """End every token of the user but the one of `claims`: other sessions, and the others of its own session."""
    connection.execute(delete(sessions).where(sessions.c.user_id == claims.user_id, sessions.c.id != claims.session_id))
    connection.execute(update(sessions).where(sessions.c.id == claims.session_id).values(only_token=claims.token_id))
    connection.execute(delete(refresh_tokens).where(refresh_tokens.c.session_id == claims.session_id))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()

"""Access tokens: short-lived JSON Web Tokens (RFC 7519) that name a user and a login session."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import jwt

from app.domain import errors
from app.domain.clock import now

_ALGORITHM = "HS256"
_CLAIMS = ("sub", "sid", "jti", "iat", "exp")
_MAXIMUM_ID = 2**63 - 1


@dataclass(frozen=True)
class Claims:
    """What a token that was issued here says. Whether its session still lives, `sessions.authenticate` tells."""

    user_id: int
    session_id: str
    token_id: str
    client_id: str | None = None  # the registered client that obtained it (RFC 9068, section 2.2)


class AccessTokens:
    """Issues and verifies tokens signed with one secret (HMAC SHA-256)."""

    def __init__(self, secret: str, lifetime: timedelta) -> None:
        self._secret = secret
        self.lifetime = lifetime
        self._jwt = jwt.PyJWT(options={"enforce_minimum_key_length": True})

    def issue(self, user_id: int, session_id: str, client_id: str | None = None) -> str:
        issued = int(now().timestamp())
        payload: dict[str, Any] = {
            "sub": str(user_id),
            "sid": session_id,
            "jti": secrets.token_hex(16),
            "iat": issued,
            "exp": issued + int(self.lifetime.total_seconds()),
        }
        if client_id is not None:
            payload["client_id"] = client_id
        return self._jwt.encode(payload, self._secret, algorithm=_ALGORITHM)

    def verify(self, token: str) -> Claims:
        """DomainError UNAUTHENTICATED for whatever is not a token issued here and still valid (RFC 8725)."""
        try:
            payload = self._jwt.decode(token, self._secret, algorithms=[_ALGORITHM], options={"require": list(_CLAIMS)})
        except (jwt.PyJWTError, ValueError, OverflowError, RecursionError):
            raise errors.unauthenticated() from None
        subject, session, token_id, issued, expires = (payload[name] for name in _CLAIMS)
        if not (isinstance(issued, int) and isinstance(expires, int)):
            raise errors.unauthenticated()
        if not (isinstance(session, str) and isinstance(token_id, str)):
            raise errors.unauthenticated()
        if expires - issued > self.lifetime.total_seconds() or not (subject.isascii() and subject.isdecimal()):
            raise errors.unauthenticated()
        if len(subject) > 19 or not 1 <= int(subject) <= _MAXIMUM_ID:
            raise errors.unauthenticated()
        client_id = payload.get("client_id")
        if not isinstance(client_id, str | None):
            raise errors.unauthenticated()
        return Claims(int(subject), session, token_id, client_id)

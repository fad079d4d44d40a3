"""Access tokens: short-lived JSON Web Tokens (RFC 7519, RFC 9068) that name a user and a login session."""

import hmac
import json
import re
import secrets
from base64 import urlsafe_b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Any

import jwt
from pydantic import BaseModel, ConfigDict, Field

from app.domain import errors
from app.domain.clock import now
from app.domain.fields import Text

_ALGORITHM = "HS256"
_TYPE = "at+jwt"
# No settings: nobody else issues or takes these tokens, and the key and the session's row tell deployments apart.
_ISSUER = _AUDIENCE = "tandem"
_CLAIMS = ("iss", "aud", "sub", "sid", "jti", "iat", "exp")
# By how much the clock of the machine that issued a token may be ahead. Its end is to the second, as clients are told.
_LEEWAY = timedelta(seconds=5)
_MAXIMUM_ID = 2**63 - 1
_MAXIMUM_LENGTH = 2048
_MOST_KNOWN = 4096  # tokens, each some hundred bytes, and 2 KB at most; those that have ended are pushed out
# The compact form, without the padding that RFC 7515 forbids and libraries let pass.
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")

_RandomId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


@dataclass(frozen=True)
class Claims:
    """What a token that was issued here says. Whether its session still lives, `sessions.authenticate` tells."""

    user_id: int
    session_id: str
    token_id: str
    client_id: str | None = None  # the registered client that obtained it (RFC 9068, section 2.2)


class _Payload(BaseModel):
    """The claims in the types in which they are issued: a date that is text, or beyond all integers, is none."""

    model_config = ConfigDict(strict=True)

    sub: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,18}$")]
    sid: _RandomId
    jti: _RandomId
    iat: int
    exp: int
    nbf: int = 0
    client_id: Text | None = None


class AccessTokens:
    """Issues tokens signed with `secret` (HMAC SHA-256); verifies those, and the ones signed with a fallback.

    Secrets have at least 32 bytes. The header's `kid` tells which one signed; it is derived from the secret, so that
    machines that share the secrets agree on it.
    """

    def __init__(self, secret: str, lifetime: timedelta, *, fallbacks: Sequence[str] = ()) -> None:
        self._secret = secret
        self._header = _header_for(secret)
        self._accepted = [(_header_for(key), key) for key in (secret, *fallbacks)]
        self.lifetime = lifetime
        self._known = lru_cache(maxsize=_MOST_KNOWN)(self._check)  # of those that are no good, nothing is kept
        self._jwt = jwt.PyJWT(
            options={"enforce_minimum_key_length": True, "require": list(_CLAIMS), "strict_aud": True}
        )

    def issue(self, user_id: int, session_id: str, client_id: str | None = None) -> str:
        issued = int(now().timestamp())
        payload: dict[str, Any] = {
            "iss": _ISSUER,
            "aud": _AUDIENCE,
            "sub": str(user_id),
            "sid": session_id,
            "jti": secrets.token_hex(16),
            "iat": issued,
            "exp": issued + int(self.lifetime.total_seconds()),
        }
        if client_id is not None:
            payload["client_id"] = client_id
        return self._jwt.encode(payload, self._secret, algorithm=_ALGORITHM, headers=self._header)

    def verify(self, token: str) -> Claims:
        """DomainError UNAUTHENTICATED for whatever is not a token issued here and still valid (RFC 8725)."""
        try:
            claims, expires = self._known(token)
        except (jwt.PyJWTError, ValueError, OverflowError, RecursionError):
            raise errors.unauthenticated() from None
        if expires <= now().timestamp():
            raise errors.unauthenticated()
        return claims

    def _check(self, token: str) -> tuple[Claims, int]:
        """What the token says, and when it ends; ValueError or PyJWTError for one that is not good.

        Once good, it stays so until then: clients send the same token again and again.
        """
        payload = _Payload.model_validate(self._decode(token))
        user_id = int(payload.sub)
        if payload.exp - payload.iat > self.lifetime.total_seconds() or user_id > _MAXIMUM_ID:
            raise ValueError
        return Claims(user_id, payload.sid, payload.jti, payload.client_id), payload.exp

    def _decode(self, token: str) -> Any:
        """The claims of a token with our signature, for us, and within its time; ValueError or PyJWTError."""
        if len(token) > _MAXIMUM_LENGTH or not _COMPACT.fullmatch(token):
            raise ValueError
        header, payload, _ = token.split(".")
        # The whole header is one of those issued here, so whatever else a header may ask for is never acted upon.
        given = _strict_json(header)
        secret = next((secret for known, secret in self._accepted if given == known), None)
        if secret is None:
            raise ValueError
        self._jwt.decode(token, secret, algorithms=[_ALGORITHM], issuer=_ISSUER, audience=_AUDIENCE, leeway=_LEEWAY)
        return _strict_json(payload)


def _header_for(secret: str) -> dict[str, str]:
    key_id = hmac.digest(secret.encode(), b"tandem key id", "sha256")[:8].hex()
    return {"alg": _ALGORITHM, "kid": key_id, "typ": _TYPE}


def _strict_json(segment: str) -> Any:
    """What a segment says; ValueError unless it is JSON in UTF-8 that names each member once (RFC 7519, section 4)."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) < len(pairs):
            raise ValueError
        return members

    text = urlsafe_b64decode(segment + "=" * (-len(segment) % 4)).decode()
    return json.loads(text, object_pairs_hook=unique)

"""What the Python contenders do alike, so that no difference between them comes from here.

Settings are those of Tandem, from the environment. Tokens, cursors and password hashes are Tandem's own formats, so
that every contender takes the same requests and gives the same replies over the same rows. `limit.py` does without
PyJWT and passlib, the others use both as their tutorials do.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
import time
import uuid
from base64 import urlsafe_b64encode
from typing import Any, NamedTuple

import jwt
from passlib.hash import bcrypt_sha256

DATABASE_URL = os.environ["DATABASE_URL"]  # postgresql://user@/name?host=<folder of the socket>
SECRET_KEY = os.environ["SECRET_KEY"]
ACCESS_TOKEN_SECONDS = int(os.environ["ACCESS_TOKEN_EXPIRE_MINUTES"]) * 60
REFRESH_TOKEN_DAYS = 30
POOL_SIZE = 10  # connections of a server process: Tandem's default

# What text may hold, and tags: patterns of the contract.
TEXT = r"^[^\x00]*$"
TAG = r"^[a-z0-9][a-z0-9-]{0,31}$"
MAXIMUM_ID = 2**63 - 1

_CLAIMS = ("iss", "aud", "sub", "sid", "jti", "iat", "exp")
_ISSUER = _AUDIENCE = "tandem"
HEADER = {"kid": hmac.digest(SECRET_KEY.encode(), b"tandem key id", "sha256")[:8].hex(), "typ": "at+jwt"}
_CURSOR_KEY = hmac.digest(SECRET_KEY.encode(), b"tandem list cursor", hashlib.sha256)
_WELL_FORMED_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_NOBODYS = bcrypt_sha256.using(rounds=int(os.environ["BCRYPT_ROUNDS"])).hash("")


class Claims(NamedTuple):
    """What an access token says: who is calling, and which row of `sessions` must still be there."""

    user_id: int
    session_id: str
    token_id: str


def issue(user_id: int, session_id: str) -> str:
    """An access token, HMAC SHA-256."""
    issued = int(time.time())
    claims = {
        "iss": _ISSUER,
        "aud": _AUDIENCE,
        "sub": str(user_id),
        "sid": session_id,
        "jti": secrets.token_hex(16),
        "iat": issued,
        "exp": issued + ACCESS_TOKEN_SECONDS,
    }
    return jwt.encode(claims, SECRET_KEY, algorithm="HS256", headers=HEADER)


def verify(token: str) -> Claims | None:
    """The claims of a token issued here and not expired; None for any other."""
    try:
        decoded = jwt.decode_complete(
            token,
            SECRET_KEY,
            algorithms=["HS256"],
            issuer=_ISSUER,
            audience=_AUDIENCE,
            options={"require": list(_CLAIMS)},
        )
    except (jwt.PyJWTError, ValueError, OverflowError, RecursionError):
        return None
    if decoded["header"] != {"alg": "HS256", **HEADER}:
        return None
    return checked(decoded["payload"])


def checked(payload: dict[str, Any]) -> Claims | None:
    """The claims, when each is of its type and none promises more than is issued here."""
    issuer, audience, subject, session, token_id, issued, expires = (payload.get(name) for name in _CLAIMS)
    if issuer != _ISSUER or audience != _AUDIENCE:
        return None
    if not (isinstance(subject, str) and isinstance(session, str) and isinstance(token_id, str)):
        return None
    if not (isinstance(issued, int) and isinstance(expires, int)) or expires - issued > ACCESS_TOKEN_SECONDS:
        return None
    if not (subject.isascii() and subject.isdecimal()) or len(subject) > 19 or not 1 <= int(subject) <= MAXIMUM_ID:
        return None
    return Claims(int(subject), session, token_id)


def password_fits(password: str, password_hash: str | None) -> bool:
    """Bcrypt over SHA-256; without a hash it takes as long and says no."""
    fits = bcrypt_sha256.verify(password, password_hash or _NOBODYS)
    return bool(fits) and password_hash is not None


def new_refresh_token() -> tuple[str, str]:
    """An opaque token, and the hash of it that is kept."""
    token = secrets.token_urlsafe(32)
    return token, hashlib.sha256(token.encode()).hexdigest()


def next_cursor(path: str, filters: dict[str, str], created_at: str, post_id: int) -> str:
    """A signed position in the list of posts, newest first; `created_at` in ISO 8601 with +00:00."""
    payload = json.dumps([2, False, [{"time": created_at}, post_id], 0], separators=(",", ":")).encode()
    binding = json.dumps([path, filters], sort_keys=True, separators=(",", ":"))
    bound = hashlib.sha256(binding.encode()).digest()
    signature = hmac.digest(_CURSOR_KEY, bound + payload, "sha256")[:16]
    return urlsafe_b64encode(signature + payload).rstrip(b"=").decode()


def request_id(given: str | None) -> str:
    """The id that the client sent, if it is well-formed, else a new one."""
    return given if given and _WELL_FORMED_ID.fullmatch(given) else uuid.uuid4().hex


def problem(
    status: int,
    code: str,
    title: str,
    detail: str,
    instance: str,
    request: str,
    errors: list[dict[str, str]] | None = None,
) -> dict[str, Any]:
    """Problem details (RFC 9457) as version 2 gives them; `request` is the request's id."""
    content: dict[str, Any] = {
        "type": f"/problems/{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": instance,
        "code": code,
        "request_id": request,
    }
    if errors:
        content["errors"] = errors
    return content


PROBLEMS = {
    401: ("unauthenticated", "Unauthenticated", "Could not validate credentials"),
    404: ("post-not-found", "Post Not Found", "No such post"),
    422: ("invalid-request", "Invalid Request", "The request is invalid; see `errors`"),
}

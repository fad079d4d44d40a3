"""The practical limit in Python: raw ASGI, asyncpg, orjson, on uvicorn with uvloop and httptools. Nobody would maintain
a service written like this; it shows what is left when a framework costs nothing.

It follows the ASGI specification 3.0 and asyncpg's documentation ("Connection Pools"): statements are prepared once a
connection, and a connection that comes back is reset, as the pool does unless told otherwise; without that a post by id
would cost a fifth less. It checks all that the others check: ids, parameters and bodies, the token's signature and
claims, the session's row.
"""

import asyncio
import hashlib
import hmac
import re
import secrets
import time
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from urllib.parse import parse_qsl, urlencode

import asyncpg
import bcrypt
import common
import orjson

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]

_SECRET = common.SECRET_KEY.encode()
_HEADERS_OF_TOKENS = {  # one header, its members in any order
    urlsafe_b64encode(orjson.dumps(dict(members))).rstrip(b"=")
    for members in permutations(({"alg": "HS256"} | common.HEADER).items())
}
_DIGITS = re.compile(r"[0-9]{1,19}")
_TAG = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_BCRYPT_SHA256 = re.compile(r"\$bcrypt-sha256\$v=2,t=2b,r=([0-9]+)\$([./A-Za-z0-9]{22})\$([./A-Za-z0-9]{31})")
_JSON = orjson.OPT_UTC_Z

_SESSION = "SELECT user_id FROM sessions WHERE id = $1 AND user_id = $2 AND (only_token IS NULL OR only_token = $3)"
_POST = """
SELECT p.id, p.title, p.content, p.published, p.created_at, p.updated_at,
       u.id AS owner_id, u.display_name, p.votes_up, p.votes_down,
       (SELECT v.value FROM votes v WHERE v.user_id = $1 AND v.post_id = p.id) AS my_vote,
       (SELECT string_agg(named.name, ',') FROM (SELECT t.name FROM tags t JOIN post_tags pt ON pt.tag_id = t.id
        WHERE pt.post_id = p.id ORDER BY pt.position) named) AS tags
FROM posts p JOIN users u ON u.id = p.owner_id
WHERE (p.published OR p.owner_id = $1)
"""
_BY_ID = f"{_POST} AND p.id = $2"
_NEWEST = f"{_POST} ORDER BY p.created_at DESC, p.id DESC LIMIT $2"
_NEWEST_WITH_TEXT = f"{_POST} AND strpos(p.title_folded, $3) > 0 ORDER BY p.created_at DESC, p.id DESC LIMIT $2"
_POST_V1 = """
SELECT p.id, p.title, p.content, p.published, p.created_at,
       u.id AS owner_id, u.email, u.created_at AS owner_created_at, p.votes_up
FROM posts p JOIN users u ON u.id = p.owner_id
WHERE (p.published OR p.owner_id = $1)
"""
_BY_ID_V1 = f"{_POST_V1} AND p.id = $2"
_OLDEST_ID = f"{_POST_V1} ORDER BY p.id LIMIT $2 OFFSET $3"
_OLDEST_ID_WITH_TEXT = f"{_POST_V1} AND strpos(p.title_folded, $4) > 0 ORDER BY p.id LIMIT $2 OFFSET $3"

_INSERT_POST = """
INSERT INTO posts (title, title_folded, content, published, owner_id, votes_up, votes_down, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, 0, 0, $6, $6) RETURNING id
"""
_INSERT_TAGS = "INSERT INTO tags (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING"
_KNOWN_TAGS = "SELECT name FROM tags WHERE name = ANY($1)"
_INSERT_POST_TAGS = """
INSERT INTO post_tags (post_id, tag_id, position)
SELECT $1, t.id, given.position - 1 FROM unnest($2::text[]) WITH ORDINALITY given (name, position)
JOIN tags t ON t.name = given.name
"""

_LOCK_POST = "SELECT id FROM posts WHERE id = $1 AND (published OR owner_id = $2) FOR NO KEY UPDATE"
_VOTE = "SELECT value FROM votes WHERE user_id = $1 AND post_id = $2"
_COUNTERS = "SELECT votes_up, votes_down FROM posts WHERE id = $1"
_PUT_VOTE = """
INSERT INTO votes (user_id, post_id, value, created_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (user_id, post_id) DO UPDATE SET value = excluded.value, created_at = excluded.created_at
"""
_COUNT = """
UPDATE posts SET votes_up = votes_up + $2, votes_down = votes_down + $3, revision = revision + 1
WHERE id = $1 RETURNING votes_up, votes_down
"""

_CREDENTIALS = "SELECT id, password_hash FROM users WHERE email_key = $1"
_LOCK_HASH = "SELECT password_hash FROM users WHERE id = $1 FOR UPDATE"
_END_OLD_SESSIONS = "DELETE FROM sessions WHERE user_id = $1 AND expires_at < $2"
_BEGIN_SESSION = "INSERT INTO sessions (id, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4)"
_KEEP_REFRESH_TOKEN = (
    "INSERT INTO refresh_tokens (token_hash, session_id, created_at, expires_at) VALUES ($1, $2, $3, $4)"
)

pool: asyncpg.Pool


class Refused(Exception):
    """A request that is answered with an error; `where` is what of it is wrong, for 422."""

    def __init__(self, status: int, *where: dict[str, str]) -> None:
        super().__init__(status)
        self.status = status
        self.where = list(where)


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    path = scope["path"]
    try:
        if path.startswith("/v2/posts"):
            await _posts_v2(scope, path[9:], receive, send)
        elif path.startswith("/v1/posts") and scope["method"] == "GET":
            await (_get_post_v1(scope, path[10:], send) if path[9:] else _list_posts_v1(scope, send))
        elif path == "/v2/auth/token" and scope["method"] == "POST":
            await _log_in(receive, send)
        elif path == "/livez":
            await _reply(send, 200, {"status": "ok"})
        else:
            raise Refused(404)
    except Refused as refusal:
        await _refuse(scope, send, refusal)


async def _posts_v2(scope: dict[str, Any], rest: str, receive: Receive, send: Send) -> None:
    match scope["method"]:
        case "GET":
            await (_get_post_v2(scope, rest[1:], send) if rest else _list_posts_v2(scope, send))
        case "POST" if not rest:
            await _create_post(scope, receive, send)
        case "PUT" if rest.endswith("/vote"):
            await _put_vote(scope, rest[1:-5], receive, send)
        case _:
            raise Refused(404)


async def _lifespan(receive: Receive, send: Send) -> None:
    global pool  # noqa: PLW0603 - there is no framework to keep it
    await receive()
    pool = await asyncpg.create_pool(
        common.DATABASE_URL,
        min_size=common.POOL_SIZE,
        max_size=common.POOL_SIZE,
        server_settings={"timezone": "UTC"},
    )
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await pool.close()
    await send({"type": "lifespan.shutdown.complete"})


# Reading


async def _get_post_v2(scope: dict[str, Any], given: str, send: Send) -> None:
    post_id = _identifier(given)
    claims = _claims(scope, optional=True)
    async with pool.acquire() as connection:
        viewer = await _authenticate(connection, claims) if claims else None
        row = await connection.fetchrow(_BY_ID, viewer, post_id)
    if row is None:
        raise Refused(404)
    await _reply(send, 200, _post_v2(row, viewer))


async def _list_posts_v2(scope: dict[str, Any], send: Send) -> None:
    query = scope["query_string"].decode()
    given = dict(parse_qsl(query, keep_blank_values=True)) if query else {}
    limit, text = _number(given, "limit", 20, 1, 100), given.get("q", "")
    _text(text, {"parameter": "q"})
    claims = _claims(scope, optional=True)
    async with pool.acquire() as connection:
        viewer = await _authenticate(connection, claims) if claims else None
        if text:
            rows = await connection.fetch(_NEWEST_WITH_TEXT, viewer, limit + 1, text.casefold())
        else:
            rows = await connection.fetch(_NEWEST, viewer, limit + 1)
    cursor, headers = None, []
    if len(rows) > limit:
        last = rows[limit - 1]
        filters = {"q": text} if text else {}
        cursor = common.next_cursor("/v2/posts", filters, last["created_at"].isoformat(), last["id"])
        link = urlencode({**given, "cursor": cursor})
        headers = [(b"link", f'</v2/posts?{link}>; rel="next"'.encode())]
    page = {"limit": limit, "next_cursor": cursor, "prev_cursor": None}
    await _reply(send, 200, {"data": [_post_v2(row, viewer) for row in rows[:limit]], "page": page}, headers)


async def _get_post_v1(scope: dict[str, Any], given: str, send: Send) -> None:
    post_id = _identifier(given)
    claims = _claims(scope)
    async with pool.acquire() as connection:
        viewer = await _authenticate(connection, claims)
        row = await connection.fetchrow(_BY_ID_V1, viewer, post_id)
    if row is None:
        raise Refused(404)
    await _reply(send, 200, _post_v1(row))


async def _list_posts_v1(scope: dict[str, Any], send: Send) -> None:
    query = scope["query_string"].decode()
    given = dict(parse_qsl(query, keep_blank_values=True)) if query else {}
    limit, skip = _number(given, "limit", 10, 0, 1000), _number(given, "skip", 0, 0, common.MAXIMUM_ID)
    text = given.get("search", "")
    _text(text, {"parameter": "search"})
    claims = _claims(scope)
    async with pool.acquire() as connection:
        viewer = await _authenticate(connection, claims)
        if text:
            rows = await connection.fetch(_OLDEST_ID_WITH_TEXT, viewer, limit, skip, text.casefold())
        else:
            rows = await connection.fetch(_OLDEST_ID, viewer, limit, skip)
    await _reply(send, 200, [_post_v1(row) for row in rows])


def _post_v2(row: asyncpg.Record, viewer: int | None) -> dict[str, Any]:
    up, down, owner, name, tags = (
        row["votes_up"],
        row["votes_down"],
        row["owner_id"],
        row["display_name"],
        row["tags"],
    )
    return {
        "id": row["id"],
        "title": row["title"],
        "content": row["content"],
        "published": row["published"],
        "tags": tags.split(",") if tags else [],
        "author": {"id": owner, "display_name": name if name is not None else f"user-{owner}"},
        "votes": {"up": up, "down": down, "score": up - down},
        "my_vote": None if viewer is None else row["my_vote"] or 0,
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }


def _post_v1(row: asyncpg.Record) -> dict[str, Any]:
    owner = row["owner_id"]
    post = {
        "id": row["id"],
        "title": row["title"],
        "content": row["content"],
        "published": row["published"],
        "created_at": row["created_at"],
        "owner_id": owner,
        "owner": {"id": owner, "email": row["email"], "created_at": row["owner_created_at"]},
    }
    return {"Post": post, "votes": row["votes_up"]}


# Writing


async def _create_post(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    claims = _claims(scope)
    body = await _json(scope, receive)
    wrong = _wrong_in_post(body)
    if wrong:
        raise Refused(422, *wrong)
    title, tags, moment = body["title"], list(dict.fromkeys(body.get("tags", ()))), datetime.now(UTC)
    async with pool.acquire() as connection, connection.transaction():
        author = await _authenticate(connection, claims)
        post_id = await connection.fetchval(
            _INSERT_POST, title, title.casefold(), body["content"], body.get("published", True), author, moment
        )
        if tags:
            if len(await connection.fetch(_KNOWN_TAGS, tags)) < len(tags):
                await connection.execute(_INSERT_TAGS, sorted(tags))
            await connection.execute(_INSERT_POST_TAGS, post_id, tags)
        row = await connection.fetchrow(_BY_ID, author, post_id)
    await _reply(send, 201, _post_v2(row, author), [(b"location", b"/v2/posts/%d" % post_id)])


def _wrong_in_post(body: dict[str, Any]) -> list[dict[str, str]]:
    """What of a post's body is not as the contract has it."""
    wrong = [_part(f"/{name}", "extra_forbidden") for name in body.keys() - {"title", "content", "published", "tags"}]
    for name, most in (("title", 300), ("content", 50_000)):
        value = body.get(name)
        if not isinstance(value, str) or not 1 <= len(value) <= most or "\x00" in value:
            wrong.append(_part(f"/{name}", "string"))
    if not isinstance(body.get("published", True), bool):
        wrong.append(_part("/published", "bool"))
    tags = body.get("tags", [])
    if not isinstance(tags, list) or len(tags) > 10:
        wrong.append(_part("/tags", "list"))
    else:
        wrong += [
            _part(f"/tags/{place}", "tag")
            for place, tag in enumerate(tags)
            if not isinstance(tag, str) or not _TAG.fullmatch(tag)
        ]
    return wrong


async def _put_vote(scope: dict[str, Any], given: str, receive: Receive, send: Send) -> None:
    post_id = _identifier(given)
    claims = _claims(scope)
    body = await _json(scope, receive)
    value = body.get("value")
    if type(value) is not int or value not in (1, -1) or len(body) > 1:
        raise Refused(422, _part("/value", "literal"))
    async with pool.acquire() as connection, connection.transaction():
        voter = await _authenticate(connection, claims)
        if await connection.fetchval(_LOCK_POST, post_id, voter) is None:
            raise Refused(404)
        before = await connection.fetchval(_VOTE, voter, post_id)
        if before == value:
            up, down = await connection.fetchrow(_COUNTERS, post_id)
        else:
            await connection.execute(_PUT_VOTE, voter, post_id, value, datetime.now(UTC))
            more_up, more_down = (value == 1) - (before == 1), (value == -1) - (before == -1)
            up, down = await connection.fetchrow(_COUNT, post_id, more_up, more_down)
    await _reply(send, 200, {"value": value, "votes": {"up": up, "down": down, "score": up - down}})


async def _log_in(receive: Receive, send: Send) -> None:
    form = dict(parse_qsl((await _body(receive)).decode(), keep_blank_values=True))
    email, password = form.get("username"), form.get("password")
    if form.get("grant_type") != "password" or not email or not password or len(password) > 1024:
        await _reply(send, 400, {"error": "invalid_request", "error_description": "Send username and password"})
        return
    known = await pool.fetchrow(_CREDENTIALS, email.casefold())
    kept = known["password_hash"] if known else None
    if not await asyncio.to_thread(_password_fits, password, kept):
        await _reply(send, 400, {"error": "invalid_grant", "error_description": "The e-mail or the password is wrong"})
        return
    user_id, session_id, moment = known["id"], secrets.token_hex(16), datetime.now(UTC)
    refresh_token, refresh_hash = common.new_refresh_token()
    until = moment + timedelta(days=common.REFRESH_TOKEN_DAYS)
    async with pool.acquire() as connection, connection.transaction():
        if await connection.fetchval(_LOCK_HASH, user_id) != kept:
            raise Refused(401)
        await connection.execute(_END_OLD_SESSIONS, user_id, moment)
        await connection.execute(_BEGIN_SESSION, session_id, user_id, moment, until)
        await connection.execute(_KEEP_REFRESH_TOKEN, refresh_hash, session_id, moment, until)
    pair = {
        "access_token": common.issue(user_id, session_id),
        "token_type": "Bearer",
        "expires_in": common.ACCESS_TOKEN_SECONDS,
        "refresh_token": refresh_token,
    }
    await _reply(send, 200, pair, [(b"cache-control", b"no-store")])


def _password_fits(password: str, kept: str | None) -> bool:
    """Passlib's bcrypt_sha256, version 2: bcrypt over the base64 of HMAC-SHA256 under the salt."""
    found = _BCRYPT_SHA256.fullmatch(kept or "")
    if found is None:
        return common.password_fits(password, kept)
    rounds, salt, digest = found.groups()
    key = b64encode(hmac.digest(salt.encode(), password.encode(), "sha256"))
    return bcrypt.checkpw(key, f"$2b${int(rounds):02}${salt}{digest}".encode())


# Who is calling


def _claims(scope: dict[str, Any], *, optional: bool = False) -> common.Claims | None:
    """What the Bearer token says; None without one, where it is optional."""
    given = None
    for name, value in scope["headers"]:
        if name == b"authorization":
            given = value
            break
    if given is None and optional:
        return None
    if given is None or given[:7].lower() != b"bearer ":
        raise Refused(401)
    claims = _verify(given[7:])
    if claims is None:
        raise Refused(401)
    return claims


def _verify(token: bytes) -> common.Claims | None:
    """The claims of a JSON Web Token with a header as ours have it (RFC 7515, 7519)."""
    signed, _, signature = token.rpartition(b".")
    header, _, payload = signed.partition(b".")
    try:
        if header not in _HEADERS_OF_TOKENS:
            return None
        if not hmac.compare_digest(_decoded(signature), hmac.digest(_SECRET, signed, hashlib.sha256)):
            return None
        claims = orjson.loads(_decoded(payload))
    except ValueError:
        return None
    if not isinstance(claims, dict) or not isinstance(claims.get("exp"), int) or claims["exp"] <= time.time():
        return None
    return common.checked(claims)


def _decoded(text: bytes) -> bytes:
    return urlsafe_b64decode(text + b"=" * (-len(text) % 4))


async def _authenticate(connection: asyncpg.Connection, claims: common.Claims) -> int:
    """The id of the user, when the token's session has not ended."""
    user_id = await connection.fetchval(_SESSION, claims.session_id, claims.user_id, claims.token_id)
    if user_id is None:
        raise Refused(401)
    return user_id


# What came in


def _identifier(given: str) -> int:
    if not _DIGITS.fullmatch(given) or not 1 <= int(given) <= common.MAXIMUM_ID:
        raise Refused(422, {"detail": "Not an id", "parameter": "post_id", "code": "int_parsing"})
    return int(given)


def _number(given: dict[str, str], name: str, default: int, least: int, most: int) -> int:
    value = given.get(name)
    if value is None:
        return default
    if not _DIGITS.fullmatch(value) or not least <= int(value) <= most:
        raise Refused(422, {"detail": "Out of range", "parameter": name, "code": "int_parsing"})
    return int(value)


def _text(value: str, where: dict[str, str]) -> None:
    if "\x00" in value:
        raise Refused(422, {"detail": "Not storable", **where, "code": "string"})


def _part(pointer: str, code: str) -> dict[str, str]:
    return {"detail": "Not as the document says", "pointer": f"#{pointer}", "code": code}


async def _body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message["body"]
    while message["more_body"]:
        message = await receive()
        body += message["body"]
    return body


async def _json(scope: dict[str, Any], receive: Receive) -> dict[str, Any]:
    """The body, a JSON object. orjson refuses lone surrogates and NaN by itself."""
    if not any(name == b"content-type" and value.startswith(b"application/json") for name, value in scope["headers"]):
        raise Refused(415)
    try:
        found = orjson.loads(await _body(receive))
    except orjson.JSONDecodeError:
        raise Refused(422, _part("", "json_invalid")) from None
    if not isinstance(found, dict):
        raise Refused(422, _part("", "object"))
    return found


# What goes out


async def _reply(
    send: Send,
    status: int,
    content: Any,
    headers: list[tuple[bytes, bytes]] | None = None,
    media_type: bytes = b"application/json",
) -> None:
    body = orjson.dumps(content, option=_JSON)
    fixed = [(b"content-type", media_type), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": fixed + headers if headers else fixed})
    await send({"type": "http.response.body", "body": body})


async def _refuse(scope: dict[str, Any], send: Send, refusal: Refused) -> None:
    status = refusal.status
    code, title, detail = common.PROBLEMS.get(status, ("refused", "Refused", "Refused"))
    headers = [(b"www-authenticate", b"Bearer")] if status == 401 else []
    if scope["path"].startswith("/v1"):
        await _reply(send, status, {"detail": detail}, headers)
        return
    given = next((value.decode() for name, value in scope["headers"] if name == b"x-request-id"), None)
    content = common.problem(status, code, title, detail, scope["path"], common.request_id(given), refusal.where)
    await _reply(send, status, content, headers, b"application/problem+json")

"""What the tests of version 1 share: its operations in a line each, and values nobody should send."""

import json
from datetime import UTC, datetime
from typing import Any

from httpx2 import Client, Response

from tests.steps import Person

USER_KEYS = ["id", "email", "created_at"]
POST_KEYS = ["id", "title", "content", "published", "created_at", "owner_id", "owner"]

UNAUTHENTICATED = {"detail": "Could not validate credentials"}
INVALID_CREDENTIALS = {"detail": "Invalid Credentials"}
EMAIL_TAKEN = {"detail": "An account with this e-mail already exists"}
NO_USER = {"detail": "No such user"}
NO_POST = {"detail": "No such post"}
NOT_THE_OWNER = {"detail": "Only the owner may change or delete a post"}
NO_VOTE = {"detail": "You have no vote on this post to take back"}
ALREADY_VOTED = {"detail": "You have already voted for this post"}
VOTE_ADDED = {"message": "successfully added vote"}
VOTE_DELETED = {"message": "successfully deleted vote"}

LAST_ID = 2**63 - 1
DIGITS = "9" * 5000
# Fields that version 1 ignores, although the service has some of them inside.
UNKNOWN = {"id": 77, "owner_id": 77, "created_at": "2001-01-01T00:00:00Z", "votes": 9, "tags": ["x"], "is_admin": True}
# What a URL may hold in the place of a number, all of it refused as none.
NO_NUMBERS = ["abc", "1.5", "1e0", "0x1", "1_0", "+1", "%2B1", "%201", "%D9%A1", "NaN", "1%00"]
NO_NUMBERS += ["1" + "0" * 30, DIGITS, "-" + DIGITS]
# Bytes that are no UTF-8: the last is a lone surrogate.
NO_TEXTS = ["%FF", "%C0%80", "a%ED%A0%80"]
BAD_TEXTS = ["a\x00b", "\x00", "a\ud800b", "\udfff", "\udc00\ud83d", "x" * 50 + "\ud83d"]


def send(
    client: Client, method: str, path: str, body: Any, headers: Any = None, kind: str = "application/json"
) -> Response:
    """One request with a body of JSON: bytes are sent as they are, all else is written in ASCII, surrogates too."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.request(method, path, content=content, headers={**(headers or {}), "Content-Type": kind})


def sign_up(client: Client, email: str, password: str = "correct horse") -> Response:
    return send(client, "POST", "/v1/users", {"email": email, "password": password})


def log_in(client: Client, email: str, password: str, **more: str) -> Response:
    return client.post("/v1/login", data={"username": email, "password": password, **more})


def user(client: Client, person: Person) -> Any:
    """The user as version 1 shows it."""
    return client.get(f"/v1/users/{person.id}").json()


def write(client: Client, author: Person, title: str = "a title", **fields: Any) -> Any:
    """Write a post through version 1; gives it."""
    body = {"title": title, "content": "some content", **fields}
    reply = client.post("/v1/posts", json=body, headers=author.headers)
    assert reply.status_code == 201, reply.text
    return reply.json()


def change(client: Client, method: str, author: Person, post_id: int, body: Any) -> Response:
    return send(client, method, f"/v1/posts/{post_id}", body, author.headers)


def read(client: Client, reader: Person, post_id: int) -> Response:
    return client.get(f"/v1/posts/{post_id}", headers=reader.headers)


def listed(client: Client, reader: Person, **query: Any) -> list[int]:
    """The ids of a list, in its order."""
    reply = client.get("/v1/posts", params=query, headers=reader.headers)
    assert reply.status_code == 200, reply.text
    return [item["Post"]["id"] for item in reply.json()]


def vote(client: Client, voter: Person, post_id: int, direction: int = 1) -> Response:
    return client.post("/v1/vote", json={"post_id": post_id, "dir": direction}, headers=voter.headers)


def answer(reply: Response) -> tuple[int, Any]:
    """Status and body of a reply, to compare with both at once."""
    return reply.status_code, reply.json()


def faults(reply: Response) -> list[tuple[str, str]]:
    """Where and of what type the errors of a 422 are: [("body.title", "missing")]; each has v1's three keys."""
    assert reply.status_code == 422, reply.text
    assert reply.headers["content-type"] == "application/json"
    assert list(reply.json()) == ["detail"]
    errors = reply.json()["detail"]
    assert all(list(error) == ["loc", "msg", "type"] for error in errors)
    assert len(reply.content) < 1000  # no room for an echo of what is long
    return [(".".join(map(str, error["loc"])), error["type"]) for error in errors]


def counters(client: Client, reader: Person, post_id: int) -> tuple[int, int]:
    """Up- and down-votes of a post, about which both versions agree."""
    votes = client.get(f"/v2/posts/{post_id}", headers=reader.headers).json()["votes"]
    assert read(client, reader, post_id).json()["votes"] == votes["up"]
    return votes["up"], votes["down"]


def operations(post_id: int | str) -> dict[str, dict[str, Any]]:
    """Every operation that needs a token, as the arguments of a request."""
    body = {"title": "overwritten", "content": "overwritten"}
    return {
        "list": {"method": "GET", "url": "/v1/posts"},
        "create": {"method": "POST", "url": "/v1/posts", "json": body},
        "read": {"method": "GET", "url": f"/v1/posts/{post_id}"},
        "replace": {"method": "PUT", "url": f"/v1/posts/{post_id}", "json": body},
        "update": {"method": "PATCH", "url": f"/v1/posts/{post_id}", "json": {"title": "overwritten"}},
        "delete": {"method": "DELETE", "url": f"/v1/posts/{post_id}"},
        "vote": {"method": "POST", "url": "/v1/vote", "json": {"post_id": post_id, "dir": 1}},
        "take back": {"method": "POST", "url": "/v1/vote", "json": {"post_id": post_id, "dir": 0}},
    }


def moment(text: str) -> datetime:
    """The time a reply names, which must be written in UTC with a Z."""
    assert text.endswith("Z")
    return datetime.fromisoformat(text)


def now() -> datetime:
    return datetime.now(UTC)

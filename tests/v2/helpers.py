"""What the tests of version 2 share: exact expectations of its replies, and requests that are not plain JSON."""

import re
from datetime import datetime
from urllib.parse import quote

BEYOND_INT64 = 2**63
NOBODY = BEYOND_INT64 - 1  # the largest id there can be: nothing has it
PASSWORD = "correct horse"
NO_TOKEN: dict[str, str] = {}

USER = {"id", "display_name", "bio", "created_at"}
ACCOUNT = USER | {"email", "updated_at"}
POST = {
    *("id", "title", "content", "published", "tags", "author", "votes", "my_vote", "created_at", "updated_at"),
}
NO_VOTES = {"up": 0, "down": 0, "score": 0}
BODY = {"title": "t", "content": "c"}

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
FORM = "application/x-www-form-urlencoded"

INVALID = "The request is invalid; see `errors`"
UNREADABLE = "The request body cannot be read"
PROBLEMS = {
    "unauthenticated": (401, "Unauthenticated", "Could not validate credentials"),
    "invalid-credentials": (403, "Invalid Credentials", "Invalid Credentials"),
    "not-the-owner": (403, "Not The Owner", "Only the owner may change or delete a post"),
    "administrators-only": (403, "Administrators Only", "Only administrators may do this"),
    "not-found": (404, "Not Found", "Not Found"),
    "user-not-found": (404, "User Not Found", "No such user"),
    "post-not-found": (404, "Post Not Found", "No such post"),
    "client-not-found": (404, "Client Not Found", "No such client"),
    "method-not-allowed": (405, "Method Not Allowed", "The path does not answer to this method"),
    "client-id-taken": (409, "Client Id Taken", "A client with this id is registered"),
    "email-taken": (409, "E-mail Taken", "An account with this e-mail already exists"),
    "content-too-large": (413, "Content Too Large", "The body may have at most 1048576 bytes"),
    "unsupported-media-type": (415, "Unsupported Media Type", "Send the body as application/json"),
    "invalid-request": (422, "Invalid Request", INVALID),
    "invalid-cursor": (400, "Invalid Cursor", "The cursor does not belong to this list; begin without one"),
}


def is_problem(reply, code, *errors, detail=None, instance=None):
    """The reply is this problem to the letter; `errors` are (pointer or parameter, code), in any order."""
    status, title, usual = PROBLEMS[code]
    body = reply.json()
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)
    found = body.pop("errors", [])
    assert body == {
        "type": f"/problems/{code}",
        "title": title,
        "status": status,
        "detail": detail or usual,
        "instance": instance or quote(reply.request.url.path),
        "code": code,
        "request_id": reply.headers["x-request-id"],
    }
    assert sorted((e.get("pointer") or e.get("parameter"), e["code"]) for e in found) == sorted(errors)
    for error in found:
        place = "pointer" if "#" in (error.get("pointer") or "") else "parameter"
        assert set(error) == {"detail", "code", place}
        assert error["detail"]


def is_oauth_error(reply, error):
    """The reply is an error as RFC 6749, section 5.2, has it."""
    assert reply.status_code == 400, reply.text
    assert reply.headers["content-type"] == JSON
    assert reply.headers["cache-control"] == "no-store"
    assert set(reply.json()) == {"error", "error_description"}
    assert reply.json()["error"] == error


def is_ok(reply, status=200):
    """What a reply of this status says; None for one without content."""
    assert reply.status_code == status, reply.text
    if status == 204:
        assert reply.content == b""
        return None
    assert reply.headers["content-type"] == JSON
    return reply.json()


def is_moment(text):
    """The instant a time on the wire means: RFC 3339, in UTC, written with Z."""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", text), text
    return datetime.fromisoformat(text)


def send(client, method, path, body, headers=None, media_type=JSON):
    """A request whose body is given as text or bytes, with a Content-Type unless `media_type` is None."""
    typed = {"Content-Type": media_type} if media_type else {}
    content = body if isinstance(body, bytes) else body.encode()
    return client.request(method, path, content=content, headers={**typed, **(headers or {})})


def get_post(client, post_id, person=None):
    return is_ok(client.get(f"/v2/posts/{post_id}", headers=person.headers if person else {}))


def listing(client, person=None, path="/v2/posts", **parameters):
    """One page of a list."""
    return is_ok(client.get(path, params=parameters, headers=person.headers if person else {}))


def ids(page):
    return [row["id"] for row in page["data"]]


def walk(client, *, path="/v2/posts", backward_from=None, between=None, **parameters):
    """The pages to the end, or from a cursor backward; `between(page)` runs after each but the last."""
    pages, cursor = [], backward_from
    while True:
        page = listing(client, path=path, **parameters, **({"cursor": cursor} if cursor else {}))
        pages.append(page)
        cursor = page["page"]["prev_cursor" if backward_from else "next_cursor"]
        if cursor is None:
            return pages
        assert page["data"], "an empty page that leads on"
        assert len(pages) < 100, "the walk does not end"
        if between is not None:
            between(page)


def rows(pages):
    return [row for page in pages for row in page["data"]]

"""Version 2: paths that are not served, bodies that are too large, and the service's own failures."""

from app.versioning.contract.golden import Request
from contract_tests.golden.ask import FORM, ask, delete, get, patch, post, put
from contract_tests.golden.seed import PASSWORD

_LARGE = '{"title":"t","content":"{repeat:x:1048576}"}'
_LARGE_FORM = "grant_type=password&password={repeat:x:1048576}"
_BODY = {"title": "t", "content": "c"}
_OTHER_METHODS = {
    "/v2/users": "GET",
    "/v2/users/me": "POST",
    "/v2/users/me/password": "GET",
    "/v2/users/1": "DELETE",
    "/v2/auth/token": "GET",
    "/v2/auth/revoke": "DELETE",
    "/v2/posts": "PUT",
    "/v2/posts/1": "POST",
    "/v2/posts/1/vote": "GET",
    "/v2/tags": "OPTIONS",
}
_WRONG = {"grant_type": "password", "username": "ada@example.com", "password": "wrong"}
_RIGHT = {**_WRONG, "password": PASSWORD}
_BOB = {**_RIGHT, "username": "Bob@Example.com"}
_PAIR = {"token:new": "/access_token", "refresh:new": "/refresh_token"}
_CHANGE = {"current_password": "wrong", "new_password": "battery staple"}
_CLIENT = {"id": "new", "name": "New", "contact": "new@example.com"}
_SUNSET = {"sunset": "2028-11-20T00:00:00Z"}


def _operations(given: str) -> dict[str, Request]:
    """Every operation, as it would succeed."""
    change = {"current_password": PASSWORD, "new_password": "battery staple"}
    login = {"grant_type": "password", "username": "ada@example.com", "password": PASSWORD}
    refresh = {"grant_type": "refresh_token", "refresh_token": "x"}
    return {
        "sign up": post("/v2/users", json={"email": "new@example.com", "password": "long enough"}, given=given),
        "look up": get("/v2/users/1", given=given),
        "account": get("/v2/users/me", "ada", given=given),
        "change the account": patch("/v2/users/me", "ada", json={}, given=given),
        "change the password": put("/v2/users/me/password", "ada", json=change, given=given),
        "delete the account": delete("/v2/users/me", "ada", given=given),
        "log in": post("/v2/auth/token", form=login, given=given),
        "refresh": post("/v2/auth/token", form=refresh, given=given),
        "revoke": post("/v2/auth/revoke", form={"token": "x"}, given=given),
        "list": get("/v2/posts", given=given),
        "create": post("/v2/posts", "ada", json=_BODY, given=given),
        "read": get("/v2/posts/1", given=given),
        "replace": put("/v2/posts/1", "ada", json=_BODY, given=given),
        "change": patch("/v2/posts/1", "ada", json={}, given=given),
        "delete": delete("/v2/posts/1", "ada", given=given),
        "vote": put("/v2/posts/1/vote", "ada", json={"value": 1}, given=given),
        "take the vote back": delete("/v2/posts/1/vote", "ada", given=given),
        "tags": get("/v2/tags", given=given),
        "clients": get("/v2/clients", "zoe", given=given),
        "register a client": post("/v2/clients", "zoe", json=_CLIENT, given=given),
        "a client": get("/v2/clients/billing", "zoe", given=given),
        "change a client": patch("/v2/clients/billing", "zoe", json={}, given=given),
        "remove a client": delete("/v2/clients/billing", "zoe", given=given),
        "a consent": get("/v2/clients/billing/consents/v1", "zoe", given=given),
        "consent": put("/v2/clients/billing/consents/v1", "zoe", json=_SUNSET, given=given),
        "readiness": get("/v2/versions/v1/readiness", "zoe", given=given),
    }


SCENARIOS = {
    "unknown-paths": {
        **{path: get(path) for path in ("/v2", "/v2/", "/v2/nope", "/v2/posts/1/nope", "/v2/login", "/v2/POSTS")},
        "another method": post("/v2/nope", json={}),
        "HEAD": ask("HEAD", "/v2/nope"),
        "unicode": get("/v2/%22%3C%C3%A9"),
    },
    "other-methods": {f"{method} {path}": ask(method, path, "ada") for path, method in _OTHER_METHODS.items()},
    "too-large": {
        "sign up": post("/v2/users", text=_LARGE),
        "change the account": patch("/v2/users/me", "ada", text=_LARGE),
        "change the password": put("/v2/users/me/password", "ada", text=_LARGE),
        "log in": post("/v2/auth/token", text=_LARGE_FORM, kind=FORM),
        "revoke": post("/v2/auth/revoke", text=_LARGE_FORM, kind=FORM),
        "create": post("/v2/posts", "ada", text=_LARGE),
        "replace": put("/v2/posts/1", "ada", text=_LARGE),
        "change": patch("/v2/posts/1", "ada", text=_LARGE),
        "vote": put("/v2/posts/1/vote", "ada", text=_LARGE),
    },
    "own-failures": _operations("tables missing"),
    "database-away": _operations("database away"),
    "rate-limited": {
        **_operations("quota used up"),
        "an unknown path": get("/v2/nope", given="quota used up"),
        "a bad token counts for its address": get("/v2/users/me", "expired", given="quota used up"),
        "asking for permission is free": ask("OPTIONS", "/v2/posts", given="quota used up"),
    },
    "guessed-too-often": {
        **{f"a wrong password, {time}": post("/v2/auth/token", form=_WRONG) for time in range(1, 11)},
        "the right one": post("/v2/auth/token", form=_RIGHT),
        "the same in version 1": post("/v1/login", form=_RIGHT),
        "another person's": post("/v2/auth/token", form=_BOB, captures=_PAIR),
        "who is signed in": get("/v2/users/me", "ada"),
        "a second before it ends": post("/v2/auth/token", form=_WRONG, at="2026-03-01T12:00:59Z"),
        "when it has ended": post("/v2/auth/token", form=_RIGHT, captures=_PAIR, at="2026-03-01T12:01:00Z"),
        **{
            f"a wrong current password, {time}": put("/v2/users/me/password", "ada", json=_CHANGE)
            for time in range(1, 12)
        },
    },
}

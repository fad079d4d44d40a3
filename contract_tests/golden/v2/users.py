"""Version 2: accounts and profiles."""

from typing import Any

from contract_tests.golden.ask import ask, delete, get, patch, post, put
from contract_tests.golden.seed import PASSWORD
from contract_tests.golden.values import LAST_ID, LATER, MICROSECONDS, NO_EMAILS, NO_IDS, NO_OBJECTS

_NEW = {"email": "new@example.com", "password": "long enough"}
_CHANGE = {"current_password": PASSWORD, "new_password": "battery staple"}
_MERGE = "application/merge-patch+json"
_PAIR = {"token:other": "/access_token", "refresh:other": "/refresh_token"}


def _account(**fields: Any) -> dict[str, Any]:
    return {**_NEW, **fields}


def _login(password: str) -> dict[str, str]:
    return {"grant_type": "password", "username": "ada@example.com", "password": password}


SCENARIOS = {
    "users-sign-up": {
        "the plainest": post("/v2/users", json=_NEW),
        "with a name": post("/v2/users", json=_account(email="Named@Example.com", display_name="Zoë 🦊")),
        "with a name of null": post("/v2/users", json=_account(email="null@example.com", display_name=None)),
        "with microseconds": post("/v2/users", json=_account(email="micro@example.com"), at=MICROSECONDS),
        "the longest name": post("/v2/users", json=_account(email="n@example.com", display_name="{repeat:ü:100}")),
        "with a charset": post(
            "/v2/users", json=_account(email="c@example.com"), kind="application/json; charset=utf-8"
        ),
        "where Location leads": get("/v2/users/7"),
        "taken": post("/v2/users", json=_NEW),
        "taken, another case": post("/v2/users", json=_account(email="BOB@example.com")),
    },
    "users-sign-up-refused": {
        "nothing given": post("/v2/users", json={}),
        "all null": post("/v2/users", json={"email": None, "password": None}),
        "of other types": post("/v2/users", json={"email": 1, "password": True, "display_name": ["x"]}),
        "unknown members": post("/v2/users", json=_account(id=7, is_admin=True, **{"a b": 1})),
        "password of 7": post("/v2/users", json=_account(password="1234567")),
        "password of 1025": post("/v2/users", json=_account(password="{repeat:x:1025}")),
        "password with NUL": post("/v2/users", json=_account(password="12345678\x00")),
        "password with a lone surrogate": post(
            "/v2/users", text=r'{"email":"a@example.com","password":"long enough\ud800"}'
        ),
        "empty name": post("/v2/users", json=_account(display_name="")),
        "name of 101": post("/v2/users", json=_account(display_name="{repeat:x:101}")),
        **{f"e-mail: {name}": post("/v2/users", json=_account(email=value)) for name, value in NO_EMAILS.items()},
        "no body": post("/v2/users"),
        **{f"body: {name}": post("/v2/users", text=text) for name, text in NO_OBJECTS.items()},
        "as text": post("/v2/users", json=_NEW, kind="text/plain"),
        "of no type": post("/v2/users", json=_NEW, kind=""),
    },
    "users-look-up": {
        **{f"user {number}": get(f"/v2/users/{number}") for number in range(1, 6)},
        "with a bad token": get("/v2/users/1", "expired"),
        "nobody": get("/v2/users/6"),
        "the last id there can be": get(f"/v2/users/{LAST_ID}"),
        "HEAD": ask("HEAD", "/v2/users/1"),
        "trailing slash": get("/v2/users/1/"),
        **{f"id: {name}": get(f"/v2/users/{value}") for name, value in NO_IDS.items()},
    },
    "account": {
        "one's own": get("/v2/users/me", "ada"),
        "without a name": get("/v2/users/me", "bob"),
        "HEAD": ask("HEAD", "/v2/users/me", "ada"),
        "without a token": get("/v2/users/me"),
        "with an expired token": get("/v2/users/me", "expired"),
        "with a token of an ended session": get("/v2/users/me", "ended"),
        "with a token of another service": get("/v2/users/me", "foreign"),
        "change the name": patch("/v2/users/me", "ada", json={"display_name": "Countess"}, at=MICROSECONDS),
        "as merge patch": patch("/v2/users/me", "ada", json={"bio": "é 🦊"}, kind=_MERGE, at=LATER),
        "change nothing": patch("/v2/users/me", "ada", json={}, at="2026-03-01T12:00:10Z"),
        "change to the same": patch("/v2/users/me", "ada", json={"bio": "é 🦊"}, at="2026-03-01T12:00:10Z"),
        "null takes back": patch("/v2/users/me", "ada", json={"display_name": None, "bio": None}),
        "an empty bio": patch("/v2/users/me", "ada", json={"bio": ""}),
        "empty name": patch("/v2/users/me", "ada", json={"display_name": ""}),
        "bio of 2001": patch("/v2/users/me", "ada", json={"bio": "{repeat:x:2001}"}),
        "of other types": patch("/v2/users/me", "ada", json={"display_name": 1, "bio": {}}),
        "unknown member": patch("/v2/users/me", "ada", json={"email": "other@example.com"}),
        "change without a token": patch("/v2/users/me", json={}),
        "change without a body": patch("/v2/users/me", "ada"),
        "change with a list": patch("/v2/users/me", "ada", json=[]),
        "change as text": patch("/v2/users/me", "ada", json={}, kind="text/plain"),
        "change as JSON patch": patch("/v2/users/me", "ada", json=[], kind="application/json-patch+json"),
        "delete without a token": delete("/v2/users/me"),
        "delete": delete("/v2/users/me", "ada"),
        "delete again": delete("/v2/users/me", "ada"),
        "gone": get("/v2/users/1"),
        "gone with the posts": get("/v2/posts?author_id=1"),
        "gone with the votes": get("/v2/posts/5"),
    },
    "password": {
        "wrong current one": put("/v2/users/me/password", "ada", json={**_CHANGE, "current_password": "wrong"}),
        "too short": put("/v2/users/me/password", "ada", json={**_CHANGE, "new_password": "short"}),
        "nothing given": put("/v2/users/me/password", "ada", json={}),
        "unknown member": put("/v2/users/me/password", "ada", json={**_CHANGE, "x": 1}),
        "no body": put("/v2/users/me/password", "ada"),
        "as merge patch": put("/v2/users/me/password", "ada", json=_CHANGE, kind=_MERGE),
        "without a token": put("/v2/users/me/password", json=_CHANGE),
        "with a token of an ended session": put("/v2/users/me/password", "ended", json=_CHANGE),
        "another login": post("/v2/auth/token", form=_login(PASSWORD), captures=_PAIR),
        "changed": put("/v2/users/me/password", "ada", json=_CHANGE),
        "the caller stays in": get("/v2/users/me", "ada"),
        "the other login ends": get("/v2/users/me", "other"),
        "the old one is no good": post("/v2/auth/token", form=_login(PASSWORD)),
        "the new one is": post(
            "/v2/auth/token",
            form=_login("battery staple"),
            captures=_PAIR,
        ),
    },
    "users-conditional": {
        "not modified": get("/v2/users/1", headers={"If-None-Match": '"2"'}),
        "another tag": get("/v2/users/1", headers={"If-None-Match": '"1"'}),
        "the account is not modified": get("/v2/users/me", "ada", headers={"If-None-Match": 'W/"2"'}),
        "changed by another tag": patch("/v2/users/me", "ada", json={"bio": "new"}, headers={"If-Match": '"1"'}),
        "deleted by another tag": delete("/v2/users/me", "ada", headers={"If-Match": '"1"'}),
        "changed": patch("/v2/users/me", "ada", json={"bio": "new"}, headers={"If-Match": '"2"'}),
        "changed again": patch("/v2/users/me", "ada", json={"bio": "new"}, headers={"If-Match": '"2"'}),
        "to the same": patch("/v2/users/me", "ada", json={"bio": "new"}, headers={"If-Match": '"3"'}),
        "the posts name another author": get("/v2/posts/1", headers={"If-None-Match": '"3.2"'}),
        "a new password": put(
            "/v2/users/me/password",
            "ada",
            json={"current_password": PASSWORD, "new_password": "battery staple"},
        ),
        "the account was changed": get("/v2/users/me", "ada", headers={"If-None-Match": '"3"'}),
        "deleted": delete("/v2/users/me", "ada", headers={"If-Match": '"4"'}),
    },
}

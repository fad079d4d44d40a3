"""Version 2: requests that are sent again with an Idempotency-Key."""

from contract_tests.golden.ask import get, post
from contract_tests.golden.seed import PASSWORD

_KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
_BODY = {"title": "t", "content": "c", "tags": ["engines"]}
_NEW = {"email": "new@example.com", "password": "long enough"}
_CLIENT = {"id": "new", "name": "New", "contact": "new@example.com"}
_PAIR = {"token:new": "/access_token", "refresh:new": "/refresh_token"}
_NEXT = {"token:next": "/access_token", "refresh:next": "/refresh_token"}
_LOGIN = {"grant_type": "password", "username": "ada@example.com", "password": PASSWORD}
_REFRESH = {"grant_type": "refresh_token", "refresh_token": "{refresh:new}"}
_WITHIN_A_DAY, _A_DAY_LATER = "2026-03-02T11:59:59Z", "2026-03-02T12:00:00Z"
_NO_KEYS = {
    "empty": "",
    "of quotes alone": '""',
    "with one quote": '"half',
    "two": "a, b",
    "with a space": "a b",
    "beyond ASCII": "ké",
    "of 256": "{repeat:k:256}",
}

SCENARIOS = {
    "idempotency-posts": {
        "written": post("/v2/posts", "ada", json=_BODY, headers=_KEY),
        "sent again": post("/v2/posts", "ada", json=_BODY, headers=_KEY),
        "in quotes": post("/v2/posts", "ada", json=_BODY, headers={"Idempotency-Key": f'"{_KEY["Idempotency-Key"]}"'}),
        "with another body": post("/v2/posts", "ada", json={**_BODY, "title": "u"}, headers=_KEY),
        "with no token": post("/v2/posts", json=_BODY, headers=_KEY),
        "by somebody else": post("/v2/posts", "bob", json=_BODY, headers=_KEY),
        "without a key": post("/v2/posts", "ada", json=_BODY),
        "the longest key": post("/v2/posts", "eve", json=_BODY, headers={"Idempotency-Key": "{repeat:k:255}"}),
        "refused": post("/v2/posts", "bob", json={}, headers={"Idempotency-Key": "second"}),
        "mended": post("/v2/posts", "bob", json=_BODY, headers={"Idempotency-Key": "second"}),
        **{
            f"key: {name}": post("/v2/posts", "ada", json=_BODY, headers={"Idempotency-Key": key})
            for name, key in _NO_KEYS.items()
        },
        "no key, and no body": post("/v2/posts", "ada", headers={"Idempotency-Key": ""}),
    },
    "idempotency-users": {
        "signed up": post("/v2/users", json=_NEW, headers=_KEY),
        "sent again": post("/v2/users", json=_NEW, headers=_KEY),
        "with another password": post("/v2/users", json={**_NEW, "password": "some other"}, headers=_KEY),
        "with another e-mail": post("/v2/users", json={**_NEW, "email": "other@example.com"}, headers=_KEY),
        "within a day": post("/v2/users", json=_NEW, headers=_KEY, at=_WITHIN_A_DAY),
        "a day later it is new": post("/v2/users", json=_NEW, headers=_KEY, at=_A_DAY_LATER),
        "with another key": post("/v2/users", json=_NEW, headers={"Idempotency-Key": "another"}),
        "no key": post("/v2/users", json=_NEW, headers={"Idempotency-Key": ""}),
    },
    "idempotency-clients": {
        "registered": post("/v2/clients", "zoe", json=_CLIENT, headers=_KEY),
        "sent again": post("/v2/clients", "zoe", json=_CLIENT, headers=_KEY),
        "with another body": post("/v2/clients", "zoe", json={**_CLIENT, "id": "newer"}, headers=_KEY),
        "by no administrator": post("/v2/clients", "ada", json=_CLIENT, headers=_KEY),
        "no key": post("/v2/clients", "zoe", json=_CLIENT, headers={"Idempotency-Key": ""}),
    },
    "idempotency-tokens": {
        "password": post("/v2/auth/token", form=_LOGIN, headers=_KEY, captures=_PAIR),
        "sent again": post("/v2/auth/token", form=_LOGIN, headers=_KEY),
        "with a wrong password": post("/v2/auth/token", form={**_LOGIN, "password": "wrong"}, headers=_KEY),
        "refreshed with the same key": post("/v2/auth/token", form=_REFRESH, headers=_KEY),
        "refreshed": post("/v2/auth/token", form=_REFRESH, headers={"Idempotency-Key": "next"}, captures=_NEXT),
        "refreshed again, the reply was lost": post(
            "/v2/auth/token", form=_REFRESH, headers={"Idempotency-Key": "next"}, at="2026-03-01T12:05:00Z"
        ),
        "what the tokens are good for": get("/v2/users/me", "next"),
        "no key": post("/v2/auth/token", form=_LOGIN, headers={"Idempotency-Key": ""}),
        "revoked": post("/v2/auth/revoke", form={"token": "{token:next}"}, headers=_KEY),
        "revoked again": post("/v2/auth/revoke", form={"token": "{token:next}"}, headers=_KEY),
        "another token": post("/v2/auth/revoke", form={"token": "{token:ada}"}, headers=_KEY),
        "refreshed once more": post("/v2/auth/token", form=_REFRESH, headers={"Idempotency-Key": "next"}),
    },
}

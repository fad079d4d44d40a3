"""Version 1: signing up and looking people up."""

from contract_tests.golden.ask import ask, get, post
from contract_tests.golden.values import LAST_ID, LATER, MICROSECONDS, MILLISECONDS, NO_EMAILS, NO_IDS, NO_OBJECTS

_NEW = {"email": "new@example.com", "password": "x"}


def _sign_up(**fields: object) -> dict[str, object]:
    return {**_NEW, **fields}


SCENARIOS = {
    "users-sign-up": {
        "the plainest": post("/v1/users", json=_NEW),
        "as typed": post("/v1/users", json={"email": "New.One+tag@Sub.Example.COM", "password": "correct horse"}),
        "with microseconds": post("/v1/users", json=_sign_up(email="micro@example.com"), at=MICROSECONDS),
        "with milliseconds": post("/v1/users", json=_sign_up(email="milli@example.com"), at=MILLISECONDS),
        "at the last moment of a year": post(
            "/v1/users", json=_sign_up(email="eve@example.com"), at="2026-12-31T23:59:59.999999Z"
        ),
        "trailing slash": post("/v1/users/", json=_sign_up(email="slash@example.com")),
        "ignored members": post(
            "/v1/users",
            json=_sign_up(
                email="more@example.com", id=77, created_at="2001-01-01T00:00:00Z", is_admin=True, display_name="X"
            ),
        ),
        "members in another order": post("/v1/users", json={"password": "x", "email": "order@example.com"}),
        "a member twice": post("/v1/users", text='{"email":"no","email":"twice@example.com","password":"x"}'),
        "unicode in the password": post("/v1/users", json=_sign_up(email="uni@example.com", password="пароль 🔑")),
        "the longest password": post("/v1/users", json=_sign_up(email="long@example.com", password="{repeat:x:1024}")),
        "the longest e-mail": post(
            "/v1/users", json=_sign_up(email="{repeat:x:64}@{repeat:y:60}.{repeat:z:60}.example.com")
        ),
        "with a charset": post(
            "/v1/users", json=_sign_up(email="cs@example.com"), kind="application/json; charset=utf-8"
        ),
        "as +json": post("/v1/users", json=_sign_up(email="plus@example.com"), kind="application/vnd.api+json"),
        "with a token": post("/v1/users", "ada", json=_sign_up(email="token@example.com")),
        "with a bad token": post("/v1/users", "expired", json=_sign_up(email="bad-token@example.com")),
        "the first is there": get("/v1/users/6"),
        "the one with microseconds is there": get("/v1/users/8", at=LATER),
        "taken": post("/v1/users", json=_NEW),
        "taken, another case": post("/v1/users", json=_sign_up(email="NEW@EXAMPLE.COM")),
        "taken in the seed": post("/v1/users", json=_sign_up(email="bob@example.com")),
        "taken, trailing slash": post("/v1/users/", json=_NEW),
    },
    "users-sign-up-refused": {
        "nothing given": post("/v1/users", json={}),
        "no e-mail": post("/v1/users", json={"password": "x"}),
        "no password": post("/v1/users", json={"email": "new@example.com"}),
        "all null": post("/v1/users", json={"email": None, "password": None}),
        "of other types": post("/v1/users", json={"email": ["x"], "password": {"a": 1}}),
        "numbers and flags": post("/v1/users", json={"email": 1, "password": True}),
        "empty password": post("/v1/users", json=_sign_up(password="")),
        "password of 1025": post("/v1/users", json=_sign_up(password="{repeat:x:1025}")),
        "password with NUL": post("/v1/users", json=_sign_up(password="a\x00b")),
        "password with a lone surrogate": post("/v1/users", text=r'{"email":"new@example.com","password":"a\ud800"}'),
        "e-mail too long": post("/v1/users", json=_sign_up(email="{repeat:x:243}@example.com")),
        **{f"e-mail: {name}": post("/v1/users", json=_sign_up(email=value)) for name, value in NO_EMAILS.items()},
        "no body": post("/v1/users"),
        **{f"body: {name}": post("/v1/users", text=text) for name, text in NO_OBJECTS.items()},
        "as text": post("/v1/users", json=_NEW, kind="text/plain"),
        "as a form": post("/v1/users", form={"email": "new@example.com", "password": "x"}),
        "nobody was signed up": get("/v1/users/6"),
    },
    "users-look-up": {
        **{f"user {number}": get(f"/v1/users/{number}") for number in range(1, 6)},
        "trailing slash": get("/v1/users/1/"),
        "with a token": get("/v1/users/2", "ada"),
        "with a bad token": get("/v1/users/2", "expired"),
        "ignored parameter": get("/v1/users/1?fields=email"),
        "leading zeros": get("/v1/users/0001"),
        "nobody": get("/v1/users/6"),
        "nobody, trailing slash": get("/v1/users/6/"),
        "the last id there can be": get(f"/v1/users/{LAST_ID}"),
        "HEAD": ask("HEAD", "/v1/users/1"),
        "HEAD of nobody": ask("HEAD", "/v1/users/6"),
        "well-formed request id": get("/v1/users/1", headers={"X-Request-ID": "client.id-7_A"}),
        **{f"id: {name}": get(f"/v1/users/{value}") for name, value in NO_IDS.items()},
    },
    "users-conditional": {
        "not modified": get("/v1/users/1", headers={"If-None-Match": '"2"'}),
        "another tag": get("/v1/users/1", headers={"If-None-Match": '"1"'}),
        "a name is chosen in version 2": ask("PATCH", "/v2/users/me", "ada", json={"display_name": "Augusta"}),
        "modified": get("/v1/users/1", headers={"If-None-Match": '"2"'}),
    },
}

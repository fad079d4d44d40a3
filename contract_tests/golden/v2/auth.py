"""Version 2: tokens as OAuth 2.0 has them."""

from contract_tests.golden.ask import FORM, get, post
from contract_tests.golden.seed import PASSWORD

_PAIR = {"token:new": "/access_token", "refresh:new": "/refresh_token"}
_NEXT = {"token:next": "/access_token", "refresh:next": "/refresh_token"}
_ADA = {"grant_type": "password", "username": "ada@example.com", "password": PASSWORD}
_REFRESH = {"grant_type": "refresh_token", "refresh_token": "{refresh:new}"}
_REFRESH_NEXT = {"grant_type": "refresh_token", "refresh_token": "{refresh:next}"}
_REFUSED = {
    "empty": "",
    "no grant_type": "username=a&password=b",
    "grant_type empty": "grant_type=&username=a&password=b",
    "no password": "grant_type=password&username=a",
    "no username": "grant_type=password&password=b",
    "both empty": "grant_type=password&username=&password=",
    "no refresh_token": "grant_type=refresh_token",
    "grant_type twice": "grant_type=password&grant_type=password&username=a&password=b",
    "NUL": "grant_type=password&username=%00&password=b",
    "password of 1025": "grant_type=password&username=a&password={repeat:9:1025}",
    "password of 1024": "grant_type=password&username=a&password={repeat:9:1024}",
    "unknown e-mail": "grant_type=password&username=nobody@example.com&password=b",
    "wrong password": "grant_type=password&username=ada@example.com&password=b",
    "an account without a password": "grant_type=password&username=imported@example.com&password=b",
    "no text": "grant_type=password&username=%FF&password=%FF",
    "unknown refresh_token": "grant_type=refresh_token&refresh_token=garbage",
    "an access token to refresh": "grant_type=refresh_token&refresh_token={token:ada}",
    "another grant": "grant_type=client_credentials",
    "a grant in another case": "grant_type=PASSWORD&username=a&password=b",
}


def _revoke(token: str, **more: str) -> dict[str, str]:
    return {"token": token, **more}


SCENARIOS = {
    "token": {
        "password": post("/v2/auth/token", form=_ADA, captures=_PAIR),
        "e-mail in another case": post("/v2/auth/token", form={**_ADA, "username": "ADA@Example.com"}, captures=_NEXT),
        "client_id and unknown fields": post(
            "/v2/auth/token", form={**_ADA, "client_id": "cli", "scope": "a b", "x": "y"}, captures=_NEXT
        ),
        "what it is good for": get("/v2/users/me", "new"),
        "when it has expired": get("/v2/users/me", "new", at="2026-03-01T12:30:00Z"),
        "refresh": post("/v2/auth/token", form=_REFRESH, captures=_NEXT, at="2026-03-01T12:31:00Z"),
        "what the next is good for": get("/v2/users/me", "next", at="2026-03-01T12:31:00Z"),
        "the same again at once": post("/v2/auth/token", form=_REFRESH, at="2026-03-01T12:31:05Z"),
        "the session lives on": get("/v2/users/me", "next", at="2026-03-01T12:31:10Z"),
        "the same again later": post("/v2/auth/token", form=_REFRESH, at="2026-03-01T12:31:11Z"),
        "the session has ended": get("/v2/users/me", "next", at="2026-03-01T12:31:11Z"),
        "and so has what would refresh it": post("/v2/auth/token", form=_REFRESH_NEXT, at="2026-03-01T12:31:11Z"),
    },
    "token-expiry": {
        "password": post("/v2/auth/token", form=_ADA, captures=_PAIR),
        "refresh on the last day": post("/v2/auth/token", form=_REFRESH, captures=_NEXT, at="2026-03-31T12:00:00Z"),
        "refresh a month and more later": post("/v2/auth/token", form=_REFRESH_NEXT, at="2026-04-30T12:00:01Z"),
    },
    "token-refused": {
        **{name: post("/v2/auth/token", text=text, kind=FORM) for name, text in _REFUSED.items()},
        "as JSON": post("/v2/auth/token", json=_ADA),
        "of 5,000 fields": post("/v2/auth/token", text="{repeat:k=v&:5000}", kind=FORM),
        "as text": post("/v2/auth/token", text="grant_type=password", kind="text/plain"),
        "no body": post("/v2/auth/token"),
    },
    "revoke": {
        "a login": post("/v2/auth/token", form=_ADA, captures=_PAIR),
        "another": post("/v2/auth/token", form=_ADA, captures=_NEXT),
        "an access token": post("/v2/auth/revoke", form=_revoke("{token:new}")),
        "it is no good": get("/v2/users/me", "new"),
        "nor is what would refresh it": post("/v2/auth/token", form=_REFRESH),
        "the other is": get("/v2/users/me", "next"),
        "again": post("/v2/auth/revoke", form=_revoke("{token:new}", token_type_hint="access_token")),
        "a refresh token": post("/v2/auth/revoke", form=_revoke("{refresh:next}", token_type_hint="refresh_token")),
        "the other is no good either": get("/v2/users/me", "next"),
        "an unknown one": post("/v2/auth/revoke", form=_revoke("unknown")),
        "none": post("/v2/auth/revoke", form={}),
        "empty": post("/v2/auth/revoke", form=_revoke("")),
        "two": post("/v2/auth/revoke", text="token=a&token=b", kind=FORM),
        "of 5,000 fields": post("/v2/auth/revoke", text="{repeat:k=v&:5000}", kind=FORM),
        "as JSON": post("/v2/auth/revoke", json=_revoke("x")),
    },
}

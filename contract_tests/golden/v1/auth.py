"""Version 1: logging in, and who is let through."""

from contract_tests.golden.ask import FORM, get, post
from contract_tests.golden.seed import PASSWORD
from contract_tests.golden.v1.common import WITH_TOKEN, operations

_TOKEN = {"token:new": "/access_token"}
_ADA = {"username": "ada@example.com", "password": PASSWORD}


def _log_in(**fields: str) -> dict[str, str]:
    return {**_ADA, **fields}


SCENARIOS = {
    "login": {
        "the plainest": post("/v1/login", form=_ADA, captures=_TOKEN),
        "what it is good for": get("/v1/posts?limit=1", "new"),
        "just before it expires": get("/v1/posts?limit=1", "new", at="2026-03-01T12:29:59Z"),
        "when it has expired": get("/v1/posts?limit=1", "new", at="2026-03-01T12:30:00Z"),
        "e-mail in another case": post("/v1/login", form=_log_in(username="ADA@Example.com"), captures=_TOKEN),
        "e-mail that was typed in another case": post(
            "/v1/login", form=_log_in(username="bob@example.com"), captures=_TOKEN
        ),
        "trailing slash": post("/v1/login/", form=_ADA, captures=_TOKEN),
        "with grant_type": post("/v1/login", form=_log_in(grant_type="password"), captures=_TOKEN),
        "with an empty grant_type": post("/v1/login", form=_log_in(grant_type=""), captures=_TOKEN),
        "with client_id": post("/v1/login", form=_log_in(client_id="cli", client_secret="s"), captures=_TOKEN),
        "with scope and more": post("/v1/login", form=_log_in(scope="a b", unknown="x"), captures=_TOKEN),
        "with microseconds on the clock": post(
            "/v1/login", form=_ADA, at="2026-03-01T12:00:00.999999Z", captures=_TOKEN
        ),
        "with a bad token": post("/v1/login", "expired", form=_ADA, captures=_TOKEN),
    },
    "login-refused": {
        "wrong password": post("/v1/login", form=_log_in(password="wrong")),
        "password in another case": post("/v1/login", form=_log_in(password=PASSWORD.upper())),
        "unknown e-mail": post("/v1/login", form=_log_in(username="nobody@example.com")),
        "no e-mail at all": post("/v1/login", form=_log_in(username="ada")),
        "an account without a password": post("/v1/login", form=_log_in(username="imported@example.com")),
        "wrong password, trailing slash": post("/v1/login/", form=_log_in(password="wrong")),
        "bytes that are no text": post("/v1/login", text="username=%FF&password=%FF", kind=FORM),
        "no body": post("/v1/login"),
        "no username": post("/v1/login", form={"password": "x"}),
        "no password": post("/v1/login", form={"username": "x"}),
        "both empty": post("/v1/login", form={"username": "", "password": ""}),
        "as JSON": post("/v1/login", json=_ADA),
        "in the URL": post("/v1/login?username=ada@example.com&password=correct+horse"),
        "another grant_type": post("/v1/login", form=_log_in(grant_type="refresh_token")),
        "password of 1025": post("/v1/login", form=_log_in(password="{repeat:x:1025}")),
        "password of 1024": post("/v1/login", form=_log_in(password="{repeat:x:1024}")),
        "NUL in username": post("/v1/login", form=_log_in(username="a\x00")),
        "NUL in password": post("/v1/login", form=_log_in(password="a\x00")),
        "NUL in client_id": post("/v1/login", form=_log_in(client_id="a\x00")),
        "all wrong at once": post("/v1/login", form={"username": "\x00", "password": "\x00", "grant_type": "x"}),
        "of 5,000 fields": post("/v1/login", text="{repeat:k=v&:5000}", kind=FORM),
        "unframed multipart": post("/v1/login", text="username=a", kind="multipart/form-data"),
    },
    # Whoever is nobody is not told what there is.
    "no-token-and-no-post": operations("ended", "999"),
    "no-token": {
        **{f"{name}: none": request for name, request in operations("", "1").items()},
        **{f"{name}: expired": request for name, request in operations("expired", "1").items()},
        **{f"{name}: of an ended session": request for name, request in operations("ended", "1").items()},
        **{f"{name}: of another service": request for name, request in operations("foreign", "1").items()},
        **{
            f"Authorization: {name}": get("/v1/posts", headers={"Authorization": value})
            for name, value in {
                "the scheme alone": "Bearer",
                "no token of ours": "Bearer a.b.c",
                "two words": "Bearer a b",
                "Basic": "Basic YTpi",
                "a word": "x",
                "empty": "",
                "5,000 characters": "Bearer {repeat:A:5000}",
                "not ASCII": "Bearer \udcff",
                "cut": "{token:ada}",
                "lengthened": "Bearer {token:ada}x",
            }.items()
        },
        "in the query": get("/v1/posts?access_token={token:ada}"),
        "lower case scheme": get("/v1/posts?limit=0", headers={"Authorization": "bearer {token:ada}"}),
        "before 404": get("/v1/posts/999"),
        "before 422 of the path": get("/v1/posts/abc"),
        "before 422 of the query": get("/v1/posts?limit=x"),
        "before 422 of the body": post("/v1/posts", json={}),
        "trailing slash": get("/v1/posts/"),
        "nothing was done": get("/v1/posts?limit=2", WITH_TOKEN),
    },
}

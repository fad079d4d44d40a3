"""What a conformance run must be told of this API; everything else it reads from the documents.

Whoever builds another API on this platform changes this module, and no other that runs Schemathesis.
"""

from collections.abc import Callable, Mapping
from typing import Any

from contract_tests.golden.seed import PASSWORD, app_for

__all__ = ["ADMINISTRATORS_ONLY", "NEVER_SHOWN", "OPEN_TO_ALL", "account", "app_for", "private"]

# Operations of any version that write below somebody else's resource, and may: what they change is the caller's own.
OPEN_TO_ALL = frozenset({"PUT /posts/{post_id}/vote", "DELETE /posts/{post_id}/vote"})
# Operations of any version that must refuse everybody in a run: the accounts that it makes are no administrators'.
ADMINISTRATORS_ONLY = frozenset(
    {
        "GET /clients",
        "POST /clients",
        "GET /clients/{client_id}",
        "PATCH /clients/{client_id}",
        "DELETE /clients/{client_id}",
        "PUT /clients/{client_id}/consents/{version}",
        "GET /clients/{client_id}/consents/{version}",
        "GET /versions/{version}/readiness",
    }
)
# The beginnings of the hashes that are stored, and of what is written of an error for its programmers.
NEVER_SHOWN = (b"$bcrypt", b"$2b$", b"Traceback (most recent", b"sqlalchemy.exc", b"psycopg2.")


def account(ask: Callable[..., Any], email: str) -> dict[str, str] | None:
    """Sign somebody up, with something of their own to find; gives the headers that say who calls.

    `ask(method, path, …)` sends a request as `requests` does. None if the name is taken.
    """
    signed_up = ask("POST", "/v2/users", json={"email": email, "password": PASSWORD})
    if signed_up.status_code == 409:
        return None
    signed_up.raise_for_status()
    form = {"grant_type": "password", "username": email, "password": PASSWORD}
    login = ask("POST", "/v2/auth/token", data=form)
    login.raise_for_status()
    headers = {"Authorization": f"Bearer {login.json()['access_token']}"}
    for published in (True, False):
        body = {"title": "a title", "content": "some content", "published": published, "tags": ["a-tag"]}
        ask("POST", "/v2/posts", json=body, headers=headers).raise_for_status()
    return headers


def private(shown: Mapping[str, Any]) -> Any:
    """The identity of an object in a reply, if only its owner may see it; else None."""
    return shown.get("id") if shown.get("published") is False else None

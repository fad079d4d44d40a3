"""Loaded by Schemathesis: who it calls the service as.

A new account every few seconds, with something of its own to find: the operations under test also delete accounts
and change passwords, and must not leave the rest of the run with a dead token.
"""

import os
import uuid
from typing import Any

import httpx2
import schemathesis

BASE_URL = os.environ["TANDEM_URL"]
PASSWORD = "correct horse"


@schemathesis.auth(refresh_interval=2)
class FreshAccount:
    def get(self, _case: Any, _context: Any) -> str:
        """The access token of an account made for the purpose."""
        with httpx2.Client(base_url=BASE_URL) as client:
            email = f"{uuid.uuid4().hex}@example.com"
            client.post("/v2/users", json={"email": email, "password": PASSWORD}).raise_for_status()
            form = {"grant_type": "password", "username": email, "password": PASSWORD}
            token = str(client.post("/v2/auth/token", data=form).raise_for_status().json()["access_token"])
            for published in (True, False):
                body = {"title": "a title", "content": "some content", "published": published, "tags": ["a-tag"]}
                client.post("/v2/posts", json=body, headers=_bearer(token)).raise_for_status()
            return token

    def set(self, case: Any, data: str, _context: Any) -> None:
        case.headers.update(_bearer(data))


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}

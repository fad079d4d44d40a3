"""Single requests: for preparing, and for comparing replies."""

import http.client
import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

from benchmarks.database import PASSWORD
from benchmarks.servers import Server

FORM = "application/x-www-form-urlencoded"


class Reply(NamedTuple):
    """A whole reply. `headers` are by lower-case name; `body` is what the JSON says, or bytes."""

    status: int
    headers: Mapping[str, str]
    body: Any


def ask(server: Server, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Reply:
    """Send one request over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request(method, path, body or None, dict(headers))
        reply = connection.getresponse()
        text = reply.read()
        try:
            content = json.loads(text)
        except ValueError:
            content = text
        return Reply(reply.status, {name.lower(): value for name, value in reply.getheaders()}, content)
    finally:
        connection.close()


def post(server: Server, path: str, body: bytes, media_type: str, token: str | None = None) -> Any:
    """The body of the reply to a POST, which must succeed."""
    headers = {"Content-Type": media_type} | ({"Authorization": f"Bearer {token}"} if token else {})
    reply = ask(server, "POST", path, headers, body)
    if reply.status >= 400:
        raise RuntimeError(f"{path}: {reply}")
    return reply.body


def log_in(server: Server, email: str) -> str:
    """An access token."""
    form = urlencode({"grant_type": "password", "username": email, "password": PASSWORD}).encode()
    return str(post(server, "/v2/auth/token", form, FORM)["access_token"])

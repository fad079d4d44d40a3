"""Requests of the scenarios, in a line each."""

import json as json_
from typing import Any
from urllib.parse import quote

from app.versioning.contract.golden import Request

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
NOTHING = object()


def ask(
    method: str,
    path: str,
    by: str = "",
    *,
    json: Any = NOTHING,
    text: str | bytes = "",
    form: dict[str, str] | None = None,
    kind: str | None = None,
    headers: dict[str, str] | None = None,
    at: str = "",
    given: str = "",
    captures: dict[str, str] | None = None,
) -> Request:
    """A request `by` somebody of the seed ("" is nobody).

    Its body is `json` (written compactly), a `form`, or `text` as it is; `kind` is its Content-Type where that is not
    the usual one, and "" for none.
    """
    sent = {"Authorization": f"Bearer {{token:{by}}}"} if by else {}
    body = text.decode("utf-8", "surrogateescape") if isinstance(text, bytes) else text
    if json is not NOTHING:
        body = json_.dumps(json, ensure_ascii=False, separators=(",", ":"))
    if form is not None:
        body = "&".join(f"{name}={quote(value, safe='{}:@')}" for name, value in form.items())
    usual = FORM if form is not None else JSON if body else ""
    if kind := usual if kind is None else kind:
        sent["Content-Type"] = kind
    return Request(method, path, {**sent, **(headers or {})}, body, at, given, captures or {})


def get(path: str, by: str = "", **more: Any) -> Request:
    return ask("GET", path, by, **more)


def post(path: str, by: str = "", **more: Any) -> Request:
    return ask("POST", path, by, **more)


def put(path: str, by: str = "", **more: Any) -> Request:
    return ask("PUT", path, by, **more)


def patch(path: str, by: str = "", **more: Any) -> Request:
    return ask("PATCH", path, by, **more)


def delete(path: str, by: str = "", **more: Any) -> Request:
    return ask("DELETE", path, by, **more)

"""Loaded by Schemathesis: whom it calls the service as, and what one of them must not get of the other's.

CONFORMANCE_TARGET is the URL of a running server, or that of a database: then the service runs in this process.
CONFORMANCE_SECONDS is empty for a run that must have come to everything at its end.
"""

import os
import re
from collections.abc import Iterator
from itertools import count
from typing import Any
from urllib.parse import urljoin
from uuid import uuid4

import requests
import schemathesis
from schemathesis.auths import AuthContext, CachingAuthProvider
from schemathesis.openapi.checks import ObjectLevelAuthorizationViolation
from schemathesis.python import asgi
from schemathesis.wfc.escalation import EscalatingAuthProvider

from app.api import VERSIONS
from app.api.idempotency import MAXIMUM_LENGTH, PATTERN
from contract_tests import seeds

TARGET = os.environ["CONFORMANCE_TARGET"]
APP: Any = None if TARGET.startswith("http") else seeds.app_for(TARGET)
OWNER, PEER = "owner", "peer"
FOREVER = 10**9
WRITES = ("PUT", "PATCH", "POST", "DELETE")


class Account:
    """Somebody with an account: the same one until a reply is 401, for operations under test also delete accounts.

    A new one is decided by a reply and not by the clock, so that a run can be repeated.
    """

    def __init__(self, name: str) -> None:
        self._emails = (f"{name}-{number}@example.com" for number in count())

    def get(self, _case: Any, _context: Any) -> dict[str, str]:
        return next(headers for email in self._emails if (headers := seeds.account(_ask, email)))

    def set(self, case: Any, data: dict[str, str], _context: Any) -> None:
        case.headers.update(data)


def _ask(method: str, path: str, **more: Any) -> requests.Response:
    if APP is None:
        return requests.request(method, urljoin(TARGET, path), timeout=30, **more)
    with asgi.get_client(APP) as client:
        return client.request(method, path, **more)


PEOPLE: dict[str, CachingAuthProvider[Any]] = {
    name: CachingAuthProvider(Account(name), refresh_interval=FOREVER) for name in (OWNER, PEER)
}


@schemathesis.hook
def before_load_schema(_context: Any, document: dict[str, Any]) -> None:
    """Say how OAuth tokens are sent (RFC 6750): Schemathesis leaves schemes of type oauth2 out of `ignored_auth`."""
    schemes = document.get("components", {}).get("securitySchemes", {})
    for name, scheme in schemes.items():
        if scheme["type"] == "oauth2":
            schemes[name] = {"type": "http", "scheme": "bearer"}


@schemathesis.hook
def after_load_schema(_context: Any, schema: Any) -> None:
    """Reach the service in this process, if so wanted, and call it as the owner; the peer is for checks.

    What `[auth.wfc]` with `peers` sets up for accounts that nothing deletes.
    """
    schema.app = APP
    names = list(PEOPLE)
    people = EscalatingAuthProvider(list(PEOPLE.values()), names, peers=tuple(names), pinned=OWNER)
    schema.auth.providers.append(people)


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: dict[str, Any]) -> None:
    """Leave out what a form cannot say: null, which would become a text, and nothing, which is absent (RFC 6749, 3.2).

    The case is then judged by what is sent: without a required member, it is to be refused. And no request takes the
    Idempotency-Key of another one, which would be refused, or answered with what has been deleted since.
    """
    key = str((case.headers or {}).get("Idempotency-Key", ""))
    if len(key) <= MAXIMUM_LENGTH and re.fullmatch(PATTERN, key):
        case.headers["Idempotency-Key"] = str(uuid4())
    if case.media_type == "application/x-www-form-urlencoded" and isinstance(case.body, dict):
        case.body = {name: value for name, value in case.body.items() if value not in (None, "")}


@schemathesis.hook
def filter_failure(_context: Any, failure: Any, _case: Any, response: Any) -> bool:
    """What is not private is nobody's secret: `object_level_authorization` knows it only of lists of one shape."""
    return not isinstance(failure, ObjectLevelAuthorizationViolation) or bool(_private(response))


@schemathesis.check
def nothing_of_the_inside(_ctx: Any, response: Any, _case: Any) -> None:
    """No reply holds the hash of a password, or what only a program's own errors say."""
    told = [text for text in seeds.NEVER_SHOWN if text in response.content]
    assert not told, f"a reply tells {told}"


@schemathesis.check
class owner_only:  # noqa: N801 - its name is listed among those of the other checks
    """What is private is shown to its owner alone, and what only its owner may write is written by nobody else.

    Whenever the owner was shown something private, a peer and a nobody ask the same: neither may see it. Whenever the
    owner has written, a peer asks the same, and what else can be asked there without a body: 403 or 404. What is for
    administrators is refused to them all.
    """

    def __init__(self) -> None:
        self.tried: set[Any] = set()  # requests that need not be made again
        self.writes: set[str] = set()
        self.refused: set[str] = set()
        self.hidden = False

    def after_response(self, _ctx: Any, response: Any, case: Any) -> None:
        operation = case.operation
        if _name(operation) in seeds.ADMINISTRATORS_ONLY:
            asked = case.method.upper() == operation.method.upper()  # and not whether the path takes other methods
            assert not asked or response.status_code >= 400, f"{operation.label}: nobody here is an administrator"
            return
        if _is_write(operation):
            self.writes.add(operation.label)
        if case.auth_identity != OWNER or not 200 <= response.status_code < 300:
            return
        if case.method == "GET":
            self._nobody_else_sees(case, _private(response))
        elif _is_write(operation) and case.method != "DELETE":
            self._nobody_else_writes(case)

    def after_run(self, _ctx: Any) -> None:
        if os.environ["CONFORMANCE_SECONDS"]:
            return
        assert self.writes == self.refused, f"not tried as somebody else: {sorted(self.writes - self.refused)}"
        assert self.hidden, "nothing private was ever read, so nothing shows that it is private"

    def _nobody_else_sees(self, case: Any, private: frozenset[Any]) -> None:
        request = (case.operation.label, private)
        if not private or request in self.tried:
            return
        for name in (PEER, "nobody"):
            leaked = private & _private(_again(case, name))
            assert not leaked, f"{name} is shown what is private to somebody else: {sorted(leaked)}"
        self.tried.add(request)
        self.hidden = True

    def _nobody_else_writes(self, case: Any) -> None:
        request = (case.operation.label, str(case.path_parameters))
        if request in self.tried:
            return
        siblings = (each for each in case.operation.schema[case.operation.path].values() if not each.body)
        cases = [case, *(each.Case(path_parameters=case.path_parameters) for each in siblings if _is_write(each))]
        for each in cases:
            status = _again(each, PEER).status_code
            label = each.operation.label
            assert status in (403, 404), f"{status} for {label} by somebody whose it is not; expected 403 or 404"
            self.refused.add(label)
        self.tried.add(request)


def _name(operation: Any) -> str:
    """What the operation is called in every version: "GET /things/{id}"."""
    prefix = next(version.prefix for version in VERSIONS if version.owns(operation.path))
    return f"{operation.method.upper()} {operation.path.removeprefix(prefix)}"


def _is_write(operation: Any) -> bool:
    """Whether it changes a resource that has an owner."""
    open_to_all = _name(operation) in seeds.OPEN_TO_ALL
    protected = bool(operation.path_parameters) and bool(operation.definition.raw.get("security"))
    return operation.method.upper() in WRITES and protected and not open_to_all


def _again(case: Any, name: str) -> Any:
    """The reply to the same request by the peer, or by nobody."""
    headers = {key: value for key, value in case.headers.items() if key.lower() != "authorization"}
    if name == PEER:
        headers |= PEOPLE[PEER].get(case, AuthContext(case.operation, APP)) or {}
    parts = {"path_parameters": case.path_parameters, "query": case.query, "cookies": case.cookies}
    again = case.operation.Case(**parts, headers=headers, body=case.body, media_type=case.media_type)
    return again.call()


def _private(response: Any) -> frozenset[Any]:
    """What is private of a reply."""
    try:
        return frozenset(_identities(response.json()))
    except ValueError:
        return frozenset()


def _identities(shown: Any) -> Iterator[Any]:
    if isinstance(shown, dict):
        if (identity := seeds.private(shown)) is not None:
            yield identity
        shown = list(shown.values())
    if isinstance(shown, list):
        for inner in shown:
            yield from _identities(inner)

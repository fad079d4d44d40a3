"""The one content of the database that every scenario begins with, and what else the recordings take for granted.

Whoever builds another API on this platform changes this module and the scenarios beside it, and nothing else.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
import time_machine
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response
from structlog.testing import capture_logs

from app.adoption import clients
from app.api.services import Services
from app.db import Connection, Database
from app.domain import posts, sessions, users, votes
from app.domain.models import metadata
from app.domain.tokens import AccessTokens
from app.main import create_app
from app.settings import Settings
from tests.conftest import SECRET, empty

# The moment of every request that names no other.
NOW = "2026-03-01T12:00:00Z"
PASSWORD = "correct horse"
# What a client may rely on. Date, Server-Timing and Content-Length are left out: they differ from run to run, or
# follow from the body.
HEADERS = (
    *("allow", "cache-control", "connection", "content-encoding", "content-type", "etag", "link", "location"),
    *("idempotent-replayed", "pragma", "retry-after", "vary", "www-authenticate", "x-request-id"),
    *("api-version", "brownout", "deprecation", "sunset"),
    *("ratelimit", "ratelimit-policy", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"),
    *("content-security-policy", "referrer-policy", "x-content-type-options", "x-frame-options"),
)
# Sent with every request that says nothing else of them.
USUAL_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "golden", "X-Request-ID": "golden"}
# What the random parts of replies look like: these are opaque to clients, but not of any form.
SHAPES = {
    "token": r"eyJhbGciOiJIUzI1NiIsImtpZCI6I[A-Za-z0-9_-]{45}\.eyJpc3MiOi[A-Za-z0-9_-]{150,250}\.[A-Za-z0-9_-]{43}",
    "refresh": r"[A-Za-z0-9_-]{43}",
    "cursor": r"[A-Za-z0-9_-]{40,2000}",
}

_LONG_AGO, _LIFETIME = "2026-01-31T12:00:00Z", timedelta(days=365)
# e-mail, name, bio, since when. Times without and with microseconds, and at the last one of a month.
_PEOPLE = [
    ("ada@example.com", "Ada", "I write notes.", _LONG_AGO),
    ("Bob@Example.com", None, None, "2026-01-31T12:00:00.000001Z"),
    ("eve+posts@sub.example.com", "Eve", None, "2026-01-31T12:00:00.500000Z"),
    ("zoe@example.com", "Zoë 🦊", 'Ünï \u2028 "quoted" \\ </script>', "2026-02-28T23:59:59.999999Z"),
    ("imported@example.com", None, None, "2026-02-01T00:00:00Z"),
]
_ADMINISTRATOR = "zoe@example.com"
_WITHOUT_PASSWORD = {"imported@example.com"}
# owner, title, content, published, tags, when
_POSTS = [
    (1, "On Engines", "Notes.", True, ["engines", "notes"], "2026-02-01T08:00:00Z"),
    (1, "A draft of Ada's", "Not yet.", False, ["secret"], "2026-02-02T08:00:00.120000Z"),
    (2, "Größe: 🚀 你好 العربية e\u0301", 'Line one\nline two\ttab "quoted" \\ /', True, [], "2026-02-03T08:00:00Z"),
    (2, "100% of_it", "Percent and underscore.", True, ["notes"], "2026-02-03T08:00:00Z"),
    (3, "A disputed one", "Up and down.", True, ["a-tag", "zoo", "engines"], "2026-02-04T00:00:00.000001Z"),
    (4, "", "", True, [], "2026-02-05T23:59:59.999999Z"),  # as version 1 lets it in
    (4, "t" * 301, "Longer than version 2 would take.", True, [], "2026-02-06T08:00:00Z"),
    (2, "A draft of Bob's", "Hidden.", False, ["secret"], "2026-02-07T08:00:00Z"),
    (3, "ENGINES, again", "\u0001\u007f\u00a0\ufeff\U0010ffff", True, ["engines"], "2026-02-08T08:00:00Z"),
    *((1, f"Letter {n}", f"Content {n}.", True, ["letters"], f"2026-02-1{n}T08:00:00Z") for n in range(5)),
]
# id, name, the version it is pinned to, its owner
_CLIENTS = [
    ("billing", "Billing", "v1", None),
    ("mobile", "The mobile app", "v2", 2),
    ("reports", "Reports", None, 1),
    ("sync.nightly_1", "Sync", None, 1),
]
_VOTES = [(2, 1, 1), (3, 1, 1), (1, 5, -1), (4, 5, -1), (2, 5, 1), (3, 3, 1), (4, 3, -1), (1, 9, 1), (2, 2 + 7, 1)]


def app_for(database_url: str, **changes: Any) -> FastAPI:
    """The application as recorded: every setting has its default but the ones no test could run with, and `changes`.

    Whatever the environment says, and `.env`: what is recorded must not depend on who asks.
    """
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    own = {
        "database_url": database_url,
        "secret_key": SECRET,
        "bcrypt_rounds": 4,
        "log_level": "ERROR",
        "usage_stop_seconds": 0,
        "rate_limit_enabled": False,  # what is answered must not depend on how much was asked before
    }
    return create_app(Settings.model_validate({**defaults, **own, **changes}))


def plant(app: FastAPI) -> dict[str, str]:
    """Make the database hold exactly the seed; gives the values of the placeholders {token:…}.

    Beside the people's, these are tokens that are no good: expired, of an ended session, of another service's secret.
    """
    services: Services = app.state.services
    password_hash = services.accounts.hasher.hash_blocking(PASSWORD)
    empty(services.database)
    with services.database.write() as connection:
        for email, name, bio, since in _PEOPLE:
            with time_machine.travel(since, tick=False):
                hash_ = None if email in _WITHOUT_PASSWORD else password_hash
                user = users.create(connection, email=email, password_hash=hash_, display_name=name)
                users.change_profile(connection, user.id, {"bio": bio})
        for owner, title, content, published, tags, moment in _POSTS:
            with time_machine.travel(moment, tick=False):
                posts.create(connection, owner, title=title, content=content, published=published, tags=tags)
        with time_machine.travel(_LONG_AGO, tick=False):
            for voter, post, value in _VOTES:
                votes.put(connection, voter, post, value)
            users.promote(connection, _ADMINISTRATOR)
            for client_id, client_name, pinned, owner_id in _CLIENTS:
                clients.register(
                    connection,
                    client_id,
                    name=client_name,
                    contact=f"{client_id}@example.com",
                    pinned_version=pinned,
                    owner_id=owner_id,
                )
        return _tokens(connection, services.tokens)


def _tokens(connection: Connection, issuer: AccessTokens) -> dict[str, str]:
    def issue(user_id: int, by: AccessTokens = issuer) -> str:
        login = sessions.begin(connection, user_id, _LIFETIME, refreshable=False)
        return by.issue(login.user_id, login.session_id)

    values = {}
    with time_machine.travel(NOW, tick=False):
        for number, name in enumerate(("ada", "bob", "eve", "zoe"), start=1):
            values[f"token:{name}"] = issue(number)
        values["token:ended"] = issue(1)
        sessions.end(connection, issuer.verify(values["token:ended"]).session_id)
        values["token:foreign"] = issue(1, AccessTokens("the secret of another service altogether", issuer.lifetime))
    with time_machine.travel("2026-03-01T11:00:00Z", tick=False):
        values["token:expired"] = issue(1)
    return values


@contextmanager
def _tables_missing(database: Database) -> Iterator[None]:
    """Something no code of ours expects, so that it answers 500; it is not logged, for here it is expected."""
    names = [table.name for table in metadata.sorted_tables]

    def rename(suffix: str, to: str) -> None:
        with database.write() as connection:
            for name in names:
                connection.execute(sa.text(f"ALTER TABLE {name}{suffix} RENAME TO {name}{to}"))

    rename("", "_away")
    try:
        with capture_logs():
            yield
    finally:
        rename("_away", "")


@contextmanager
def _database_away(_: Database) -> Iterator[TestClient]:
    """The same service with its database where nobody listens, so that it answers 503."""
    with TestClient(app_for("postgresql://nobody@127.0.0.1:1/nowhere")) as client:
        yield client


class _Impatient(TestClient):
    """Asks for something else first, so that a quota of one request is used up by then."""

    def request(self, method: str, url: Any, **more: Any) -> Response:
        super().request("GET", "/nothing", headers=more["headers"])
        return super().request(method, url, **more)


@cache
def _strict_app(database_url: str) -> FastAPI:
    limits = dict.fromkeys(("rate_limit_account", "rate_limit_client", "rate_limit_address"), "1/hour")
    return app_for(database_url, rate_limit_enabled=True, **limits)


@contextmanager
def _quota_used_up(database: Database) -> Iterator[TestClient]:
    """The same service with a quota of one request, asked by somebody who has sent it."""
    with _Impatient(_strict_app(database.engine.url.render_as_string(hide_password=False))) as client:
        yield client


# What `given` may say of a request. Each gives the client to ask instead of the usual one, or None.
CIRCUMSTANCES: dict[str, Callable[[Database], AbstractContextManager[TestClient | None]]] = {
    "": lambda _: nullcontext(),
    "tables missing": _tables_missing,
    "database away": _database_away,
    "quota used up": _quota_used_up,
}

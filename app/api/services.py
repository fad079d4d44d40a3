"""What routes of every version depend on. All of it is built by `create_app` and only read here.

Dependencies are `async def`: a plain function would cost a second trip to the thread pool.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, TypeVar
from weakref import WeakKeyDictionary

from fastapi import Depends, Request
from fastapi.security.base import SecurityBase

from app.adoption import clients
from app.db import Connection, Database, Query, Question, each_alone_after_failure
from app.domain import errors, sessions
from app.domain.accounts import Accounts
from app.domain.tokens import AccessTokens, Claims
from app.threads import Loader, in_thread
from app.versioning import ApiVersion

T = TypeVar("T")

_Asked = tuple[Claims | None, Question[Any]]


class Reader:
    """Asks questions for callers: what many ask of one `Query` at the same time, together, where it allows that."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._loaders: WeakKeyDictionary[Query, Loader[_Asked, Any]] = WeakKeyDictionary()  # a query may be made anew

    async def ask(self, claims: Claims | None, question: Question[T]) -> T:
        """Its answer, if the session of the claims lives; nobody has none. DomainError UNAUTHENTICATED otherwise."""
        query = question.query
        if query.at_once == 1:
            return await in_thread(self._ask_alone, claims, question)
        loader = self._loaders.get(query) or self._loaders.setdefault(query, Loader(self._find, query.at_once))
        answer: T = await loader.load((claims, question))
        return answer

    def _ask_alone(self, claims: Claims | None, question: Question[T]) -> T:
        with self._database.read() as connection:
            if claims is not None:
                sessions.authenticate(connection, claims)
            return question.ask(connection)

    def _find(self, asked: Sequence[_Asked]) -> Sequence[Any | Exception]:
        return each_alone_after_failure(self._read, asked)

    def _read(self, asked: Sequence[_Asked]) -> list[Any | Exception]:
        with self._database.read() as connection:
            callers = {claims for claims, _ in asked if claims is not None}
            living = {None, *sessions.living(connection, callers)}
            [query] = {question.query for _, question in asked}
            heard = [question.values for claims, question in asked if claims in living]
            found = iter(query.rows_of_each(connection, heard))
        return [
            _answer(question, next(found)) if claims in living else errors.unauthenticated()
            for claims, question in asked
        ]


def _answer(question: Question[T], rows: Sequence[Sequence[Any]]) -> T | Exception:
    try:
        return question.answer(rows)
    except Exception as error:  # noqa: BLE001 - whoever asked hears of it
        return error


@dataclass(frozen=True)
class Services:
    """The parts of the running service.

    The first of `cursor_keys` signs what a version hands out to be brought back, the first of `reply_keys` seals
    replies that are kept for an Idempotency-Key, and each of them opens it; `versions` are those served, by name.
    """

    database: Database
    accounts: Accounts
    reader: Reader
    tokens: AccessTokens
    refresh_lifetime: timedelta
    cursor_keys: tuple[bytes, ...]
    reply_keys: Sequence[bytes]
    versions: Mapping[str, ApiVersion]


def services_of(request: Request) -> Services:
    """Those of the application that serves the request."""
    services: Services = request.app.state.services
    return services


async def _services(request: Request) -> Services:
    return services_of(request)


Core = Annotated[Services, Depends(_services)]


@dataclass(frozen=True)
class Caller:
    """Whose token was sent, and the way to what they ask for: there is none past the look whether its session lives.

    `read` and `write` give a connection as those of `Database` do, and the id of the caller's account. DomainError
    UNAUTHENTICATED after a logout, a password change elsewhere, or the account's deletion; and so does `ask`.
    """

    claims: Claims
    core: Services

    @property
    def user_id(self) -> int:
        """The id of the account that the token names, to ask for what it may see."""
        return self.claims.user_id

    async def ask(self, question: Question[T]) -> T:
        """What is found for the question, in a thread; the answer is made there as well."""
        return await self.core.reader.ask(self.claims, question)

    @contextmanager
    def read(self) -> Iterator[tuple[Connection, int]]:
        with self.core.database.read() as connection:
            yield connection, sessions.authenticate(connection, self.claims)

    @contextmanager
    def write(self) -> Iterator[tuple[Connection, int]]:
        with self.core.database.write() as connection:
            yield connection, sessions.authenticate(connection, self.claims)


@dataclass(frozen=True)
class Visitor:
    """As Caller, where a token is optional: without one there are no claims, and no id."""

    claims: Claims | None
    core: Services

    @property
    def user_id(self) -> int | None:
        return None if self.claims is None else self.claims.user_id

    async def ask(self, question: Question[T]) -> T:
        return await self.core.reader.ask(self.claims, question)


class CallerOf(SecurityBase):
    """Who is calling, as a dependency. The document has it as it has `scheme`.

    DomainError UNAUTHENTICATED without a token that is good. It does not ask the database.
    """

    def __init__(self, scheme: SecurityBase) -> None:
        self.model, self.scheme_name = scheme.model, scheme.scheme_name

    async def __call__(self, request: Request) -> Caller:
        return Caller(_claims_noted(request), services_of(request))


class VisitorOf(SecurityBase):
    """As CallerOf, where a token is optional."""

    def __init__(self, scheme: SecurityBase) -> None:
        self.model, self.scheme_name = scheme.model, scheme.scheme_name

    async def __call__(self, request: Request) -> Visitor:
        # Credentials that are there but no good are refused: whoever sent them must not take the reply for their own.
        claims = _claims_noted(request) if "authorization" in request.headers else None
        return Visitor(claims, services_of(request))


def account_of_token(request: Request) -> str | None:
    """The account whose token is sent, before any route looks at it; None without a good token."""
    claims = _claims_sent(request)
    return None if claims is None else str(claims.user_id)


def client_of_token(request: Request) -> str | None:
    """The registered client whose token is sent, for requests that no route of ours has looked at; None without."""
    claims = _claims_sent(request)
    return None if claims is None else claims.client_id


def _claims_noted(request: Request) -> Claims:
    """What the token says, noted for the log line. DomainError UNAUTHENTICATED without a good one."""
    claims = _claims_sent(request)
    if claims is None:
        raise errors.unauthenticated()
    request.state.user_id = claims.user_id
    if claims.client_id is not None:
        request.state.client_id = claims.client_id
    return claims


def _claims_sent(request: Request) -> Claims | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return _verified(request, token.strip()) if scheme.lower() == "bearer" else None  # any number of spaces: RFC 9110


def _verified(request: Request, token: str) -> Claims | None:
    """What the token says, if it is good. Looked at once a request, for the limits, the route and the log line."""
    known: tuple[str, Claims | None] | None = getattr(request.state, "verified", None)
    if known is not None and known[0] == token:
        return known[1]
    try:
        claims = services_of(request).tokens.verify(token)
    except errors.DomainError:
        claims = None
    request.state.verified = token, claims
    return claims


async def registered_client(request: Request, client_id: str | None) -> str | None:
    """The id that a login names, if a client is registered under it; another is ignored, as it always was."""
    if client_id is None:
        return None
    services = services_of(request)

    def look_up() -> str | None:
        with services.database.read() as connection:
            return clients.known(connection, client_id)

    return await in_thread(look_up)

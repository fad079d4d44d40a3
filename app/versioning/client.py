"""A client kit for people who call an API with versions: a transport for httpx2, or httpx, that pins one version.

It sends every request to that version, warns once an operation when the API announces its deprecation or its end, and
counts. This file needs nothing else of this project: copy it, or import it.
"""

import re
import warnings
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import Literal
from urllib.parse import urljoin

try:
    import httpx2 as httpx
except ImportError:
    import httpx  # type: ignore[import-not-found, no-redef]  # the older name of the same interface

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOST_OPERATIONS = 1000  # names in paths never end; operations beyond these share one line a method
_ID = re.compile(r"[0-9]+|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_LINK = re.compile(r'<([^<>]*)>((?:[^<",]|"(?:[^"\\]|\\.)*")*)')
_PARAMETER = re.compile(r';\s*([^\s=;,"]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*)))?')

Kind = Literal["deprecated", "paused", "retired"]


class OtherVersion(Exception):
    """A request was for another version than the pinned one, or the reply came from another one."""


class OperationWarning(FutureWarning):
    """An operation that the program calls will not go on as it is; `notice` says what is known."""

    def __init__(self, notice: "Notice") -> None:
        super().__init__(str(notice))
        self.notice = notice


class DeprecatedOperation(OperationWarning):
    """The operation works, and is announced to be deprecated or to end."""


class PausedOperation(OperationWarning):
    """The operation answers 410 for a time (Retry-After), as a rehearsal of its end."""


class RetiredOperation(OperationWarning):
    """The operation has ended: 410."""


@dataclass(frozen=True)
class Notice:
    """What a reply announced of its operation. Dates are in UTC, addresses absolute; None is what was not said.

    `days_left` counts whole days until the sunset, 0 on the last one, negative after it.
    """

    kind: Kind
    operation: str  # such as "GET /v1/posts/{id}"
    deprecation: datetime | None
    sunset: datetime | None
    days_left: int | None
    successor: str | None  # the same resource in the version that takes over (RFC 5829)
    guide: str | None  # documentation for people (RFC 9745)
    retry_after: str | None  # as it was sent: seconds or an HTTP-date

    def __str__(self) -> str:
        state = {"paused": "is switched off for a time (410)", "retired": "has ended (410)"}.get(self.kind)
        if state is None and self.deprecation is not None:
            state = f"is deprecated as of {self.deprecation:%Y-%m-%d}"
        parts = [f"{self.operation} {state or 'is deprecated'}"]
        if self.retry_after is not None:
            parts.append(f"retry after: {self.retry_after}")
        if self.sunset is not None:
            parts.append(f"sunset {self.sunset:%Y-%m-%d}, days left: {self.days_left}")
        if self.successor is not None:
            parts.append(f"successor: {self.successor}")
        if self.guide is not None:
            parts.append(f"guide: {self.guide}")
        return "; ".join(parts)


@dataclass
class Counts:
    """What went through a transport. A request that got no reply is in `operations` and in no class of `statuses`."""

    operations: Counter[str] = field(default_factory=Counter)  # requests, by operation
    statuses: Counter[str] = field(default_factory=Counter)  # replies, by class: "2xx"
    notices: Counter[Kind] = field(default_factory=Counter)  # replies that announced something, warned of or not

    @property
    def requests(self) -> int:
        return self.operations.total()


class _Pin:
    """What the transport for threads and the one for tasks have in common; safe for any number of either."""

    def __init__(self, version: str, on_notice: Callable[[Notice], None] | None) -> None:
        self.version = version.strip("/")
        if not self.version or "/" in self.version:
            raise ValueError(f"a version is one segment of a path, such as v1, and not {version!r}")
        # Versions look alike: v1 and v2, 2024-01-31 and 2025-06-30.
        self._like_a_version = re.compile(re.sub(r"\d+", r"\\d+", re.escape(self.version)))
        self._on_notice = on_notice or _warn
        self._lock = Lock()
        self._counts = Counts()
        self._told: set[tuple[Kind, str]] = set()

    @property
    def counts(self) -> Counts:
        """A copy of the counts as they are now."""
        with self._lock:
            return deepcopy(self._counts)

    def _pin(self, request: httpx.Request) -> str:
        """Point the request to the version, and return its operation; OtherVersion when it is for another one."""
        first = request.url.path.split("/")[1] if request.url.path.startswith("/") else ""
        if first != self.version:
            if self._like_a_version.fullmatch(first):
                raise OtherVersion(f"{request.method} {request.url.path}: this client is pinned to {self.version}")
            # In place: the client resolves redirects and cookies against the address that was really asked.
            request.url = request.url.copy_with(raw_path=f"/{self.version}".encode() + request.url.raw_path)
        path = "/".join("{id}" if _ID.fullmatch(part) else part for part in request.url.path.split("/"))
        operation = f"{request.method} {path}"
        with self._lock:
            if operation not in self._counts.operations and len(self._counts.operations) >= MOST_OPERATIONS:
                operation = f"{request.method} (other)"
            self._counts.operations[operation] += 1
        return operation

    def _observe(self, operation: str, url: str, response: httpx.Response) -> None:
        """Count a reply and tell what it announces; OtherVersion when another version wrote it."""
        with self._lock:
            self._counts.statuses[f"{response.status_code // 100}xx"] += 1
        answered = response.headers.get("API-Version", self.version)
        if answered != self.version:
            raise OtherVersion(f"{operation} was answered by {answered!r}: this client is pinned to {self.version}")
        kind = _kind(response)
        if kind is None:
            return
        with self._lock:
            self._counts.notices[kind] += 1
            is_news = (kind, operation) not in self._told
            self._told.add((kind, operation))
        if is_news:
            self._on_notice(_read(kind, operation, url, response))


class PinnedTransport(_Pin, httpx.BaseTransport):
    """A transport for `Client` that pins a version: `Client(transport=PinnedTransport("v1"), base_url=…)`.

    A request for `/posts` goes to `/v1/posts`; one for another version's path raises OtherVersion and is not sent, and
    so does a reply whose `API-Version` is another one. `inner` does the sending, by default a plain HTTPTransport, and
    is closed with this one. `on_notice` takes what is announced, once an operation and kind; by default it becomes a
    warning: DeprecatedOperation, PausedOperation or RetiredOperation.
    """

    def __init__(
        self,
        version: str,
        inner: httpx.BaseTransport | None = None,
        on_notice: Callable[[Notice], None] | None = None,
    ) -> None:
        super().__init__(version, on_notice)
        self._inner = inner or httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        operation = self._pin(request)
        response = self._inner.handle_request(request)
        try:
            self._observe(operation, str(request.url), response)
        except BaseException:  # also a warning that was made an error: the connection must not stay taken
            response.close()
            raise
        return response

    def close(self) -> None:
        self._inner.close()


class AsyncPinnedTransport(_Pin, httpx.AsyncBaseTransport):
    """As PinnedTransport, for `AsyncClient`; `on_notice` is called in the event loop and must not block."""

    def __init__(
        self,
        version: str,
        inner: httpx.AsyncBaseTransport | None = None,
        on_notice: Callable[[Notice], None] | None = None,
    ) -> None:
        super().__init__(version, on_notice)
        self._inner = inner or httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        operation = self._pin(request)
        response = await self._inner.handle_async_request(request)
        try:
            self._observe(operation, str(request.url), response)
        except BaseException:
            await response.aclose()
            raise
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


def _warn(notice: Notice) -> None:
    categories = {"deprecated": DeprecatedOperation, "paused": PausedOperation, "retired": RetiredOperation}
    warnings.warn(categories[notice.kind](notice), stacklevel=2)


def _kind(response: httpx.Response) -> Kind | None:
    """What kind of announcement a reply makes, if any."""
    if response.status_code == 410:
        return "paused" if "Retry-After" in response.headers else "retired"
    return "deprecated" if "Deprecation" in response.headers or "Sunset" in response.headers else None


def _read(kind: Kind, operation: str, url: str, response: httpx.Response) -> Notice:
    """What a reply announces. Read leniently: a header that is not as it should be must not break a client."""
    headers = response.headers
    sunset = _date(headers.get("Sunset", ""))
    return Notice(
        kind=kind,
        operation=operation,
        deprecation=_date(headers.get("Deprecation", "")),
        sunset=sunset,
        days_left=None if sunset is None else (sunset - datetime.now(UTC)).days,
        successor=_link(headers.get("Link", ""), "successor-version", url),
        guide=_link(headers.get("Link", ""), "deprecation", url),
        retry_after=headers.get("Retry-After") if kind == "paused" else None,
    )


def _date(value: str) -> datetime | None:
    """A structured-field Date or an HTTP-date, which drafts of RFC 9745 had; None for anything else."""
    try:
        if value.startswith("@"):
            return EPOCH + timedelta(seconds=int(value[1:].partition(";")[0]))
        moment = parsedate_to_datetime(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def _link(value: str, relation: str, url: str) -> str | None:
    """The target of the first link of this relation (RFC 8288) about the resource itself."""
    for target, parameters in _LINK.findall(value):
        # Reversed, for the first of a repeated parameter counts.
        given = {name.lower(): quoted or bare for name, quoted, bare in reversed(_PARAMETER.findall(parameters))}
        if "anchor" not in given and relation in given.get("rel", "").lower().split():
            try:
                return urljoin(url, str(target))
            except ValueError:
                return None
    return None

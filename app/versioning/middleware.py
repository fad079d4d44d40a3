"""What happens to every request, around the routes: pure ASGI, in two rings.

`RequestContext` is the outermost: it gives the request an id, and every reply its headers and its log line, and tells
whoever counts calls.
`Boundary` is the inner one: it refuses what must not reach a route, and turns a bug into a 500. Within it there is only
`Deadline`, of the module of that name.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from secrets import token_hex
from urllib.parse import unquote_to_bytes

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.versioning import lifecycle, problems
from app.versioning.brownouts import Schedule
from app.versioning.problems import FieldError, Problem, Refusal
from app.versioning.usage import ANONYMOUS, MOST_BODY_BYTES, Call, Client, client_of
from app.versioning.version import ApiVersion

_WELL_FORMED_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    # No page of another site takes a reply in as an image or script, or holds on to a page of ours it opened. Scripts
    # that CORS lets read replies still do.
    "Cross-Origin-Resource-Policy": "same-origin",
}

# No route takes files; and to take one byte of a part's header apart costs as much as a hundred of a form's.
_MOST_MULTIPART_BYTES = 65_536

RawHeaders = list[tuple[bytes, bytes]]
log = structlog.get_logger("tandem.request")


class RequestContext:
    """Request id in and out, `Server-Timing`, security and lifecycle headers, one log line a request, and its count.

    The rings within find the version of a request, or None, in `scope["state"]`. What the line says of the caller is
    read from there, too, where dependencies leave it: what an endpoint's thread binds to context variables is not seen
    here. `observers` are called, in the event loop, with every call of a version once it is answered; `identify` gives
    the registered client of a request whose route did not ask.
    """

    def __init__(
        self,
        app: ASGIApp,
        versions: Sequence[ApiVersion],
        identify: Callable[[Request], str | None],
        observers: Sequence[Callable[[Call], None]],
        *,
        strict_transport: bool,
        docs_enabled: bool,
    ) -> None:
        self.app = app
        self.versions = versions
        self.identify = identify
        self.observers = observers
        self.log = log.bind()  # once: as it is configured now, it stays
        security = dict(_SECURITY_HEADERS)
        if strict_transport:
            security["Strict-Transport-Security"] = "max-age=31536000"
            security["Cross-Origin-Opener-Policy"] = "same-origin"  # browsers complain of it without TLS
        # All of it as it will be sent: what every reply has is put together once.
        self.security = raw_headers(security)
        self.secured = {name for name, _ in self.security}
        self.announcements = {version.name: raw_headers(lifecycle.announcement(version)) for version in versions}
        # What is written here is so whatever a route says.
        names = {name for announced in self.announcements.values() for name, _ in announced}
        self.written = names | {b"x-request-id", b"server-timing"}
        self.links = {version.name: lifecycle.links(version, docs_enabled=docs_enabled) for version in versions}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        headers_given = dict(reversed(scope["headers"]))  # of a header that is repeated, the first counts
        given = headers_given.get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _WELL_FORMED_ID.fullmatch(given) else token_hex(16)
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        asked, method = scope, scope["method"]
        status: int | None = None  # stays so when the client leaves before it is answered
        if method == "HEAD":
            # HEAD answers wherever GET does, with the same headers (RFC 9110, section 9.3.2), compressed ones too: so
            # it is a GET to everything within. The server's own scope must go on saying HEAD.
            scope = {**scope, "method": "GET"}
            send = _without_body(send)
        version = state["version"] = version_of(scope["path"], self.versions)
        body = bytearray()
        if version and self.observers and scope["method"] != "GET":
            receive = _noting(receive, body)

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers, security = message["headers"], self.security
                present = {name for name, _ in headers}
                if present & self.written:
                    headers = [field for field in headers if field[0] not in self.written]
                if present & self.secured:
                    security = [field for field in security if field[0] not in present]
                message["headers"] = [
                    *(self._announced(version, headers, asked) if version else headers),
                    *security,
                    (b"x-request-id", request_id.encode()),
                    (b"server-timing", b"app;dur=%.1f" % ((time.perf_counter() - started) * 1000)),
                ]
            await send(message)

        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self.app(scope, receive, send_with_headers)
        finally:
            structlog.contextvars.unbind_contextvars("request_id")
            duration = time.perf_counter() - started
            client = ANONYMOUS
            if version and status is not None:
                client = self._client(asked, headers_given)
                call = Call(
                    version.name,
                    method,
                    state.get("route"),
                    client,
                    status,
                    scope["query_string"],
                    bytes(body) if len(body) <= MOST_BODY_BYTES else b"",
                    duration,
                )
                for observe in self.observers:
                    observe(call)
            self.log.info(
                "request",
                method=method,
                route=state.get("route"),
                version=version.name if version else None,
                status=status,
                duration_ms=round(duration * 1000, 1),
                user=state.get("user_id"),
                client=client.name,
                request_id=request_id,
            )

    def _announced(self, version: ApiVersion, headers: RawHeaders, scope: Scope) -> RawHeaders:
        """The headers with those of the lifecycle: on every reply, whatever the route, the status and the method."""
        links = self.links[version.name]
        if version.successor is not None:
            links = [*links, lifecycle.successor_link(version, Request(scope))]
        if links:
            already = [value.decode("latin-1") for name, value in headers if name == b"link"]
            headers = [field for field in headers if field[0] != b"link"]
            headers.append((b"link", ", ".join([*already, *links]).encode("latin-1")))
        return [*headers, *self.announcements[version.name]]

    def _client(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Client:
        registered = scope["state"].get("client_id")
        if registered is None and b"authorization" in headers and "user_id" not in scope["state"]:
            registered = self.identify(Request(scope))
        return client_of(registered, headers.get(b"user-agent", b"").decode("latin-1"))


class Boundary:
    """The last ring before the routes: the host, the size of the body, versions' ends, trailing slashes, and bugs.

    A server that has found something wrong with how a request arrives says so in `scope["state"]["refusal"]`, a
    Problem, at first or while the body is being read; it is answered here like any other.
    """

    def __init__(
        self,
        app: ASGIApp,
        render: Callable[[Problem, Request], Response],
        allowed_hosts: Sequence[str],
        host_free_paths: Sequence[str],
        max_body_bytes: int,
        schedule: Schedule,
        identify: Callable[[Request], str | None],
        template_of: Callable[[str, str], str | None],
    ) -> None:
        self.app = app
        self.render = render
        self.schedule = schedule
        self.identify = identify
        self.template_of = template_of
        self.allowed_hosts = allowed_hosts
        self.host_free_paths = host_free_paths
        self.max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope = dict(scope)  # the outer rings go on seeing the path that was asked for
        scope["headers"] = _with_readable_cookies(scope["headers"])
        most = self._most_bytes(scope)
        version: ApiVersion | None = scope["state"]["version"]
        refusal = _refused(scope) or self._host(scope) or self._end(version, scope) or self._malformed(scope, most)
        if refusal is not None:
            await self.render(refusal, Request(scope))(scope, receive, send)
            return
        if version and version.ignores_trailing_slash and scope["path"].endswith("/"):
            scope["path"] = scope["path"][:-1]
        started = False

        async def noting_start(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, self._limited(scope, receive, most), noting_start)
        except ClientDisconnect:
            pass  # nobody is left to answer
        except Exception:
            log.exception("unhandled error")
            if started:
                raise  # half a reply is out: the server must break the connection
            problem = Problem(problems.INTERNAL_ERROR, "The service met an error of its own")
            await self.render(problem, Request(scope))(scope, receive, send)
        finally:
            if "route" in scope:
                # A route that FastAPI has included does not know the prefix it was included with.
                template = scope["route"].path
                scope["state"]["route"] = (
                    version.prefix + template if version and not version.owns(template) else template
                )

    def _host(self, scope: Scope) -> Problem | None:
        hosts = values_of(scope, b"host")
        if len(hosts) != 1 and not (scope.get("http_version") == "1.0" and not hosts):  # RFC 9112, section 3.2
            return Problem(problems.INVALID_HOST, "Send one Host header")
        any_host = "*" in self.allowed_hosts or scope["path"] in self.host_free_paths
        if any_host or _host_allowed(hosts[0] if hosts else "", self.allowed_hosts):
            return None
        return Problem(problems.INVALID_HOST, "This service does not answer to that host")

    def _malformed(self, scope: Scope, most: int) -> Problem | None:
        # The router's patterns end in $, which a line end may follow: a path that a proxy's rules did not know.
        if scope["path"].rstrip("/").endswith("\n"):
            return Problem(problems.NOT_FOUND, "Not Found")
        if (parameter := _parameter_not_text(scope["query_string"])) is not None:
            error = FieldError(("query", parameter), "Input should be UTF-8 text", "string_unicode")
            return Problem(problems.INVALID_REQUEST, "The request is invalid; see `errors`", [error])
        for length in values_of(scope, b"content-length"):
            if length.isdecimal() and int(length[:20]) > most:
                return _too_large(most)
        return None

    def _end(self, version: ApiVersion | None, scope: Scope) -> Problem | None:
        """410 for what a version that has ended, or is in a brownout, does not answer; its documents stay readable."""
        if version is None or version.sunset is None:
            return None
        at = datetime.now(UTC)
        retired = version.phase(at) == "retired"
        if not retired and not self.schedule.open(version.name, at):
            return None
        route = self.template_of(scope["method"], scope["path"])
        if route in version.document_paths or (not retired and route in version.token_paths):
            return None
        # No route will say what it was for, and no dependency who asked: the log line and the ledger want to know.
        request = Request(scope)
        request.state.route = route
        client = client_of(self.identify(request), request.headers.get("user-agent", ""))
        return lifecycle.refusal(version, self.schedule, request, client, at)

    def _most_bytes(self, scope: Scope) -> int:
        """How large the body may be."""
        if any(given.lstrip().lower().startswith("multipart/") for given in values_of(scope, b"content-type")):
            return min(self.max_body_bytes, _MOST_MULTIPART_BYTES)
        return self.max_body_bytes

    def _limited(self, scope: Scope, receive: Receive, most: int) -> Receive:
        """Count what arrives: a chunked body does not say its length beforehand."""
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            refusal = _too_large(most) if received > most else _refused(scope)
            if refusal is not None:
                raise Refusal(refusal)
            return message

        return receive_limited


def _noting(receive: Receive, body: bytearray) -> Receive:
    """The same messages; `body` gains what they carry, up to a little more than what is of use."""

    async def receive_noting() -> Message:
        message = await receive()
        if len(body) <= MOST_BODY_BYTES:
            body.extend(message.get("body", b""))
        return message

    return receive_noting


def version_of(path: str, versions: Sequence[ApiVersion]) -> ApiVersion | None:
    """The version a path belongs to, by its prefix: a path that nothing serves has no route to tell."""
    return next((version for version in versions if version.owns(path)), None)


def raw_headers(headers: Mapping[str, str]) -> RawHeaders:
    """The headers as ASGI has them."""
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def values_of(scope: Scope, name: bytes) -> list[str]:
    """The values of all headers of a request that have this name, given in lower case."""
    return [value.decode("latin-1") for each, value in scope["headers"] if each == name]


def _with_readable_cookies(headers: RawHeaders) -> RawHeaders:
    """The headers, without cookies that have a backslash, which none may (RFC 6265, section 4.1.1).

    FastAPI has cookies read for every route, and to read such a one takes Python before 3.11.10 and 3.12.6 seconds
    (CVE-2024-7592), in which nobody else is served.
    """
    if b"cookie" not in dict(headers):
        return headers
    return [
        (name, b";".join(each for each in value.split(b";") if b"\\" not in each) if name == b"cookie" else value)
        for name, value in headers
    ]


def _too_large(most: int) -> Problem:
    return Problem(
        problems.CONTENT_TOO_LARGE, f"The body may have at most {most} bytes", headers={"Connection": "close"}
    )


def _refused(scope: Scope) -> Problem | None:
    refusal: Problem | None = scope["state"].get("refusal")
    return refusal


def _host_allowed(host: str, allowed: Sequence[str]) -> bool:
    name = host.rsplit(":", 1)[0].lower() if not host.endswith("]") else host.lower()
    return any(name == entry or (entry.startswith("*.") and name.endswith(entry[1:])) for entry in allowed)


def _parameter_not_text(query: bytes) -> str | None:
    """The first parameter that is not UTF-8 once unquoted, which the framework would mend in silence; else None."""
    if b"%" not in query:
        return None
    for part in query.split(b"&"):
        try:
            unquote_to_bytes(part).decode()
        except UnicodeDecodeError:
            name = part.partition(b"=")[0].decode("ascii", "replace")
            return name if name.isidentifier() else "query"
    return None


def _without_body(send: Send) -> Send:
    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_head

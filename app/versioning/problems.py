"""Failures before any version has given them a form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

MOST_ERRORS = 100  # told of in one reply: a megabyte of wrong members would make eight of explanations


@dataclass(frozen=True)
class ProblemType:
    """A kind of failure that clients may rely on (RFC 9457, section 3.1.1). `code` is stable."""

    code: str
    status: int
    title: str
    explanation: str  # for the page that the type's URL answers with


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one part of a request. `location` is as FastAPI gives it: ("body", "tags", 0)."""

    location: tuple[str | int, ...]
    message: str
    code: str


@dataclass(frozen=True)
class Problem:
    """One failure. `detail` is for people and never holds what the client sent."""

    type: ProblemType
    detail: str
    errors: Sequence[FieldError] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def status(self) -> int:
        return self.type.status


NOT_FOUND = ProblemType("not-found", 404, "Not Found", "Nothing is served at this path. The documents list every path.")
METHOD_NOT_ALLOWED = ProblemType(
    "method-not-allowed", 405, "Method Not Allowed", "The path exists, but not with this method; see the Allow header."
)
INVALID_HOST = ProblemType(
    "invalid-host", 400, "Invalid Host", "The Host header names none of the hosts this service answers to."
)
MALFORMED_REQUEST = ProblemType(
    "malformed-request",
    400,
    "Malformed Request",
    "What was sent is no request of HTTP/1.1, or one that two readers could read in two ways. Look at its framing: the "
    "request line, the ends of lines, Content-Length, Transfer-Encoding and Host.",
)
RETIRED = ProblemType(
    "version-retired",
    410,
    "Version Retired",
    "The version has passed its sunset and is not served any more. The reply names the same resource in its successor.",
)
BROWNOUT = ProblemType(
    "version-brownout",
    410,
    "Version Brownout",
    "The version is switched off for an announced while, to remind its clients of its sunset. It is back after "
    "Retry-After seconds; the Brownout header lists the windows. The reply names the same resource in the successor.",
)
REQUEST_TIMEOUT = ProblemType(
    "request-timeout",
    408,
    "Request Timeout",
    "The request did not arrive in time, and the connection is closed. Send it again, whole.",
)
CONTENT_TOO_LARGE = ProblemType(
    "content-too-large", 413, "Content Too Large", "The request body is larger than this service takes. Send less."
)
URI_TOO_LONG = ProblemType(
    "uri-too-long", 414, "URI Too Long", "The request line is longer than this service takes. Shorten the query."
)
UNSUPPORTED_MEDIA_TYPE = ProblemType(
    "unsupported-media-type",
    415,
    "Unsupported Media Type",
    "The body is not of a media type this operation reads; see its document, and set Content-Type accordingly.",
)
INVALID_REQUEST = ProblemType(
    "invalid-request",
    422,
    "Invalid Request",
    "Part of the request is malformed or out of range. `errors` names each part and what it should be.",
)
RATE_LIMITED = ProblemType(
    "rate-limited",
    429,
    "Too Many Requests",
    "The account, the registered client or, without a token, the address has used up its quota. The next window begins "
    "after Retry-After seconds; the RateLimit field of every reply says how much is left.",
)
HEADERS_TOO_LARGE = ProblemType(
    "request-header-fields-too-large",
    431,
    "Request Header Fields Too Large",
    "The header fields together are larger than this service takes. Send fewer, or shorter ones: cookies, most often.",
)
INTERNAL_ERROR = ProblemType(
    "internal-error",
    500,
    "Internal Server Error",
    "A bug in the service. Report it with the request id; the log holds the rest under that id.",
)
UNAVAILABLE = ProblemType(
    "unavailable",
    503,
    "Service Unavailable",
    "The service cannot answer just now. Try again after Retry-After seconds.",
)

KERNEL_TYPES = (
    NOT_FOUND,
    METHOD_NOT_ALLOWED,
    INVALID_HOST,
    MALFORMED_REQUEST,
    RETIRED,
    BROWNOUT,
    REQUEST_TIMEOUT,
    CONTENT_TOO_LARGE,
    URI_TOO_LONG,
    UNSUPPORTED_MEDIA_TYPE,
    INVALID_REQUEST,
    RATE_LIMITED,
    HEADERS_TOO_LARGE,
    INTERNAL_ERROR,
    UNAVAILABLE,
)
_BY_STATUS = {
    type_.status: type_ for type_ in KERNEL_TYPES if type_ not in (INVALID_HOST, MALFORMED_REQUEST, RETIRED, BROWNOUT)
}


class Refusal(HTTPException):
    """A problem that shows while a request is being read; the framework lets it through to whoever renders it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.status, problem.detail)
        self.problem = problem


def unavailable(detail: str = "The service cannot answer just now", retry_after: int = 1) -> Problem:
    """503 that says when to come back, in seconds."""
    return Problem(UNAVAILABLE, detail, headers={"Retry-After": str(retry_after)})


def of_validation(error: RequestValidationError) -> Problem:
    """422 with one FieldError for each thing Pydantic found, up to MOST_ERRORS. The input itself is left out."""
    found_first = error.errors()[:MOST_ERRORS]
    errors = [FieldError(_location(found), str(found["msg"]), str(found["type"])) for found in found_first]
    return Problem(INVALID_REQUEST, "The request is invalid; see `errors`", errors)


def _location(found: Mapping[str, Any]) -> tuple[str | int, ...]:
    # For JSON that does not parse FastAPI adds the offset, which Python versions count differently.
    return ("body",) if found["type"] == "json_invalid" else tuple(found["loc"])


def of_http_exception(error: HTTPException) -> Problem:
    """The failure that the framework reports by status."""
    if isinstance(error, Refusal):
        return error.problem
    if error.status_code == 400:
        # FastAPI says so of a body that cannot be read at all (encoding, depth, digits, multipart framing).
        unreadable = FieldError(("body",), "The body cannot be read", "body_unreadable")
        return Problem(INVALID_REQUEST, "The request body cannot be read", [unreadable])
    type_ = _BY_STATUS.get(error.status_code) or ProblemType(
        f"http-{error.status_code}", error.status_code, HTTPStatus(error.status_code).phrase, ""
    )
    return Problem(type_, error.detail, headers=dict(error.headers or {}))


def plain_document(problem: Problem, request_id: str) -> dict[str, Any]:
    """Problem details (RFC 9457) for what lies outside every version."""
    return {
        "type": f"/problems/{problem.type.code}",
        "title": problem.type.title,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.type.code,
        "request_id": request_id,
    }

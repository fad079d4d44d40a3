"""The one table from what the core refuses, and what a database reports, to a failure with a status."""

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.db import is_unavailable, violation
from app.domain import errors
from app.domain.errors import DomainError, Kind
from app.versioning import FieldError, Problem, ProblemType
from app.versioning.problems import INVALID_REQUEST, KERNEL_TYPES, unavailable

log = structlog.get_logger("tandem")

STATUS_OF_KIND = {
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.CHANGED: 412,
    Kind.INVALID: 400,
    Kind.MISUSED: 422,
    Kind.THROTTLED: 429,
}
_DOMAIN_TYPES = (
    ProblemType(
        "unauthenticated",
        401,
        "Unauthenticated",
        "The request needs an access token, and has none that is still valid. Log in, or refresh, and send it as "
        "Authorization: Bearer.",
    ),
    ProblemType("invalid-credentials", 403, "Invalid Credentials", "The e-mail or the password is wrong."),
    ProblemType(
        "too-many-attempts",
        429,
        "Too Many Attempts",
        "The password was wrong too often of late, so that for a while none is looked at, a right one neither. Try "
        "again after Retry-After seconds. Sessions that are open stay so, and refresh tokens work.",
    ),
    ProblemType("not-the-owner", 403, "Not The Owner", "Only its owner may change or delete a post."),
    ProblemType("user-not-found", 404, "User Not Found", "There is no user with this id."),
    ProblemType("post-not-found", 404, "Post Not Found", "There is no post with this id, or it is another's draft."),
    ProblemType("vote-not-found", 404, "Vote Not Found", "There is no vote of yours on this post to take back."),
    ProblemType("client-not-found", 404, "Client Not Found", "No API client that you may see is registered under it."),
    ProblemType("version-not-found", 404, "Version Not Found", "No version of this name is served; see /versions."),
    ProblemType(
        "consent-not-found", 404, "Consent Not Found", "The client has consented to no sunset of this version."
    ),
    ProblemType(
        "another-sunset",
        409,
        "Another Sunset",
        "The version does not end at that time, or not at all. Read its Sunset header, or /versions, and send that.",
    ),
    ProblemType(
        "nothing-to-be-ready-for", 409, "Nothing To Be Ready For", "The version has no successor for clients to go to."
    ),
    ProblemType(
        "client-id-taken", 409, "Client Id Taken", "An API client is registered under this id; choose another."
    ),
    ProblemType(
        "administrators-only", 403, "Administrators Only", "The operation is for administrators of this service."
    ),
    ProblemType("email-taken", 409, "E-mail Taken", "An account with this e-mail exists; case makes no difference."),
    ProblemType("already-voted", 409, "Already Voted", "You have voted for this post; a vote counts once."),
    ProblemType("conflict", 409, "Conflict", "The request contradicts what is stored. Read it again, then retry."),
    ProblemType(
        "idempotency-key-in-use",
        409,
        "Idempotency Key In Use",
        "The first request with this Idempotency-Key is still being worked on. Send the same again after Retry-After "
        "seconds: it is answered as the first was.",
    ),
    ProblemType(
        "idempotency-key-reused",
        422,
        "Idempotency Key Reused",
        "Another request was sent with this Idempotency-Key within the last 24 hours. A key belongs to one request: "
        "make a new one, such as a random UUID, for each.",
    ),
    ProblemType(
        "precondition-failed",
        412,
        "Precondition Failed",
        "If-Match names none of the tags that the resource has now: it has changed since it was read, and the request "
        "has changed nothing. Read it again, make the change to what is there now, and send its ETag.",
    ),
    ProblemType(
        "invalid-cursor",
        400,
        "Invalid Cursor",
        "A cursor is good for the list, the filters and the order it came with, and is not to be made up. Begin again "
        "without one.",
    ),
)
PROBLEM_TYPES = {type_.code: type_ for type_ in (*KERNEL_TYPES, *_DOMAIN_TYPES)}


def of_domain_error(error: DomainError) -> Problem:
    type_ = PROBLEM_TYPES[error.code]
    assert type_.status == STATUS_OF_KIND[error.kind]
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    if error.kind is Kind.MISUSED:
        return Problem(type_, error.message, [FieldError(("header", "Idempotency-Key"), error.message, "key_reused")])
    return Problem(type_, error.message, headers=headers)


def of_database_error(error: SQLAlchemyError) -> Problem | None:
    """A refusal for a constraint that was hit, 503 for a database that is away or busy, None for a bug of ours."""
    found = violation(error)
    if found is None:
        if not is_unavailable(error):
            return None
        log.warning("database unavailable", reason=str(getattr(error, "orig", None) or error).strip().split("\n")[0])
        return unavailable("The database does not answer just now")
    if found.kind == "data":
        return Problem(
            INVALID_REQUEST,
            "The request is invalid; see `errors`",
            [FieldError(("body",), "A value is out of range", "out_of_range")],
        )
    if found.constraint == "uq_users_email_key":
        return of_domain_error(errors.email_taken())
    if found.kind == "foreign key":
        # Posts and votes are held while they are written to, so what went away is the account that is writing.
        return of_domain_error(errors.unauthenticated())
    return Problem(PROBLEM_TYPES["conflict"], "Somebody else changed this at the same time")

"""The ways an operation can be refused, free of any wire."""

from enum import Enum, auto


class Kind(Enum):
    """The closed set of refusals. A version decides what each looks like; the service, which status it has."""

    UNAUTHENTICATED = auto()  # nobody, or not who they say
    FORBIDDEN = auto()  # somebody, but not allowed
    NOT_FOUND = auto()  # does not exist, as far as the caller may know
    CONFLICT = auto()  # contradicts what is already there
    CHANGED = auto()  # is not any more what the caller has seen
    INVALID = auto()  # cannot be meant
    MISUSED = auto()  # well-formed, and contradicts what was sent before
    THROTTLED = auto()  # has been tried too often


class DomainError(Exception):
    """A refusal: `kind` for machines, `code` stable for clients, `message` for people (never echoes input).

    `retry_after` says in how many seconds it may be tried again, where waiting helps.
    """

    def __init__(self, kind: Kind, code: str, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.code = code
        self.message = message
        self.retry_after = retry_after


def unauthenticated() -> DomainError:
    return DomainError(Kind.UNAUTHENTICATED, "unauthenticated", "Could not validate credentials")


def invalid_credentials() -> DomainError:
    return DomainError(Kind.FORBIDDEN, "invalid-credentials", "Invalid Credentials")


def too_many_attempts(retry_after: int) -> DomainError:
    message = f"Too many failed attempts; try again in {retry_after} s"
    return DomainError(Kind.THROTTLED, "too-many-attempts", message, retry_after)


def email_taken() -> DomainError:
    return DomainError(Kind.CONFLICT, "email-taken", "An account with this e-mail already exists")


def administrators_only() -> DomainError:
    return DomainError(Kind.FORBIDDEN, "administrators-only", "Only administrators may do this")


def user_not_found() -> DomainError:
    return DomainError(Kind.NOT_FOUND, "user-not-found", "No such user")


def post_not_found() -> DomainError:
    return DomainError(Kind.NOT_FOUND, "post-not-found", "No such post")


def not_the_owner() -> DomainError:
    return DomainError(Kind.FORBIDDEN, "not-the-owner", "Only the owner may change or delete a post")


def precondition_failed() -> DomainError:
    return DomainError(
        Kind.CHANGED, "precondition-failed", "If-Match names no current ETag: read it again, then change what you see"
    )


def idempotency_key_in_use() -> DomainError:
    return DomainError(
        Kind.CONFLICT,
        "idempotency-key-in-use",
        "The first request with this Idempotency-Key is still being worked on",
        retry_after=1,
    )


def idempotency_key_reused() -> DomainError:
    return DomainError(
        Kind.MISUSED, "idempotency-key-reused", "This Idempotency-Key was sent with another request; use a new one"
    )


def already_voted() -> DomainError:
    return DomainError(Kind.CONFLICT, "already-voted", "You have already voted for this post")


def vote_not_found() -> DomainError:
    return DomainError(Kind.NOT_FOUND, "vote-not-found", "You have no vote on this post to take back")

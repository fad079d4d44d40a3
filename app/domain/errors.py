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


class DomainError(Exception):
    """A refusal: `kind` for machines, `code` stable for clients, `message` for people (never echoes input)."""

    def __init__(self, kind: Kind, code: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.code = code
        self.message = message


def unauthenticated() -> DomainError:
    return DomainError(Kind.UNAUTHENTICATED, "unauthenticated", "Could not validate credentials")


def invalid_credentials() -> DomainError:
    return DomainError(Kind.FORBIDDEN, "invalid-credentials", "Invalid Credentials")


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
        Kind.CONFLICT, "idempotency-key-in-use", "The first request with this Idempotency-Key is still being worked on"
    )


def idempotency_key_reused() -> DomainError:
    return DomainError(
        Kind.MISUSED, "idempotency-key-reused", "This Idempotency-Key was sent with another request; use a new one"
    )


def already_voted() -> DomainError:
    return DomainError(Kind.CONFLICT, "already-voted", "You have already voted for this post")


def vote_not_found() -> DomainError:
    return DomainError(Kind.NOT_FOUND, "vote-not-found", "You have no vote on this post to take back")

"""Revisions: the number of a row's changes, by which a writer says which state of it the change is meant for."""

from collections.abc import Set as AbstractSet

from app.domain import errors

# The revisions that a change is meant for; None for whichever there is.
Expected = AbstractSet[int] | None


def require(expected: Expected, revision: int | None) -> None:
    """DomainError CHANGED `precondition-failed` for a row, locked by the caller, that has another revision."""
    if expected is not None and revision not in expected:
        raise errors.precondition_failed()

"""Moments as text."""

from datetime import UTC, datetime


def rfc3339(moment: datetime) -> str:
    """The moment in UTC, to the second (RFC 3339)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def spelled(moment: datetime | None) -> str | None:
    """As `rfc3339`; None for None."""
    return None if moment is None else rfc3339(moment)

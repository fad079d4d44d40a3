"""The database: `Database.read()` and `.write()`, and every fact that tells SQLite from PostgreSQL."""

from sqlalchemy.engine import Connection

from app.db.database import Database, DatabaseUnavailable, masked
from app.db.errors import Violation, is_lock_timeout, is_unavailable, violation
from app.db.query import ONE, Query, Question
from app.db.retry import each_alone_after_failure, retried

__all__ = [
    "ONE",
    "Connection",
    "Database",
    "DatabaseUnavailable",
    "Query",
    "Question",
    "Violation",
    "each_alone_after_failure",
    "is_lock_timeout",
    "is_unavailable",
    "masked",
    "retried",
    "violation",
]

"""The database: `Database.read()` and `.write()`, and every fact that tells SQLite from PostgreSQL."""

from app.db.database import Database, DatabaseUnavailable
from app.db.errors import Violation, is_unavailable, violation

__all__ = ["Database", "DatabaseUnavailable", "Violation", "is_unavailable", "violation"]

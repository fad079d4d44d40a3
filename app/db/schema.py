"""Which revision of the schema this code was written for, and which one a database has.

Told without Alembic, for which a server has no other use: it takes 10 MB of every worker. Revisions are numbered, each
higher than the one before.
"""

import re
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

_REVISIONS = Path(__file__).resolve().parents[2] / "alembic" / "versions"
_REVISION = re.compile(r"""^revision = ["'](\w+)["']""", re.MULTILINE)
_ALEMBIC_VERSION = sa.table("alembic_version", sa.column("version_num", sa.String))


def newest() -> str:
    """The newest revision this code has."""
    numbers: list[str] = [n for file in _REVISIONS.glob("*.py") for n in _REVISION.findall(file.read_text())]
    return max(numbers)


def current(connection: Connection) -> str | None:
    """The revision the database is at; None for an empty one."""
    if not sa.inspect(connection).has_table(_ALEMBIC_VERSION.name):
        return None
    revision: str | None = connection.scalar(sa.select(_ALEMBIC_VERSION.c.version_num))
    return revision

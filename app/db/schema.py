"""Which revision of the schema this code was written for, and which one a database has.

Told without Alembic, for which a server has no other use: it takes 10 MB of every worker. Revisions are numbered, each
higher than the one before.
"""

import errno
import re
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

_REVISIONS = Path(__file__).resolve().parents[2] / "alembic" / "versions"
_REVISION = re.compile(r"""^revision = ["'](\w+)["']""", re.MULTILINE)
_ALEMBIC_VERSION = sa.table("alembic_version", sa.column("version_num", sa.String))


def newest() -> str:
    """The newest revision this code has. FileNotFoundError where its migrations are not."""
    numbers: list[str] = [n for file in _REVISIONS.glob("*.py") for n in _REVISION.findall(file.read_text())]
    if not numbers:
        raise FileNotFoundError(errno.ENOENT, "no migrations there", str(_REVISIONS))
    return max(numbers)


def complaint(revision: str | None) -> str | None:
    """What is wrong with a database at this revision, and what to do; None at the newest."""
    if revision is None:
        return "the database has no tables yet; run: tandem db upgrade"
    if (later := of_later_release(revision)) is not None:
        return later
    return None if revision == newest() else "the database is not at the newest migration; run: tandem db upgrade"


def of_later_release(revision: str | None) -> str | None:
    """That this code has no file to go anywhere from, when a later release has migrated the database; else None."""
    if revision is None or revision <= (known := newest()):
        return None
    return f"the database is at migration {revision}, of a later release; this one ends with {known}"


def current(connection: Connection) -> str | None:
    """The revision the database is at; None for an empty one."""
    if not sa.inspect(connection).has_table(_ALEMBIC_VERSION.name):
        return None
    revision: str | None = connection.scalar(sa.select(_ALEMBIC_VERSION.c.version_num))
    return revision

"""The database of a command: there, and migrated."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from app.db import Database, DatabaseUnavailable, migrations
from app.main import open_database
from app.settings import Settings, load_settings


@contextmanager
def opened(settings: Settings | None = None) -> Iterator[Database]:
    """The database, once it answers; DatabaseUnavailable when it does not."""
    settings = settings or load_settings()
    database = open_database(settings)
    try:
        database.wait_until_up(settings.database_connect_wait, lambda line: typer.echo(line, err=True))
        yield database
    finally:
        database.close()


@contextmanager
def opened_migrated() -> Iterator[Database]:
    """As `opened`, for what needs the tables."""
    with opened() as database:
        with database.read() as connection:
            if migrations.current(connection) != migrations.head():
                raise DatabaseUnavailable("the database is not at the newest migration; run: tandem db upgrade")
        yield database

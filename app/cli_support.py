"""What the groups of the `tandem` command share: the database, once it answers, a version by name, a table of text."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import typer

from app.db import Database, DatabaseUnavailable, schema
from app.main import open_database, served_versions
from app.settings import Settings, load_settings
from app.versioning import ApiVersion


class Failure(Exception):
    """What ends a command, with this exit status; the message is one line and says what to do."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


@contextmanager
def failing(*expected: type[Exception], status: int = 1) -> Iterator[None]:
    """What is raised of these types is a Failure, with its message and this exit status."""
    try:
        yield
    except expected as error:
        raise Failure(str(error), status) from None


@contextmanager
def opened(settings: Settings | None = None, *, made: bool = False) -> Iterator[Database]:
    """The database, once it answers; whoever only looks makes none where there is none, unless it may be `made`."""
    settings = settings or load_settings()
    database = open_database(settings)
    if made:
        database.make_folder()
    elif database.missing:
        raise DatabaseUnavailable(f"there is no database {settings.masked_database_url} yet; run: tandem db upgrade")
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
            complaint = schema.complaint(schema.current(connection))
        if complaint is not None:
            raise DatabaseUnavailable(complaint)
        yield database


def served_version(name: str) -> ApiVersion:
    """The version of this name with the dates of this deployment; wrong usage when there is none."""
    versions = {version.name: version for version in served_versions(load_settings())}
    if name not in versions:
        raise typer.BadParameter(f"no version {name}; there are {', '.join(versions)}", param_hint="VERSION")
    return versions[name]


def echo_table(rows: Sequence[Sequence[object]]) -> None:
    """Print rows, the first of them the heading, in columns as wide as they need to be; numbers to the right."""
    widths = [max(len(str(row[column])) for row in rows) for column in range(len(rows[0]))]
    numeric = [len(rows) > 1 and isinstance(rows[1][column], int) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            str(cell).rjust(width) if right else str(cell).ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ]
        typer.echo("  ".join(cells).rstrip())

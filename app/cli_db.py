"""The `tandem db` commands: the database's schema."""

from typing import Annotated

import typer
from alembic.util import CommandError

from app.cli_support import Failure, failing, opened, opened_migrated
from app.db import Database, migrations, schema

commands = typer.Typer(name="db", help="The database's schema: its migrations.", no_args_is_help=True)


@commands.command()
def upgrade(revision: Annotated[str, typer.Argument(help="Where to go.")] = "head") -> None:
    """Bring the schema forward, by default to the newest revision. Safe to repeat."""
    with failing(CommandError), opened(made=True) as database:
        _refuse_later(database)
        migrations.upgrade(database, revision)
    current()


@commands.command(context_settings={"ignore_unknown_options": True})  # -1 is a revision and no option
def downgrade(
    revision: Annotated[str, typer.Argument(help="Where to go: a revision, -1, or base (empties it).")],
) -> None:
    """Take the schema back. What only the newer schema can hold is lost."""
    with failing(CommandError), opened() as database:
        _refuse_later(database)
        migrations.downgrade(database, revision)
    current()


def _refuse_later(database: Database) -> None:
    with database.read() as connection:
        later = schema.of_later_release(schema.current(connection))
    if later is not None:
        raise Failure(later)


@commands.command()
def current() -> None:
    """Show the revision the database is at, and the newest one."""
    with opened() as database, database.read() as connection:
        at = schema.current(connection)
    newest = schema.newest()
    typer.echo(f"at {at or 'nothing'}" + (" (newest)" if at == newest else f", newest is {newest}"))


@commands.command()
def check() -> None:
    """Exit with 1 when the models and the database's tables differ."""
    with failing(CommandError), opened_migrated() as database:
        migrations.check(database)
    typer.echo("the database has the tables that the code describes")

"""`tandem import` and `tandem export`: a database's posts and people as a dump."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from app.cli_support import failing, opened_migrated
from app.domain import transfer
from app.domain.transfer import DumpError

commands = typer.Typer()


def _by_name(file: Path) -> Path:
    if str(file) == "-":
        raise typer.BadParameter("give the file's name; `-` is not taken, as a dump is complete or not there at all")
    return file


@commands.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(help="A dump: JSON Lines, gzip when the name ends in .gz.", dir_okay=False, callback=_by_name),
    ],
    append: Annotated[
        bool, typer.Option("--append", help="Add to what is there: people are matched by e-mail, posts never.")
    ] = False,
) -> None:
    """Take in a dump, whole or not at all: a broken line leaves the database as it was."""
    with (
        failing(DumpError),
        opened_migrated() as database,
        transfer.open_dump(file) as (lines, at),
        _progress(DownloadColumn()) as progress,
    ):
        task = progress.add_task("importing", total=file.stat().st_size)
        with database.write_in_bulk() as connection:
            counts = transfer.import_dump(
                connection, lines, append=append, on_progress=lambda: progress.update(task, completed=at())
            )
    typer.echo(f"imported {counts.users} users, {counts.posts} posts, {counts.votes} votes")


@commands.command()
def export(
    file: Annotated[
        Path, typer.Argument(help="Where to write; gzip when the name ends in .gz.", dir_okay=False, callback=_by_name)
    ],
) -> None:
    """Write users, posts, tags and votes as a dump, as they are at one moment, while the service goes on.

    It is no backup: passwords, bios, administrators and ids are not in it.
    """
    with (
        failing(DumpError),
        opened_migrated() as database,
        transfer.create_dump(file) as out,
        database.snapshot() as connection,
        _progress(MofNCompleteColumn()) as progress,
    ):
        task = progress.add_task("exporting", total=transfer.count(connection))
        counts = transfer.export_dump(connection, out, on_progress=lambda done: progress.update(task, completed=done))
    typer.echo(f"exported {counts.users} users, {counts.posts} posts, {counts.votes} votes")


def _progress(amount: Any) -> Progress:
    """What shows it to somebody who looks: in a log, the last of it would stand before what went wrong."""
    columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeElapsedColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, disable=not console.is_terminal)

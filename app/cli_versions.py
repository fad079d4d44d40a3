"""The `tandem versions` commands: how versions live and end."""

from pathlib import Path
from typing import Annotated

import typer

from app.adoption import plan
from app.api import VERSIONS
from app.cli_brownouts import brownouts_app
from app.cli_readiness import readiness
from app.cli_support import failing, opened_migrated
from app.db import DatabaseUnavailable
from app.domain.clock import now
from app.main import served_versions
from app.settings import load_settings
from app.versioning.brownouts import Schedule
from app.versioning.scaffold import ScaffoldError, scaffold
from app.versioning.times import spelled

ROOT = Path(__file__).resolve().parents[1]

commands = typer.Typer(name="versions", help="How versions live and end.", no_args_is_help=True)
commands.add_typer(brownouts_app, name="brownout")
commands.command()(readiness)


@commands.callback()
def versions() -> None:
    """How versions live and end."""


@commands.command("list")
def list_() -> None:
    """Show every version with its dates, as this deployment has them, and the brownouts to come."""
    versions = served_versions(load_settings())
    rows = [("version", "status", "deprecated", "sunset", "successor")]
    for version in versions:
        dates = (spelled(version.deprecated) or "-", spelled(version.sunset) or "-")
        rows.append((version.name, version.phase(now()), *dates, version.successor or "-"))
    for row in rows:
        typer.echo(f"{row[0]:10}{row[1]:12}{row[2]:22}{row[3]:22}{row[4]}")
    try:
        with opened_migrated() as database, database.read() as connection:
            planned = plan.read(connection)
    except DatabaseUnavailable as error:
        typer.echo(f"which brownouts are planned cannot be told: {error}", err=True)
        return
    if planned.stopped:
        typer.echo("brownouts: all stopped")
        return
    schedule = Schedule({version.name: version.brownouts for version in versions})
    schedule.plan = planned
    for version in versions:
        for window in schedule.windows(version.name):
            if window.ends > now():
                typer.echo(f"brownout of {version.name}: {window}")


@commands.command()
def new(name: Annotated[str, typer.Argument(help="Such as v3.")]) -> None:
    """Begin the next version in this repository: a preview that is like the newest one, with tests of its own."""
    with failing(ScaffoldError):
        written = scaffold(ROOT, VERSIONS[-1], name)
    for path in written:
        typer.echo(path.relative_to(ROOT))
    typer.echo(f"{name} is a preview: nothing is promised of it until its status says current and it is released")

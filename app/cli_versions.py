"""The `tandem versions` commands: how versions live and end."""

import typer

from app.domain.clock import now
from app.main import served_versions
from app.settings import load_settings
from app.versioning.discovery import spelled

versions_app = typer.Typer(help="How versions live and end.", no_args_is_help=True)


@versions_app.callback()
def versions() -> None:
    """How versions live and end."""


@versions_app.command("list")
def list_() -> None:
    """Show every version with its dates, as this deployment has them."""
    rows = [("version", "status", "deprecated", "sunset", "successor")]
    for version in served_versions(load_settings()):
        dates = (spelled(version.deprecated) or "-", spelled(version.sunset) or "-")
        rows.append((version.name, version.phase(now()), *dates, version.successor or "-"))
    for row in rows:
        typer.echo(f"{row[0]:10}{row[1]:12}{row[2]:22}{row[3]:22}{row[4]}")

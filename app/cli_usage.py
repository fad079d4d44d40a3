"""The `tandem usage` commands: who calls what, by the ledger."""

import json
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from app.adoption import ledger
from app.cli_support import echo_table, opened_migrated
from app.domain.clock import now
from app.main import served_versions
from app.settings import load_settings
from app.versioning.times import spelled


class By(StrEnum):
    CLIENT = "client"
    OPERATION = "operation"
    DAY = "day"


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"


class _ShowUnlessTold(TyperGroup):
    """`tandem usage v1` is `tandem usage show v1`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args[:1] != ["--help"] and (not args or args[0] not in self.commands):
            args = ["show", *args]
        return super().parse_args(ctx, args)


commands = typer.Typer(
    name="usage", cls=_ShowUnlessTold, help="Who calls what: `tandem usage v1` is `tandem usage show v1`."
)


@commands.command()
def show(
    version: Annotated[str | None, typer.Argument(help="This one alone, by default all.")] = None,
    days: Annotated[int, typer.Option(help="How far back.", min=1, max=3650)] = 7,
    by: Annotated[By, typer.Option(help="What to add up by.")] = By.CLIENT,
    format_: Annotated[Format, typer.Option("--format", help="For people, or for programs.")] = Format.TABLE,
) -> None:
    """Show the calls of each version, by client, operation or day."""
    since = now() - timedelta(days=days)
    with opened_migrated() as database, database.read() as connection:
        lines = ledger.summary(connection, by.value, since=since, version=version)
    served = [known.name for known in served_versions(load_settings())]
    if not lines and version is not None and version not in served:  # one that was taken away is still in the ledger
        raise typer.BadParameter(f"choose from {', '.join(served)}", param_hint="VERSION")
    if format_ is Format.JSON:
        rows = [
            {
                "version": line.version,
                by.value: line.name,
                **({"source": line.source} if by is By.CLIENT else {}),
                "calls": line.calls,
                "refused": line.refused,
                "last": spelled(line.last),
            }
            for line in lines
        ]
        typer.echo(json.dumps({"since": spelled(since), "by": by.value, "usage": rows}, indent=2))
        return
    table: list[tuple[object, ...]] = [("version", by.value, "calls", "refused", "last")]
    for line in lines:
        name = f"{line.name} (unregistered)" if line.source == "user-agent" else line.name
        table.append((line.version, name, line.calls, line.refused, spelled(line.last)))
    echo_table(table)


@commands.command()
def prune() -> None:
    """Add up by the day and delete what is old; the service itself does it once an hour."""
    settings = load_settings()
    with opened_migrated() as database, database.write_in_bulk() as connection:
        done = ledger.prune(
            connection, hourly=timedelta(days=settings.usage_hourly_days), kept=timedelta(days=settings.usage_days)
        )
    typer.echo(f"{done.rolled_up} hourly rows added up by the day, {done.forgotten} rows deleted")

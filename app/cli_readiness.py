"""`tandem versions readiness`: whom a version's end would hit. Exit status: 0 nobody, 1 somebody, 2 wrong usage."""

import json
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

import typer

from app.adoption.readiness import readiness as assessed
from app.cli_support import echo_table, opened_migrated, served_version
from app.main import served_versions
from app.settings import load_settings
from app.versioning import ApiVersion
from app.versioning.migration import EFFORTS
from app.versioning.readiness import CANNOT_BE_SEEN, DAYS, ClientReadiness, Readiness, as_json
from app.versioning.times import spelled

_HEADING = ("verdict", "client", "known by", "calls a day", "last seen", "activity", "consent", "changes that hit it")


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


def readiness(
    name: Annotated[str, typer.Argument(metavar="VERSION", help="The version that ends.")],
    form: Annotated[Format, typer.Option("--format", help="How to write the report.")] = Format.TEXT,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How many days calls a day are told of.")] = DAYS,
) -> None:
    """Show whom the end of a version would hit, and how hard: 0 when nobody is blocked, 1 when somebody is.

    A client is blocked when it has to be changed before it can follow, safe when another URL will do, and gone when
    it has not called for 90 days.
    """
    version = _ending(name)
    with opened_migrated() as database, database.read() as connection:
        found = assessed(connection, version, days)
    match form:
        case Format.JSON:
            typer.echo(json.dumps(as_json(name, version.successor, days, found), indent=2, ensure_ascii=False))
        case Format.MARKDOWN:
            _markdown(version, found)
        case Format.TEXT:
            _text(version, found)
    raise typer.Exit(1 if found.blocked else 0)


def _ending(name: str) -> ApiVersion:
    version = served_version(name)
    if version.migration is None:
        ending = [other.name for other in served_versions(load_settings()) if other.migration is not None]
        message = f"has no successor to be ready for; choose from {', '.join(ending) or 'none'}"
        raise typer.BadParameter(message, param_hint="VERSION")
    return version


def _text(version: ApiVersion, found: Readiness) -> None:
    typer.echo(_summary(version, found))
    if found.clients:
        typer.echo()
        echo_table([_HEADING, *map(_row, found.clients)])
    for line in _left_out(found):
        typer.echo(f"\n{line}")
    for each in found.clients:
        if each.hits:
            typer.echo(f"\n{each.client.name} ({each.verdict})")
        for hit in each.hits:
            typer.echo(f"  {hit.difference.effort:11}{hit.operation}: {hit.difference.summary}")
    typer.echo()
    for line in CANNOT_BE_SEEN:
        typer.echo(line)


def _markdown(version: ApiVersion, found: Readiness) -> None:
    typer.echo(f"# {_summary(version, found)}\n")
    for row in (_HEADING, ["---"] * len(_HEADING), *map(_row, found.clients)):
        typer.echo(f"| {' | '.join(str(cell).replace('|', '&#124;') for cell in row)} |")
    for line in _left_out(found):
        typer.echo(f"\n{line}")
    for each in found.clients:
        if each.hits:
            typer.echo(f"\n## {each.client.name} ({each.verdict})\n")
        for hit in each.hits:
            typer.echo(f"- **{hit.difference.effort}** `{hit.operation}`: {hit.difference.summary}")
    typer.echo(f"\n{' '.join(CANNOT_BE_SEEN)}")


def _summary(version: ApiVersion, found: Readiness) -> str:
    counts = [
        f"{sum(each.verdict == verdict for each in found.clients)} {verdict}" for verdict in ("blocked", "safe", "gone")
    ]
    ends = f"ends on {spelled(version.sunset)}" if version.sunset else "has no date to end on yet"
    return f"{version.name} {ends}: {', '.join(counts)}"


def _left_out(found: Readiness) -> Iterator[str]:
    if found.others:
        yield f"and {found.others} more with {found.others_calls} calls in 90 days, not assessed"
    if found.refused:
        yield f"{found.refused} more were only ever refused: they are not counted as clients"


def _row(each: ClientReadiness) -> tuple[object, ...]:
    efforts = [hit.difference.effort for hit in each.hits]
    counts = [f"{efforts.count(effort)} {effort}" for effort in reversed(EFFORTS) if effort in efforts]
    return (
        each.verdict,
        each.client.name,
        each.client.source,
        f"{each.calls_a_day:.1f}",
        spelled(each.last_seen),
        each.activity,
        spelled(each.consented) or "-",
        ", ".join(counts) or "none",
    )

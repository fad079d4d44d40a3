"""The `tandem versions brownout` commands: planning, rehearsing, stopping and looking back on brownouts."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from app.adoption import plan, rehearsal
from app.cli_support import echo_table, opened_migrated, served_version
from app.domain.clock import now
from app.main import served_versions
from app.settings import load_settings
from app.versioning import Brownout, LifecycleError
from app.versioning.times import rfc3339

brownouts_app = typer.Typer(
    help="Switching a version off for an announced while, so that its sunset surprises nobody.", no_args_is_help=True
)
_LENGTH = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?")
_SHOWN_OPERATIONS = 3


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is no time with a zone, such as 2027-01-10T09:00Z") from None


def _length(text: str) -> timedelta:
    found = _LENGTH.fullmatch(text)
    if not text or found is None:
        raise typer.BadParameter(f"{text!r} is no length of time, such as 30m, 2h, 1h30m or 1d")
    days, hours, minutes = (int(number or 0) for number in found.groups())
    try:
        return timedelta(days=days, hours=hours, minutes=minutes)
    except OverflowError:
        raise typer.BadParameter(f"{text!r} is too long") from None


_Version = Annotated[str, typer.Argument(help="Such as v1.")]
_Id = Annotated[int, typer.Argument(metavar="ID", help="As `list` shows it.")]


@brownouts_app.command("plan")
def plan_(
    version: _Version,
    starts: Annotated[datetime, typer.Option(parser=_moment, metavar="TIME", help="Such as 2027-01-10T09:00Z.")],
    ends: Annotated[datetime | None, typer.Option(parser=_moment, metavar="TIME", help="When it is over.")] = None,
    length: Annotated[
        timedelta | None,
        typer.Option("--for", parser=_length, metavar="LENGTH", help="In place of --ends: 30m, 2h, 1h30m, 1d."),
    ] = None,
    client: Annotated[
        str | None, typer.Option(metavar="ID", help="For this client alone: a registered one, or a User-Agent product.")
    ] = None,
    percentage: Annotated[
        int | None, typer.Option(min=1, max=100, help="For this part of the clients: always the same ones.")
    ] = None,
    reason: Annotated[str, typer.Option(help="For the list.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Plan nothing; say who would have been hit in weeks past.")
    ] = False,
    weeks: Annotated[
        int | None, typer.Option(min=1, max=52, help="With --dry-run: how many weeks to look back; 1 if not said.")
    ] = None,
) -> None:
    """Plan a window in which a version answers 410. Running workers know of it within seconds; /versions tells it."""
    if (ends is None) == (length is None):
        raise typer.BadParameter("give one of the two", param_hint="'--ends' / '--for'")
    if client is not None and percentage is not None:
        raise typer.BadParameter("a window is for one client or for a percentage", param_hint="'--percentage'")
    if weeks is not None and not dry_run:
        raise typer.BadParameter("is for a dry run: add --dry-run, or leave it out", param_hint="'--weeks'")
    served = served_version(version)
    try:
        window = Brownout(starts, ends or starts + (length or timedelta()), client, percentage or 100)
    except OverflowError:
        raise typer.BadParameter("is too long", param_hint="'--for'") from None
    with opened_migrated() as database, database.write() as connection:
        if dry_run:
            if (fault := plan.fault(connection, served, window)) is not None:
                raise LifecycleError(fault)
            found = rehearsal.rehearse(connection, version, window, weeks=weeks or 1, hourly=_hourly())
            _show_rehearsal(version, window, found)
        else:
            id_ = plan.plan(connection, served, window, reason)
        heard_of = client is None or plan.heard_of(connection, client)
    if not heard_of:
        typer.echo(f"no client {client} is registered or has called so far", err=True)
    if dry_run:
        return
    typer.echo(f"brownout {id_} of {version} planned: {window}")


@brownouts_app.command("list")
def list_(version: Annotated[str | None, typer.Argument(help="Such as v1; by default every one.")] = None) -> None:
    """Show every brownout, past and cancelled ones too."""
    versions = [served_version(version)] if version is not None else served_versions(load_settings())
    with opened_migrated() as database, database.read() as connection:
        windows, stopped = plan.windows(connection, version), plan.stopped(connection)
    at = now()
    declared = [
        ("-", one.name, window.state(at), str(window), "declared in the code")
        for one in versions
        for window in one.brownouts
    ]
    kept = [(str(one.id), one.version, one.state(at), str(one.brownout), one.reason) for one in windows]
    echo_table([("id", "version", "state", "window", "reason"), *declared, *kept])
    if stopped:
        typer.echo("All brownouts are stopped: none hits anybody until tandem versions brownout resume")


@brownouts_app.command()
def cancel(id_: _Id) -> None:
    """End a planned brownout, or keep it from starting."""
    with opened_migrated() as database, database.write() as connection:
        if not plan.cancel(connection, id_):
            raise LifecycleError(f"there is no brownout {id_} to cancel; see: tandem versions brownout list")
    typer.echo(f"brownout {id_} cancelled")


@brownouts_app.command()
def stop() -> None:
    """Stop every brownout, the open ones too, until `resume`: the kill switch."""
    with opened_migrated() as database, database.write() as connection:
        plan.stop(connection)
    typer.echo("all brownouts stopped; go on with: tandem versions brownout resume")


@brownouts_app.command()
def resume() -> None:
    """Let brownouts happen again as planned."""
    with opened_migrated() as database, database.write() as connection:
        plan.resume(connection)
    typer.echo("brownouts happen as planned")


@brownouts_app.command()
def report(id_: _Id) -> None:
    """Say whom a brownout has hit so far: who was answered 410 in its hours."""
    with opened_migrated() as database, database.read() as connection:
        found = [kept for kept in plan.windows(connection) if kept.id == id_]
        if not found:
            raise LifecycleError(f"there is no brownout {id_}; see: tandem versions brownout list")
        (window,) = found
        callers = rehearsal.refused(connection, window)
        period = (window.starts_at, window.ends_at)
        why = rehearsal.unknown(connection, period, _hourly()) if window.starts_at <= now() else None
    typer.echo(f"brownout {id_} of {window.version}, {window.state(now())}: {window.brownout!s}")
    if why is not None:
        typer.echo(why)
        return
    echo_table([("client", "known by", "refused", "operations"), *map(_row, callers)])
    typer.echo(f"{len(callers)} clients were refused {sum(caller.calls for caller in callers)} calls, by whole hours")


def _hourly() -> timedelta:
    return timedelta(days=load_settings().usage_hourly_days)


def _show_rehearsal(version: str, window: Brownout, found: rehearsal.Rehearsal) -> None:
    typer.echo(f"nothing is planned; {version} would be switched off {window}")
    for starts, ends in found.periods:
        typer.echo(f"looked at {rfc3339(starts)} to {rfc3339(ends)}, by whole hours")
    for (starts, ends), why in found.unknown:
        typer.echo(f"not looked at {rfc3339(starts)} to {rfc3339(ends)}: {why}")
    if not found.periods:
        return
    groups = (("hit", found.hit), ("exempt", found.exempt), ("not hit", found.spared))
    rows = [(verdict, *_row(caller)) for verdict, callers in groups for caller in callers]
    echo_table([("verdict", "client", "known by", "calls", "operations"), *rows])
    hit, every = (sum(row.calls for row in group) for group in (found.hit, found.hit + found.exempt + found.spared))
    typer.echo(f"{len(found.hit)} of {len(rows)} clients would have been refused {hit} of {every} calls")


def _row(caller: rehearsal.Caller) -> tuple[str, ...]:
    operations = [f"{operation} {calls}" for operation, calls in caller.operations.items()]
    more = [f"and {len(operations) - _SHOWN_OPERATIONS} more"] if len(operations) > _SHOWN_OPERATIONS else []
    return caller.name, caller.source, str(caller.calls), ", ".join([*operations[:_SHOWN_OPERATIONS], *more])

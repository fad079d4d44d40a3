"""The `tandem clients` commands: the register of programs that call the API."""

import re
from typing import Annotated

import typer

from app.adoption import clients, ledger
from app.adoption.clients import ID_PATTERN, ClientChanges, ClientView
from app.adoption.ledger import Seen
from app.cli_support import echo_table, opened_migrated
from app.domain import users
from app.domain.clock import now
from app.main import served_versions
from app.settings import load_settings
from app.versioning.times import spelled
from app.versioning.usage import activity

commands = typer.Typer(name="clients", help="The API's registered clients, and what they call.", no_args_is_help=True)

_NAME = typer.Option("--name", help="What people call it.")
_CONTACT = typer.Option("--contact", help="Whom to tell before something changes.")
_PINNED = typer.Option("--pinned", help="The only version it should call.")
_OWNER = typer.Option("--owner", metavar="EMAIL", help="The user who may look at it over the API.")


@commands.command()
def register(
    client_id: Annotated[str, typer.Argument(metavar="ID", help="What its logins name as client_id.")],
    name: Annotated[str, _NAME],
    contact: Annotated[str, _CONTACT],
    pinned: Annotated[str | None, _PINNED] = None,
    owner: Annotated[str | None, _OWNER] = None,
) -> None:
    """Register a client."""
    if not re.fullmatch(ID_PATTERN, client_id):
        message = "an id has 1 to 64 of a-z, 0-9, dots, hyphens and underscores, and begins with a letter or a digit"
        raise typer.BadParameter(message, param_hint="ID")
    _check(name, contact, pinned)
    with opened_migrated() as database, database.write() as connection:
        owner_id = users.id_of(connection, owner) if owner is not None else None
        clients.register(connection, client_id, name=name, contact=contact, pinned_version=pinned, owner_id=owner_id)
    typer.echo(f"client {client_id} registered")


@commands.command("list")
def list_() -> None:
    """List every client with when it was last seen, its calls of the last 7 days, and whether it drifts."""
    with opened_migrated() as database, database.read() as connection:
        found = clients.listed(connection)
        seen = ledger.seen(connection, [client.id for client in found])
    rows = [_row(client, seen.get(client.id)) for client in found]
    echo_table([("client", "name", "pinned", "last seen", "calls", "activity", "drift", "brownouts"), *rows])


@commands.command()
def show(client_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Show all that is known of a client."""
    with opened_migrated() as database, database.read() as connection:
        client = clients.get(connection, client_id)
        seen = ledger.seen(connection, [client_id]).get(client_id)
        owner = users.get(connection, client.owner_id).email if client.owner_id is not None else "-"
        lines = ledger.summary(connection, "operation", since=now() - ledger.RECENT, client=client_id)
    _, _, pinned, last_seen, calls, alive, drift, brownouts = _row(client, seen)
    for label, value in (
        ("id", client.id),
        ("name", client.name),
        ("contact", client.contact),
        ("owner", owner),
        ("registered", spelled(client.created_at)),
        ("pinned", pinned),
        ("last seen", last_seen),
        ("activity", alive),
        ("drift", drift),
        ("brownouts", brownouts),
        ("calls", f"{calls} in the last 7 days"),
    ):
        typer.echo(f"{label:12}{value}")
    if lines:
        typer.echo()
        rows = [(line.version, line.name, line.calls, line.refused, spelled(line.last)) for line in lines]
        echo_table([("version", "operation", "calls", "refused", "last"), *rows])


@commands.command()
def change(
    client_id: Annotated[str, typer.Argument(metavar="ID")],
    name: Annotated[str | None, _NAME] = None,
    contact: Annotated[str | None, _CONTACT] = None,
    pinned: Annotated[str | None, _PINNED] = None,
    owner: Annotated[str | None, _OWNER] = None,
    not_pinned: Annotated[bool, typer.Option("--not-pinned", help="It may call any version.")] = False,
    no_owner: Annotated[bool, typer.Option("--no-owner", help="It belongs to nobody.")] = False,
) -> None:
    """Change what is given of a client, and leave the rest."""
    if (pinned is not None and not_pinned) or (owner is not None and no_owner):
        raise typer.BadParameter("give the value, or take it away, but not both")
    _check(name, contact, pinned)
    changes: ClientChanges = {}
    if name is not None:
        changes["name"] = name
    if contact is not None:
        changes["contact"] = contact
    if pinned is not None or not_pinned:
        changes["pinned_version"] = pinned
    if no_owner:
        changes["owner_id"] = None
    with opened_migrated() as database, database.write() as connection:
        if owner is not None:
            changes["owner_id"] = users.id_of(connection, owner)
        clients.change(connection, client_id, changes)
    typer.echo(f"client {client_id} changed")


@commands.command()
def remove(client_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Take a client off the register. What it has called stays counted."""
    with opened_migrated() as database, database.write() as connection:
        clients.remove(connection, client_id)
    typer.echo(f"client {client_id} removed")


@commands.command("opt-out")
def opt_out(
    client_id: Annotated[str, typer.Argument(metavar="ID")],
    off: Annotated[bool, typer.Option("--off", help="Brownouts hit it again.")] = False,
) -> None:
    """Leave a client out of every brownout."""
    with opened_migrated() as database, database.write() as connection:
        clients.change(connection, client_id, {"brownout_exempt": not off})
    typer.echo(f"brownouts {'hit' if off else 'leave out'} client {client_id}")


def _check(name: str | None, contact: str | None, pinned: str | None) -> None:
    """Refuse as wrong usage what the API would refuse as well."""
    for value, longest, hint in ((name, 100, "--name"), (contact, 200, "--contact")):
        if value is not None and (not 1 <= len(value) <= longest or "\0" in value):
            raise typer.BadParameter(f"has 1 to {longest} characters", param_hint=hint)
    served = [version.name for version in served_versions(load_settings())]
    if pinned is not None and pinned not in served:
        raise typer.BadParameter(f"choose from {', '.join(served)}", param_hint="--pinned")


def _row(client: ClientView, seen: Seen | None) -> tuple[str, str, str, str, int, str, str, str]:
    calls = seen.calls if seen else {}
    return (
        client.id,
        client.name,
        client.pinned_version or "-",
        (spelled(seen.last) if seen else None) or "-",
        sum(calls.values()),
        activity(seen.last if seen else None, now()),
        f"calls {', '.join(drift)}" if (drift := client.drift(calls)) else "-",
        "left out" if client.brownout_exempt else "-",
    )

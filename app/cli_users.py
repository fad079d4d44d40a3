"""The `tandem users` commands: accounts, without the API."""

from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError

from app.cli_support import opened_migrated
from app.domain import users
from app.domain.fields import DisplayName, Email, Password
from app.domain.passwords import PasswordHasher
from app.settings import load_settings

commands = typer.Typer(name="users", help="Accounts, without the API.", no_args_is_help=True)


@commands.command()
def create(
    email: str,
    password: Annotated[
        str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True, envvar="TANDEM_PASSWORD")
    ],
    display_name: Annotated[str | None, typer.Option(help="The name shown.")] = None,
    admin: Annotated[bool, typer.Option("--admin", help="Make the account an administrator's.")] = False,
) -> None:
    """Make an account. The password is asked for, or read from TANDEM_PASSWORD."""
    _check(Email, email, "EMAIL", "not an e-mail address")
    _check(DisplayName | None, display_name, "--display-name", "a name shown has 1 to 100 characters")
    password_hash = _hash(password)
    with opened_migrated() as database, database.write() as connection:
        user = users.create(
            connection, email=email, password_hash=password_hash, display_name=display_name, is_admin=admin
        )
    typer.echo(f"user {user.id} made")


@commands.command()
def promote(email: str) -> None:
    """Make an account an administrator's."""
    with opened_migrated() as database, database.write() as connection:
        users.promote(connection, email)
    typer.echo("promoted")


@commands.command("set-password")
def set_password(
    email: str,
    password: Annotated[
        str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True, envvar="TANDEM_PASSWORD")
    ],
) -> None:
    """Set an account's password and end its sessions: for imported people, and for those who forgot theirs."""
    password_hash = _hash(password)
    with opened_migrated() as database, database.write() as connection:
        users.reset_password(connection, email, password_hash)
    typer.echo("password set; every session of the account has ended")


def _hash(password: str) -> str:
    _check(Password, password, "--password", "a password has 8 to 1024 characters")
    return PasswordHasher(rounds=load_settings().bcrypt_rounds, workers=1).hash_blocking(password)


def _check(type_: Any, value: object, where: str, message: str) -> None:
    """Refuse as wrong usage what the API would refuse as well."""
    try:
        TypeAdapter(type_).validate_python(value)
    except ValidationError:
        raise typer.BadParameter(message, param_hint=where) from None

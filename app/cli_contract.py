"""The `tandem contract` commands. Exit status: 0 compatible, 1 not, 2 for input that cannot be used."""

from typing import Annotated

import typer

from app.versioning.contract import ContractError, Format, compatible, diff, load, render

contract_app = typer.Typer(help="What the OpenAPI documents promise.", no_args_is_help=True)


@contract_app.callback()
def contract() -> None:
    """What the OpenAPI documents promise."""


@contract_app.command("diff")
def diff_(
    old: Annotated[str, typer.Argument(help="The document that clients rely on: a file or an http(s) address.")],
    new: Annotated[str, typer.Argument(help="The document that is to take its place.")],
    form: Annotated[Format, typer.Option("--format", help="How to write the result.")] = Format.TEXT,
    strip_prefix: Annotated[
        list[str] | None,
        typer.Option(help="Taken from the paths before they are compared; given twice, first OLD's and then NEW's."),
    ] = None,
    generated_clients: Annotated[
        bool, typer.Option("--generated-clients", help="Count a changed operationId as breaking.")
    ] = False,
) -> None:
    """Compare two OpenAPI 3.0 or 3.1 documents: 0 when clients of OLD can rely on NEW, 1 when not, 2 for bad input."""
    prefixes = strip_prefix or [""]
    if len(prefixes) > 2:
        _refuse("--strip-prefix is given once for both documents, or twice")
    try:
        changes = diff(load(old), load(new), prefixes=(prefixes[0], prefixes[-1]), generated_clients=generated_clients)
    except ContractError as error:
        _refuse(str(error))
    typer.echo(render(changes, form))
    raise typer.Exit(0 if compatible(changes) else 1)


def _refuse(message: str) -> None:
    typer.echo(f"tandem: {message}", err=True)
    raise typer.Exit(2)

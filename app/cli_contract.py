"""The `tandem contract` commands. Exit status: 0 compatible, 1 not, 2 for what cannot be judged."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer

from app.api import VERSIONS
from app.cli_support import Failure, failing
from app.domain.clock import now
from app.main import create_app
from app.settings import load_settings
from app.versioning import ApiVersion
from app.versioning.contract import ContractError, Format, compatible, diff, golden, load, released, render, report

ROOT = Path(__file__).resolve().parents[1]
CONTRACTS = ROOT / "contracts"
CHANGELOG = ROOT / "CHANGELOG.md"
Contracts = Annotated[Path, typer.Option(help="Where the released documents are, and under golden/ the recordings.")]

commands = typer.Typer(name="contract", help="What the OpenAPI documents promise.", no_args_is_help=True)


@commands.callback()
def contract() -> None:
    """What the OpenAPI documents promise."""


@commands.command("diff")
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
        raise Failure("--strip-prefix is given once for both documents, or twice", 2)
    with failing(ContractError, status=2):
        changes = diff(load(old), load(new), prefixes=(prefixes[0], prefixes[-1]), generated_clients=generated_clients)
    typer.echo(render(changes, form))
    raise typer.Exit(0 if compatible(changes) else 1)


@commands.command()
def check(
    versions: Annotated[list[str] | None, typer.Argument(help="Which; all of them by default.")] = None,
    documents_only: Annotated[
        bool, typer.Option("--documents-only", help="Replay nothing: all that can be done without the repository.")
    ] = False,
    contracts: Contracts = CONTRACTS,
) -> None:
    """Compare what is served with what was released, and replay what was recorded; 1 when they differ.

    It says what differs and what to do about it. 2 for what cannot be compared, or not be replayed.
    """
    documents = _documents(versions)
    recordings = None if documents_only else _recordings()
    drifted = False
    for version, document in documents:
        with failing(ContractError, status=2):
            drift = released.check(version, document, contracts)
            count, told = recordings.check(version, contracts / "golden") if recordings else (0, [])
        verdict = f"{version.name}: {'as' if drift is None else 'not as'} released"
        if recordings:
            verdict += "; not as recorded" if told else f"; {count} exchanges as recorded"
        typer.echo("\n\n".join([verdict, *([released.describe(drift)] if drift else []), *told]))
        drifted = drifted or drift is not None or bool(told)
    raise typer.Exit(1 if drifted else 0 if recordings or documents_only else 2)


@commands.command()
def record(
    name: Annotated[str, typer.Argument(metavar="VERSION", help="Which.")],
    overwrite: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Record this scenario anew; * for any.")
    ] = None,
    contracts: Contracts = CONTRACTS,
) -> None:
    """Record what is answered to scenarios that have no recording; the recordings that are there stay as they are."""
    documents = _documents([name])
    recordings = _recordings()
    if recordings is None:
        raise typer.Exit(2)
    for version, _ in documents:
        with failing(ContractError, status=2), failing(recordings.NotRecorded):
            written = recordings.record(version, overwrite or (), contracts / "golden")
        for path in written:
            typer.echo(f"{path}: {len(golden.load(path))} exchanges")
        typer.echo(f"{name}: {len(written)} scenarios recorded")


@commands.command()
def release(
    name: Annotated[str, typer.Argument(metavar="VERSION", help="Which.")],
    correction: Annotated[
        str | None,
        typer.Option(
            metavar="REASON",
            help="Take in what breaks by the document alone: why that was wrong and the service right.",
        ),
    ] = None,
) -> None:
    """Make the document that is served the released one, if no client breaks, and note it in CHANGELOG.md."""
    if correction is not None and not correction.strip():
        raise typer.BadParameter("say why the document was wrong", param_hint="--correction")
    for version, document in _documents([name]):
        with failing(ContractError):
            drift = released.release(version, document, CONTRACTS, CHANGELOG, correction)
        typer.echo(f"{name}: nothing to release" if drift is None else f"{name}: released")


@commands.command("report")
def report_(
    out: Annotated[Path, typer.Option(help="Where to write the page.")] = Path("contract-report.html"),
    archives: Annotated[Path, typer.Option(help="HTTP archives that `make contract` left.")] = Path("build/contract"),
) -> None:
    """Write one HTML page that says, for every operation and status, what was proven."""
    proofs = [_proof(version, document, archives) for version, document in _documents(None)]
    out.write_text(report.render(proofs, f"{now():%Y-%m-%d %H:%M} UTC"), encoding="utf-8")
    typer.echo(f"wrote {out}")


def _proof(version: ApiVersion, document: dict[str, Any], archives: Path) -> report.VersionProof:
    try:
        drift = released.check(version, document, CONTRACTS)
    except ContractError as error:
        sentence, holds = str(error), False
    else:
        holds = drift is None
        sentence = "The document is as released." if drift is None else "The document is not as released."
    recorded = [
        report.Observation(exchange.request.method, exchange.request.path.partition("?")[0], exchange.reply.status)
        for file in sorted((CONTRACTS / "golden" / version.name).glob("*.json"))
        for exchange in golden.load(file)
    ]
    generated = (seen for file in sorted(archives.glob(f"{version.name}-*.har")) for seen in report.read_archive(file))
    return report.prove(version.name, document, cases=generated, golden=recorded, compatibility=sentence, holds=holds)


def _documents(names: list[str] | None) -> list[tuple[ApiVersion, dict[str, Any]]]:
    """These versions with their documents as served; wrong usage for a name that no version has."""
    documents = create_app(load_settings()).state.installed.documents
    if unknown := set(names or ()) - documents.keys():
        raise typer.BadParameter(f"no version {', '.join(sorted(unknown))}; there are {', '.join(documents)}")
    return [
        (version, documents[version.name])
        for version in VERSIONS
        if (version.name in names if names else version.promised)
    ]


def _recordings() -> ModuleType | None:
    """What records and replays; None, having said why, where it is not: it is no part of what is installed."""
    sys.path.insert(0, str(ROOT))  # the installed command finds the application only
    try:
        from contract_tests import recordings  # noqa: PLC0415 - all else here goes without the tools for tests
    except ImportError as error:
        typer.echo(
            f"tandem: the recordings need the repository and its tools for tests ({error}): "
            "make .venv/installed-dev brings them",
            err=True,
        )
        return None
    return recordings

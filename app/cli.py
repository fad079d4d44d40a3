"""The `tandem` command. Errors are one line on standard error and exit status 1; wrong usage is 2."""

import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from importlib.metadata import version as installed_version
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from sqlalchemy.exc import SQLAlchemyError
from typer.core import TyperGroup
from typer.main import get_group

from app import supervisor
from app.api import VERSIONS
from app.cli_support import Failure, echo_table, opened
from app.db import DatabaseUnavailable, schema
from app.domain.errors import DomainError
from app.logs import configure_logging
from app.main import create_app, served_versions
from app.serving import BoundedHttp, Bounds
from app.settings import Settings, SettingsError, describe_settings, load_settings
from app.versioning import LifecycleError

# Commands whose module is imported when they are asked for: a server would keep all that they bring along.
ELSEWHERE = {
    "import": "app.cli_transfer",
    "export": "app.cli_transfer",
    "db": "app.cli_db",
    "users": "app.cli_users",
    "contract": "app.cli_contract",
    "lifecycle": "app.cli_lifecycle",
    "versions": "app.cli_versions",
    "clients": "app.cli_clients",
    "usage": "app.cli_usage",
}


class Commands(TyperGroup):
    """The commands below, and those that are ELSEWHERE."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(dict.fromkeys([*super().list_commands(ctx), *ELSEWHERE]))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.commands:
            # Of an unknown one it is said which others it may be meant for: that takes all.
            for name in [cmd_name] if cmd_name in ELSEWHERE else ELSEWHERE:
                self.add_command(_elsewhere(name), name)
        return super().get_command(ctx, cmd_name)


def _elsewhere(name: str) -> Any:
    """The group that is a module's, or one of the commands of a module that is no group."""
    group = get_group(import_module(ELSEWHERE[name]).commands)
    return group if group.name == name else group.commands[name]


app = typer.Typer(
    name="tandem",
    cls=Commands,
    help="One service, several API generations: " + "; ".join(f"{v.name} ({v.status})" for v in VERSIONS) + ".",
    epilog="Begin with: tandem db upgrade && tandem serve. Settings come from the environment and .env; "
    "`tandem settings` shows what is in force.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

EXPECTED = (SettingsError, LifecycleError, DatabaseUnavailable, DomainError)


def run() -> None:
    """Run the command; wrong usage, and a failure that can be foreseen, end in one line instead of a traceback."""
    try:
        sys.exit(app(standalone_mode=False))
    except typer.TyperException as error:
        _fail_usage(error)
    except typer.Abort:  # Ctrl-C, or the end of the input, where a password is asked for
        _fail("no password was given; where nobody can type one, set TANDEM_PASSWORD")
    except Failure as error:
        _fail(str(error), error.status)
    except EXPECTED as error:
        _fail(str(error))
    except SQLAlchemyError as error:
        _fail(f"the database refused: {str(getattr(error, 'orig', None) or error).strip().splitlines()[0]}")
    except OSError as error:
        _fail(f"{error.filename or 'input/output'}: {error.strerror or error}")


def _fail_usage(error: typer.TyperException) -> None:
    message = " ".join(error.format_message().split()).rstrip(".").replace("Value error, ", "")  # pydantic's words
    if not message:  # a group without a command has shown its help
        sys.exit(error.exit_code)
    context = getattr(error, "ctx", None)
    _fail(f"{message} (see: {context.command_path} --help)" if context else message, error.exit_code)


def _fail(message: str, status: int = 1) -> None:
    typer.echo(f"tandem: {message}", err=True)
    sys.exit(status)


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"tandem {installed_version('tandem')}")
        raise typer.Exit


@app.callback()
def _before_commands(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """What is asked of no command has been answered by its callback."""


@contextmanager
def _metrics_folder(settings: Settings) -> Iterator[None]:
    """Where several workers leave their numbers, so that each can tell those of all."""
    if settings.workers == 1 or not settings.metrics_enabled:
        yield
        return
    with TemporaryDirectory(prefix="tandem-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        yield


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.  [default: HOST, 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.  [default: PORT, 8000]")] = None,
    workers: Annotated[int | None, typer.Option(help="Server processes.  [default: WORKERS, 1]")] = None,
) -> None:
    """Serve every version over HTTP until stopped. Migrate first: tandem db upgrade."""
    given = {"host": host, "port": port, "workers": workers}
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    served_versions(settings)  # refuses what contradicts itself before workers do, each and again
    _check_port_is_free(settings)
    with opened(settings) as database, database.read() as connection:
        revision = schema.current(connection)
    complaint = schema.complaint(revision)
    if revision is None:
        raise DatabaseUnavailable(complaint)
    if complaint is not None:  # served all the same: a release may be on its way, and /readyz tells
        _tell(complaint)
    _greet(settings)
    if settings.workers > 1:
        configure_logging(json=settings.logs_json, level=settings.log_level)  # the supervisor tells of who has died
    with _metrics_folder(settings):
        supervisor.run(
            "app.main:create_worker",
            factory=True,
            host=settings.host,
            port=settings.port,
            workers=settings.workers,
            http=partial(BoundedHttp, Bounds(settings.max_header_bytes, settings.client_timeout)),
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            timeout_graceful_shutdown=settings.shutdown_grace_seconds,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=",".join(settings.trusted_proxies),
        )


def _check_port_is_free(settings: Settings) -> None:
    """Say so at once; workers would each fail and be started again."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise SettingsError(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}") from None


def _greet(settings: Settings) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    base = f"http://{host}:{settings.port}"
    newest = [version for version in VERSIONS if version.promised][-1]
    _tell(
        f"Tandem serves {' and '.join(base + v.prefix for v in VERSIONS)} from {settings.masked_database_url}\n"
        f"  docs             {'  '.join(f'{base}{v.prefix}/docs' for v in VERSIONS)}\n"
        f"  a first request  curl {base}{newest.prefix}/posts\n"
        "  stop             Ctrl-C"
    )


def _tell(message: str) -> None:
    """Say it to whoever looks; where standard error is full, the service is served all the same."""
    with suppress(OSError):
        typer.echo(message, err=True)


@app.command()
def openapi(
    version: Annotated[str, typer.Argument(help=", ".join(v.name for v in VERSIONS))],
) -> None:
    """Print the OpenAPI document of a version."""
    settings = load_settings()
    documents = create_app(settings).state.installed.documents
    if version not in documents:
        raise typer.BadParameter(f"choose from {', '.join(documents)}", param_hint="VERSION")
    print(json.dumps(documents[version], indent=2, ensure_ascii=False))


@app.command()
def settings() -> None:
    """Show every setting in force and where it came from; secrets are masked."""
    loaded = load_settings()
    served_versions(loaded)  # what `serve` would refuse is no setting in force
    echo_table([("setting", "value", "from"), *describe_settings(loaded)])

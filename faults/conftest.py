"""Databases and servers that tests may break, and the table of what was measured."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.db import Database, migrations
from app.settings import Settings
from faults.postgres import PostgresServer

MEASURED: list[tuple[str, str]] = []
Measured = Callable[[str, str], None]


@pytest.fixture
def measured() -> Measured:
    """Called with what was done and the figure it gave, both for a person; the run ends with the table of them."""

    def note(event: str, figure: str) -> None:
        MEASURED.append((event, figure))

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("measured")
    for event, figure in MEASURED:
        terminalreporter.write_line(f"{event}: {figure}")


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A migrated PostgreSQL that may be broken; mend it before the test ends."""
    with tempfile.TemporaryDirectory(prefix="tandem-pg-", dir="/tmp") as folder:
        server = PostgresServer(Path(folder))
        migrate(server.url)
        try:
            yield server
        finally:
            server.thaw()
            server.close()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A migrated SQLite database."""
    url = f"sqlite:///{tmp_path}/tandem.db"
    migrate(url)
    return url


def migrate(url: str) -> None:
    database = Database(Settings(database_url=url).database_url)
    migrations.upgrade(database)
    database.close()

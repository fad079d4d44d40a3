"""Migrating to the next release while the present one is asked."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import pytest
import sqlalchemy as sa

from app.db import Database, schema
from app.settings import Settings
from faults.callers import load, people, titles_in
from faults.conftest import Measured
from faults.postgres import PostgresServer
from tests.server import LiveServer

ROOT = Path(__file__).resolve().parents[1]
ROWS = 200_000
LONGEST_WAIT = 0.5  # s
# What a release may do: columns, a table, an index of a table in use. The rows tell how often it was done.
NEXT = {
    "next1": """
    op.add_column("posts", sa.Column("language", sa.Text(), nullable=True))
    op.add_column("posts", sa.Column("pinned", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_table("releases", sa.Column("name", sa.Text(), nullable=False))
    op.create_index("ix_releases_name", "releases", ["name"])
    op.execute("INSERT INTO releases (name) VALUES ('next1')")
""",
    "next2": """
    create_index_concurrently("ix_posts_language_id", "posts", ["language", "id"])
""",
    "next3": """
    op.execute("INSERT INTO releases (name) VALUES ('next3')")
""",
}


@pytest.fixture
def next_release(tmp_path: Path) -> Path:
    """A copy of this code with three more migrations, as the next release has them."""
    folder = tmp_path / "next"
    for name in ("app", "alembic"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "alembic.ini", folder)
    before = schema.newest()
    for revision, body in NEXT.items():
        (folder / "alembic" / "versions" / f"{revision}.py").write_text(
            "import sqlalchemy as sa\nfrom alembic import op\n"
            "from app.db.migrations import create_index_concurrently\n\n"
            f"revision = {revision!r}\ndown_revision = {before!r}\n\n\ndef upgrade():{body}"
        )
        before = revision
    return folder


def upgrading(release: Path, url: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "DATABASE_URL": url, "SECRET_KEY": "0" * 32, "PYTHONPATH": str(release)}
    command = [sys.executable, "-m", "app", "db", "upgrade"]
    return subprocess.Popen(
        command, cwd=release, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def opened(url: str) -> Database:
    return Database(Settings(database_url=url).database_url)


def releases_in(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(sa.text("SELECT name FROM releases ORDER BY name")).scalars())


@contextmanager
def waits_for_locks(database: Database) -> Iterator[list[float]]:
    """How long statements are seen to wait for each other while the block runs, s, looked at 50 times a second.

    Whoever makes an index concurrently waits for old transactions (locktype virtualxid), and nobody behind it.
    """
    waits, stop = [0.0], threading.Event()
    asked = sa.text(
        "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - waitstart)), 0)"
        " FROM pg_locks WHERE NOT granted AND locktype NOT IN ('advisory', 'virtualxid')"
    )

    def look() -> None:
        with database.read() as connection:
            while not stop.wait(0.02):
                waits.append(float(connection.execute(asked).scalar_one()))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield waits
    finally:
        stop.set()
        looking.join()


def test_migrating_under_load(postgres: PostgresServer, next_release: Path, tmp_path: Path, measured: Measured) -> None:
    """Two nodes migrate at once at 200 requests/s to two nodes of the release before: one does it, both succeed, no
    request is 5xx or unanswered, and nobody waits for a lock for long.
    """
    database = opened(postgres.url)
    with ExitStack() as stack:
        stack.callback(database.close)
        nodes = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            server = LiveServer(postgres.url, tmp_path / name, RATE_LIMIT_ENABLED="false")
            nodes.append(stack.enter_context(server))
        emails = people(nodes[0].url, 16)
        many_posts(database)
        with load([node.port for node in nodes], emails=emails, rate=200) as account:
            time.sleep(2)
            began = time.monotonic()
            with waits_for_locks(database) as waits:
                both = [upgrading(next_release, postgres.url) for _ in range(2)]
                ended = [process.communicate(timeout=120) for process in both]
            took = time.monotonic() - began
            time.sleep(1)
        done = releases_in(database)
        ready = [httpx2.get(f"{node.url}/readyz").status_code for node in nodes]
    rows = titles_in(postgres.url)
    during = [at for at, _ in account.answered if began <= at <= began + took]
    measured(
        f"migrating {ROWS:,} posts, an index among it, under load",
        f"{len(during) / took:.0f} requests/s for {took:.1f} s; {account.errors} 5xx, {len(account.failures)}"
        f" unanswered; longest wait for a lock {max(waits):.2f} s, for a reply {account.longest(began):.2f} s",
    )
    assert [process.returncode for process in both] == [0, 0], ended
    assert done == ["next1", "next3"]
    assert ready == [200, 200]
    assert not account.errors
    assert not account.failures
    assert max(waits) < LONGEST_WAIT
    assert all(rows[title] == 1 for title in account.titles)


def many_posts(database: Database) -> None:
    with database.write_in_bulk() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO posts (title, title_folded, content, published, owner_id, votes_up, votes_down,"
                " created_at, updated_at) SELECT 'many ' || n, 'many ' || n, repeat('x', 500), true,"
                " (SELECT min(id) FROM users), 0, 0,"
                f" now(), now() FROM generate_series(1, {ROWS}) n"
            )
        )


def test_the_next_release_on_sqlite(sqlite_url: str, next_release: Path) -> None:
    """The same migrations, with an index that PostgreSQL makes concurrently, go up on SQLite, twice at once as well."""
    both = [upgrading(next_release, sqlite_url) for _ in range(2)]
    ended = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], ended
    database = opened(sqlite_url)
    assert releases_in(database) == ["next1", "next3"]
    assert "ix_posts_language_id" in {index["name"] for index in sa.inspect(database.engine).get_indexes("posts")}
    database.close()

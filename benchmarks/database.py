"""The PostgreSQL that all contenders share, with the rows in it."""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import psycopg2

from app.db import Database, migrations
from app.domain import users
from app.domain.passwords import PasswordHasher
from app.settings import Settings
from benchmarks import dataset
from benchmarks.environments import ROOT
from benchmarks.machine import cores, cpu_seconds, pin
from benchmarks.servers import BCRYPT_ROUNDS
from faults.postgres import PostgresServer

PASSWORD = "correct horse"
# What a request costs a server is measured here, and not the disk: nobody waits for it. All else is as delivered.
_CONFIGURATION = {"synchronous_commit": "off", "max_connections": "200"}


class BenchDatabase:
    """A migrated PostgreSQL on cores of its own, reached over a unix socket by everybody alike."""

    def __init__(self, server: PostgresServer, folder: Path) -> None:
        self._server = server
        self.url = server.url
        self.process = psutil.Process(int((folder / "postmaster.pid").read_text().split()[0]))
        self._connection = psycopg2.connect(self.url)
        self._connection.autocommit = True

    def run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run one statement as the superuser; gives the rows, if it has any."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def remember(self) -> None:
        """Note which posts and sessions there are, for `put_back`."""
        self._last_post = self.run("SELECT max(id) FROM posts")[0][0]
        self._sessions = [str(row[0]) for row in self.run("SELECT id FROM sessions")]

    def put_back(self) -> None:
        """Delete what was created since `remember`, and clean up, so that whoever comes next finds the same tables.

        Votes stay: there are never more of them than pairs of a person and a post that are asked for.
        """
        self.run("DELETE FROM posts WHERE id > %s", self._last_post)
        self.run("DELETE FROM sessions WHERE NOT (id = ANY(%s))", self._sessions)
        self.run("VACUUM posts, post_tags, votes, sessions, refresh_tokens")

    def cpu_seconds(self) -> float:
        """What the whole server has computed so far."""
        return cpu_seconds(self.process)

    def close(self) -> None:
        self._connection.close()


@contextmanager
def postgresql() -> Iterator[BenchDatabase]:
    """An empty, migrated database, gone after the block."""
    # A short path: a unix socket's may have 107 bytes.
    with TemporaryDirectory(prefix="tandem-pg-", dir="/tmp") as folder:
        server = PostgresServer(Path(folder))
        try:
            for name, value in _CONFIGURATION.items():
                server.psql(f"ALTER SYSTEM SET {name} = '{value}'")
            server.stop()
            server.start()
            database = BenchDatabase(server, Path(folder))
            pin(database.process, cores().database)
            tables = Database(Settings(database_url=server.url).database_url)
            migrations.upgrade(tables)
            tables.close()
            yield database
            database.close()
        finally:
            server.close()


def fill(database: BenchDatabase, tell: Callable[[str], None]) -> str:
    """Import the data set; says which it is."""
    with TemporaryDirectory(prefix="tandem-dump-") as folder:
        dump = Path(folder) / "dump.jsonl.gz"
        tell("making the data set")
        name = dataset.make_dump(dump)
        tell(f"importing the data set ({name})")
        subprocess.run(
            [sys.executable, "-m", "app", "import", str(dump)],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": database.url},
            capture_output=True,
            check=True,
        )
    database.run("VACUUM ANALYZE")
    return name


def let_log_in(database: BenchDatabase, number: int) -> list[tuple[int, str]]:
    """Give so many people a password; their ids and e-mails."""
    hashed = PasswordHasher(rounds=BCRYPT_ROUNDS, workers=1).hash_blocking(PASSWORD)
    people = [
        (int(user_id), str(email))
        for user_id, email in database.run("SELECT id, email FROM users ORDER BY id LIMIT %s", number)
    ]
    tables = Database(Settings(database_url=database.url).database_url)
    with tables.write() as connection:
        for user_id, _ in people:
            users.set_password_hash(connection, user_id, hashed)
    tables.close()
    return people


def words_of_titles(database: BenchDatabase, number: int) -> list[str]:
    """The words of four letters and more that most titles have, the most common first."""
    seen: Counter[str] = Counter()
    for (title,) in database.run("SELECT title_folded FROM posts"):
        seen.update(set(re.findall(r"[a-z]{4,}", title)))
    return [word for word, _ in seen.most_common(number)]

"""SQLite whose writers are killed, and whose disk is full or cannot be written."""

import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from http.client import HTTPException
from pathlib import Path

import httpx2
import pytest

from faults import forked
from faults.callers import Caller, people, titles_in
from faults.conftest import Measured, migrate
from tests.server import LiveServer, free_port

KILLS = 100
WRITERS = 4
QUIET = {"RATE_LIMIT_ENABLED": "false", "USAGE_FLUSH_SECONDS": "0.5"}


def write(caller: Caller, token: str, title: str, size: int = 1000) -> int:
    post = json.dumps({"title": title, "content": "x" * size}).encode()
    return caller.ask("POST", "/v2/posts", post, Authorization=token, Content_Type="application/json")[0]


def is_intact(file: Path) -> None:
    """Look at a copy: opening a database whose writer died mends it, which is for the service to do."""
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("", "-wal"):
            if (beside := file.with_name(file.name + suffix)).exists():
                shutil.copy(beside, folder)
        with closing(sqlite3.connect(Path(folder) / file.name)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_a_hundred_kills_while_writing(sqlite_url: str, tmp_path: Path, measured: Measured) -> None:
    """`kill -9` of the service 100 times, at random moments while four clients write: after each the database is
    intact, and in the end what was acknowledged is there, once.
    """
    file, port = tmp_path / "tandem.db", free_port()
    acknowledged: list[str] = []
    server = forked.start(sqlite_url, port)
    url = f"http://127.0.0.1:{port}"
    wait_for(url)
    with closing(Caller([port])) as caller:
        token = caller.log_in(people(url, 1)[0])

    def write_until_killed(name: str) -> None:
        with closing(Caller([port])) as caller, suppress(OSError, HTTPException):
            for number in range(100_000):
                title = f"{name} {number}"
                if write(caller, token, title) == 201:
                    acknowledged.append(title)

    for kill in range(KILLS):
        writers = [threading.Thread(target=write_until_killed, args=(f"{kill} {n}",)) for n in range(WRITERS)]
        for writer in writers:
            writer.start()
        time.sleep(random.uniform(0.02, 0.2))
        server.kill()
        server.join()
        for writer in writers:
            writer.join()
        is_intact(file)
        if kill < KILLS - 1:
            server = forked.start(sqlite_url, port)
            wait_for(url)
    rows = titles_in(sqlite_url)
    lost = [title for title in acknowledged if rows[title] == 0]
    measured(
        f"SQLite, kill -9 {KILLS} times while {WRITERS} clients write",
        f"{len(acknowledged)} writes acknowledged, {len(lost)} lost, {len(rows) - len(acknowledged)} more in the"
        f" database; integrity_check ok after each",
    )
    assert len(acknowledged) > KILLS
    assert not lost
    assert max(rows.values()) == 1


def wait_for(url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            assert httpx2.get(f"{url}/readyz").status_code == 200
        except httpx2.TransportError:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        else:
            return


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("a small file system needs the right to mount one")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill_the_disk(server: LiveServer, folder: Path, write_one: Callable[[], int]) -> Callable[[], None]:
    del server
    while write_one() == 201:
        pass
    return lambda: remount(folder, "size=12m")


def forbid_files_to_grow(server: LiveServer, folder: Path, write_one: Callable[[], int]) -> Callable[[], None]:
    """Every write to a file fails, also of the log."""
    del folder, write_one
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    def mend() -> None:
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    return mend


def remount(folder: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", folder], check=True)


@pytest.mark.parametrize("broken", ["full disk", "no file can be written"])
def test_a_disk_that_takes_no_more(
    broken: str, request: pytest.FixtureRequest, tmp_path: Path, measured: Measured
) -> None:
    """Writes are 503 and reads go on, the ledger and the log stop nothing, and once there is room writes go on."""
    full = broken == "full disk"
    folder: Path = request.getfixturevalue("small_disk") if full else tmp_path
    url = f"sqlite:///{folder}/tandem.db"
    migrate(url)
    titles: list[str] = []
    with LiveServer(url, tmp_path, **QUIET) as server, closing(Caller([server.port])) as caller:
        token = caller.log_in(people(server.url, 1)[0])

        def write_one() -> int:
            title = f"title {time.monotonic_ns()}"
            status = write(caller, token, title, 20_000)
            if status == 201:
                titles.append(title)
            return status

        assert write_one() == 201
        mend = (fill_the_disk if full else forbid_files_to_grow)(server, folder, write_one)
        refused = [write_one() for _ in range(20)]
        refused.append(caller.ask("DELETE", "/v2/posts/1", Authorization=token)[0])
        reads = [caller.ask("GET", path, Authorization=token)[0] for path in ("/v1/posts", "/v2/posts", "/livez")]
        time.sleep(1.2)  # the ledger is written twice meanwhile
        is_intact(folder / "tandem.db")
        mend()
        began = time.monotonic()
        assert write_one() == 201
        back = time.monotonic() - began
        assert caller.ask("GET", "/readyz")[0] == 200
        assert server.stop() in (0, -signal.SIGTERM)
    rows = titles_in(url)
    is_intact(folder / "tandem.db")
    measured(
        f"SQLite, {broken}",
        f"{len(refused)} writes: {sorted(set(refused))}; reads {sorted(set(reads))}; after: first write within"
        f" {back:.2f} s, {len(titles)} acknowledged, {sum(rows[t] == 0 for t in titles)} lost, integrity_check ok",
    )
    assert set(refused) == {503}
    assert set(reads) == {200}
    assert all(rows[title] == 1 for title in titles)


def test_a_read_only_disk_is_told_at_start(small_disk: Path, tmp_path: Path, measured: Measured) -> None:
    """A service whose SQLite database is on a read-only disk ends at once, with one line, and harms nothing."""
    url = f"sqlite:///{small_disk}/tandem.db"
    migrate(url)
    remount(small_disk, "ro")
    server = LiveServer(url, tmp_path)
    with pytest.raises(RuntimeError, match="did not start"):
        server.start()
    said = server.log.read_text().splitlines()
    remount(small_disk, "rw")
    measured("SQLite, read-only disk at start", f"exit {server.process.returncode}: {said[-1]}")
    assert server.process.returncode == 1
    assert len(said) == 1
    with LiveServer(url, tmp_path) as server:
        assert httpx2.get(f"{server.url}/readyz").status_code == 200
    is_intact(small_disk / "tandem.db")


@pytest.mark.parametrize("redirection", [">/dev/full 2>&1", ">&- 2>&-"], ids=["full", "closed"])
def test_a_log_that_cannot_be_written(redirection: str, sqlite_url: str) -> None:
    """Standard error that is full, or closed, keeps nobody from being served."""
    port = free_port()
    serve = f"exec {sys.executable} -m app serve --port {port} {redirection}"
    environment = {**os.environ, "DATABASE_URL": sqlite_url, "SECRET_KEY": "0" * 32}
    process = subprocess.Popen(["sh", "-c", serve], cwd=Path(__file__).parents[1], env=environment)
    try:
        wait_for(f"http://127.0.0.1:{port}")
        assert httpx2.get(f"http://127.0.0.1:{port}/v2/posts").status_code == 200
        assert httpx2.get(f"http://127.0.0.1:{port}/v1/posts").status_code == 401
    finally:
        process.terminate()
        process.wait(timeout=30)

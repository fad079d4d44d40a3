"""A server of our own, as a process."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2

START_SECONDS = 90


class LiveServer:
    """`tandem serve` on a free port of the loopback interface, for the length of a `with` block.

    `folder` takes its log, `server.log`, and its temporary files. The database must be migrated. The block begins once
    all workers serve.

    It stays in our session: Linux shares the cores among sessions first, and only then within each by priority. In one
    of its own, what has a low priority there would still come as often as the clients here.
    """

    def __init__(self, database_url: str, folder: Path, **environment: str) -> None:
        self.database = database_url.partition(":")[0].partition("+")[0]  # sqlite or postgresql
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "server.log"
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[1]),  # this tree's code, from whatever folder it is started
            "DATABASE_URL": database_url,
            "SECRET_KEY": "a secret for tests, long enough to sign with",
            "BCRYPT_ROUNDS": "4",
            "LOG_FORMAT": "json",
            "WORKERS": "1",
            "RATE_LIMIT_ENABLED": "false",
            "LOGIN_FAILURES_ALLOWED": "1000000",
            "TMPDIR": str(folder),
            **environment,
        }

    def __enter__(self) -> Self:
        self.log.unlink(missing_ok=True)
        self.start()
        return self

    def start(self) -> None:
        """Serve, on the same port as before; returns once all workers do. The log goes on where it ended."""
        self._log_began = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process: subprocess.Popen[Any] = subprocess.Popen(
                [sys.executable, "-m", "app", "serve", "--port", str(self.port)],
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if httpx2.get(f"{self.url}/livez").status_code == 200 and self._all_started():
                    return
            except httpx2.TransportError:
                pass
            time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"the server did not start:\n{self.log.read_text()}")

    def kill(self) -> None:
        """End the server and its workers at once, as `kill -9` does."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=30)

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> int:
        """Ask it to end, as `kill` does, and wait until it has; gives its exit code."""
        self.process.terminate()
        return self.process.wait(timeout=30)

    def events(self) -> list[dict[str, Any]]:
        """What the log has told so far, line by line."""
        complete, _, _ = self.log.read_text().rpartition("\n")
        return [json.loads(line) for line in complete.splitlines() if line.startswith("{")]

    def workers(self) -> set[int]:
        """The ids of the processes that serve, when there are several."""
        return {pid for pid in self._children() if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()}

    def starts(self) -> int:
        """How many workers have begun to serve, since the server was started last."""
        since = self.log.read_bytes()[self._log_began :]
        return since.count(b'"Application startup complete."')

    def _all_started(self) -> bool:
        """Whether every worker has begun to serve; a log of warnings alone does not tell."""
        return self._environment["WORKERS"] == "1" or self.starts() == int(self._environment["WORKERS"])

    def connection_to_each_worker(self, workers: int) -> list[HTTPConnection]:
        """An open connection to each of the server's processes; which one accepted it, Linux tells in /proc."""
        found: dict[int, HTTPConnection] = {}
        for _ in range(1000):
            connection = HTTPConnection("127.0.0.1", self.port)
            connection.request("GET", "/livez")
            connection.getresponse().read()
            if found.setdefault(self._holder_of(connection), connection) is not connection:
                connection.close()
            if len(found) == workers:
                return list(found.values())
        raise RuntimeError(f"{len(found)} of {workers} workers answer")

    def _holder_of(self, connection: HTTPConnection) -> int:
        """The id of the process that holds the server's end of the connection."""
        ends = f":{self.port:04X}", f":{connection.sock.getsockname()[1]:04X}"
        sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
        # The table is no snapshot: it may show one twice.
        (inode,) = {it[9] for it in sockets if it[1].endswith(ends[0]) and it[2].endswith(ends[1])}
        for process in self._children():
            for descriptor in Path(f"/proc/{process}/fd").iterdir():
                with suppress(FileNotFoundError):
                    if str(descriptor.readlink()) == f"socket:[{inode}]":
                        return process
        raise RuntimeError("no worker holds the connection")

    def _children(self) -> list[int]:
        parent = self.process.pid
        return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

